using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Api;

/// <summary>
/// AssignReplicasToDirs (key 73), version 0: a broker tells the controller in which log directories its replicas are (KIP-858).
/// </summary>
/// <remarks>
/// Errors: STALE_BROKER_EPOCH, UNSUPPORTED_VERSION (the metadata version is too old), NOT_CONTROLLER. Per partition: UNKNOWN_TOPIC_ID,
/// UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER (the sender is no replica).
/// </remarks>
internal sealed class AssignReplicasToDirsHandler(IController controller)
    : IApiHandler<AssignReplicasToDirsRequest, AssignReplicasToDirsResponse>
{
    public async ValueTask<AssignReplicasToDirsResponse?> HandleAsync(RequestContext context, AssignReplicasToDirsRequest request) =>
        await controller.SubmitAsync(new AssignReplicasToDirsCommand(request));
}
