using Microsoft.Extensions.Logging;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Replication;
using Ottla.Storage.Log;

namespace Ottla.Broker.Replicas.Fetching;

#pragma warning disable CA1001 // StopAsync lets go of what it owns.
/// <content>What answers of the leader do to the logs here.</content>
internal sealed partial class ReplicaFetcher
{
    /// <summary>From so many bytes on, another thread takes the network loop over while they are checked and written.</summary>
    private const int LongAnswerBytes = 1024 * 1024;

    /// <summary>Takes an answer over, partition by partition, straight from the received frame.</summary>
    /// <returns>The partitions whose offset the leader does not have; null when there are none.</returns>
    private List<FetcherPartition<PartitionReplica>>? Digest()
    {
        var now = Instant.Now(_host.Time);
        bool isUsed;
        string? problem;
        lock (_lock)
            isUsed = _machine.TryAccept(_response, now, out problem);
        if (problem is not null)
            LogMisfit(_logger, LeaderId, Index, problem);
        List<FetcherPartition<PartitionReplica>>? outOfRange = null;
        if (!isUsed)
            return outOfRange;

        if (BytesOf(_response) >= LongAnswerBytes)
            HandlerThread.AboutToBlock();
        foreach (var topic in _response.Responses)
        {
            foreach (var data in topic.Partitions)
            {
                FetchVerdict verdict;
                FetcherPartition<PartitionReplica>? partition;
                lock (_lock)
                    verdict = _machine.Judge(topic.TopicId, data, now, out partition);
                switch (verdict)
                {
                    case FetchVerdict.Append:
                        Append(partition!, data, now);
                        break;
                    case FetchVerdict.Truncate:
                        Truncate(partition!, data.DivergingEpoch!);
                        break;
                    case FetchVerdict.AskOffsets:
                        (outOfRange ??= []).Add(partition!);
                        break;
                    case FetchVerdict.Retry:
                        LogPartitionError(partition!, (ErrorCode)data.ErrorCode);
                        break;
                    case FetchVerdict.Fenced:
                        LogFenced(_logger, partition!.Replica.Partition, partition.LeaderEpoch, LeaderId);
                        break;
                }
            }
        }

        return outOfRange;
    }

    private static long BytesOf(FetchResponse response)
    {
        var bytes = 0L;
        foreach (var topic in response.Responses)
        {
            foreach (var data in topic.Partitions)
                bytes += data.Records.Length;
        }

        return bytes;
    }

    private void Append(FetcherPartition<PartitionReplica> partition, FetchResponse.PartitionData data, Instant now)
    {
        var replica = partition.Replica;
        var fetched = new FetchedBatches(
            data.Records.Memory, partition.LeaderEpoch, partition.FetchOffset, data.HighWatermark, data.LogStartOffset);
        try
        {
            var outcome = replica.TakeFetched(fetched, now, out var position);
            lock (_lock)
            {
                switch (outcome)
                {
                    case FollowerOutcome.Done:
                        _machine.OnAppended(partition, position, data.HighWatermark);
                        break;
                    case FollowerOutcome.Moved:
                        _machine.Resume(partition, position);
                        break;
                    default:
                        _machine.Stop(partition);
                        break;
                }
            }

            if (outcome == FollowerOutcome.Done && data.Records.Length > 0 && replica.IsThrottledAsFollower(_host.BrokerId))
                _host.Throttle.Record(data.Records.Length);
        }
        catch (LogException e)
        {
            OnLogFailure(partition, e);
        }
    }

    /// <summary>Cuts a log where the leader's differs from it, and nothing else (P3): the rest of the answer is not for this log.</summary>
    private void Truncate(FetcherPartition<PartitionReplica> partition, FetchResponse.EpochEndOffset leaderEnd)
    {
        var log = partition.Replica.Log;
        try
        {
            var own = log.EndOffsetForEpoch(leaderEnd.Epoch);
            var target = FollowerDecisions.TruncationOffset(
                leaderEnd.Epoch, leaderEnd.EndOffset, own.Epoch, own.EndOffset, partition.FetchOffset);
            LogTruncating(
                _logger, partition.Replica.Partition, partition.FetchOffset, target, LeaderId, partition.LeaderEpoch, leaderEnd.Epoch,
                leaderEnd.EndOffset);
            Settle(partition, TruncateTo(partition, target));
        }
        catch (LogException e)
        {
            OnLogFailure(partition, e);
        }
    }

