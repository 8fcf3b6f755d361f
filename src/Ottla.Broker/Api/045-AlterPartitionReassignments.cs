using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Api;

/// <summary>
/// AlterPartitionReassignments (key 45), versions 0 and 1: begins to move replicas to other brokers, or cancels that. The controller
/// decides.
/// </summary>
/// <remarks>
/// Null replicas: the controller cancels the reassignment. Errors per partition: UNKNOWN_TOPIC_OR_PARTITION, INVALID_REPLICA_ASSIGNMENT,
/// INVALID_REPLICATION_FACTOR (from version 1 on, where the client does not allow another factor), NO_REASSIGNMENT_IN_PROGRESS; for all of
/// them: POLICY_VIOLATION (too many at once), NOT_CONTROLLER.
/// </remarks>
internal sealed class AlterPartitionReassignmentsHandler(IController controller)
    : IApiHandler<AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse>
{
    public async ValueTask<AlterPartitionReassignmentsResponse?> HandleAsync(
        RequestContext context, AlterPartitionReassignmentsRequest request) =>
        await controller.SubmitAsync(new AlterPartitionReassignmentsCommand(request));
}
