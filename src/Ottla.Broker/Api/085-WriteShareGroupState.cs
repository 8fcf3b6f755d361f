using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Share;
using Ottla.StateMachines.Share.Coordinator;
using PartitionResult = Ottla.Protocol.Messages.WriteShareGroupStateResponse.PartitionResult;

namespace Ottla.Broker.Api;

/// <summary>WriteShareGroupState (key 85), versions 0 to 1: the leader of a partition writes what has changed for share groups.</summary>
/// <remarks>
/// Errors, for each partition: INVALID_REQUEST (negative epochs, offsets out of order, or it was never initialised), FENCED_LEADER_EPOCH,
/// FENCED_STATE_EPOCH, UNKNOWN_TOPIC_OR_PARTITION, NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE, COORDINATOR_LOAD_IN_PROGRESS. Without a
/// group the answer is empty. The delivery complete count is there from version 1 on.
/// </remarks>
internal sealed class WriteShareGroupStateHandler(CoordinatorHost<ShareCoordinatorCommand> coordinators)
    : IApiHandler<WriteShareGroupStateRequest, WriteShareGroupStateResponse>
{
    public async ValueTask<WriteShareGroupStateResponse?> HandleAsync(RequestContext context, WriteShareGroupStateRequest request)
    {
        var answers = await ShareStateRequests.AnswerAsync(
            request.GroupId, request.Topics, topic => topic.Partitions,
            (topic, partition) => AnswerAsync(new SharePartitionKey(request.GroupId, topic.TopicId, partition.Partition), partition));
        return new WriteShareGroupStateResponse
        {
            Results =
            [
                .. answers.Select((partitions, i) => new WriteShareGroupStateResponse.WriteStateResult
                {
                    TopicId = request.Topics[i].TopicId,
                    Partitions = partitions,
                }),
            ],
        };
    }

    private Task<PartitionResult> AnswerAsync(SharePartitionKey key, WriteShareGroupStateRequest.PartitionData partition) =>
        WriteAsync(key, partition).OrFailed(error => new PartitionResult
        {
            Partition = partition.Partition,
            ErrorCode = (short)error.Code,
            ErrorMessage = error.Message,
        });

    private async ValueTask<PartitionResult> WriteAsync(SharePartitionKey key, WriteShareGroupStateRequest.PartitionData partition)
    {
        DeliveryBatch[] batches =
        [
            .. partition.StateBatches.Select(batch => new DeliveryBatch(
                batch.FirstOffset, batch.LastOffset, (DeliveryState)batch.DeliveryState, batch.DeliveryCount)),
        ];
        await coordinators.SubmitAsync(
            key.ToString(),
            new WriteShareStateCommand(
                key, partition.StateEpoch, partition.LeaderEpoch, partition.StartOffset, partition.DeliveryCompleteCount, batches));
        return new PartitionResult { Partition = partition.Partition };
    }
}
