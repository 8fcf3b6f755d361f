using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;
using PartitionRequest = Ottla.Protocol.Messages.AlterPartitionRequest.PartitionData;
using PartitionResponse = Ottla.Protocol.Messages.AlterPartitionResponse.PartitionData;

namespace Ottla.StateMachines.Controller;

/// <summary>Decides about the in-sync replicas that leaders propose (KIP-497, KIP-841, KIP-903).</summary>
internal static class IsrDecisions
{
    private const short FirstVersionWithBrokerEpochs = 3;
    private const long AnyEpoch = -1;

    public static Decision<MetadataRecord, AlterPartitionResponse> Alter(
        AlterPartitionCommand command, QuorumController controller, in ControllerState state)
    {
        var request = command.Request;
        var image = state.Image;
        BrokerDecisions.CheckedBroker(image, request.BrokerId, request.BrokerEpoch);
        var draft = new PartitionDraft(controller, image, isBounded: false);
        var topics = new List<AlterPartitionResponse.TopicData>(request.Topics.Length);
        foreach (var asked in request.Topics)
        {
            var topic = image.Topics.Find(asked.TopicId);
            topics.Add(new AlterPartitionResponse.TopicData
            {
                TopicId = asked.TopicId,
                Partitions =
                [
                    .. asked.Partitions.Select(partition => topic is null
                        ? Refuse(partition, ErrorCode.UnknownTopicId)
                        : Alter(command, image, draft, topic, partition)),
                ],
            });
        }

        return new(draft.Records, new AlterPartitionResponse { Topics = [.. topics] }, false);
    }

    private static PartitionResponse Alter(
        AlterPartitionCommand command, MetadataImage image, PartitionDraft draft, TopicImage topic, PartitionRequest asked)
    {
        var members = Members(command.Version, asked);
        var sender = command.Request.BrokerId;
        if (draft.Find(topic, asked.PartitionIndex) is not { } partition)
            return Refuse(asked, ErrorCode.UnknownTopicOrPartition);
        if (ReasonToRefuse(image, partition, sender, asked, members) is not ErrorCode.None and var error)
            return Refuse(asked, error);
        var change = draft.Begin(topic, partition, asked.PartitionIndex) with
        {
            TargetIsr = [.. members.Select(member => member.BrokerId)],
            TargetLeaderRecoveryState = (LeaderRecoveryState)asked.LeaderRecoveryState,
            Election = draft.RulesOf(topic).AllowsUncleanElection ? Election.Unclean : Election.Online,
        };
        if (draft.TryAdd(change))
        {
            partition = draft.Find(topic, asked.PartitionIndex)!;

            // The change ends a reassignment that takes the leadership away from its sender: it is written, and the sender learns to look
            // anew.
            if (((PartitionChangeRecord)draft.Records[^1].Message).Leader is not PartitionRegistration.NoLeaderChange and var leader
                && leader != sender)
                return Refuse(asked, ErrorCode.NewLeaderElected);
        }

        return new PartitionResponse
        {
            PartitionIndex = asked.PartitionIndex,
            LeaderId = partition.Leader,
            LeaderEpoch = partition.LeaderEpoch,
            Isr = [.. partition.Isr],
            LeaderRecoveryState = (sbyte)partition.LeaderRecoveryState,
            PartitionEpoch = partition.PartitionEpoch,
        };
    }

    /// <summary>Checks a proposal; the order is part of the protocol, because each error has its own meaning for the leader.</summary>
    private static ErrorCode ReasonToRefuse(
        MetadataImage image, PartitionRegistration partition, int sender, PartitionRequest asked,
        AlterPartitionRequest.BrokerState[] members)
    {
        // The sender knows more than this controller: another one has become active.
        if (asked.LeaderEpoch > partition.LeaderEpoch || asked.PartitionEpoch > partition.PartitionEpoch)
            return ErrorCode.NotController;
        if (asked.LeaderEpoch < partition.LeaderEpoch)
            return ErrorCode.FencedLeaderEpoch;
        if (sender != partition.Leader)
            return ErrorCode.InvalidRequest;
        if (asked.PartitionEpoch < partition.PartitionEpoch)
            return ErrorCode.InvalidUpdateVersion;
        var ids = members.Select(member => member.BrokerId).ToHashSet();
        if (ids.Count == 0 || ids.Count != members.Length || !ids.IsSubsetOf(partition.Replicas) || !ids.Contains(partition.Leader))
            return ErrorCode.InvalidRequest;
        var recovery = (LeaderRecoveryState)asked.LeaderRecoveryState;
        if (!Enum.IsDefined(recovery))
            return ErrorCode.InvalidRequest;
        if (recovery == LeaderRecoveryState.Recovering && (ids.Count > 1 || partition.LeaderRecoveryState == LeaderRecoveryState.Recovered))
            return ErrorCode.InvalidRequest;
        return Array.TrueForAll(members, member => IsEligible(image, member)) ? ErrorCode.None : ErrorCode.IneligibleReplica;
    }

    private static bool IsEligible(MetadataImage image, AlterPartitionRequest.BrokerState member) =>
        image.Cluster.Broker(member.BrokerId) is { IsActive: true } broker
        && (member.BrokerEpoch == AnyEpoch || member.BrokerEpoch == broker.Epoch);

    private static AlterPartitionRequest.BrokerState[] Members(short version, PartitionRequest asked) =>
        version >= FirstVersionWithBrokerEpochs
            ? asked.NewIsrWithEpochs
            : [.. asked.NewIsr.Select(id => new AlterPartitionRequest.BrokerState { BrokerId = id, BrokerEpoch = AnyEpoch })];

    private static PartitionResponse Refuse(PartitionRequest asked, ErrorCode error) =>
        new() { PartitionIndex = asked.PartitionIndex, ErrorCode = (short)error };
}
