using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Share;
using Ottla.StateMachines.Share.Coordinator;
using PartitionResult = Ottla.Protocol.Messages.ReadShareGroupStateSummaryResponse.PartitionResult;

namespace Ottla.Broker.Api;

/// <summary>ReadShareGroupStateSummary (key 87), versions 0 to 1: offsets, epochs and counts of share partitions, for lags.</summary>
/// <remarks>
/// A partition without a state has the start offset and the count -1. Errors, for each partition: INVALID_REQUEST (a negative partition),
/// UNKNOWN_TOPIC_OR_PARTITION, NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE, COORDINATOR_LOAD_IN_PROGRESS. Without a group the answer is
/// empty. The delivery complete count is there from version 1 on.
/// </remarks>
internal sealed class ReadShareGroupStateSummaryHandler(CoordinatorHost<ShareCoordinatorCommand> coordinators)
    : IApiHandler<ReadShareGroupStateSummaryRequest, ReadShareGroupStateSummaryResponse>
{
    public async ValueTask<ReadShareGroupStateSummaryResponse?> HandleAsync(
        RequestContext context, ReadShareGroupStateSummaryRequest request)
    {
        var answers = await ShareStateRequests.AnswerAsync(
            request.GroupId, request.Topics, topic => topic.Partitions,
            (topic, partition) => AnswerAsync(new SharePartitionKey(request.GroupId, topic.TopicId, partition.Partition)));
        return new ReadShareGroupStateSummaryResponse
        {
            Results =
            [
                .. answers.Select((partitions, i) => new ReadShareGroupStateSummaryResponse.ReadStateSummaryResult
                {
                    TopicId = request.Topics[i].TopicId,
                    Partitions = partitions,
                }),
            ],
        };
    }

    private Task<PartitionResult> AnswerAsync(SharePartitionKey key) => ReadAsync(key).OrFailed(error => new PartitionResult
    {
        Partition = key.Partition,
        ErrorCode = (short)error.Code,
        ErrorMessage = error.Message,
    });

    private async ValueTask<PartitionResult> ReadAsync(SharePartitionKey key)
    {
        var state = await coordinators.SubmitAsync(key.ToString(), new ReadShareStateSummaryCommand(key));
        return new PartitionResult
        {
            Partition = key.Partition,
            StateEpoch = state.StateEpoch,
            LeaderEpoch = state.LeaderEpoch,
            StartOffset = state.StartOffset,
            DeliveryCompleteCount = state.DeliveryCompleteCount,
        };
    }
}
