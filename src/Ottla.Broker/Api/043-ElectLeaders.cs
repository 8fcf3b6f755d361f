using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;
using PartitionResult = Ottla.Protocol.Messages.ElectLeadersResponse.PartitionResultData;

namespace Ottla.Broker.Api;

/// <summary>
/// ElectLeaders (key 43), versions 0 to 2: makes preferred replicas the leaders, or elects uncleanly. The controller decides.
/// </summary>
/// <remarks>
/// No partitions named (null): all, and the answer leaves out those that need no election. Errors per partition:
/// UNKNOWN_TOPIC_OR_PARTITION, ELECTION_NOT_NEEDED, PREFERRED_LEADER_NOT_AVAILABLE, ELIGIBLE_LEADERS_NOT_AVAILABLE; for all of them:
/// INVALID_REQUEST (no such type of election), NOT_CONTROLLER.
/// </remarks>
internal sealed class ElectLeadersHandler(ControllerChannel controller) : IApiHandler<ElectLeadersRequest, ElectLeadersResponse>
{
    private const short FirstVersionWithErrorCode = 1;

    public async ValueTask<ElectLeadersResponse?> HandleAsync(RequestContext context, ElectLeadersRequest request)
    {
        try
        {
            return await controller.SubmitAsync(new ElectLeadersCommand(request));
        }
        catch (ApiException e)
        {
            return Failed(context, request, e.Error);
        }
    }

    private static ElectLeadersResponse Failed(RequestContext context, ElectLeadersRequest request, ApiError error) => new()
    {
        ErrorCode = context.ApiVersion >= FirstVersionWithErrorCode ? (short)error.Code : (short)ErrorCode.None,
        ReplicaElectionResults =
        [
            .. (request.TopicPartitions ?? []).Select(topic => new ElectLeadersResponse.ReplicaElectionResult
            {
                Topic = topic.Topic,
                PartitionResult = [.. topic.Partitions.Select(index =>
                    new PartitionResult { PartitionId = index, ErrorCode = (short)error.Code, ErrorMessage = error.Message })],
            }),
        ],
    };
}
