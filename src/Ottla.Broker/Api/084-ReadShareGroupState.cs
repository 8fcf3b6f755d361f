using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Share;
using Ottla.StateMachines.Share.Coordinator;
using PartitionResult = Ottla.Protocol.Messages.ReadShareGroupStateResponse.PartitionResult;

namespace Ottla.Broker.Api;

/// <summary>ReadShareGroupState (key 84), version 0: the leader of a partition takes over what share groups have of it.</summary>
/// <remarks>
/// Errors, for each partition: INVALID_REQUEST (negative numbers, or it was never initialised), FENCED_LEADER_EPOCH,
/// UNKNOWN_TOPIC_OR_PARTITION, NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE, COORDINATOR_LOAD_IN_PROGRESS. Without a group the answer is
/// empty.
/// </remarks>
internal sealed class ReadShareGroupStateHandler(CoordinatorHost<ShareCoordinatorCommand> coordinators)
    : IApiHandler<ReadShareGroupStateRequest, ReadShareGroupStateResponse>
{
    public async ValueTask<ReadShareGroupStateResponse?> HandleAsync(RequestContext context, ReadShareGroupStateRequest request)
    {
        var answers = await ShareStateRequests.AnswerAsync(
            request.GroupId, request.Topics, topic => topic.Partitions,
            (topic, partition) => AnswerAsync(new SharePartitionKey(request.GroupId, topic.TopicId, partition.Partition), partition));
        return new ReadShareGroupStateResponse
        {
            Results =
            [
                .. answers.Select((partitions, i) => new ReadShareGroupStateResponse.ReadStateResult
                {
                    TopicId = request.Topics[i].TopicId,
                    Partitions = partitions,
                }),
            ],
        };
    }

    private Task<PartitionResult> AnswerAsync(SharePartitionKey key, ReadShareGroupStateRequest.PartitionData partition) =>
        ReadAsync(key, partition).OrFailed(error => new PartitionResult
        {
            Partition = partition.Partition,
            ErrorCode = (short)error.Code,
            ErrorMessage = error.Message,
        });

    private async ValueTask<PartitionResult> ReadAsync(SharePartitionKey key, ReadShareGroupStateRequest.PartitionData partition)
    {
        var state = await coordinators.SubmitAsync(key.ToString(), new ReadShareStateCommand(key, partition.LeaderEpoch));
        return new PartitionResult
        {
            Partition = partition.Partition,
            StateEpoch = state.StateEpoch,
            StartOffset = state.StartOffset,
            StateBatches =
            [
                .. state.Batches.Select(batch => new ReadShareGroupStateResponse.StateBatch
                {
                    FirstOffset = batch.FirstOffset,
                    LastOffset = batch.LastOffset,
                    DeliveryState = (sbyte)batch.State,
                    DeliveryCount = batch.DeliveryCount,
                }),
            ],
        };
    }
}
