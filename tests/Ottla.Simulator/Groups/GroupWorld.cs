using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Groups;
using Ottla.StateMachines.Groups.Consumer;
using Ottla.StateMachines.Metadata;

namespace Ottla.Simulator.Groups;

/// <summary>
/// One group, its coordinator, its consumers, and a network between them that is slow and loses answers. Everything follows from the seed.
/// </summary>
/// <remarks>
/// It knows who may consume what, what was committed and whom the coordinator knew: that two may consume one partition, that a commit is
/// lost, or that a member is forgotten without a reason (<see cref="MembershipLedger"/>), is a <see cref="SimulationException"/>.
/// </remarks>
public sealed class GroupWorld
{
    /// <summary>The group's id.</summary>
    public const string GroupId = "storm";

    private const int LatencyMaxMs = 300;
    private const int TimeoutMs = 1_000;

    private readonly PriorityQueue<Action, (Instant At, long Number)> _events = new();
    private readonly Dictionary<TopicPartition, SimulatedConsumer> _owners = [];
    private readonly Dictionary<TopicPartition, long> _committed = [];
    private readonly MembershipLedger _members = new();
    private long _lastEvent;

    /// <summary>Makes a world without consumers.</summary>
    public GroupWorld(ulong seed, MetadataImage image, BrokerConfig config, TextWriter? log)
    {
        Random = new Prng(seed);
        Now = new Instant(1_700_000_000_000);
        Coordinator = new SimulatedCoordinator(Random.NextUInt64(), image, config, Now) { DelaysOutputs = true };
        Image = image;
        Log = log;
    }

    /// <summary>Where chance comes from.</summary>
    public Prng Random { get; }

    /// <summary>The coordinator.</summary>
    public SimulatedCoordinator Coordinator { get; }

    /// <summary>The topics.</summary>
    public MetadataImage Image { get; }

    /// <summary>The time.</summary>
    public Instant Now { get; private set; }

    /// <summary>Whether the network loses answers.</summary>
    public bool IsLossy { get; set; }

    /// <summary>Answers that say that the coordinator does not know the member.</summary>
    public int UnknownMemberAnswers { get; private set; }

    /// <summary>Requests that reached the coordinator.</summary>
    public int Requests { get; private set; }

    /// <summary>Who may consume what.</summary>
    public IReadOnlyDictionary<TopicPartition, SimulatedConsumer> Owners => _owners;

    private TextWriter? Log { get; }

    /// <summary>Tells what happens.</summary>
    public void Tell(string what) => Log?.WriteLine($"{Now.UnixMilliseconds - 1_700_000_000_000,8} {what}");

    /// <summary>Has something happen later.</summary>
    public void Schedule(long delayMs, Action action) => _events.Enqueue(action, (Now.AddMilliseconds(delayMs), ++_lastEvent));

    /// <summary>Lets time pass.</summary>
    public void Run(long milliseconds)
    {
        var until = Now.AddMilliseconds(milliseconds);
        while (_events.TryPeek(out _, out var next) && next.At <= until)
        {
            AdvanceTo(next.At);
            _events.Dequeue()();
        }

        AdvanceTo(until);
    }

    /// <summary>Sends a request of a consumer: requests of one consumer arrive in their order.</summary>
    /// <param name="sender">Who sends it.</param>
    /// <param name="command">The request.</param>
    /// <param name="onAnswer">Gets the answer, or null when the connection broke.</param>
    public void Send(SimulatedConsumer sender, GroupCommand command, Action<CoordinatorReply?> onAnswer)
    {
        var arrival = Now.AddMilliseconds(Random.NextInt(1, LatencyMaxMs));
        sender.LastArrival = arrival < sender.LastArrival ? sender.LastArrival : arrival;
        var isLost = IsLossy && Random.NextChance(2);
        Schedule(sender.LastArrival.MillisecondsSince(Now), () =>
        {
            Requests++;
            Coordinator.Send(command, reply =>
            {
                NoteAnswer(command, reply);
                _members.NoteAnswer(sender, command, reply, !isLost, Coordinator.Now);
                Schedule(isLost ? TimeoutMs : Random.NextInt(1, LatencyMaxMs), () => onAnswer(isLost ? null : reply));
            });
        });
    }

