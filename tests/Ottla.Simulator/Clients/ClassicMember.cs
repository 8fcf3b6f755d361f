using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Simulator.Clients;

/// <summary>A member by the classic protocol: everybody gives up all and joins again, and the leader divides.</summary>
/// <param name="client">What it asks through.</param>
/// <param name="group">The group.</param>
/// <param name="topic">The topic that it subscribes to.</param>
/// <param name="partitions">How many partitions the topic has.</param>
internal sealed class ClassicMember(SimClient client, string group, string topic, int partitions) : GroupMember(client, group, topic)
{
    private const int SessionTimeoutMs = 6_000;
    private const int RebalanceTimeoutMs = 8_000;
    private const string Protocol = "range";

    private int _generation = -1;
    private bool _isStable;

    protected override int Epoch => _generation;

    public override async Task<bool> ParticipateAsync(Func<Task> commitAsync)
    {
        if (_isStable)
        {
            var request = new HeartbeatRequest { GroupId = Group, GenerationId = _generation, MemberId = MemberId };
            var response = await Client.CallUntilAnsweredAsync<HeartbeatRequest, HeartbeatResponse>(
                request, answer => (ErrorCode)answer.ErrorCode, Patience, to: Coordinator);
            if ((ErrorCode?)response?.ErrorCode is ErrorCode.None or null)
                return false;
            if ((ErrorCode)response.ErrorCode == ErrorCode.RebalanceInProgress)
                await commitAsync();
            NoteLoss((ErrorCode)response.ErrorCode);
        }

        Owned = [];
        if (await TryJoinAsync() is { } joined)
            await TrySyncAsync(joined);
        return true;
    }

    public override async Task LeaveAsync()
    {
        if (MemberId.Length == 0)
            return;
        const short firstVersionWithMembers = 3;
        var isBatch = Client.VersionOf(ApiKey.LeaveGroup) >= firstVersionWithMembers;
        var request = new LeaveGroupRequest
        {
            GroupId = Group,
            MemberId = isBatch ? "" : MemberId,
            Members = isBatch ? [new LeaveGroupRequest.MemberIdentity { MemberId = MemberId }] : [],
        };
        await Client.CallUntilAnsweredAsync<LeaveGroupRequest, LeaveGroupResponse>(
            request, answer => (ErrorCode)answer.ErrorCode, Patience, to: Coordinator);
    }

    private void NoteLoss(ErrorCode error)
    {
        _isStable = false;
        if (error == ErrorCode.UnknownMemberId)
            (MemberId, _generation) = ("", -1);
    }

    /// <returns>The answer; null when the group did not let it in.</returns>
    private async Task<JoinGroupResponse?> TryJoinAsync()
    {
        var subscription = ConsumerProtocol.WriteSubscription(new ConsumerProtocolSubscription { Topics = [Topic] }, 0);
        for (var attempt = 0; attempt < 2; attempt++)
        {
            var request = new JoinGroupRequest
            {
                GroupId = Group,
                SessionTimeoutMs = SessionTimeoutMs,
                RebalanceTimeoutMs = RebalanceTimeoutMs,
                MemberId = MemberId,
                ProtocolType = ConsumerProtocol.ProtocolType,
                Protocols = [new JoinGroupRequest.JoinGroupRequestProtocol { Name = Protocol, Metadata = subscription }],
            };
            var response = await Client.CallUntilAnsweredAsync<JoinGroupRequest, JoinGroupResponse>(
                request, answer => (ErrorCode)answer.ErrorCode, Patience, to: Coordinator);
            switch ((ErrorCode?)response?.ErrorCode)
            {
                case ErrorCode.None:
                    MemberId = response!.MemberId;
                    _generation = response.GenerationId;
                    return response;
                case ErrorCode.MemberIdRequired:
                    MemberId = response!.MemberId;
                    continue;
                case ErrorCode.UnknownMemberId:
                    NoteLoss(ErrorCode.UnknownMemberId);
                    return null;
                case ErrorCode.RebalanceInProgress or ErrorCode.IllegalGeneration or null:
                    return null;
                default:
                    throw new SimulationException($"{Group} refuses a member: {(ErrorCode)response!.ErrorCode}");
            }
        }

        return null;
    }

    private async Task TrySyncAsync(JoinGroupResponse joined)
    {
        var request = new SyncGroupRequest
        {
            GroupId = Group,
            GenerationId = _generation,
            MemberId = MemberId,
            ProtocolType = ConsumerProtocol.ProtocolType,
            ProtocolName = Protocol,
            Assignments = joined.Leader == MemberId ? Divide(joined.Members) : [],
        };
        var response = await Client.CallUntilAnsweredAsync<SyncGroupRequest, SyncGroupResponse>(
            request, answer => (ErrorCode)answer.ErrorCode, Patience, to: Coordinator);
        if (response is not { ErrorCode: (short)ErrorCode.None })
        {
            NoteLoss((ErrorCode?)response?.ErrorCode ?? ErrorCode.None);
            return;
        }

        _isStable = true;
        Owned = response.Assignment.Length == 0 ? []
            : [.. ConsumerProtocol.ReadAssignment(response.Assignment).AssignedPartitions
                .SelectMany(assigned => assigned.Partitions.Select(partition => new TopicPartition(assigned.Topic, partition)))];
    }

    private SyncGroupRequest.SyncGroupRequestAssignment[] Divide(JoinGroupResponse.JoinGroupResponseMember[] members) =>
    [
        .. members.OrderBy(member => member.MemberId, StringComparer.Ordinal).Select((member, i) =>
            new SyncGroupRequest.SyncGroupRequestAssignment
            {
                MemberId = member.MemberId,
                Assignment = ConsumerProtocol.WriteAssignment(
                    new ConsumerProtocolAssignment
                    {
                        AssignedPartitions =
                        [
                            new ConsumerProtocolAssignment.TopicPartition
                            {
                                Topic = Topic,
                                Partitions = [.. Enumerable.Range(0, partitions).Where(partition => partition % members.Length == i)],
                            },
                        ],
                    },
                    0),
            }),
    ];
}
