using Ottla.Broker.Replicas;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Ottla.Storage.Log;
using PartitionResponse = Ottla.Protocol.Messages.FetchResponse.PartitionData;

namespace Ottla.Broker.Api;

/// <summary>Fetch (key 1), versions 4 to 18: reads whole record batches of the partitions led here.</summary>
/// <remarks>
/// Answers as soon as min_bytes are there or anything is wrong, else after max_wait_ms. The first batch found is returned whatever its size, so that a consumer
/// gets on; after that max_bytes and partition_max_bytes hold. READ_COMMITTED reads up to the last stable offset, and is told of aborted transactions.
/// Incremental sessions (v7+) leave out what has no news. From version 13 on topics are named by id. last_fetched_epoch (v12+) answers with the diverging epoch.
/// Errors: OFFSET_OUT_OF_RANGE, UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, NOT_LEADER_OR_FOLLOWER (with the leader, v16+), FENCED_LEADER_EPOCH,
/// UNKNOWN_LEADER_EPOCH, CORRUPT_MESSAGE, KAFKA_STORAGE_ERROR; of the session: FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH, FETCH_SESSION_TOPIC_ID_ERROR.
/// </remarks>
internal sealed class FetchHandler(HostedTopics topics, FetchSessions sessions, LeaderHints leaders, Func<int> fetchBytesMax, TimeProvider time)
    : IReusingApiHandler<FetchRequest, FetchResponse>
{
    private const short FirstVersionWithTopicIds = 13;
    private const short FirstVersionWithReplicaState = 15;
    private const short FirstVersionWithHints = 16;
    private const sbyte ReadCommitted = 1;

    public ValueTask<FetchResponse?> HandleAsync(RequestContext context, FetchRequest request, FetchResponse response)
    {
        var now = Instant.Now(time);
        var usesTopicIds = context.ApiVersion >= FirstVersionWithTopicIds;
        var fetch = sessions.Begin(request, usesTopicIds, now);
        if (fetch.Error != ErrorCode.None)
        {
            response.ErrorCode = (short)fetch.Error;
            return ValueTask.FromResult<FetchResponse?>(response);
        }

        var reads = new PartitionRead[fetch.Partitions.Count];
        return ReadAll(context, request, fetch.Partitions, reads) || request.MaxWaitMs <= 0
            ? ValueTask.FromResult<FetchResponse?>(Respond(context, fetch, reads, response))
            : WaitAsync(context, request, response, fetch, reads, now.AddMilliseconds(request.MaxWaitMs));
    }

    /// <summary>The long poll: reads again at every news of one of the partitions, until there is enough or time is up.</summary>
    private async ValueTask<FetchResponse?> WaitAsync(
        RequestContext context, FetchRequest request, FetchResponse response, FetchContext fetch, PartitionRead[] reads, Instant deadline)
    {
        while (true)
        {
            var remainingMs = deadline.MillisecondsSince(Instant.Now(time));
            if (remainingMs <= 0)
                return Respond(context, fetch, reads, response);
            var replicas = new List<PartitionReplica>(reads.Length);
            foreach (var read in reads)
            {
                read.Slice?.Dispose(); // a waiting fetch holds no files
                if (read.Replica is { } replica)
                    replicas.Add(replica);
            }

            await new DataWaiter(time).WaitAsync(replicas, reads, HaveNews, TimeSpan.FromMilliseconds(remainingMs), context.Connection.Closing);
            if (ReadAll(context, request, fetch.Partitions, reads))
                return Respond(context, fetch, reads, response);
        }
    }

    private static bool HaveNews(PartitionRead[] reads)
    {
        foreach (var read in reads)
        {
            if (read.Replica is { } replica && (replica.Log.HighWatermark != read.HighWatermark || !replica.Leadership.IsLeaderHere))
                return true;
        }

        return false;
    }

    /// <returns>Whether the client need not wait for more.</returns>
    private bool ReadAll(RequestContext context, FetchRequest request, List<FetchedPartition> partitions, PartitionRead[] reads)
    {
        var isFromReplica = (context.ApiVersion >= FirstVersionWithReplicaState ? request.ReplicaState?.ReplicaId ?? -1 : request.ReplicaId) >= 0;
        var remainingBytes = Math.Min(request.MaxBytes, fetchBytesMax());
        var bytes = 0L;
        var isSatisfied = reads.Length == 0;
        for (var i = 0; i < reads.Length; i++)
        {
            var read = Read(context, partitions[i], request.IsolationLevel == ReadCommitted, isFromReplica, Math.Max(remainingBytes, 0), minOneBatch: bytes == 0);
            reads[i] = read;
            bytes += read.Bytes;
            remainingBytes -= read.Bytes;
            isSatisfied |= read.Error != ErrorCode.None || read.Divergence is not null;
        }

        return isSatisfied || bytes >= request.MinBytes;
    }

    private PartitionRead Read(RequestContext context, FetchedPartition partition, bool isReadCommitted, bool isFromReplica, int maxBytes, bool minOneBatch)
    {
        var position = partition.Position;
        var usesTopicIds = context.ApiVersion >= FirstVersionWithTopicIds;
        var replica = (usesTopicIds ? topics.Find(partition.TopicId) : topics.Find(partition.Topic))?.Find(position.Partition);
        var error = replica is null ? leaders.ErrorForMissing(usesTopicIds, partition.Topic, partition.TopicId, position.Partition)
            : isFromReplica ? ErrorCode.NotLeaderOrFollower // no other broker is assigned a replica
            : replica.CheckLeader(position.CurrentLeaderEpoch);
        if (error != ErrorCode.None)
            return new PartitionRead(partition, replica) { Error = error };
        try
        {
            var log = replica!.Log;
            if (FindDivergence(log, position) is { } divergence)
                return new PartitionRead(partition, replica)
                {
                    HighWatermark = log.HighWatermark,
                    LastStableOffset = log.LastStableOffset,
                    LogStartOffset = log.LogStartOffset,
                    Divergence = divergence,
                };
            var bound = isReadCommitted ? log.LastStableOffset : log.HighWatermark;
            var read = log.Read(position.FetchOffset, Math.Min(position.MaxBytes, maxBytes), minOneBatch, bound);
            return new PartitionRead(partition, replica)
            {
                HighWatermark = read.HighWatermark,
                LastStableOffset = read.LastStableOffset,
                LogStartOffset = read.LogStartOffset,
                Aborted = !isReadCommitted ? null : read.Slice is null ? [] : log.CollectAbortedTransactions(position.FetchOffset, read.UpperBoundOffset),
                Slice = read.Slice,
            };
        }
        catch (LogException e)
        {
            return new PartitionRead(partition, replica) { Error = e.ErrorCode };
        }
    }

    /// <summary>A consumer that read from an epoch that ended earlier than it thinks holds records that were truncated (KIP-595).</summary>
    private static FetchResponse.EpochEndOffset? FindDivergence(PartitionLog log, FetchPosition position)
    {
        if (position.LastFetchedEpoch < 0)
            return null;
        var end = log.EndOffsetForEpoch(position.LastFetchedEpoch);
        if (end.EndOffset < 0)
            throw new LogException(ErrorCode.OffsetOutOfRange, $"Epoch {position.LastFetchedEpoch} is not in the log.");
        return end.Epoch >= position.LastFetchedEpoch && end.EndOffset >= position.FetchOffset
            ? null
            : new FetchResponse.EpochEndOffset { Epoch = end.Epoch, EndOffset = end.EndOffset };
    }

    private FetchResponse Respond(RequestContext context, FetchContext fetch, PartitionRead[] reads, FetchResponse response)
    {
        response.SessionId = fetch.Session?.Id ?? 0;
        var toldCount = 0;
        foreach (var read in reads)
        {
            if (fetch.Session is not { } session || TellSession(session, read) || !fetch.IsIncremental)
                reads[toldCount++] = read;
        }

        var told = reads.AsSpan(0, toldCount);
        foreach (var topic in response.TakeResponses(CountTopics(told)))
        {
            topic.Topic = told[0].Partition.Topic;
            topic.TopicId = told[0].Partition.TopicId;
            var answers = topic.TakePartitions(CountOfSameTopic(told));
            for (var i = 0; i < answers.Length; i++)
            {
                told[i].Fill(answers[i]);
                AddHint(context, response, told[i], answers[i]);
            }

            told = told[answers.Length..];
        }

        return response;
    }

    private static int CountTopics(ReadOnlySpan<PartitionRead> reads)
    {
        var count = 0;
        for (; !reads.IsEmpty; count++)
            reads = reads[CountOfSameTopic(reads)..];
        return count;
    }

    /// <summary>How many reads at the start are of one topic.</summary>
    private static int CountOfSameTopic(ReadOnlySpan<PartitionRead> reads)
    {
        var count = 1;
        while (count < reads.Length && reads[count].Partition.IsOfSameTopic(reads[0].Partition))
            count++;
        return count;
    }

    /// <summary>Notes in the session what the client will know.</summary>
    /// <returns>Whether there is news for it.</returns>
    private static bool TellSession(FetchSession session, in PartitionRead read)
    {
        var failed = read.Error != ErrorCode.None;
        var hasNews = read.Bytes > 0 || failed || read.Divergence is not null
            || read.HighWatermark != read.Partition.KnownHighWatermark || read.LogStartOffset != read.Partition.KnownLogStartOffset;
        // After an error everything is news again.
        read.Partition.KnownHighWatermark = failed ? -1 : read.HighWatermark;
        read.Partition.KnownLogStartOffset = failed ? -1 : read.LogStartOffset;
        if (read.Bytes > 0)
            session.MoveToEnd(read.Partition);
        return hasNews;
    }

    private void AddHint(RequestContext context, FetchResponse response, in PartitionRead read, PartitionResponse answer)
    {
        if (read.Error is not (ErrorCode.NotLeaderOrFollower or ErrorCode.FencedLeaderEpoch) || context.ApiVersion < FirstVersionWithHints)
            return;
        if (leaders.Find(read.Partition.Topic, read.Partition.TopicId, read.Partition.Position.Partition, context.Connection.ListenerName) is not { } leader)
            return;
        answer.CurrentLeader = new FetchResponse.LeaderIdAndEpoch { LeaderId = leader.LeaderId, LeaderEpoch = leader.LeaderEpoch };
        if (leader.Node is { } node && !response.NodeEndpoints.Any(known => known.NodeId == node.Id))
            response.NodeEndpoints = [.. response.NodeEndpoints, new FetchResponse.NodeEndpoint { NodeId = node.Id, Host = node.Host, Port = node.Port, Rack = node.Rack }];
    }

    /// <summary>What was found of a partition; offsets are -1 after an error.</summary>
    private readonly record struct PartitionRead(FetchedPartition Partition, PartitionReplica? Replica)
    {
        public ErrorCode Error { get; init; }

        public long HighWatermark { get; init; } = -1;

        public long LastStableOffset { get; init; } = -1;

        public long LogStartOffset { get; init; } = -1;

        public FetchResponse.EpochEndOffset? Divergence { get; init; }

        /// <summary>Of the records that are in the answer, no later ones: a reader far behind would else be told of the whole log's with each fetch.</summary>
        public IReadOnlyList<AbortedTransaction>? Aborted { get; init; }

        public IFileSlice? Slice { get; init; }

        public int Bytes => Slice?.Length ?? 0;

        public void Fill(PartitionResponse answer)
        {
            answer.PartitionIndex = Partition.Position.Partition;
            answer.ErrorCode = (short)Error;
            answer.HighWatermark = HighWatermark;
            answer.LastStableOffset = LastStableOffset;
            answer.LogStartOffset = LogStartOffset;
            answer.DivergingEpoch = Divergence;
            answer.Records = Slice is null ? Records.Empty : new Records(Slice);
            answer.AbortedTransactions = null;
            if (Aborted is null)
                return;
            var answers = answer.TakeAbortedTransactions(Aborted.Count);
            for (var i = 0; i < answers.Length; i++)
            {
                answers[i].ProducerId = Aborted[i].ProducerId;
                answers[i].FirstOffset = Aborted[i].FirstOffset;
            }
        }
    }
}
