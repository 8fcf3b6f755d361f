using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Groups;

namespace Ottla.Simulator.Groups;

/// <summary>
/// A consumer of the classic protocol, as the Java client works: it gives up all before it joins again (eager), or only what it loses
/// (cooperative).
/// </summary>
public sealed class ClassicConsumer : SimulatedConsumer
{
    private const int HeartbeatIntervalMs = 3_000;
    private const int RebalanceTimeoutMs = 30_000;
    private const int RetryBackoffMs = 500;
    private const int CallbackMaxMs = 500;

    // An answer to a join may have been on its way for so long.
    private const int LatencyMarginMs = 500;

    private readonly bool _isCooperative;
    private readonly short _joinVersion;
    private int _generation = -1;
    private bool _isStable;
    private bool _isJoining;
    private int _round;

    /// <summary>Makes a consumer that does nothing yet.</summary>
    public ClassicConsumer(GroupWorld world, string name, string? instanceId, bool isCooperative)
        : base(world, name, instanceId)
    {
        _isCooperative = isCooperative;
        _joinVersion = (short)world.Random.NextInt(instanceId is null ? 0 : 5, JoinGroupRequest.HighestVersion + 1);
    }

    /// <inheritdoc/>
    public override bool IsSettled => _isStable;

    /// <inheritdoc/>
    public override int SessionTimeoutMs => 10_000;

    /// <inheritdoc/>
    protected override int? CommitGeneration => _generation >= 0 ? _generation : null;

    /// <inheritdoc/>
    protected override short CommitVersion => 8;

    private string ProtocolName => _isCooperative ? "cooperative-sticky" : "range";

    /// <inheritdoc/>
    protected override void Join()
    {
        (_isStable, _isJoining) = (false, true);
        var round = ++_round;
        if (!_isCooperative)
            Revoke([.. Owned]);
        Lease = new Instant(long.MaxValue); // while it waits, the coordinator does not mind its silence
        Send(new JoinGroupCommand(Origin(_joinVersion), JoinRequest()), reply =>
        {
            if (round == _round)
                OnJoined(reply);
        });
    }

    /// <inheritdoc/>
    protected override void SendLeave()
    {
        if (InstanceId is not null && World.Random.NextChance(50))
            return; // it may be back before its session ends
        var request =
        new LeaveGroupRequest
        {
            GroupId = GroupWorld.GroupId,
            Members = [new LeaveGroupRequest.MemberIdentity { MemberId = MemberId, GroupInstanceId = InstanceId }]
        };
        World.Send(this, new LeaveGroupCommand(Origin(5), request), _ => { });
    }

    private JoinGroupRequest JoinRequest()
    {
        var subscription = new ConsumerProtocolSubscription
        {
            Topics = [.. World.Image.Topics.ByName.Keys.Order(StringComparer.Ordinal)],
            OwnedPartitions = [
                .. Owned.GroupBy(partition => partition.Topic).Select(topic => new ConsumerProtocolSubscription.TopicPartition
            {
                Topic = topic.Key,
                Partitions = [.. topic.Select(partition => partition.Partition)],
            })],
            GenerationId = _generation,
        };
        return new JoinGroupRequest
        {
            GroupId = GroupWorld.GroupId,
            MemberId = MemberId,
            GroupInstanceId = InstanceId,
            SessionTimeoutMs = SessionTimeoutMs,
            RebalanceTimeoutMs = RebalanceTimeoutMs,
            ProtocolType = ConsumerProtocol.ProtocolType,
            Protocols = [
                new JoinGroupRequest.JoinGroupRequestProtocol { Name = ProtocolName,
                    Metadata = ConsumerProtocol.WriteSubscription(subscription, 2) }],
        };
    }

