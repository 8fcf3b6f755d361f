using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Api;

/// <summary>AlterPartition (key 56), versions 2 and 3: a leader proposes new in-sync replicas. The controller decides.</summary>
/// <remarks>
/// Errors: STALE_BROKER_EPOCH, NOT_CONTROLLER. Per partition: UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION, NOT_CONTROLLER (the sender has
/// newer metadata than this controller), FENCED_LEADER_EPOCH, INVALID_REQUEST, INVALID_UPDATE_VERSION, INELIGIBLE_REPLICA, and
/// NEW_LEADER_ELECTED when the change was made and ended the sender's leadership.
/// </remarks>
internal sealed class AlterPartitionHandler(IController controller) : IApiHandler<AlterPartitionRequest, AlterPartitionResponse>
{
    public async ValueTask<AlterPartitionResponse?> HandleAsync(RequestContext context, AlterPartitionRequest request) =>
        await controller.SubmitAsync(new AlterPartitionCommand(request, context.ApiVersion));
}
