using Ottla.Broker.Hosts.Share;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Share;
using PartitionResponse = Ottla.Protocol.Messages.ShareAcknowledgeResponse.PartitionData;

namespace Ottla.Broker.Api;

/// <summary>ShareAcknowledge (key 79), versions 1 to 2: a member says what has become of records that it holds (KIP-932).</summary>
/// <remarks>
/// Answers once that is written. Version 2 renews locks too (KIP-1222), if the request says so. Errors: UNSUPPORTED_VERSION where
/// share.version is 0, INVALID_REQUEST (no group or no member), GROUP_AUTHORIZATION_FAILED, SHARE_SESSION_NOT_FOUND,
/// INVALID_SHARE_SESSION_EPOCH. Per partition: UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION (also when nobody fetched it here),
/// TOPIC_AUTHORIZATION_FAILED, INVALID_REQUEST, INVALID_RECORD_STATE, NOT_LEADER_OR_FOLLOWER, and the errors of the share coordinator.
/// </remarks>
internal sealed class ShareAcknowledgeHandler(
    SharePartitions partitions, ShareSessions sessions, ShareAcknowledgements acknowledgements, ClusterView cluster, Authorizer authorizer)
    : IApiHandler<ShareAcknowledgeRequest, ShareAcknowledgeResponse>
{
    public async ValueTask<ShareAcknowledgeResponse?> HandleAsync(RequestContext context, ShareAcknowledgeRequest request)
    {
        var (groupId, memberId) = ShareGroupRequests.Check(context, request.GroupId, request.MemberId, cluster, authorizer);
        sessions.Acknowledge(groupId, memberId, request.ShareSessionEpoch);
        var said =
            from topic in request.Topics
            from partition in topic.Partitions
            select (
                new TopicIdPartition(topic.TopicId, partition.PartitionIndex),
                (IReadOnlyList<AcknowledgementBatch>)
                [
                    .. partition.AcknowledgementBatches
                        .Select(batch => new AcknowledgementBatch(batch.FirstOffset, batch.LastOffset, batch.AcknowledgeTypes)),
                ]);
        var errors = await acknowledgements.TakeAsync(context, groupId, memberId, request.IsRenewAck, said);
        if (request.ShareSessionEpoch == ShareSessions.FinalEpoch)
            sessions.End(groupId, memberId);
        return new ShareAcknowledgeResponse
        {
            AcquisitionLockTimeoutMs = partitions.SettingsOf(groupId).RecordLockDurationMs,
            Responses =
            [
                .. errors.GroupBy(each => each.Key.TopicId).Select(topic => new ShareAcknowledgeResponse.ShareAcknowledgeTopicResponse
                {
                    TopicId = topic.Key,
                    Partitions = [.. topic.Select(each => new PartitionResponse
                    {
                        PartitionIndex = each.Key.Partition,
                        ErrorCode = (short)each.Value.Code,
                        ErrorMessage = each.Value.Message,
                    })],
                }),
            ],
        };
    }
}
