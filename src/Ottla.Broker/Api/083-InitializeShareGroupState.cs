using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Share;
using Ottla.StateMachines.Share.Coordinator;
using PartitionResult = Ottla.Protocol.Messages.InitializeShareGroupStateResponse.PartitionResult;

namespace Ottla.Broker.Api;

/// <summary>InitializeShareGroupState (key 83), version 0: a group coordinator begins share partitions of its group.</summary>
/// <remarks>
/// Errors, for each partition: INVALID_REQUEST (negative numbers), FENCED_STATE_EPOCH, UNKNOWN_TOPIC_OR_PARTITION, NOT_COORDINATOR,
/// COORDINATOR_NOT_AVAILABLE, COORDINATOR_LOAD_IN_PROGRESS. Without a group the answer is empty.
/// </remarks>
internal sealed class InitializeShareGroupStateHandler(CoordinatorHost<ShareCoordinatorCommand> coordinators)
    : IApiHandler<InitializeShareGroupStateRequest, InitializeShareGroupStateResponse>
{
    public async ValueTask<InitializeShareGroupStateResponse?> HandleAsync(
        RequestContext context, InitializeShareGroupStateRequest request)
    {
        var answers = await ShareStateRequests.AnswerAsync(
            request.GroupId, request.Topics, topic => topic.Partitions,
            (topic, partition) => AnswerAsync(new SharePartitionKey(request.GroupId, topic.TopicId, partition.Partition), partition));
        return new InitializeShareGroupStateResponse
        {
            Results =
            [
                .. answers.Select((partitions, i) => new InitializeShareGroupStateResponse.InitializeStateResult
                {
                    TopicId = request.Topics[i].TopicId,
                    Partitions = partitions,
                }),
            ],
        };
    }

    private Task<PartitionResult> AnswerAsync(SharePartitionKey key, InitializeShareGroupStateRequest.PartitionData partition) =>
        InitializeAsync(key, partition).OrFailed(error => new PartitionResult
        {
            Partition = partition.Partition,
            ErrorCode = (short)error.Code,
            ErrorMessage = error.Message,
        });

    private async ValueTask<PartitionResult> InitializeAsync(
        SharePartitionKey key, InitializeShareGroupStateRequest.PartitionData partition)
    {
        await coordinators.SubmitAsync(
            key.ToString(), new InitializeShareStateCommand(key, partition.StateEpoch, partition.StartOffset));
        return new PartitionResult { Partition = partition.Partition };
    }
}
