using Ottla.Broker.Hosts.Share;
using Ottla.Broker.Metadata;
using Ottla.Broker.Replicas;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Ottla.StateMachines.Share;
using PartitionResponse = Ottla.Protocol.Messages.ShareFetchResponse.PartitionData;

namespace Ottla.Broker.Api;

/// <summary>
/// ShareFetch (key 78), versions 1 to 2: a member of a share group acquires records, and says what has become of earlier ones (KIP-932).
/// </summary>
/// <remarks>
/// Works in sessions: the answer names partitions that are new in the session, have records, an error or an acknowledgement. Answers as
/// soon as min_bytes are there, else after max_wait_ms with what there is. The first batch of a partition is returned whatever its size.
/// Version 2 keeps max_records exactly if it says so (KIP-1206), and renews locks (KIP-1222): then nothing is fetched, and all limits must
/// be 0. The sender need not be in the group. Errors: UNSUPPORTED_VERSION where share.version is 0, INVALID_REQUEST,
/// GROUP_AUTHORIZATION_FAILED, SHARE_SESSION_NOT_FOUND, INVALID_SHARE_SESSION_EPOCH, SHARE_SESSION_LIMIT_REACHED (after max_wait_ms). Per
/// partition: UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION, TOPIC_AUTHORIZATION_FAILED, NOT_LEADER_OR_FOLLOWER (with the leader),
/// OFFSET_NOT_AVAILABLE (no record is young enough for share.auto.offset.reset), UNKNOWN_SERVER_ERROR (the group has no state of it),
/// KAFKA_STORAGE_ERROR, CORRUPT_MESSAGE, and the errors of the share coordinator; of acknowledgements those of ShareAcknowledge.
/// </remarks>
internal sealed class ShareFetchHandler(
    SharePartitions partitions, ShareSessions sessions, ShareAcknowledgements acknowledgements, ShareFetcher fetcher, LeaderHints leaders,
    ClusterView cluster, Authorizer authorizer, ClientQuotas quotas, Func<int> fetchBytesMax, TimeProvider time)
    : IApiHandler<ShareFetchRequest, ShareFetchResponse>
{
    private const short FirstVersionWithRenewal = 2;

    public async ValueTask<ShareFetchResponse?> HandleAsync(RequestContext context, ShareFetchRequest request)
    {
        var (groupId, memberId) = ShareGroupRequests.Check(context, request.GroupId, request.MemberId, cluster, authorizer);
        var isRenewal = request.IsRenewAck && context.ApiVersion >= FirstVersionWithRenewal;
        Check(request, isRenewal);
        var deadline = Instant.Now(time).AddMilliseconds(Math.Max(request.MaxWaitMs, 0));
        if (await BeginAsync(context, request, groupId, memberId) is not { } plan)
            throw new ApiException(ErrorCode.ShareSessionLimitReached);

        var acknowledged = acknowledgements.TakeAsync(context, groupId, memberId, isRenewal, AcknowledgementsOf(request));
        var fetched = plan.Partitions.Select(known => new ShareFetchedPartition(known.Partition)).ToList();
        try
        {
            if (!isRenewal)
                await FetchAsync(context, request, new(groupId, memberId, deadline), fetched);
            var errors = await acknowledged;
            if (request.ShareSessionEpoch == ShareSessions.FinalEpoch)
                sessions.End(groupId, memberId);
            else
                sessions.MoveToEnd(groupId, memberId, [.. fetched.Where(HasRecords).Select(each => each.Partition)]);
            return Respond(context, groupId, plan, fetched, errors);
        }
        catch
        {
            fetched.ForEach(each => each.Acquired.Records?.Dispose());
            throw;
        }
    }

    private static void Check(ShareFetchRequest request, bool isRenewal)
    {
        if (!Enum.IsDefined((ShareAcquireMode)request.ShareAcquireMode))
            throw new ApiException(ErrorCode.InvalidRequest, $"There is no share acquire mode {request.ShareAcquireMode}.");
        if (isRenewal && (request.MaxBytes, request.MinBytes, request.MaxRecords, request.MaxWaitMs) != (0, 0, 0, 0))
        {
            throw new ApiException(
                ErrorCode.InvalidRequest, "maxBytes, minBytes, maxRecords and maxWaitMs must be set to 0 if isRenewAck is true.");
        }

        if (request.ShareSessionEpoch == ShareSessions.FirstEpoch && AcknowledgementsOf(request).Any())
            throw new ApiException(ErrorCode.InvalidRequest); // before the session nothing was acquired
    }

    private static IEnumerable<(TopicIdPartition Partition, IReadOnlyList<AcknowledgementBatch> Batches)> AcknowledgementsOf(
        ShareFetchRequest request) =>
        from topic in request.Topics
        from partition in topic.Partitions
        where partition.AcknowledgementBatches.Length > 0
        select (
            new TopicIdPartition(topic.TopicId, partition.PartitionIndex),
            (IReadOnlyList<AcknowledgementBatch>)
            [
                .. partition.AcknowledgementBatches
                    .Select(batch => new AcknowledgementBatch(batch.FirstOffset, batch.LastOffset, batch.AcknowledgeTypes)),
            ]);

    private static bool HasRecords(ShareFetchedPartition fetched) => fetched.Acquired.Ranges.Count > 0;

    /// <returns>Null when there is no room for another session; the wait keeps the member from asking again at once.</returns>
    private async ValueTask<ShareFetchPlan?> BeginAsync(RequestContext context, ShareFetchRequest request, string groupId, string memberId)
    {
        try
        {
            return sessions.Begin(
                groupId, memberId, request.ShareSessionEpoch,
                from topic in request.Topics
                from partition in topic.Partitions
                select new TopicIdPartition(topic.TopicId, partition.PartitionIndex),
                from topic in request.ForgottenTopicsData
                from partition in topic.Partitions
                select new TopicIdPartition(topic.TopicId, partition),
                context.Connection);
        }
        catch (ApiException e) when (e.Error.Code == ErrorCode.ShareSessionLimitReached)
        {
            var wait = TimeSpan.FromMilliseconds(Math.Max(request.MaxWaitMs, 0));
            await new DataWaiter(time).WaitAsync(default(NoNews), wait, context.Connection.Closing, context.Connection.Draining);
            return null;
        }
    }

    private async Task FetchAsync(RequestContext context, ShareFetchRequest request, FetchOwner owner, List<ShareFetchedPartition> fetched)
    {
        foreach (var each in fetched)
        {
            var topic = leaders.NameOf(each.Partition.TopicId);
            if (topic is not null && !authorizer.Allows(context, AclOperation.Read, ResourceType.Topic, topic))
                each.Error = new ApiError(ErrorCode.TopicAuthorizationFailed);
        }

        var bytesMax = Math.Min(Math.Min(request.MaxBytes, fetchBytesMax()), quotas.FetchBytesMax(context));
        await fetcher.FetchAsync(
            new ShareFetchTerms(
                owner.GroupId, owner.MemberId, (ShareAcquireMode)request.ShareAcquireMode, request.MaxRecords, request.BatchSize,
                Math.Min(request.MinBytes, bytesMax), bytesMax, owner.Deadline),
            fetched, context.Connection.Draining, context.Connection.Closing);
    }

    private ShareFetchResponse Respond(
        in RequestContext context, string groupId, ShareFetchPlan plan, List<ShareFetchedPartition> fetched,
        IReadOnlyDictionary<TopicIdPartition, ApiError> acknowledged)
    {
        var answers = new List<(TopicIdPartition Partition, PartitionResponse Answer)>();
        var rest = new Dictionary<TopicIdPartition, ApiError>(acknowledged);
        foreach (var (known, each) in plan.Partitions.Zip(fetched))
        {
            var isAcknowledged = rest.Remove(each.Partition, out var error);
            if (known.IsTold && !isAcknowledged && !each.Error.IsFailure && !HasRecords(each))
                continue;
            known.IsTold = true;
            answers.Add((each.Partition, AnswerOf(each, isAcknowledged ? error : ApiError.None)));
        }

        foreach (var (partition, error) in rest)
            answers.Add((partition, AnswerOf(new ShareFetchedPartition(partition), error)));
        var response = new ShareFetchResponse
        {
            AcquisitionLockTimeoutMs = partitions.SettingsOf(groupId).RecordLockDurationMs,
            Responses =
            [
                .. answers.GroupBy(each => each.Partition.TopicId, each => each.Answer).Select(topic =>
                    new ShareFetchResponse.ShareFetchableTopicResponse { TopicId = topic.Key, Partitions = [.. topic] }),
            ],
        };
        foreach (var (partition, answer) in answers.Where(each => each.Answer.ErrorCode == (short)ErrorCode.NotLeaderOrFollower))
            AddHint(context, response, partition, answer);
        return response;
    }

    private static PartitionResponse AnswerOf(ShareFetchedPartition fetched, ApiError acknowledged) => new()
    {
        PartitionIndex = fetched.Partition.Partition,
        ErrorCode = (short)fetched.Error.Code,
        ErrorMessage = fetched.Error.Message,
        AcknowledgeErrorCode = (short)acknowledged.Code,
        AcknowledgeErrorMessage = acknowledged.Message,
        Records = fetched.Acquired.Records is { } records ? new Records(records) : Records.Empty,
        AcquiredRecords =
        [
            .. fetched.Acquired.Ranges.Select(range => new ShareFetchResponse.AcquiredRecordsData
            {
                FirstOffset = range.FirstOffset,
                LastOffset = range.LastOffset,
                DeliveryCount = range.DeliveryCount,
            }),
        ],
    };

    private void AddHint(in RequestContext context, ShareFetchResponse response, TopicIdPartition partition, PartitionResponse answer)
    {
        if (leaders.Find("", partition.TopicId, partition.Partition, context.Connection.ListenerName) is not { } leader)
            return;
        answer.CurrentLeader = new ShareFetchResponse.LeaderIdAndEpoch { LeaderId = leader.LeaderId, LeaderEpoch = leader.LeaderEpoch };
        if (leader.Node is { } node && !response.NodeEndpoints.Any(known => known.NodeId == node.Id))
        {
            response.NodeEndpoints =
            [
                .. response.NodeEndpoints,
                new ShareFetchResponse.NodeEndpoint { NodeId = node.Id, Host = node.Host, Port = node.Port, Rack = node.Rack },
            ];
        }
    }

    /// <summary>A wait that only time ends.</summary>
    private readonly struct NoNews : IWatched
    {
        public void Add(DataWaiter waiter)
        {
        }

        public void Remove(DataWaiter waiter)
        {
        }

        public bool HasNews() => false;
    }

    /// <summary>Who fetches, and until when.</summary>
    private readonly record struct FetchOwner(string GroupId, string MemberId, Instant Deadline);
}
