using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Share;
using Ottla.StateMachines.Share.Coordinator;
using PartitionResult = Ottla.Protocol.Messages.DeleteShareGroupStateResponse.PartitionResult;

namespace Ottla.Broker.Api;

/// <summary>DeleteShareGroupState (key 86), version 0: a group coordinator deletes what its group has of partitions.</summary>
/// <remarks>
/// Nothing to delete is no error. Errors, for each partition: INVALID_REQUEST (a negative partition), UNKNOWN_TOPIC_OR_PARTITION,
/// NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE, COORDINATOR_LOAD_IN_PROGRESS. Without a group the answer is empty.
/// </remarks>
internal sealed class DeleteShareGroupStateHandler(CoordinatorHost<ShareCoordinatorCommand> coordinators)
    : IApiHandler<DeleteShareGroupStateRequest, DeleteShareGroupStateResponse>
{
    public async ValueTask<DeleteShareGroupStateResponse?> HandleAsync(RequestContext context, DeleteShareGroupStateRequest request)
    {
        var answers = await ShareStateRequests.AnswerAsync(
            request.GroupId, request.Topics, topic => topic.Partitions,
            (topic, partition) => AnswerAsync(new SharePartitionKey(request.GroupId, topic.TopicId, partition.Partition)));
        return new DeleteShareGroupStateResponse
        {
            Results =
            [
                .. answers.Select((partitions, i) => new DeleteShareGroupStateResponse.DeleteStateResult
                {
                    TopicId = request.Topics[i].TopicId,
                    Partitions = partitions,
                }),
            ],
        };
    }

    private Task<PartitionResult> AnswerAsync(SharePartitionKey key) => DeleteAsync(key).OrFailed(error => new PartitionResult
    {
        Partition = key.Partition,
        ErrorCode = (short)error.Code,
        ErrorMessage = error.Message,
    });

    private async ValueTask<PartitionResult> DeleteAsync(SharePartitionKey key)
    {
        await coordinators.SubmitAsync(key.ToString(), new DeleteShareStateCommand(key));
        return new PartitionResult { Partition = key.Partition };
    }
}