    /// <summary>The coordinator fails over, with a log that was compacted.</summary>
    /// <exception cref="SimulationException">
    /// The log tells of another group than the one that failed: all of a consumer group is written.
    /// </exception>
    public void FailOver()
    {
        Tell("the coordinator fails over");
        _members.NoteFailover();
        var before = DescribeConsumerGroup();
        Coordinator.Compact();
        Coordinator.Restart();
        if (DescribeConsumerGroup() is var after && after != before)
            throw new SimulationException($"at {Now.UnixMilliseconds}: the log tells of another group\n{after}\nthan there was\n{before}");
    }

    /// <summary>A consumer begins to consume a partition, from where the group has committed.</summary>
    /// <exception cref="SimulationException">Another may still consume it.</exception>
    public void Own(SimulatedConsumer consumer, TopicPartition partition)
    {
        if (_owners.TryGetValue(partition, out var owner) && owner != consumer && owner.MayConsume)
            throw new SimulationException($"at {Now.UnixMilliseconds}: {partition} is {owner}'s, and {consumer}'s too");
        _owners[partition] = consumer;
    }

    /// <summary>A consumer no longer consumes a partition.</summary>
    public void Disown(SimulatedConsumer consumer, TopicPartition partition)
    {
        if (_owners.GetValueOrDefault(partition) == consumer)
            _owners.Remove(partition);
    }

    /// <summary>What the group has committed of a partition, asked of the coordinator.</summary>
    /// <exception cref="SimulationException">It is not what was acknowledged last.</exception>
    public long FetchCommitted(TopicPartition partition)
    {
        long? committed = null;
        Coordinator.Send(
            new OffsetFetchCommand(
                new OffsetFetchRequest.OffsetFetchRequestGroup
                {
                    GroupId = GroupId,
                    MemberEpoch = -1,
                    Topics = [new OffsetFetchRequest.OffsetFetchRequestTopics { Name = partition.Topic,
                        PartitionIndexes = [partition.Partition] }],
                },
                RequireStable: false),
            reply => committed = reply.Value<OffsetFetchResponse.OffsetFetchResponseGroup>().Topics[0].Partitions[0].CommittedOffset);
        var acknowledged = _committed.GetValueOrDefault(partition, -1);
        if (committed != acknowledged)
            throw new SimulationException($"at {Now.UnixMilliseconds}: {acknowledged} was committed of {partition}, and it is {committed}");
        return Math.Max(acknowledged, 0);
    }

    /// <summary>Checks every partition's committed offset.</summary>
    public void CheckCommitted()
    {
        foreach (var topic in Image.Topics.ByName.Values)
        {
            for (var i = 0; i < topic.Partitions.Length; i++)
                FetchCommitted(new TopicPartition(topic.Name, i));
        }
    }

    private string DescribeConsumerGroup() => Coordinator.Machine.Context.Find<ConsumerGroup>(GroupId) is { } group
        ? string.Join('\n', ConsumerGroupRecords.Group(group).Select(SimulatedCoordinator.Text))
        : "no consumer group";

    private void AdvanceTo(Instant until)
    {
        Now = until;
        Coordinator.AdvanceTo(until);
    }

    private void NoteAnswer(GroupCommand command, CoordinatorReply reply)
    {
        if (SimulatedConsumer.ErrorOf(reply) == ErrorCode.UnknownMemberId)
            UnknownMemberAnswers++;
        if (command is not OffsetCommitCommand commit || reply.Error.IsFailure)
            return;
        using var errors = reply.Value<IReadOnlyList<ErrorCode>>().GetEnumerator();
        foreach (var topic in commit.Request.Topics)
        {
            foreach (var partition in topic.Partitions)
            {
                if (!errors.MoveNext())
                    throw new SimulationException($"at {Now.UnixMilliseconds}: not every partition of {commit} is answered");
                if (errors.Current != ErrorCode.None)
                    continue;
                var key = new TopicPartition(topic.Name, partition.PartitionIndex);
                if (partition.CommittedOffset < _committed.GetValueOrDefault(key))
                    throw new SimulationException(
                        $"at {Now.UnixMilliseconds}: a commit of {key} goes back from {_committed[key]} to {partition.CommittedOffset}");
                _committed[key] = partition.CommittedOffset;
            }
        }
    }
}