    private void OnJoined(CoordinatorReply? reply)
    {
        if (ErrorOf(reply) is var error and not ErrorCode.None)
        {
            if (error == ErrorCode.MemberIdRequired)
                MemberId = reply.Value<JoinGroupResponse>().MemberId;
            OnError(error);
            return;
        }

        var joined = reply.Value<JoinGroupResponse>();
        (MemberId, _generation) = (joined.MemberId, joined.GenerationId);
        Lease = World.Now.AddMilliseconds(SessionTimeoutMs - LatencyMarginMs);
        var leads = joined.Leader == joined.MemberId && joined.Members.Length > 0 && !joined.SkipAssignment;
        var round = _round;
        Send(
            new SyncGroupCommand(Origin(5), new SyncGroupRequest
            {
                GroupId = GroupWorld.GroupId,
                MemberId = MemberId,
                GroupInstanceId = InstanceId,
                GenerationId = _generation,
                ProtocolType = ConsumerProtocol.ProtocolType,
                ProtocolName = ProtocolName,
                Assignments = leads ? ClassicLeader.Assign(joined.Members, World.Image.Topics, _isCooperative) : [],
            }),
            answer =>
            {
                if (round == _round)
                    OnSynced(answer);
            });
        Lease = new Instant(long.MaxValue);
    }

    private void OnSynced(CoordinatorReply? reply)
    {
        if (ErrorOf(reply) is var error and not ErrorCode.None)
        {
            OnError(error);
            return;
        }

        Lease = World.Now.AddMilliseconds(SessionTimeoutMs - LatencyMarginMs);
        var bytes = reply.Value<SyncGroupResponse>().Assignment;
        var assigned = bytes.Length == 0
            ? []
            : ConsumerProtocol.ReadAssignment(bytes).AssignedPartitions
                .SelectMany(topic => topic.Partitions, (topic, partition) => new TopicPartition(topic.Topic, partition)).ToHashSet();
        var lost = Owned.Where(partition => !assigned.Contains(partition)).ToArray();
        Revoke(lost);
        Add(assigned.Except(Owned).ToArray());
        (_isStable, _isJoining) = (true, false);
        Later(World.Random.NextInt(1, HeartbeatIntervalMs), () => Heartbeat(_round));
        if (lost.Length > 0)
            Join(); // for those who are to have it
    }

    private void Heartbeat(int round)
    {
        if (round != _round || !_isStable)
            return;
        if (DropIfExpired())
        {
            Join();
            return;
        }

        var sentAt = World.Now;
        var request =
            new HeartbeatRequest
            {
                GroupId = GroupWorld.GroupId,
                MemberId = MemberId,
                GroupInstanceId = InstanceId,
                GenerationId = _generation
            };
        Send(new HeartbeatCommand(Origin(4), request), reply =>
        {
            if (round != _round)
                return;
            var error = ErrorOf(reply);
            if (error is ErrorCode.None or ErrorCode.RebalanceInProgress)
                RenewLease(sentAt);
            if (error is ErrorCode.None or ErrorCode.NetworkException or ErrorCode.NotCoordinator or ErrorCode.CoordinatorNotAvailable)
                Later(HeartbeatIntervalMs, () => Heartbeat(round));
            else
                OnError(error);
        });
    }

    private void OnError(ErrorCode error)
    {
        switch (error)
        {
            case ErrorCode.MemberIdRequired:
                Join();
                break;
            case ErrorCode.RebalanceInProgress:
                JoinAfter(World.Random.NextInt(1, CallbackMaxMs));
                break;
            case ErrorCode.UnknownMemberId:
                MemberId = "";
                Reset();
                break;
            case ErrorCode.IllegalGeneration:
                Reset();
                break;
            case ErrorCode.FencedInstanceId:
                Stop();
                break;
            case ErrorCode.NetworkException or ErrorCode.NotCoordinator or ErrorCode.CoordinatorNotAvailable
                or ErrorCode.GroupMaxSizeReached:
                // The coordinator counted on it when it asked, if at all.
                if (_isJoining)
                    Lease = World.Now.AddMilliseconds(SessionTimeoutMs / 2);
                JoinAfter(RetryBackoffMs);
                break;
            default:
                throw new SimulationException($"at {World.Now.UnixMilliseconds}: {this} is answered {error}");
        }
    }

    private void Reset()
    {
        DropAll();
        _generation = -1;
        JoinAfter(World.Random.NextInt(1, CallbackMaxMs));
    }

    private void JoinAfter(int delayMs)
    {
        _isStable = false;
        var round = ++_round;
        Later(delayMs, () =>
        {
            if (round != _round)
                return;
            DropIfExpired();
            Join();
        });
    }
}
