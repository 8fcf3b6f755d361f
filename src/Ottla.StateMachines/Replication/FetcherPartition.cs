using Ottla.Kernel;

namespace Ottla.StateMachines.Replication;

/// <summary>Where the log of a follower stands.</summary>
/// <param name="EndOffset">The offset after its last record.</param>
/// <param name="LatestEpoch">The latest leader epoch that it knows; -1 when it knows none.</param>
/// <param name="LogStartOffset">Its first offset.</param>
public readonly record struct FetcherPosition(long EndOffset, int LatestEpoch, long LogStartOffset);

/// <summary>What a fetcher is about to do with a partition.</summary>
public enum FetchStage
{
    /// <summary>It fetches from the leader.</summary>
    Fetching,

    /// <summary>It waits after an error.</summary>
    Delayed,

    /// <summary>Its offset is outside of the leader's log: the leader is asked where that begins and ends.</summary>
    OutOfRange,

    /// <summary>It was taken from the fetcher, or failed: nothing that comes late changes it.</summary>
    Gone,
}

/// <summary>A partition that a <see cref="FetcherMachine{TReplica}"/> fetches, at one leader epoch.</summary>
/// <remarks>
/// Owned by its machine, which alone changes it. Lives until the machine stops or restarts the partition; then it is
/// <see cref="FetchStage.Gone"/>, and whoever still holds it can change nothing.
/// </remarks>
public sealed class FetcherPartition<TReplica>
    where TReplica : class
{
    internal FetcherPartition(TopicIdPartition id, TReplica replica, int leaderEpoch, in FetcherPosition position)
    {
        Id = id;
        Replica = replica;
        LeaderEpoch = leaderEpoch;
        Next = new FetchPosition(position.EndOffset, position.LatestEpoch, position.LogStartOffset, leaderEpoch);
        Place = new LinkedListNode<FetcherPartition<TReplica>>(this);
    }

    /// <summary>The partition.</summary>
    public TopicIdPartition Id { get; }

    /// <summary>The host's side of it.</summary>
    public TReplica Replica { get; }

    /// <summary>The epoch of the leader that it fetches from.</summary>
    public int LeaderEpoch { get; }

    /// <summary>What happens with it.</summary>
    public FetchStage Stage { get; internal set; }

    /// <summary>The offset that it wants next.</summary>
    public long FetchOffset => Next.FetchOffset;

    /// <summary>Records of the leader that it lacks, as of the last answer; null before the first one.</summary>
    public long? Lag { get; internal set; }

    /// <summary>Where it wants to fetch.</summary>
    internal FetchPosition Next { get; set; }

    /// <summary>What the leader was told last, while it is in the session.</summary>
    internal FetchPosition Told { get; set; }

    /// <summary>Whether the leader's session has it.</summary>
    internal bool IsInSession { get; set; }

    /// <summary>Whether the next request looks at it.</summary>
    internal bool IsListed { get; set; }

    /// <summary>Whether the follower's throttle applies to it.</summary>
    internal bool IsThrottled { get; set; }

    /// <summary>Whether the throttle keeps it out of requests now.</summary>
    internal bool IsHeldBack { get; set; }

    /// <summary>When its delay ends.</summary>
    internal Instant DelayedUntil { get; set; }

    /// <summary>How often in a row it was delayed because the leader did not know of it, or of its epoch.</summary>
    internal int BriefDelays { get; set; }

    /// <summary>The last answer that named it.</summary>
    internal long AnsweredIn { get; set; }

    /// <summary>Its place in the order of a full request.</summary>
    internal LinkedListNode<FetcherPartition<TReplica>> Place { get; }

    internal bool IsReady => Stage == FetchStage.Fetching && !IsHeldBack;

    /// <inheritdoc/>
    public override string ToString() => $"{Id} at offset {FetchOffset} of leader epoch {LeaderEpoch} ({Stage})";
}

/// <summary>What a request says of a partition. When a field differs from what was told last, the partition is sent again (F4).</summary>
internal readonly record struct FetchPosition(long FetchOffset, int LastFetchedEpoch, long LogStartOffset, int LeaderEpoch);