    private FollowerOutcome TruncateTo(FetcherPartition<PartitionReplica> partition, long offset)
    {
        if (offset < partition.Replica.Log.HighWatermark)
            LogTruncatingBelowHighWatermark(_logger, partition.Replica.Partition, offset, partition.Replica.Log.HighWatermark, LeaderId);
        return partition.Replica.TruncateTo(_host.Logs, offset, partition.LeaderEpoch, partition.FetchOffset);
    }

    /// <summary>Goes on where the log stands after a truncation.</summary>
    private void Settle(FetcherPartition<PartitionReplica> partition, FollowerOutcome outcome)
    {
        var position = partition.Replica.PositionAsFollower();
        lock (_lock)
        {
            if (outcome == FollowerOutcome.NotFollowing)
                _machine.Stop(partition);
            else
                _machine.Resume(partition, position);
        }
    }

    /// <summary>
    /// A damaged answer and a full disk are tried again; a log that is offline is fetched no more, until its directory is back.
    /// </summary>
    private void OnLogFailure(FetcherPartition<PartitionReplica> partition, LogException failure)
    {
        var isLost = partition.Replica.Log.IsOffline || partition.Replica.Log.IsClosed;
        lock (_lock)
        {
            if (isLost)
                _machine.Stop(partition);
            else
                _machine.Retry(partition, Instant.Now(_host.Time));
        }

        if (partition.Replica.Log.IsClosed)
            return; // its topic was deleted
        if (isLost)
            LogLost(_logger, partition.Replica.Partition, LeaderId, failure.Message);
        else
            LogNotAppended(
                _host.RetryLogger, partition.Replica.Partition, partition.FetchOffset, LeaderId, failure.ErrorCode, failure.Message);
    }

    private void LogPartitionError(FetcherPartition<PartitionReplica> partition, ErrorCode error)
    {
        // Elections, topics that are made, and metadata that lags bring these about; they pass. Kafka's followers say so each time.
        if (error is ErrorCode.NotLeaderOrFollower or ErrorCode.UnknownLeaderEpoch or ErrorCode.FencedLeaderEpoch
            or ErrorCode.UnknownTopicId or ErrorCode.UnknownTopicOrPartition)
            LogExpectedError(_logger, LeaderId, partition.Replica.Partition, error);
        else
            LogUnexpectedError(
                _host.RetryLogger, LeaderId, partition.Replica.Partition, partition.FetchOffset, error, _host.Options.BackoffMs);
    }

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "The answer of broker {Leader} (fetcher {Index}) cannot be used: {Problem}. A new session is begun with it")]
    private static partial void LogMisfit(ILogger logger, int leader, int index, string problem);

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "{Partition} is followed at leader epoch {Epoch}, and broker {Leader} knows a newer one. It is fetched again when the "
            + "metadata has that")]
    private static partial void LogFenced(ILogger logger, TopicPartition partition, int epoch, int leader);

    [LoggerMessage(Level = LogLevel.Debug, Message = "Broker {Leader} answered the fetch of {Partition} with {Error}")]
    private static partial void LogExpectedError(ILogger logger, int leader, TopicPartition partition, ErrorCode error);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Broker {Leader} answered the fetch of {Partition} at offset {Offset} with {Error}. It is asked again in {BackoffMs} ms")]
    private static partial void LogUnexpectedError(
        ILogger logger, int leader, TopicPartition partition, long offset, ErrorCode error, long backoffMs);

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "Truncating {Partition} from {Offset} to {Target}: broker {Leader} leads in epoch {LeaderEpoch}, and its log has epoch "
            + "{Epoch} up to {EndOffset}")]
    private static partial void LogTruncating(
        ILogger logger, TopicPartition partition, long offset, long target, int leader, int leaderEpoch, int epoch, long endOffset);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Truncating {Partition} to {Offset}, below its high watermark {HighWatermark}: broker {Leader} was elected without all "
            + "committed records. Consumers may have read what is gone")]
    private static partial void LogTruncatingBelowHighWatermark(
        ILogger logger, TopicPartition partition, long offset, long highWatermark, int leader);

    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "{Partition} is not fetched from broker {Leader} any more: {Reason} Check the disk, then restart this broker")]
    private static partial void LogLost(ILogger logger, TopicPartition partition, int leader, string reason);

    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "What broker {Leader} sent for {Partition} at offset {Offset} was not appended, and is fetched again: {Error}, {Reason}")]
    private static partial void LogNotAppended(
        ILogger logger, TopicPartition partition, long offset, int leader, ErrorCode error, string reason);
}
