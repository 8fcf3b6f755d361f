using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;
using PartitionResult = Ottla.Protocol.Messages.ElectLeadersResponse.PartitionResultData;
using TopicResult = Ottla.Protocol.Messages.ElectLeadersResponse.ReplicaElectionResult;

namespace Ottla.StateMachines.Controller;

/// <summary>Decides about leader elections that clients ask for (KIP-183, KIP-460).</summary>
internal static class ElectionDecisions
{
    private const sbyte PreferredType = 0;
    private const sbyte UncleanType = 1;

    public static Decision<MetadataRecord, ElectLeadersResponse> Elect(
        ElectLeadersCommand command, QuorumController controller, in ControllerState state)
    {
        var request = command.Request;
        var image = state.Image;
        if (request.TopicPartitions is { Length: 0 })
            return new([], new ElectLeadersResponse(), false);
        var election = request.ElectionType switch
        {
            PreferredType => Election.Preferred,
            UncleanType => Election.Unclean,
            _ => throw new ApiException(ErrorCode.InvalidRequest, $"Unknown election type {request.ElectionType}"),
        };
        var draft = new PartitionDraft(controller, image);
        var results = request.TopicPartitions is { } asked
            ? asked.Select(topic => ResultOf(topic.Topic, topic.Partitions.Select(index =>
                Elect(draft, image, topic.Topic, index, election))))
            : image.Topics.ByName.Values.Select(topic => ElectAll(draft, image, topic, election));
        var response = new ElectLeadersResponse { ReplicaElectionResults = [.. results] };
        return new(draft.Records, response, false);
    }

    /// <summary>Elects for all partitions of a topic, and tells only of those that needed it.</summary>
    private static TopicResult ElectAll(PartitionDraft draft, MetadataImage image, TopicImage topic, Election election) => ResultOf(
        topic.Name,
        Enumerable.Range(0, topic.Partitions.Length)
            .Select(index => Elect(draft, image, topic.Name, index, election))
            .Where(result => result.ErrorCode != (short)ErrorCode.ElectionNotNeeded));

    private static PartitionResult Elect(PartitionDraft draft, MetadataImage image, string name, int index, Election election)
    {
        if (image.Topics.Find(name) is not { } topic)
            return ResultOf(index, new ApiError(ErrorCode.UnknownTopicOrPartition, $"No such topic as {name}"));
        if (draft.Find(topic, index) is not { } partition)
            return ResultOf(index, new ApiError(ErrorCode.UnknownTopicOrPartition, $"No such partition as {name}-{index}"));
        if (election == Election.Preferred
            ? partition.Leader == partition.PreferredLeader
            : partition.Leader != PartitionRegistration.NoLeader)
            return ResultOf(index, new ApiError(ErrorCode.ElectionNotNeeded, "Leader election not needed for topic partition."));
        if (draft.TryAdd(draft.Begin(topic, partition, index) with { Election = election }))
            return ResultOf(index, ApiError.None);
        return ResultOf(index, election == Election.Preferred
            ? new ApiError(ErrorCode.PreferredLeaderNotAvailable, "The preferred leader was not available.")
            : new ApiError(ErrorCode.EligibleLeadersNotAvailable, "Eligible topic partition leaders are not available."));
    }

    private static TopicResult ResultOf(string topic, IEnumerable<PartitionResult> partitions) =>
        new() { Topic = topic, PartitionResult = [.. partitions] };

    private static PartitionResult ResultOf(int index, ApiError error) =>
        new() { PartitionId = index, ErrorCode = (short)error.Code, ErrorMessage = error.Message };
}
