using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;

namespace Ottla.Simulator.Groups;

/// <summary>
/// Two minutes in which consumers come, go and crash at random, the coordinator fails over, and answers get lost; then quiet.
/// </summary>
/// <remarks>
/// At no time may two consumers own a partition (<see cref="GroupWorld.Own"/>), nor may a committed offset be lost. When it is quiet, all
/// partitions are owned, all consumers have settled, and nobody is told any more that it is unknown; before, only with a reason
/// (<see cref="MembershipLedger"/>). The seed decides which protocols there are.
/// </remarks>
public sealed class GroupStorm : ISimulation
{
    private const int ConsumersMax = 200;
    private const int TopicCount = 4;
    private const int PartitionsPerTopic = 15;
    private const int StormMs = 120_000;
    private const int CalmMs = 240_000;
    private const int QuietMs = 30_000;

    // What may be left over in the queue of deadlines for each of them, and how many each consumer has.
    private const int DeadlinesPerConsumerMax = 16;

    private enum Kinds
    {
        Eager,
        Cooperative,
        Modern,
        EagerAndModern,
        CooperativeAndModern,
    }

    /// <inheritdoc/>
    public string Name => "group-storm";

    /// <inheritdoc/>
    public string Description => "200 consumers of both protocols over 60 partitions join, leave and crash";

    /// <inheritdoc/>
    public void Run(ulong seed, TextWriter? log = null)
    {
        try
        {
            new Storm(seed, log).Run();
        }
        catch (Exception e) when (e is InvariantViolationException or ApiException or InvalidOperationException or KeyNotFoundException)
        {
            throw new SimulationException(e.Message, e);
        }
    }

    private sealed class Storm
    {
        private readonly GroupWorld _world;
        private readonly Kinds _kinds;
        private readonly List<SimulatedConsumer> _consumers = [];
        private int _made;

        public Storm(ulong seed, TextWriter? log)
        {
            _kinds = (Kinds)(seed % 5);
            var config = BrokerConfig.LoadDevMode(null,
            [
                KeyValuePair.Create("group.consumer.migration.policy", "bidirectional"),
                KeyValuePair.Create("group.initial.rebalance.delay.ms", "3000"),
            ]);
            _world = new GroupWorld(seed, Topics(), config, log);
            _world.Tell($"seed {seed}: {_kinds}");
        }

        private SimulatedConsumer[] Running => [.. _consumers.Where(consumer => consumer.IsRunning)];

        public void Run()
        {
            _world.IsLossy = true;
            for (var elapsedMs = 0; elapsedMs < StormMs;)
            {
                Step();
                var pauseMs = _world.Random.NextInt(1, 500);
                _world.Run(pauseMs);
                elapsedMs += pauseMs;
                CheckBounds();
            }

            _world.IsLossy = false;
            _world.Coordinator.FailingWrites = 0;
            if (Running.Length == 0)
                Start();
            _world.Tell($"calm: {Running.Length} consumers");
            _world.Run(CalmMs);
            var unknownBefore = _world.UnknownMemberAnswers;
            _world.Run(QuietMs);
            Check(_world.UnknownMemberAnswers == unknownBefore, "members are still told that they are unknown");
            CheckSettled();
        }

        private void Step()
        {
            var running = Running;
            switch (_world.Random.NextInt(100))
            {
                case < 55 when running.Length < ConsumersMax:
                    // Some come in flocks.
                    for (var i = _world.Random.NextChance(20) ? _world.Random.NextInt(1, 30) : 1; i > 0; i--)
                        Start();
                    break;
                case < 75 when running.Length > 0:
                    running[_world.Random.NextInt(running.Length)].Leave();
                    break;
                case < 85 when running.Length > 0:
                    running[_world.Random.NextInt(running.Length)].Crash();
                    break;
                case < 87:
                    _world.FailOver();
                    break;
                case < 90:
                    _world.Coordinator.FailingWrites = _world.Random.NextInt(1, 4);
                    break;
                default:
                    break;
            }

            _consumers.RemoveAll(consumer => !consumer.IsRunning);
        }

        private void Start()
        {
            var instanceId = _world.Random.NextChance(15) ? $"instance-{_world.Random.NextInt(20)}" : null;
            if (instanceId is not null && Running.Any(consumer => consumer.InstanceId == instanceId))
                instanceId = null;
            var name = $"consumer-{++_made}";
            SimulatedConsumer consumer = IsNextModern()
                ? new ModernConsumer(_world, name, instanceId)
                : new ClassicConsumer(_world, name, instanceId, _kinds is Kinds.Cooperative or Kinds.CooperativeAndModern);
            _consumers.Add(consumer);
            consumer.Start();
        }

        private bool IsNextModern() => _kinds switch
        {
            Kinds.Modern => true,
            Kinds.EagerAndModern or Kinds.CooperativeAndModern => _world.Random.NextChance(30),
            _ => false,
        };

        private void CheckBounds()
        {
            var context = _world.Coordinator.Machine.Context;
            Check(context.Groups.Count <= 1, "there are other groups");
            Check(context.Deadlines.QueuedCount <= 1_000 + (DeadlinesPerConsumerMax * ConsumersMax),
                $"{context.Deadlines.QueuedCount} deadlines are queued");
            Check(_world.Coordinator.WaitingCount <= 4 * ConsumersMax, $"{_world.Coordinator.WaitingCount} requests wait");
        }

        private void CheckSettled()
        {
            _world.CheckCommitted();
            var running = Running;
            var unsettled = running.Where(consumer => !consumer.IsSettled).ToArray();
            var group = _world.Coordinator.Machine.Context.Find(GroupWorld.GroupId);
            Check(unsettled.Length == 0,
                $"{unsettled.Length} consumers have not settled, such as {unsettled.FirstOrDefault()}; the group is {group?.StateName}");
            Check(group?.StateName == "Stable", $"the group is {group?.StateName}");
            Check(_world.Owners.Count == TopicCount * PartitionsPerTopic, $"{_world.Owners.Count} partitions are owned");
            Check(_world.Owners.Values.All(consumer => consumer.MayConsume), "a partition is owned by who may not consume");
            Check(_world.Coordinator.WaitingCount == 0, $"{_world.Coordinator.WaitingCount} requests wait");
            _world.Tell(
                $"settled: {running.Length} consumers, {_world.Requests} requests, {_world.UnknownMemberAnswers} of unknown members, a "
                    + $"{group!.TypeName} group");
        }

        private void Check(bool holds, string message)
        {
            if (!holds)
                throw new SimulationException($"at {_world.Now.UnixMilliseconds}, {_kinds}: {message}");
        }
    }

    private static MetadataImage Topics()
    {
        var records = new List<MetadataRecord>();
        for (var topic = 1; topic <= TopicCount; topic++)
        {
            var id = new Uuid(1, (ulong)topic);
            records.Add(new MetadataRecord(new TopicRecord { Name = $"topic-{topic}", TopicId = id }, 0));
            for (var partition = 0; partition < PartitionsPerTopic; partition++)
            {
                records.Add(new MetadataRecord(
                    new PartitionRecord
                    {
                        TopicId = id,
                        PartitionId = partition,
                        Replicas = [1],
                        Isr = [1],
                        Leader = 1,
                        LeaderEpoch = 0,
                        PartitionEpoch = 0
                    }, 0));
            }
        }

        return MetadataImage.Empty.Apply(records, 0, new MetadataProvenance(records.Count - 1, 1, 0));
    }
}
