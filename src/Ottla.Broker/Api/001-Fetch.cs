using Ottla.Broker.Replicas;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Ottla.Storage.Log;
using PartitionResponse = Ottla.Protocol.Messages.FetchResponse.PartitionData;

namespace Ottla.Broker.Api;

/// <summary>Fetch (key 1), versions 4 to 18: reads whole record batches of the partitions that have a replica here.</summary>
/// <remarks>
/// For consumers; fetches with a replica id are of followers (<see cref="ReplicaFetchHandler"/>), which need CLUSTER_ACTION. Answers as
/// soon as min_bytes are there or anything is wrong, else after max_wait_ms. The first batch found is returned whatever its size, so that a
/// consumer gets on; after that max_bytes and partition_max_bytes hold. READ_COMMITTED reads up to the last stable offset, and is told of
/// aborted transactions. Incremental sessions (v7+) leave out what has no news. From version 13 on topics are named by id. From version 11
/// on followers serve consumers too, and a leader sends those that name their rack to a replica there (KIP-392, replica.selector.class);
/// before, only leaders serve. last_fetched_epoch (v12+) answers with the diverging epoch. Errors: OFFSET_OUT_OF_RANGE,
/// UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, NOT_LEADER_OR_FOLLOWER (with the leader, v16+), FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH,
/// CORRUPT_MESSAGE, KAFKA_STORAGE_ERROR, UNKNOWN_SERVER_ERROR (a negative size), INCONSISTENT_TOPIC_ID (the topic was made anew since the
/// session began), TOPIC_AUTHORIZATION_FAILED; of the session: FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH,
/// FETCH_SESSION_TOPIC_ID_ERROR.
/// </remarks>
internal sealed class FetchHandler(
    FetchPlanner planner, FetchSessions sessions, ReplicaFetchHandler followers, LeaderHints leaders, Authorizer authorizer,
    ClientQuotas quotas, Func<int> fetchBytesMax, TimeProvider time)
    : IReusingApiHandler<FetchRequest, FetchResponse>
{
    private const short FirstVersionWithTopicIds = 13;
    private const short FirstVersionWithRacks = 11;
    private const short FirstVersionWithHints = 16;
    private const sbyte ReadCommitted = 1;

    /// <inheritdoc/>
    /// <remarks>Microseconds and partitions are about the same: a plan looks at every partition of the session.</remarks>
    public int EstimateMicroseconds(RequestContext context, FetchRequest request) =>
        ReplicaFetchHandler.IsFromReplica(context, request)
            ? followers.EstimateMicroseconds(context, request)
            : sessions.PartitionCountOf(request.SessionId);

    /// <inheritdoc/>
    public bool IsOfFollower(RequestContext context, FetchRequest request) => ReplicaFetchHandler.IsFromReplica(context, request);

    public ValueTask<FetchResponse?> HandleAsync(RequestContext context, FetchRequest request, FetchResponse response)
    {
        if (ReplicaFetchHandler.IsFromReplica(context, request))
        {
            return authorizer.AllowsOnCluster(context, AclOperation.ClusterAction)
                ? followers.HandleAsync(context, request, response)
                : ValueTask.FromResult<FetchResponse?>(Refuse(request, response));
        }

        var now = Instant.Now(time);
        var terms = TermsOf(context, request);
        var fetch = sessions.Begin(request, terms.UsesTopicIds, now);
        if (fetch.Error != ErrorCode.None)
        {
            response.ErrorCode = (short)fetch.Error;
            return ValueTask.FromResult<FetchResponse?>(response);
        }

        if (authorizer.IsEnabled)
            Authorize(context, fetch.Partitions, terms.UsesTopicIds);
        var reads = new PartitionRead[fetch.Partitions.Count];
        var mayWait = request.MaxWaitMs > 0;
        return planner.TryRead(terms, fetch.Partitions, reads, mayWait) || !mayWait
            ? ValueTask.FromResult<FetchResponse?>(Respond(context, fetch, reads, response))
            : planner.WaitAsync(
                terms,
                fetch.Partitions,
                reads,
                now.AddMilliseconds(request.MaxWaitMs),
                (Handler: this, Context: context, Fetch: fetch, Response: response),
                static (waited, reads) => (FetchResponse?)waited.Handler.Respond(waited.Context, waited.Fetch, reads, waited.Response),
                context.Connection.Draining,
                context.Connection.Closing);
    }

    /// <summary>Notes which partitions the client may read. A topic that does not exist has the error of that.</summary>
    private void Authorize(in RequestContext context, List<FetchedPartition> partitions, bool usesTopicIds)
    {
        FetchedPartition? before = null;
        foreach (var partition in partitions)
        {
            if (before is not null && partition.IsOfSameTopic(before))
            {
                partition.IsForbidden = before.IsForbidden;
                continue;
            }

            var name = usesTopicIds ? partition.KnownName ?? leaders.NameOf(partition.TopicId) : partition.Topic;
            partition.IsForbidden = name is not null && !authorizer.Allows(context, AclOperation.Read, ResourceType.Topic, name);
            before = partition;
        }
    }

    /// <summary>The answer to a follower that is none.</summary>
    private static FetchResponse Refuse(FetchRequest request, FetchResponse response)
    {
        foreach (var (answer, topic) in response.TakeResponses(request.Topics.Length).Zip(request.Topics))
        {
            answer.Topic = topic.Topic;
            answer.TopicId = topic.TopicId;
            foreach (var (partition, asked) in answer.TakePartitions(topic.Partitions.Length).Zip(topic.Partitions))
            {
                var known = new FetchedPartition { Topic = topic.Topic, TopicId = topic.TopicId, Position = FetchPosition.Of(asked) };
                Fill(partition, new PartitionRead(known, null, null, ErrorCode.TopicAuthorizationFailed));
            }
        }

        return response;
    }

    private FetchTerms TermsOf(RequestContext context, FetchRequest request)
    {
        var maxBytes = Math.Min(Math.Min(request.MaxBytes, fetchBytesMax()), quotas.FetchBytesMax(context));
        return new FetchTerms(
            request.IsolationLevel == ReadCommitted ? ReadBound.LastStableOffset : ReadBound.HighWatermark,
            UsesTopicIds: context.ApiVersion >= FirstVersionWithTopicIds,
            NeedsLeader: context.ApiVersion < FirstVersionWithRacks,
            Math.Min(request.MinBytes, maxBytes),
            maxBytes)
        {
            Rack = request.RackId,
            Listener = context.Connection.ListenerName,
        };
    }

    /// <summary>Hands the slices over to the response.</summary>
    private FetchResponse Respond(RequestContext context, FetchContext fetch, PartitionRead[] reads, FetchResponse response)
    {
        try
        {
            Fill(context, fetch, reads, response);
            return response;
        }
        catch
        {
            FetchPlanner.GiveBack(reads);
            throw;
        }
    }

    private void Fill(RequestContext context, FetchContext fetch, PartitionRead[] reads, FetchResponse response)
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
                Fill(answers[i], told[i]);
                told[i].Replica?.Traffic.CountFetch(told[i].Error, told[i].Bytes);
                AddHint(context, response, told[i], answers[i]);
            }

            told = told[answers.Length..];
        }
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
        var hasNews = read.Bytes > 0 || failed || read.DivergingEpoch is not null || read.PreferredReplica >= 0
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
        if (leaders.Find(
            read.Partition.Topic, read.Partition.TopicId, read.Partition.Position.Partition,
            context.Connection.ListenerName) is not { } leader)
            return;
        answer.CurrentLeader = new FetchResponse.LeaderIdAndEpoch { LeaderId = leader.LeaderId, LeaderEpoch = leader.LeaderEpoch };
        if (leader.Node is { } node && !response.NodeEndpoints.Any(known => known.NodeId == node.Id))
            response.NodeEndpoints = [
                .. response.NodeEndpoints,
                new FetchResponse.NodeEndpoint { NodeId = node.Id, Host = node.Host, Port = node.Port, Rack = node.Rack }];
    }

    private static void Fill(PartitionResponse answer, in PartitionRead read)
    {
        answer.PartitionIndex = read.Partition.Position.Partition;
        answer.ErrorCode = (short)read.Error;
        answer.HighWatermark = read.HighWatermark;
        answer.LastStableOffset = read.LastStableOffset;
        answer.LogStartOffset = read.LogStartOffset;
        answer.DivergingEpoch = read.DivergingEpoch is { } end
            ? new FetchResponse.EpochEndOffset { Epoch = end.Epoch, EndOffset = end.EndOffset }
            : null;
        answer.PreferredReadReplica = read.PreferredReplica;
        answer.Records = read.Slice is null ? Records.Empty : new Records(read.Slice);
        answer.AbortedTransactions = null;
        if (read.AbortedTransactions is not { } aborted)
            return;
        var answers = answer.TakeAbortedTransactions(aborted.Count);
        for (var i = 0; i < answers.Length; i++)
        {
            answers[i].ProducerId = aborted[i].ProducerId;
            answers[i].FirstOffset = aborted[i].FirstOffset;
        }
    }
}
