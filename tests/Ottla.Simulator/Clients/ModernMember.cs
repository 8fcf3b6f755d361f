using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Simulator.Clients;

/// <summary>A member by the protocol of KIP-848: the coordinator divides, and tells each member with its heartbeats.</summary>
internal sealed class ModernMember : GroupMember
{
    private const int RebalanceTimeoutMs = 8_000;

    private int _epoch;

    /// <summary>Whether the coordinator has to hear what this member owns.</summary>
    private bool _hasNews = true;

    /// <summary>
    /// Whether an answer was lost: it may have had an assignment, which the coordinator repeats only for a request with all fields.
    /// </summary>
    private bool _lacksAnswer;

    public ModernMember(SimClient client, string group, string topic, Uuid id)
        : base(client, group, topic) => MemberId = id.ToString();

    protected override int Epoch => _epoch;

    public override async Task<bool> ParticipateAsync(Func<Task> commitAsync)
    {
        var topicId = await Client.TopicIdAsync(Topic);
        var request = new ConsumerGroupHeartbeatRequest
        {
            GroupId = Group,
            MemberId = MemberId,
            MemberEpoch = _epoch,
            RebalanceTimeoutMs = -1,
            TopicPartitions = _hasNews ? OwnedOf(topicId) : null,
        };
        if (_epoch == 0 || _lacksAnswer)
            Complete();
        var response = await Client.CallUntilAnsweredAsync<ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse>(
            request, answer => (ErrorCode)answer.ErrorCode, Patience, onUnanswered: Complete, to: Coordinator);
        _lacksAnswer = response is null;
        switch ((ErrorCode?)response?.ErrorCode)
        {
            case null:
                return false;
            case ErrorCode.None:
                break;
            case ErrorCode.FencedMemberEpoch or ErrorCode.UnknownMemberId:
                (_epoch, Owned, _hasNews) = (0, [], true);
                return true;
            default:
                throw new SimulationException($"{Group} refuses a member: {(ErrorCode)response!.ErrorCode} {response.ErrorMessage}");
        }

        _hasNews = false;
        if (response.Assignment is not { } assignment)
        {
            _epoch = response.MemberEpoch;
            return false;
        }

        var assigned = assignment.TopicPartitions.Where(each => each.TopicId == topicId).SelectMany(each => each.Partitions)
            .Order().Select(partition => new TopicPartition(Topic, partition)).ToList();
        if (assigned.SequenceEqual(Owned))
        {
            _epoch = response.MemberEpoch;
            return false;
        }

        if (Owned.Except(assigned).Any())
            await commitAsync();
        _epoch = response.MemberEpoch;
        (Owned, _hasNews) = (assigned, true);
        return true;

        void Complete()
        {
            request.RebalanceTimeoutMs = RebalanceTimeoutMs;
            request.SubscribedTopicNames = [Topic];
            request.TopicPartitions = OwnedOf(topicId);
        }
    }

    public override async Task LeaveAsync()
    {
        const int leaving = -1;
        var request = new ConsumerGroupHeartbeatRequest { GroupId = Group, MemberId = MemberId, MemberEpoch = leaving };
        await Client.CallUntilAnsweredAsync<ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse>(
            request, answer => (ErrorCode)answer.ErrorCode, Patience, to: Coordinator);
    }

    private ConsumerGroupHeartbeatRequest.TopicPartitionsData[] OwnedOf(Uuid topicId) => Owned.Count == 0 ? []
        : [new ConsumerGroupHeartbeatRequest.TopicPartitionsData
        {
            TopicId = topicId,
            Partitions = [.. Owned.Select(partition => partition.Partition)],
        }];
}
