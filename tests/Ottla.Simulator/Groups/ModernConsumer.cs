using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Groups;

namespace Ottla.Simulator.Groups;

/// <summary>
/// A consumer of the consumer protocol (KIP-848): it says in its heartbeats what it has, and the answers say what it is to have.
/// </summary>
public sealed class ModernConsumer(GroupWorld world, string name, string? instanceId) : SimulatedConsumer(world, name, instanceId)
{
    private const int HeartbeatIntervalMs = 5_000;
    private const int RebalanceTimeoutMs = 30_000;
    private const int RetryBackoffMs = 500;
    private const int CallbackMaxMs = 500;

    private int _epoch;
    private bool _sendsAll = true;
    private bool _isReconciling;
    private int _round;

    /// <inheritdoc/>
    public override bool IsSettled => _epoch > 0 && !_isReconciling;

    /// <inheritdoc/>
    public override int SessionTimeoutMs => 45_000;

    /// <inheritdoc/>
    protected override int? CommitGeneration => _epoch > 0 ? _epoch : null;

    /// <inheritdoc/>
    protected override short CommitVersion => 9;

    /// <inheritdoc/>
    protected override void Join()
    {
        if (MemberId.Length == 0)
            MemberId = Uuid.NewRandom(World.Random).ToString();
        (_epoch, _sendsAll, _isReconciling) = (0, true, false);
        Heartbeat(++_round);
    }

    /// <inheritdoc/>
    protected override void SendLeave()
    {
        if (_epoch == 0)
            return;
        var request = new ConsumerGroupHeartbeatRequest
        {
            GroupId = GroupWorld.GroupId,
            MemberId = MemberId,
            InstanceId = InstanceId,
            MemberEpoch = InstanceId is not null && World.Random.NextChance(70) ? -2 : -1,
        };
        World.Send(this, new ConsumerGroupHeartbeatCommand(Origin(1), request), _ => { });
    }

    private void Heartbeat(int round)
    {
        if (round != _round)
            return;
        if (_epoch > 0 && DropIfExpired())
        {
            Join();
            return;
        }

        var sentAt = World.Now;
        Send(new ConsumerGroupHeartbeatCommand(Origin(1), Request()), reply =>
        {
            if (round == _round)
                OnAnswer(reply, sentAt);
        });
    }

    private ConsumerGroupHeartbeatRequest Request() => new()
    {
        GroupId = GroupWorld.GroupId,
        MemberId = MemberId,
        InstanceId = InstanceId,
        MemberEpoch = _epoch,
        RebalanceTimeoutMs = _sendsAll ? RebalanceTimeoutMs : -1,
        SubscribedTopicNames = _sendsAll ? [.. World.Image.Topics.ByName.Keys.Order(StringComparer.Ordinal)] : null,
        TopicPartitions =
        [
            .. Owned.GroupBy(partition => partition.Topic).Select(topic => new ConsumerGroupHeartbeatRequest.TopicPartitionsData
            {
                TopicId = World.Image.Topics.Find(topic.Key)!.Id,
                Partitions = [.. topic.Select(partition => partition.Partition)],
            }),
        ],
    };

    private void OnAnswer(CoordinatorReply? reply, Instant sentAt)
    {
        switch (ErrorOf(reply))
        {
            case ErrorCode.None:
                var response = reply.Value<ConsumerGroupHeartbeatResponse>();
                RenewLease(sentAt);
                (_epoch, _sendsAll) = (response.MemberEpoch, false);
                if (response.Assignment is { } assignment)
                    Reconcile(assignment);
                else
                    HeartbeatAfter(HeartbeatIntervalMs);
                break;
            case ErrorCode.NetworkException or ErrorCode.NotCoordinator or ErrorCode.CoordinatorNotAvailable:
                _sendsAll = true;
                HeartbeatAfter(RetryBackoffMs);
                break;
            case ErrorCode.UnknownMemberId or ErrorCode.FencedMemberEpoch or ErrorCode.GroupIdNotFound or ErrorCode.UnreleasedInstanceId:
                DropAll();
                _epoch = 0;
                var round = ++_round;
                Later(RetryBackoffMs, () =>
                {
                    if (round == _round)
                        Join();
                });
                break;
            case ErrorCode.FencedInstanceId:
                Stop();
                break;
            case var error:
                throw new SimulationException($"at {World.Now.UnixMilliseconds}: {this} is answered {error}, {reply}");
        }
    }

    private void Reconcile(ConsumerGroupHeartbeatResponse.AssignmentData assignment)
    {
        var target = assignment.TopicPartitions
            .SelectMany(
                topic => topic.Partitions, (topic, partition) =>
                new TopicPartition(World.Image.Topics.Find(topic.TopicId)!.Name, partition)).ToHashSet();
        var lost = Owned.Where(partition => !target.Contains(partition)).ToArray();
        _isReconciling = true;
        var round = _round;
        Later(lost.Length == 0 ? 0 : World.Random.NextInt(1, CallbackMaxMs), () =>
        {
            if (round != _round)
                return;
            Revoke(lost);
            var added = target.Except(Owned).ToArray();
            Add(added);
            _isReconciling = false;
            HeartbeatAfter(lost.Length + added.Length > 0 ? 0 : HeartbeatIntervalMs);
        });
    }

    private void HeartbeatAfter(int delayMs)
    {
        var round = _round;
        Later(delayMs, () => Heartbeat(round));
    }
}
