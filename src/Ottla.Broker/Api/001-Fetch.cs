using Ottla.Broker.Replicas;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Ottla.Storage.Log;
using PartitionResponse = Ottla.Protocol.Messages.FetchResponse.PartitionData;
using TopicResponse = Ottla.Protocol.Messages.FetchResponse.FetchableTopicResponse;

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
    : IApiHandler<FetchRequest, FetchResponse>
{
    private const short FirstVersionWithTopicIds = 13;
    private const short FirstVersionWithReplicaState = 15;
    private const short FirstVersionWithHints = 16;
    private const sbyte ReadCommitted = 1;

    public ValueTask<FetchResponse?> HandleAsync(RequestContext context, FetchRequest request)
    {
        var now = Instant.Now(time);
        var usesTopicIds = context.ApiVersion >= FirstVersionWithTopicIds;
        var fetch = sessions.Begin(request, usesTopicIds, now);
        if (fetch.Error != ErrorCode.None)
            return ValueTask.FromResult<FetchResponse?>(new FetchResponse { ErrorCode = (short)fetch.Error });

        var reads = ReadAll(context, request, fetch.Partitions, out var isSatisfied);
        return isSatisfied || request.MaxWaitMs <= 0
            ? ValueTask.FromResult<FetchResponse?>(Respond(context, fetch, reads))
            : WaitAsync(context, request, fetch, reads, now.AddMilliseconds(request.MaxWaitMs));
    }

    /// <summary>The long poll: reads again at every news of one of the partitions, until there is enough or time is up.</summary>
    private async ValueTask<FetchResponse?> WaitAsync(RequestContext context, FetchRequest request, FetchContext fetch, PartitionRead[] reads, Instant deadline)
    {
        while (true)
        {
            var remainingMs = deadline.MillisecondsSince(Instant.Now(time));
            if (remainingMs <= 0)
                return Respond(context, fetch, reads);
            var replicas = new List<PartitionReplica>(reads.Length);
            foreach (var read in reads)
            {
                read.Response.Records.Slice?.Dispose(); // a waiting fetch holds no files
                if (read.Replica is { } replica)
                    replicas.Add(replica);
            }

            var seen = reads;
            await new DataWaiter(time).WaitAsync(replicas, () => HaveNews(seen), TimeSpan.FromMilliseconds(remainingMs), context.Connection.Closing);
            reads = ReadAll(context, request, fetch.Partitions, out var isSatisfied);
            if (isSatisfied)
                return Respond(context, fetch, reads);
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

    private PartitionRead[] ReadAll(RequestContext context, FetchRequest request, List<FetchedPartition> partitions, out bool isSatisfied)
    {
        var isFromReplica = (context.ApiVersion >= FirstVersionWithReplicaState ? request.ReplicaState?.ReplicaId ?? -1 : request.ReplicaId) >= 0;
        var remainingBytes = Math.Min(request.MaxBytes, fetchBytesMax());
        var reads = new PartitionRead[partitions.Count];
        var bytes = 0L;
        isSatisfied = partitions.Count == 0;
        for (var i = 0; i < reads.Length; i++)
        {
            var read = Read(context, partitions[i], request.IsolationLevel == ReadCommitted, isFromReplica, Math.Max(remainingBytes, 0), minOneBatch: bytes == 0);
            reads[i] = read;
            bytes += read.Response.Records.Length;
            remainingBytes -= read.Response.Records.Length;
            isSatisfied |= read.Response.ErrorCode != (short)ErrorCode.None || read.Response.DivergingEpoch is not null;
        }

        isSatisfied |= bytes >= request.MinBytes;
        return reads;
    }

    private PartitionRead Read(RequestContext context, FetchedPartition partition, bool isReadCommitted, bool isFromReplica, int maxBytes, bool minOneBatch)
    {
        var request = partition.Request;
        var usesTopicIds = context.ApiVersion >= FirstVersionWithTopicIds;
        var replica = (usesTopicIds ? topics.Find(partition.TopicId) : topics.Find(partition.Topic))?.Find(request.Partition);
        var error = replica is null ? leaders.ErrorForMissing(usesTopicIds, partition.Topic, partition.TopicId, request.Partition)
            : isFromReplica ? ErrorCode.NotLeaderOrFollower // no other broker is assigned a replica
            : replica.CheckLeader(request.CurrentLeaderEpoch);
        if (error != ErrorCode.None)
            return new PartitionRead(partition, replica, -1, Failed(request.Partition, error));
        try
        {
            if (FindDivergence(replica!.Log, request) is { } divergence)
                return new PartitionRead(partition, replica, -1, divergence);
            var log = replica.Log;
            var bound = isReadCommitted ? log.LastStableOffset : log.HighWatermark;
            var read = log.Read(request.FetchOffset, Math.Min(request.PartitionMaxBytes, maxBytes), minOneBatch, bound);
            return new PartitionRead(partition, replica, read.HighWatermark, new PartitionResponse
            {
                PartitionIndex = request.Partition,
                HighWatermark = read.HighWatermark,
                LastStableOffset = read.LastStableOffset,
                LogStartOffset = read.LogStartOffset,
                AbortedTransactions = !isReadCommitted ? null : read.Slice is null ? [] : Aborted(log, request.FetchOffset, read.UpperBoundOffset),
                Records = read.Slice is null ? Records.Empty : new Records(read.Slice),
            });
        }
        catch (LogException e)
        {
            return new PartitionRead(partition, replica, -1, Failed(request.Partition, e.ErrorCode));
        }
    }

    /// <summary>A consumer that read from an epoch that ended earlier than it thinks holds records that were truncated (KIP-595).</summary>
    private static PartitionResponse? FindDivergence(PartitionLog log, FetchRequest.FetchPartition request)
    {
        if (request.LastFetchedEpoch < 0)
            return null;
        var end = log.EndOffsetForEpoch(request.LastFetchedEpoch);
        if (end.EndOffset < 0)
            throw new LogException(ErrorCode.OffsetOutOfRange, $"Epoch {request.LastFetchedEpoch} is not in the log.");
        if (end.Epoch >= request.LastFetchedEpoch && end.EndOffset >= request.FetchOffset)
            return null;
        return new PartitionResponse
        {
            PartitionIndex = request.Partition,
            HighWatermark = log.HighWatermark,
            LastStableOffset = log.LastStableOffset,
            LogStartOffset = log.LogStartOffset,
            DivergingEpoch = new FetchResponse.EpochEndOffset { Epoch = end.Epoch, EndOffset = end.EndOffset },
            Records = Records.Empty,
        };
    }

    /// <summary>Of the records that are in the answer, no later ones: a reader far behind would else be told of the whole log's with each fetch.</summary>
    private static FetchResponse.AbortedTransaction[] Aborted(PartitionLog log, long fetchOffset, long upperBoundOffset) =>
        [.. log.CollectAbortedTransactions(fetchOffset, upperBoundOffset).Select(aborted => new FetchResponse.AbortedTransaction { ProducerId = aborted.ProducerId, FirstOffset = aborted.FirstOffset })];

    private FetchResponse Respond(RequestContext context, FetchContext fetch, PartitionRead[] reads)
    {
        var response = new FetchResponse { SessionId = fetch.Session?.Id ?? 0 };
        var topicResponses = new List<TopicResponse>();
        var inTopic = new List<PartitionResponse>(reads.Length);
        foreach (var read in reads)
        {
            if (fetch.Session is { } session && !TellSession(session, read) && fetch.IsIncremental)
                continue;
            if (topicResponses.Count == 0 || topicResponses[^1].Topic != read.Partition.Topic || topicResponses[^1].TopicId != read.Partition.TopicId)
            {
                CloseTopic();
                topicResponses.Add(new TopicResponse { Topic = read.Partition.Topic, TopicId = read.Partition.TopicId });
            }

            AddHint(context, response, read);
            inTopic.Add(read.Response);
        }

        CloseTopic();
        response.Responses = [.. topicResponses];
        return response;

        void CloseTopic()
        {
            if (topicResponses.Count > 0)
                topicResponses[^1].Partitions = [.. inTopic];
            inTopic.Clear();
        }
    }

    /// <summary>Notes in the session what the client will know.</summary>
    /// <returns>Whether there is news for it.</returns>
    private static bool TellSession(FetchSession session, PartitionRead read)
    {
        var response = read.Response;
        var hasNews = response.Records.Length > 0 || response.ErrorCode != (short)ErrorCode.None || response.DivergingEpoch is not null
            || response.HighWatermark != read.Partition.KnownHighWatermark || response.LogStartOffset != read.Partition.KnownLogStartOffset;
        // After an error everything is news again.
        var failed = response.ErrorCode != (short)ErrorCode.None;
        read.Partition.KnownHighWatermark = failed ? -1 : response.HighWatermark;
        read.Partition.KnownLogStartOffset = failed ? -1 : response.LogStartOffset;
        if (response.Records.Length > 0)
            session.MoveToEnd(read.Partition);
        return hasNews;
    }

    private void AddHint(RequestContext context, FetchResponse response, PartitionRead read)
    {
        if (read.Response.ErrorCode is not ((short)ErrorCode.NotLeaderOrFollower or (short)ErrorCode.FencedLeaderEpoch) || context.ApiVersion < FirstVersionWithHints)
            return;
        if (leaders.Find(read.Partition.Topic, read.Partition.TopicId, read.Partition.Request.Partition, context.Connection.ListenerName) is not { } leader)
            return;
        read.Response.CurrentLeader = new FetchResponse.LeaderIdAndEpoch { LeaderId = leader.LeaderId, LeaderEpoch = leader.LeaderEpoch };
        if (leader.Node is { } node && !response.NodeEndpoints.Any(known => known.NodeId == node.Id))
            response.NodeEndpoints = [.. response.NodeEndpoints, new FetchResponse.NodeEndpoint { NodeId = node.Id, Host = node.Host, Port = node.Port, Rack = node.Rack }];
    }

    private static PartitionResponse Failed(int partition, ErrorCode error) => new()
    {
        PartitionIndex = partition,
        ErrorCode = (short)error,
        HighWatermark = -1,
        Records = Records.Empty,
    };

    private readonly record struct PartitionRead(FetchedPartition Partition, PartitionReplica? Replica, long HighWatermark, PartitionResponse Response);
}
