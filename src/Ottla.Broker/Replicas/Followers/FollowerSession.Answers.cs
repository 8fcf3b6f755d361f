using System.Runtime.InteropServices;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using PartitionResponse = Ottla.Protocol.Messages.FetchResponse.PartitionData;

namespace Ottla.Broker.Replicas.Followers;

#pragma warning disable CA1001 // The end of a session lets go of its wait.
/// <content>What is read for an answer, and how it is told. All of it under the lock of the session.</content>
internal sealed partial class FollowerSession
{
    private const short FirstVersionWithHints = 16;

    private readonly List<FollowerPartition> _told = [];

    /// <summary>Reads what is due.</summary>
    /// <returns>Whether the fetch is to be answered now. If not, nothing of what was read is held.</returns>
    private bool Look(in FollowerFetchTerms terms, bool isArrival, bool mayWait)
    {
        _wait.Clear();
        TakeChanged();
        Sort(_due);
        var isEnough = !mayWait;
        var (isFirst, remainingBytes, readableBytes, unknownCount) = (true, terms.MaxBytes, 0L, 0);
        try
        {
            for (var i = 0; i < _due.Count; i++)
            {
                var partition = _due[i];
                if (partition.IsForgotten)
                    continue;
                LookCount++;
                _reader.Read(partition, terms, Math.Min(partition.MaxBytes, remainingBytes), isFirst, isArrival);
                var bytes = partition.Bytes;
                // As in Kafka, the bytes that could be read count, not the bytes up to the last batch that fits.
                readableBytes += Math.Max(Math.Min(partition.Result.AvailableBytes, partition.MaxBytes), bytes);
                isFirst &= bytes == 0;
                remainingBytes = Math.Max(remainingBytes - bytes, 0);
                isEnough |= partition.EndsWait;
                if (partition.IsUnknown)
                    unknownCount++;
            }
        }
        catch
        {
            GiveBack();
            throw;
        }

        // A fetch of nothing, or of nothing that exists, does not wait.
        isEnough |= readableBytes >= terms.MinBytes || unknownCount == _partitions.Count;
        if (!isEnough)
        {
            GiveBack();
            KeepDue(keepsNews: true);
        }

        return isEnough;
    }

    private void GiveBack()
    {
        foreach (var partition in _due)
            partition.GiveBack();
    }

    /// <summary>Drops from the due partitions those that the next answer need not look at.</summary>
    /// <param name="keepsNews">Whether to keep what the follower does not know yet.</param>
    private void KeepDue(bool keepsNews)
    {
        var kept = 0;
        for (var i = 0; i < _due.Count; i++)
        {
            var partition = _due[i];
            partition.IsDue = !partition.IsForgotten && (partition.IsUnfinished || (keepsNews && partition.HasNews));
            if (partition.IsDue)
                _due[kept++] = partition;
        }

        _due.RemoveRange(kept, _due.Count - kept);
    }

    /// <summary>Brings the partitions into the order in which the session reads; mostly they are in it.</summary>
    private static void Sort(List<FollowerPartition> partitions)
    {
        for (var i = 1; i < partitions.Count; i++)
        {
            if (partitions[i].Order >= partitions[i - 1].Order)
                continue;
            partitions.Sort(static (one, other) => one.Order.CompareTo(other.Order));
            return;
        }
    }

    /// <summary>Hands what was read over to the response, and notes what the follower will know.</summary>
    private void Fill(in RequestContext context, FetchResponse response)
    {
        try
        {
            response.SessionId = Id;
            CollectTold(isIncremental: _hasAnswered);
            Fill(context, response, CollectionsMarshal.AsSpan(_told));
        }
        catch
        {
            GiveBack();
            throw;
        }

        foreach (var partition in _told)
        {
            partition.Told();
            _reader.Sent(partition);
        }

        _told.Clear();
        _hasAnswered = true;
        KeepDue(keepsNews: false);
    }

    /// <summary>
    /// Collects what the answer names: with the first one of a session everything, and what is unknown at the end, as in Kafka.
    /// </summary>
    private void CollectTold(bool isIncremental)
    {
        _told.Clear();
        var unknownCount = 0;
        foreach (var partition in _due)
        {
            if (partition.IsForgotten || (isIncremental && !partition.HasNews))
                continue;
            if (partition.IsUnknown)
                unknownCount++;
            else
                _told.Add(partition);
            if (isIncremental && partition.Bytes > 0)
                partition.Order = ++_lastOrder;
        }

        for (var i = 0; unknownCount > 0; i++)
        {
            if (_due[i] is not { IsUnknown: true, IsForgotten: false })
                continue;
            _told.Add(_due[i]);
            unknownCount--;
        }
    }

    private void Fill(in RequestContext context, FetchResponse response, ReadOnlySpan<FollowerPartition> told)
    {
        foreach (var topic in response.TakeResponses(CountTopics(told)))
        {
            topic.Topic = told[0].Topic;
            topic.TopicId = told[0].TopicId;
            var answers = topic.TakePartitions(CountOfSameTopic(told));
            for (var i = 0; i < answers.Length; i++)
                Fill(context, answers[i], told[i]);
            told = told[answers.Length..];
        }
    }

    private void Fill(in RequestContext context, PartitionResponse answer, FollowerPartition partition)
    {
        ref readonly var result = ref partition.Result;
        answer.PartitionIndex = partition.Index;
        answer.ErrorCode = (short)partition.Error;
        answer.HighWatermark = result.HighWatermark;
        answer.LastStableOffset = result.LastStableOffset;
        answer.LogStartOffset = result.LogStartOffset;
        answer.DivergingEpoch = result.DivergingEpoch is { } end
            ? new FetchResponse.EpochEndOffset { Epoch = end.Epoch, EndOffset = end.EndOffset }
            : null;
        // Followers are told of no aborted transactions. Kafka writes an empty list where it has not looked for the partition.
        if (partition.IsUnknown)
            answer.TakeAbortedTransactions(0);
        else
            answer.AbortedTransactions = null;
        answer.Records = result.Slice is { } slice ? new Records(slice) : Records.Empty;
        if (partition.Error is ErrorCode.NotLeaderOrFollower or ErrorCode.FencedLeaderEpoch && context.ApiVersion >= FirstVersionWithHints)
            answer.CurrentLeader = _reader.LeaderOf(partition, context.Connection.ListenerName);
    }

    private static int CountTopics(ReadOnlySpan<FollowerPartition> told)
    {
        var count = 0;
        for (; !told.IsEmpty; count++)
            told = told[CountOfSameTopic(told)..];
        return count;
    }

    /// <summary>How many partitions at the start are of one topic.</summary>
    private static int CountOfSameTopic(ReadOnlySpan<FollowerPartition> told)
    {
        var count = 1;
        while (count < told.Length && told[count].TopicId == told[0].TopicId && told[count].Topic == told[0].Topic)
            count++;
        return count;
    }
}
