using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Groups;

namespace Ottla.Simulator.Groups;

/// <summary>
/// A consumer of the simulated group, of either protocol. Owned by its <see cref="GroupWorld"/>; lives until it leaves, crashes or is
/// fenced.
/// </summary>
public abstract class SimulatedConsumer(GroupWorld world, string name, string? instanceId)
{
    private const int CommitIntervalMs = 5_000;

    private readonly Dictionary<TopicPartition, long> _positions = [];

    /// <summary>When its last request arrives.</summary>
    public Instant LastArrival { get; set; }

    /// <summary>Whether its process runs.</summary>
    public bool IsRunning { get; private set; } = true;

    /// <summary>Whether it has what it was assigned, and waits for nothing.</summary>
    public abstract bool IsSettled { get; }

    /// <summary>Whether it may consume what it owns: it has reason to believe that the coordinator has not given it up.</summary>
    public bool MayConsume => IsRunning && world.Now < Lease;

    /// <summary>The name of a static member.</summary>
    public string? InstanceId => instanceId;

    /// <summary>Its id in the group; empty before it has one.</summary>
    protected string MemberId { get; set; } = "";

    /// <summary>How long it may be silent, in milliseconds.</summary>
    public abstract int SessionTimeoutMs { get; }

    /// <summary>Until when it believes that the coordinator counts on it.</summary>
    protected Instant Lease { get; set; }

    /// <summary>What it owns.</summary>
    protected IReadOnlyCollection<TopicPartition> Owned => _positions.Keys;

    /// <summary>Its world.</summary>
    protected GroupWorld World => world;

    /// <summary>Its client, as the coordinator sees it.</summary>
    protected RequestOrigin Origin(short version) => new(name, "/127.0.0.1", version);

    /// <summary>Begins.</summary>
    public void Start()
    {
        world.Tell($"{this} starts");
        Join();
        world.Schedule(CommitIntervalMs, CommitFromTimeToTime);
    }

    /// <summary>Dies without a word.</summary>
    public void Crash()
    {
        world.Tell($"{this} crashes");
        IsRunning = false;
        DropAll();
    }

    /// <summary>Commits, gives up all, and leaves the group; a static member may just go away.</summary>
    public void Leave()
    {
        world.Tell($"{this} leaves");
        Commit(Owned);
        DropAll();
        IsRunning = false;
        SendLeave();
    }

    /// <inheritdoc/>
    public override string ToString() => name;

    /// <summary>The error of an answer, wherever it has it.</summary>
    public static ErrorCode ErrorOf(CoordinatorReply? reply) => reply switch
    {
        null => ErrorCode.NetworkException,
        { Error.IsFailure: true } failed => failed.Error.Code,
        CoordinatorReply<JoinGroupResponse> join => (ErrorCode)join.Reply.ErrorCode,
        CoordinatorReply<SyncGroupResponse> sync => (ErrorCode)sync.Reply.ErrorCode,
        CoordinatorReply<HeartbeatResponse> heartbeat => (ErrorCode)heartbeat.Reply.ErrorCode,
        CoordinatorReply<ConsumerGroupHeartbeatResponse> heartbeat => (ErrorCode)heartbeat.Reply.ErrorCode,
        _ => ErrorCode.None,
    };

    /// <summary>Begins to be a member.</summary>
    protected abstract void Join();

    /// <summary>Tells the coordinator that it goes.</summary>
    protected abstract void SendLeave();

    /// <summary>The generation or epoch to commit with; null when it may not.</summary>
    protected abstract int? CommitGeneration { get; }

    /// <summary>The version of OffsetCommit that it uses.</summary>
    protected abstract short CommitVersion { get; }

    /// <summary>Sends a request; the answer is lost on who is gone.</summary>
    protected void Send(GroupCommand command, Action<CoordinatorReply?> onAnswer) =>
        world.Send(this, command, reply =>
        {
            if (IsRunning)
                onAnswer(reply);
        });

    /// <summary>Has something happen later, if it still runs.</summary>
    protected void Later(long delayMs, Action action) =>
        world.Schedule(delayMs, () =>
        {
            if (IsRunning)
                action();
        });

    /// <summary>Ends for good: another has its place.</summary>
    protected void Stop()
    {
        world.Tell($"{this} is fenced");
        IsRunning = false;
        DropAll();
    }

    /// <summary>The coordinator counts on it for a session from an answered request on.</summary>
    protected void RenewLease(Instant sentAt) => Lease = Max(Lease, sentAt.AddMilliseconds(SessionTimeoutMs));

    /// <summary>Begins to consume partitions.</summary>
    protected void Add(IEnumerable<TopicPartition> partitions)
    {
        foreach (var partition in partitions)
        {
            world.Own(this, partition);
            _positions[partition] = world.FetchCommitted(partition);
        }
    }

    /// <summary>Gives up partitions, after a last commit.</summary>
    protected void Revoke(IReadOnlyCollection<TopicPartition> partitions)
    {
        Commit(partitions);
        Drop(partitions);
    }

    /// <summary>Gives up all without a commit: they may be another's.</summary>
    protected void DropAll() => Drop(Owned);

    /// <summary>Gives up all if its session is over as far as it knows.</summary>
    /// <returns>Whether it is.</returns>
    protected bool DropIfExpired()
    {
        if (world.Now < Lease)
            return false;
        DropAll();
        return true;
    }

    private static Instant Max(Instant left, Instant right) => left < right ? right : left;

    private void Drop(IReadOnlyCollection<TopicPartition> partitions)
    {
        foreach (var partition in partitions.ToArray())
        {
            _positions.Remove(partition);
            world.Disown(this, partition);
        }
    }

    private void CommitFromTimeToTime()
    {
        if (!IsRunning)
            return;
        if (MayConsume)
        {
            foreach (var partition in Owned.ToArray())
                _positions[partition] += world.Random.NextInt(100);
            Commit(Owned);
        }

        world.Schedule(CommitIntervalMs, CommitFromTimeToTime);
    }

    private void Commit(IReadOnlyCollection<TopicPartition> partitions)
    {
        if (partitions.Count == 0 || !MayConsume || CommitGeneration is not { } generation)
            return;
        world.Send(
            this,
            new OffsetCommitCommand(Origin(CommitVersion), new OffsetCommitRequest
            {
                GroupId = GroupWorld.GroupId,
                MemberId = MemberId,
                GroupInstanceId = instanceId,
                GenerationIdOrMemberEpoch = generation,
                Topics =
                [
                    .. partitions.GroupBy(partition => partition.Topic).Select(topic => new OffsetCommitRequest.OffsetCommitRequestTopic
                    {
                        Name = topic.Key,
                        TopicId = world.Image.Topics.Find(topic.Key)!.Id,
                        Partitions = [.. topic.Select(partition => new OffsetCommitRequest.OffsetCommitRequestPartition
                        {
                            PartitionIndex = partition.Partition,
                            CommittedOffset = _positions[partition],
                            CommittedLeaderEpoch = -1,
                            CommittedMetadata = "",
                        })],
                    }),
                ],
            }),
            _ => { });
    }
}
