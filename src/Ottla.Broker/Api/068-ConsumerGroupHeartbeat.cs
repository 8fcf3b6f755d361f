using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups;

namespace Ottla.Broker.Api;

/// <summary>
/// ConsumerGroupHeartbeat (key 68), versions 0 to 1: a member of a consumer group joins, reports, learns its assignment, and leaves
/// (KIP-848).
/// </summary>
/// <remarks>
/// UNSUPPORTED_VERSION where group.version is 0 or group.coordinator.rebalance.protocols has no "consumer". Other errors:
/// GROUP_AUTHORIZATION_FAILED, TOPIC_AUTHORIZATION_FAILED (of any topic that the member names), INVALID_REQUEST,
/// UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH, UNRELEASED_INSTANCE_ID, UNSUPPORTED_ASSIGNOR, INVALID_REGULAR_EXPRESSION,
/// GROUP_MAX_SIZE_REACHED, GROUP_ID_NOT_FOUND, and those of
/// <see cref="CoordinatorHost{TCommand}"/>.
/// </remarks>
internal sealed class ConsumerGroupHeartbeatHandler(
    CoordinatorHost<GroupCommand> groups, ClusterView cluster, Func<BrokerConfig> config, Authorizer authorizer)
    : IApiHandler<ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse>
{
    public async ValueTask<ConsumerGroupHeartbeatResponse?> HandleAsync(RequestContext context, ConsumerGroupHeartbeatRequest request)
    {
        if (!GroupRequests.IsConsumerProtocolEnabled(cluster, config()))
            return new ConsumerGroupHeartbeatResponse { ErrorCode = (short)ErrorCode.UnsupportedVersion };
        authorizer.Require(context, AclOperation.Read, ResourceType.Group, request.GroupId);
        if (!SeesAll(context, request.SubscribedTopicNames))
            return new ConsumerGroupHeartbeatResponse { ErrorCode = (short)ErrorCode.TopicAuthorizationFailed };
        var command = new ConsumerGroupHeartbeatCommand(GroupRequests.OriginOf(context), request)
        {
            MayDescribe = authorizer.IsEnabled
                ? topic => authorizer.Sees(context, AclOperation.Describe, ResourceType.Topic, topic)
                : null,
        };
        return await groups.SubmitAsync(request.GroupId, command);
    }

    private bool SeesAll(RequestContext context, string[]? topics) =>
        topics is null || Array.TrueForAll(topics, topic => authorizer.Allows(context, AclOperation.Describe, ResourceType.Topic, topic));
}
