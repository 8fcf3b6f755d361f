using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Replication;

namespace Ottla.UnitTests.Replication;

/// <summary>
/// A leader's state with the log, the brokers and the clock around it. Broker 1 leads replicas 1, 2 and 3; broker N has epoch 100 + N.
/// </summary>
internal sealed class LeaderBed
{
    public const int LagMaxMs = 30_000;
    private readonly Dictionary<int, BrokerRegistration> _brokers = [];
    private PartitionRegistration _registration;

    public LeaderBed(int[]? isr = null, int[]? replicas = null, long end = 0, int minInSync = 1)
    {
        MinInSync = minInSync;
        End = end;
        foreach (var id in (int[])[1, 2, 3, 4])
            SetBroker(id);
        _registration = Registration(isr ?? [1, 2, 3], replicas ?? [1, 2, 3], leaderEpoch: 5, partitionEpoch: 10);
        State = new PartitionLeaderState(1, _registration, end, Now);
    }

    public PartitionLeaderState State { get; private set; }

    public Instant Now { get; private set; } = new(1_000_000);

    public long End { get; private set; }

    public long HighWatermark { get; private set; }

    public int MinInSync { get; set; }

    public LeaderMoment Moment => new(End, HighWatermark, MinInSync, LagMaxMs, BrokerEpoch: 101, Cluster, Now);

    public ClusterImage Cluster =>
        new(_brokers.ToImmutableSortedDictionary(), ImmutableSortedDictionary<int, ControllerRegistration>.Empty);

    public static long EpochOf(int broker) => 100 + broker;

    public void Pass(int milliseconds) => Now = Now.AddMilliseconds(milliseconds);

    public void SetBroker(int id, bool fenced = false, bool shuttingDown = false, long? epoch = null) =>
        _brokers[id] = new BrokerRegistration
        {
            Id = id,
            Epoch = epoch ?? EpochOf(id),
            IncarnationId = new Uuid(1, (ulong)id),
            Endpoints = [],
            Features = ImmutableSortedDictionary<string, VersionRange>.Empty,
            Fenced = fenced,
            InControlledShutdown = shuttingDown,
        };

    public void RemoveBroker(int id) => _brokers.Remove(id);

    /// <summary>The leader appends records.</summary>
    public LeaderBed Append(int count = 10)
    {
        var before = End;
        End += count;
        State.OnAppend(before, Now);
        Advance();
        return this;
    }

    /// <summary>A follower fetches from an offset, its log's end; the leader's end when it is not given.</summary>
    /// <returns>The proposal that the leader makes of it.</returns>
    public IsrProposal? Fetch(int follower, long? offset = null, long? brokerEpoch = null, int leaderEpoch = -1, long start = 0)
    {
        State.OnFetch(
            new FollowerFetch(
                follower, brokerEpoch ?? EpochOf(follower), leaderEpoch < 0 ? State.LeaderEpoch : leaderEpoch, offset ?? End, start, End,
                Now),
            Cluster);
        var proposal = State.ProposeExpansion(Moment);
        Advance();
        return proposal;
    }

    /// <summary>Applies the high watermark as a log does: never back, never above the end.</summary>
    public void Advance() => HighWatermark = Math.Max(HighWatermark, Math.Min(State.HighWatermark(Moment), End));

    /// <summary>The controller does what it was asked for.</summary>
    public ProposalFate Grant(IsrProposal proposal)
    {
        ImmutableArray<int> isr = [.. proposal.Isr.Select(member => member.BrokerId)];
        var fate = State.OnAnswer(proposal, new IsrAnswer(ErrorCode.None, proposal.LeaderEpoch, proposal.PartitionEpoch + 1, isr));
        Advance();
        return fate;
    }

    public ProposalFate Refuse(IsrProposal proposal, ErrorCode error)
    {
        var fate = State.OnAnswer(proposal, IsrAnswer.Refused(error));
        Advance();
        return fate;
    }

    /// <summary>The metadata brings a version of the partition.</summary>
    public bool Publish(int[]? isr = null, int[]? replicas = null, int? leaderEpoch = null, int? partitionEpoch = null)
    {
        _registration = Registration(
            isr ?? [.. State.Isr], replicas ?? [.. _registration.Replicas], leaderEpoch ?? State.LeaderEpoch,
            partitionEpoch ?? State.PartitionEpoch + 1);
        var isNew = State.OnMetadata(_registration, End, Now);
        Advance();
        return isNew;
    }

    /// <summary>This broker loses the leadership and gets it again.</summary>
    public void LeadAnew(int[] isr)
    {
        _registration = Registration(isr, [.. _registration.Replicas], State.LeaderEpoch + 2, State.PartitionEpoch + 2);
        State = new PartitionLeaderState(1, _registration, End, Now);
        Advance();
    }

    private static PartitionRegistration Registration(int[] isr, int[] replicas, int leaderEpoch, int partitionEpoch) => new()
    {
        Replicas = [.. replicas],
        Directories = [.. replicas.Select(_ => DirectoryIds.Unassigned)],
        Isr = [.. isr],
        Leader = 1,
        LeaderEpoch = leaderEpoch,
        PartitionEpoch = partitionEpoch,
    };
}
