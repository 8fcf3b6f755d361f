using Ottla.Broker.Replicas;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Storage.Log;
using PartitionRequest = Ottla.Protocol.Messages.ListOffsetsRequest.ListOffsetsPartition;
using PartitionResponse = Ottla.Protocol.Messages.ListOffsetsResponse.ListOffsetsPartitionResponse;
using TopicResponse = Ottla.Protocol.Messages.ListOffsetsResponse.ListOffsetsTopicResponse;

namespace Ottla.Broker.Api;

/// <summary>ListOffsets (key 2), versions 1 to 11: offsets by timestamp, or by one of the sentinels below.</summary>
/// <remarks>
/// Consumers are told of what is committed, replicas (replica_id) of the log's end; -2 asks any replica, all others the leader only. A
/// partition that is asked for twice is answered once. READ_COMMITTED bounds latest and timestamps by the last stable offset. Nothing found
/// is offset -1 without an error. Nothing is tiered here: the earliest local offset is the log start, the latest tiered offset is -1.
/// Errors: TOPIC_AUTHORIZATION_FAILED, UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH,
/// INVALID_REQUEST for a partition asked twice, UNSUPPORTED_VERSION for a sentinel that its version does not have, KAFKA_STORAGE_ERROR;
/// OFFSET_NOT_AVAILABLE (LEADER_NOT_AVAILABLE before version 5) to consumers, while a new leader does not know yet what was committed
/// before it (KIP-207).
/// </remarks>
internal sealed class ListOffsetsHandler(HostedTopics topics, LeaderHints leaders, Authorizer authorizer)
    : IApiHandler<ListOffsetsRequest, ListOffsetsResponse>
{
    private const short FirstVersionWithLeaderEpoch = 4;
    private const short FirstVersionWithNotAvailable = 5;
    private const int Consumer = -1;
    private const int DebuggingReplica = -2;
    private const long Latest = -1;
    private const long Earliest = -2;
    private const long MaxTimestamp = -3;
    private const long EarliestLocal = -4;
    private const long LatestTiered = -5;
    private const long EarliestPendingUpload = -6;

    /// <inheritdoc/>
    /// <remarks>The search for a timestamp reads from the disk, and decompresses a batch of any size.</remarks>
    public int EstimateMicroseconds(RequestContext context, ListOffsetsRequest request) =>
        request.Topics.Any(topic => topic.Partitions.Any(partition => partition.Timestamp is >= 0 or MaxTimestamp))
            ? HeavyRequests.Unbounded
            : 0;

    public ValueTask<ListOffsetsResponse?> HandleAsync(RequestContext context, ListOffsetsRequest request)
    {
        var asked = from topic in request.Topics
                    from partition in topic.Partitions
                    group partition by (topic.Name, partition.PartitionIndex) into same
                    group same by same.Key.Name;
        var response = new ListOffsetsResponse
        {
            Topics = [.. asked.Select(topic => new TopicResponse
            {
                Name = topic.Key,
                Partitions = authorizer.Allows(context, AclOperation.Describe, ResourceType.Topic, topic.Key)
                    ? [.. topic.Select(same => same.Count() > 1
                        ? Failed(same.First(), ErrorCode.InvalidRequest)
                        : Answer(topic.Key, same.First(), request, context.ApiVersion))]
                    : [.. topic.Select(same => Failed(same.First(), ErrorCode.TopicAuthorizationFailed))],
            })],
        };
        return ValueTask.FromResult<ListOffsetsResponse?>(response);
    }

    private PartitionResponse Answer(string topic, PartitionRequest request, ListOffsetsRequest all, short version)
    {
        if (!IsKnownIn(version, request.Timestamp))
            return Failed(request, ErrorCode.UnsupportedVersion);
        if (topics.Find(topic)?.Find(request.PartitionIndex) is not { } replica)
            return Failed(request, leaders.ErrorForMissing(topic, request.PartitionIndex));
        var needsLeader = all.ReplicaId != DebuggingReplica;
        if (replica.CheckReader(request.CurrentLeaderEpoch, needsLeader) is not ErrorCode.None and var error)
            return Failed(request, error);
        try
        {
            if (!TryFind(replica, request.Timestamp, BoundOf(all), isClient: all.ReplicaId == Consumer, out var found))
            {
                return Failed(
                    request, version >= FirstVersionWithNotAvailable ? ErrorCode.OffsetNotAvailable : ErrorCode.LeaderNotAvailable);
            }

            return new PartitionResponse
            {
                PartitionIndex = request.PartitionIndex,
                Timestamp = found.TimestampMs,
                Offset = found.Offset,
                LeaderEpoch = version >= FirstVersionWithLeaderEpoch ? found.LeaderEpoch : -1,
            };
        }
        catch (LogException e)
        {
            return Failed(request, e.ErrorCode);
        }
    }

    private static bool IsKnownIn(short version, long timestamp) => timestamp switch
    {
        MaxTimestamp => version >= 7,
        EarliestLocal => version >= 8,
        LatestTiered => version >= 9,
        EarliestPendingUpload => version >= 11,
        _ => timestamp >= Earliest,
    };

    private static ReadBound BoundOf(ListOffsetsRequest request) =>
        request.ReplicaId != Consumer ? ReadBound.LogEnd
        : request.IsolationLevel == 1 ? ReadBound.LastStableOffset
        : ReadBound.HighWatermark;

    /// <returns>False when this leader cannot know yet.</returns>
    private static bool TryFind(PartitionReplica replica, long timestamp, ReadBound bound, bool isClient, out TimestampOffset found)
    {
        var log = replica.Log;
        var end = log.OffsetOf(bound);
        found = TimestampOffset.None;
        switch (timestamp)
        {
            case Latest:
                found = new TimestampOffset(-1, end, replica.Leadership.LeaderEpoch);
                return !isClient || !replica.IsHighWatermarkBehindEpoch;
            case Earliest or EarliestLocal:
                found = new TimestampOffset(-1, log.LogStartOffset, log.EpochForOffset(log.LogStartOffset));
                return true;
            case LatestTiered or EarliestPendingUpload:
                return true;
            default:
                var first = timestamp == MaxTimestamp ? log.OffsetOfMaxTimestamp() : log.OffsetForTimestamp(timestamp);
                if (first.IsFound && first.Offset < end)
                    found = first;
                return found.IsFound || !isClient || !replica.IsHighWatermarkBehindEpoch;
        }
    }

    private static PartitionResponse Failed(PartitionRequest request, ErrorCode error) => new()
    {
        PartitionIndex = request.PartitionIndex,
        ErrorCode = (short)error,
        Timestamp = -1,
        Offset = -1,
    };
}
