using System.Collections.Immutable;
using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Broker.Replicas;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Replication;
using Ottla.Storage.Files;
using Ottla.Storage.Log;

namespace Ottla.UnitTests.Broker;

/// <summary>
/// One replica on broker 1, over a log in memory, with replicas on 2 and 3; the test is the controller, the metadata and the followers.
/// </summary>
internal sealed class ReplicaBed : IIsrChanges, IReplicaObserver
{
    public const int NodeId = 1;
    private int _partitionEpoch;

    public ReplicaBed(int[]? isr = null, int[]? replicas = null, int leader = NodeId, int minInSync = 1, Uuid? topicId = null)
    {
        var config = BrokerConfig.LoadDevMode();
        var topic = TopicConfig.Create(config, new Dictionary<string, string> { ["min.insync.replicas"] = $"{minInSync}" });
        Log = PartitionLog.Open(
            new InMemoryFileSystem(Clock), "/data/t-0", new TopicPartition("t", 0), LogConfig.Default, new LogOpenOptions(), Clock,
            NullLogger.Instance);
        Surroundings = TestReplicas.Surroundings(NodeId, Clock, this, Brokers(1, 2, 3));
        Registration = Next(leader, leaderEpoch: 1, isr ?? [1, 2, 3], replicas ?? [1, 2, 3]);
        Replica = new PartitionReplica(topicId ?? new Uuid(7, 7), Log, Registration, new TopicSettings(topic, config), Surroundings);
        Replica.AddObserver(this);
    }

    public TestClock Clock { get; } = new();

    public Instant Now => Instant.Now(Clock);

    public PartitionLog Log { get; }

    public PartitionReplica Replica { get; }

    public ReplicaSurroundings Surroundings { get; }

    public PartitionRegistration Registration { get; private set; }

    /// <summary>How often the controller was to be asked.</summary>
    public int Requests { get; private set; }

    /// <summary>What the observer was told since it was looked at last.</summary>
    public List<ReplicaChange> Changes { get; } = [];

    public static ClusterImage Brokers(params int[] alive) => new(
        alive.ToImmutableSortedDictionary(id => id, id => new BrokerRegistration
        {
            Id = id,
            Epoch = 100 + id,
            IncarnationId = new Uuid(1, (ulong)id),
            Endpoints = [],
            Features = ImmutableSortedDictionary<string, VersionRange>.Empty,
            Fenced = false,
        }),
        ImmutableSortedDictionary<int, ControllerRegistration>.Empty);

    /// <summary>The metadata brings a change.</summary>
    public bool Publish(int? leader = null, int? leaderEpoch = null, int[]? isr = null, int[]? replicas = null)
    {
        Registration = Next(
            leader ?? Registration.Leader, leaderEpoch ?? Registration.LeaderEpoch, isr ?? [.. Registration.Isr],
            replicas ?? [.. Registration.Replicas]);
        return Replica.Update(Registration);
    }

    /// <summary>A producer's append with acks=all.</summary>
    public AppendOutcome Append(bool acksAll = true, byte[]? batch = null) =>
        Replica.Append(batch ?? Ottla.UnitTests.Broker.Requests.Batch(), acksAll, allowZstd: true, Now);

    /// <summary>Appends with acks=all and waits for the commit.</summary>
    public Task<ErrorCode> Commit(int timeoutMs = 30_000) =>
        Wait(Append()).WaitAsync(Now.AddMilliseconds(timeoutMs), Clock, default).AsTask();

    public CommitWait Wait(in AppendOutcome appended)
    {
        Assert.Equal(ErrorCode.None, appended.ErrorCode);
        return CommitWait.For(Replica, appended);
    }

    /// <summary>A follower fetches from its log's end, which is the leader's if it is not given.</summary>
    public void Fetch(int follower, long? offset = null, long start = 0)
    {
        Assert.Equal(ErrorCode.None, Replica.CheckFollower(follower, 100 + follower, Replica.Leadership.LeaderEpoch));
        Replica.RecordFollowerFetch(new FollowerFetch(
            follower, 100 + follower, Replica.Leadership.LeaderEpoch, offset ?? Log.LogEndOffset, start, Log.LogEndOffset, Now));
    }

    /// <summary>Appends what another leader has written, as a fetcher does.</summary>
    public bool Replicate(int leaderEpoch, long? at = null)
    {
        var batch = Ottla.UnitTests.Broker.Requests.Batch();
        RecordBatchEditor.SetBaseOffset(batch, at ?? Log.LogEndOffset);
        RecordBatchEditor.SetPartitionLeaderEpoch(batch, leaderEpoch);
        return Log.TryTakeFetched(new FetchedBatches(batch, leaderEpoch, at ?? Log.LogEndOffset, 0, 0), Now, out _);
    }

    /// <summary>The controller does what it is asked for.</summary>
    public ProposalFate Grant()
    {
        var proposal = Replica.OpenProposal!;
        ImmutableArray<int> isr = [.. proposal.Isr.Select(member => member.BrokerId)];
        Registration = Next(Registration.Leader, Registration.LeaderEpoch, [.. isr], [.. Registration.Replicas]);
        return Replica.OnAnswer(
            proposal, new IsrAnswer(ErrorCode.None, proposal.LeaderEpoch, Registration.PartitionEpoch, isr));
    }

    public void Request(PartitionReplica replica)
    {
        Assert.Same(Replica, replica);
        Assert.NotNull(replica.OpenProposal);
        Requests++;
    }

    public void OnChange(PartitionReplica replica, ReplicaChange change) => Changes.Add(change);

    /// <summary>Everything that the observer was told since the last call.</summary>
    public ReplicaChange TakeChanges()
    {
        var all = Changes.Aggregate(ReplicaChange.None, (sum, change) => sum | change);
        Changes.Clear();
        return all;
    }

    private PartitionRegistration Next(int leader, int leaderEpoch, int[] isr, int[] replicas) => new()
    {
        Replicas = [.. replicas],
        Directories = [.. replicas.Select(_ => DirectoryIds.Unassigned)],
        Isr = [.. isr],
        Leader = leader,
        LeaderEpoch = leaderEpoch,
        PartitionEpoch = ++_partitionEpoch,
    };
}
