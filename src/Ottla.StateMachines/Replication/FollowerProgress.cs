using Ottla.Kernel;

namespace Ottla.StateMachines.Replication;

/// <summary>
/// What a leader knows of one follower. Belongs to a <see cref="PartitionLeaderState"/>, and lives as long as the assignment.
/// </summary>
public sealed class FollowerProgress
{
    /// <summary>An offset that is not known: the follower has not fetched from this leader.</summary>
    public const long Unknown = -1;

    private Instant _lastFetch;
    private long _leaderEndAtLastFetch = Unknown;

    internal FollowerProgress(int id) => Id = id;

    /// <summary>The follower's broker.</summary>
    public int Id { get; }

    /// <summary>The broker epoch of its last fetch, -1 if that had none; null when it has not fetched yet.</summary>
    public long? BrokerEpoch { get; private set; }

    /// <summary>Its log's end, or <see cref="Unknown"/>.</summary>
    public long EndOffset { get; private set; } = Unknown;

    /// <summary>Its log's start, or <see cref="Unknown"/>.</summary>
    public long LogStartOffset { get; private set; } = Unknown;

    /// <summary>When it last had everything that the leader had; the epoch of time when that never was, or does not count.</summary>
    public Instant LastCaughtUp { get; private set; }

    /// <summary>Whether it has everything, or had within the lag that is allowed.</summary>
    public bool IsCaughtUp(long leaderEndOffset, Instant now, long lagMaxMs) =>
        EndOffset == leaderEndOffset || now.MillisecondsSince(LastCaughtUp) <= lagMaxMs;

    /// <summary>Begins a leader epoch: a member of the ISR has its full time to fetch, another must prove itself.</summary>
    internal void Begin(long leaderEndOffset, bool isLeaderNew, bool isInSync, Instant now)
    {
        LastCaughtUp = isInSync ? now : default;
        if (isLeaderNew)
        {
            (BrokerEpoch, EndOffset, LogStartOffset) = (null, Unknown, Unknown);
            (_lastFetch, _leaderEndAtLastFetch) = (default, Unknown);
        }
        else
        {
            (_lastFetch, _leaderEndAtLastFetch) = (isInSync ? now : default, leaderEndOffset);
        }
    }

    /// <summary>
    /// Takes over a fetch. The follower is caught up now if it has everything; and it was at its fetch before if it has everything of then:
    /// under constant load it never has everything at once.
    /// </summary>
    internal void OnFetch(in FollowerFetch fetch)
    {
        if (fetch.FetchOffset >= fetch.LeaderEndOffset)
            CatchUp(fetch.Now);
        else if (fetch.FetchOffset >= _leaderEndAtLastFetch)
            CatchUp(_lastFetch);
        BrokerEpoch = fetch.BrokerEpoch;
        EndOffset = fetch.FetchOffset;
        LogStartOffset = fetch.LogStartOffset;
        _lastFetch = fetch.Now;
        _leaderEndAtLastFetch = Math.Max(_leaderEndAtLastFetch, fetch.LeaderEndOffset);
    }

    /// <summary>
    /// The leader appends. A follower that has everything before it is caught up at this moment: so one that had nothing to fetch for hours
    /// has its full time from now on.
    /// </summary>
    internal void OnAppend(long endBefore, Instant now)
    {
        if (EndOffset == endBefore)
            CatchUp(now);
    }

    private void CatchUp(Instant at)
    {
        if (at > LastCaughtUp)
            LastCaughtUp = at;
    }
}
