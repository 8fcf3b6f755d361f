using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups;
using DescribedGroup = Ottla.Protocol.Messages.ConsumerGroupDescribeResponse.DescribedGroup;

namespace Ottla.Broker.Api;

/// <summary>
/// ConsumerGroupDescribe (key 69), versions 0 to 1: the state, the members and the assignments of consumer groups (KIP-848).
/// </summary>
/// <remarks>
/// Errors per group: UNSUPPORTED_VERSION where group.version is 0 or group.coordinator.rebalance.protocols has no "consumer",
/// INVALID_GROUP_ID, GROUP_ID_NOT_FOUND (also when it is of another kind), and those of <see cref="CoordinatorHost{TCommand}"/>.
/// </remarks>
internal sealed class ConsumerGroupDescribeHandler(CoordinatorHost<GroupCommand> groups, ClusterView cluster, Func<BrokerConfig> config)
    : IApiHandler<ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse>
{
    /// <summary>About how long it takes to describe a group of a few hundred members.</summary>
    private const int MicrosecondsPerGroup = 100;

    /// <inheritdoc/>
    public int EstimateMicroseconds(RequestContext context, ConsumerGroupDescribeRequest request) =>
        request.GroupIds.Length * MicrosecondsPerGroup;

    public async ValueTask<ConsumerGroupDescribeResponse?> HandleAsync(RequestContext context, ConsumerGroupDescribeRequest request)
    {
        var described = await request.GroupIds.Distinct(StringComparer.Ordinal).Select(DescribeAsync).InOrderAsync();
        if (request.IncludeAuthorizedOperations)
        {
            foreach (var group in described.Where(group => group.ErrorCode == (short)ErrorCode.None))
                group.AuthorizedOperations = AuthorizedOperations.Group;
        }

        return new ConsumerGroupDescribeResponse { Groups = described };
    }

    private Task<DescribedGroup> DescribeAsync(string groupId) => SubmitAsync(groupId).OrFailed(
        error => new DescribedGroup { GroupId = groupId, ErrorCode = (short)error.Code, ErrorMessage = error.Message });

    private async ValueTask<DescribedGroup> SubmitAsync(string groupId)
    {
        if (!GroupRequests.IsConsumerProtocolEnabled(cluster, config()))
            throw new ApiException(ErrorCode.UnsupportedVersion);
        if (groupId.Length == 0)
            throw new ApiException(ErrorCode.InvalidGroupId);
        return await groups.SubmitAsync(groupId, new ConsumerGroupDescribeCommand(groupId));
    }
}
