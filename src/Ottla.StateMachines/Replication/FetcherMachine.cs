using Ottla.Kernel;

namespace Ottla.StateMachines.Replication;

/// <summary>What a fetcher goes by.</summary>
/// <param name="ReplicaId">This broker.</param>
/// <param name="BackoffMs"><c>replica.fetch.backoff.ms</c>.</param>
/// <param name="WaitMaxMs"><c>replica.fetch.wait.max.ms</c>.</param>
/// <param name="BytesMin"><c>replica.fetch.min.bytes</c>.</param>
/// <param name="BytesMax"><c>replica.fetch.response.max.bytes</c>.</param>
/// <param name="PartitionBytesMax"><c>replica.fetch.max.bytes</c>.</param>
public sealed record FetcherOptions(int ReplicaId, long BackoffMs, int WaitMaxMs, int BytesMin, int BytesMax, int PartitionBytesMax);

/// <summary>
/// Decides what one fetcher asks its leader for, and what the answers mean for each partition (KIP-227 sessions, KIP-595 truncation).
/// </summary>
/// <remarks>
/// <para>Pure: it reads no log and no clock. The host owns it under a lock, sends one request at a time, works on the logs as
/// <see cref="Judge"/> says, and tells the outcome. In between, partitions may come and go: an outcome for a partition that is
/// <see cref="FetchStage.Gone"/> changes nothing.</para>
/// <para>A request names what has changed since the last one, as the leader's session has the rest: ten thousand idle partitions cost an
/// empty request. So does the work here: it grows with what changes, not with what there is.</para>
/// </remarks>
/// <typeparam name="TReplica">The host's side of a partition.</typeparam>
public sealed partial class FetcherMachine<TReplica>(FetcherOptions options)
    where TReplica : class
{
    private readonly Dictionary<TopicIdPartition, FetcherPartition<TReplica>> _partitions = [];

    /// <summary>The order of a full request: what got records last comes last, so that all get some.</summary>
    private readonly LinkedList<FetcherPartition<TReplica>> _order = [];

    /// <summary>What the next request looks at.</summary>
    private readonly List<FetcherPartition<TReplica>> _listed = [];

    /// <summary>The first delay after an error that passes when the leader's metadata catches up; doubles up to the back-off.</summary>
    private const long FirstDelayMs = 20;

    /// <summary>After as many doublings the delay is past every back-off that makes sense.</summary>
    private const int DoublingsMax = 20;

    /// <summary>What waits after an error, by the ends of the waits.</summary>
    private readonly PriorityQueue<FetcherPartition<TReplica>, Instant> _delayed = new();

    private readonly List<FetcherPartition<TReplica>> _throttled = [];

    /// <summary>How many partitions it has.</summary>
    public int Count => _partitions.Count;

    /// <summary>The partitions.</summary>
    public IReadOnlyCollection<FetcherPartition<TReplica>> Partitions => _partitions.Values;

    /// <summary>When the next delay ends; null when nothing is delayed.</summary>
    public Instant? NextDeadline
    {
        get
        {
            while (_delayed.TryPeek(out var first, out var due))
            {
                if (first.Stage == FetchStage.Delayed && first.DelayedUntil == due)
                    return due;
                _delayed.Dequeue();
            }

            return null;
        }
    }

    /// <summary>The partition of an id; null when this fetcher does not have it.</summary>
    public FetcherPartition<TReplica>? Find(TopicIdPartition id) => _partitions.GetValueOrDefault(id);

    /// <summary>Begins to fetch a partition, or begins anew at another leader epoch (P20: only then).</summary>
    /// <param name="id">The partition.</param>
    /// <param name="replica">The host's side of it.</param>
    /// <param name="leaderEpoch">The leader's epoch.</param>
    /// <param name="position">Where the log stands, read after the former fetcher of the partition was stopped (P4).</param>
    /// <param name="isThrottled">Whether the follower's throttle applies.</param>
    /// <returns>The partition; the one that is there when nothing has changed.</returns>
    public FetcherPartition<TReplica> Follow(
        TopicIdPartition id, TReplica replica, int leaderEpoch, in FetcherPosition position, bool isThrottled = false)
    {
        var former = Find(id);
        if (former is not null && former.LeaderEpoch == leaderEpoch && ReferenceEquals(former.Replica, replica))
            return former;
        if (former is not null)
            Remove(former);
        var partition = new FetcherPartition<TReplica>(id, replica, leaderEpoch, position);
        if (_leaving.Remove(id, out var told))
            (partition.IsInSession, partition.Told) = (true, told); // the leader's session has it still
        _partitions.Add(id, partition);
        _order.AddLast(partition.Place);
        SetThrottled(partition, isThrottled);
        List(partition);
        return partition;
    }

    /// <summary>Fetches a partition no more.</summary>
    public void Stop(FetcherPartition<TReplica> partition)
    {
        if (partition.Stage != FetchStage.Gone)
            Remove(partition);
    }

    /// <summary>Sets whether the follower's throttle applies to a partition.</summary>
    public void SetThrottled(FetcherPartition<TReplica> partition, bool isThrottled)
    {
        if (partition.IsThrottled == isThrottled || partition.Stage == FetchStage.Gone)
            return;
        partition.IsThrottled = isThrottled;
        if (isThrottled)
            _throttled.Add(partition);
        else
            _throttled.Remove(partition);
        if (!isThrottled)
            HoldBack(partition, false);
    }

    /// <summary>Notes where the log of a partition starts by now: retention moves it without a fetch.</summary>
    public void SetLogStartOffset(FetcherPartition<TReplica> partition, long logStartOffset)
    {
        if (partition.Stage == FetchStage.Gone || partition.Next.LogStartOffset == logStartOffset)
            return;
        partition.Next = partition.Next with { LogStartOffset = logStartOffset };
        List(partition);
    }

    private void Remove(FetcherPartition<TReplica> partition)
    {
        partition.Stage = FetchStage.Gone;
        _partitions.Remove(partition.Id);
        _order.Remove(partition.Place);
        if (partition.IsThrottled)
            _throttled.Remove(partition);
        if (!partition.IsInSession)
            return;
        partition.IsInSession = false;
        _leaving.Add(partition.Id, partition.Told);
    }

    /// <summary>Has the next request look at a partition.</summary>
    private void List(FetcherPartition<TReplica> partition)
    {
        if (partition.IsListed)
            return;
        partition.IsListed = true;
        _listed.Add(partition);
    }

    private void Delay(FetcherPartition<TReplica> partition, Instant now) => Delay(partition, options.BackoffMs, now);

    /// <summary>
    /// Delays a partition whose leader may not have heard of it yet: a follower that learns of a topic or an election before its leader
    /// does would otherwise hold up acks=all for the whole back-off.
    /// </summary>
    private void DelayBriefly(FetcherPartition<TReplica> partition, Instant now) =>
        Delay(partition, Math.Min(FirstDelayMs << Math.Min(partition.BriefDelays++, DoublingsMax), options.BackoffMs), now);

    private void Delay(FetcherPartition<TReplica> partition, long delayMs, Instant now)
    {
        partition.Stage = FetchStage.Delayed;
        partition.DelayedUntil = now.AddMilliseconds(delayMs);
        _delayed.Enqueue(partition, partition.DelayedUntil);
        List(partition);
    }

    private void DelayAll(Instant now)
    {
        foreach (var partition in _order)
        {
            if (partition.Stage != FetchStage.Delayed)
                Delay(partition, now);
        }
    }

    private void EndDelays(Instant now)
    {
        // A clock that was set back makes nobody wait longer than one delay.
        while (NextDeadline is { } due && (now >= due || due.MillisecondsSince(now) > options.BackoffMs))
        {
            var partition = _delayed.Dequeue();
            partition.Stage = FetchStage.Fetching;
            List(partition);
        }
    }

    /// <summary>
    /// Keeps throttled partitions out of requests while the quota is used up, unless they are in sync: those would leave the ISR.
    /// </summary>
    private void ApplyThrottle(bool isQuotaExceeded)
    {
        foreach (var partition in _throttled)
            HoldBack(partition, isQuotaExceeded && partition.Lag is not <= 0);
    }

    private void HoldBack(FetcherPartition<TReplica> partition, bool isHeldBack)
    {
        if (partition.IsHeldBack == isHeldBack)
            return;
        partition.IsHeldBack = isHeldBack;
        List(partition);
    }
}
