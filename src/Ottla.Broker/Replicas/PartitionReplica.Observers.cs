using Ottla.Kernel;

namespace Ottla.Broker.Replicas;

/// <content>Who waits for the replica, and who is told what changes in it.</content>
public sealed partial class PartitionReplica
{
    private readonly ScheduledLock _waitersLock = new();
    private readonly List<DataWaiter> _waiters = [];

    /// <summary>Who waits for a commit, by offsets; null until somebody has. Guarded by <see cref="_waitersLock"/>.</summary>
    private List<CommitWaiter>? _commitWaiters;

    private long _announcedLogStart;

    /// <summary>Replaced as a whole, under <see cref="_waitersLock"/>.</summary>
    private volatile IReplicaObserver[] _observers = [];

    /// <summary>Wakes <paramref name="waiter"/> when there is more to read, or the leader changes.</summary>
    public void AddWaiter(DataWaiter waiter)
    {
        using (_waitersLock.EnterScope())
            _waiters.Add(waiter);
    }

    /// <summary>Removes a waiter.</summary>
    public void RemoveWaiter(DataWaiter waiter)
    {
        using (_waitersLock.EnterScope())
            _waiters.Remove(waiter);
    }

    /// <summary>The deadlines of who waits for a commit.</summary>
    internal CommitDeadlines CommitDeadlines => _surroundings.CommitDeadlines;

    /// <summary>Wakes a waiter when the high watermark reaches an offset, or the leader changes.</summary>
    internal void AddCommitWaiter(CommitWaiter waiter, long offset)
    {
        using (_waitersLock.EnterScope())
        {
            var waiters = _commitWaiters ??= [];
            var place = waiters.Count; // appends come in order, mostly
            while (place > 0 && waiters[place - 1].Offset > offset)
                place--;
            waiters.Insert(place, waiter);
            waiter.OnListed(offset);
        }
    }

    /// <summary>Removes a waiter, if it is there still.</summary>
    internal void RemoveCommitWaiter(CommitWaiter waiter)
    {
        using (_waitersLock.EnterScope())
            _commitWaiters?.Remove(waiter);
    }

    /// <summary>Tells an observer of every change from now on.</summary>
    public void AddObserver(IReplicaObserver observer)
    {
        using (_waitersLock.EnterScope())
            _observers = [.. _observers, observer];
    }

    /// <summary>Tells an observer no more; a call that is under way may still come.</summary>
    public void RemoveObserver(IReplicaObserver observer)
    {
        using (_waitersLock.EnterScope())
            _observers = [.. _observers.Where(known => !ReferenceEquals(known, observer))];
    }

    /// <summary>Announces that the log starts elsewhere since the last call: retention has deleted segments.</summary>
    public void AnnounceLogStart()
    {
        var start = Log.LogStartOffset;
        if (Interlocked.Exchange(ref _announcedLogStart, start) != start)
            Announce(ReplicaChange.LogStart);
    }

    /// <summary>Wakes who waits, and tells the observers. Never called under a lock.</summary>
    private void Announce(ReplicaChange change)
    {
        // Only followers read what is not committed, and these are observers.
        if (change != ReplicaChange.Appended)
            WakeWaiters(change);
        foreach (var observer in _observers)
            observer.OnChange(this, change);
    }

    private void WakeWaiters(ReplicaChange change)
    {
        CommitWaiter? claimed;
        using (_waitersLock.EnterScope())
        {
            foreach (var waiter in _waiters)
                waiter.Wake();
            _waiters.Clear();
            claimed = _commitWaiters is { Count: > 0 } waiters && (change & (ReplicaChange.HighWatermark | ReplicaChange.Leadership)) != 0
                ? ClaimDue(waiters, (change & ReplicaChange.Leadership) != 0)
                : null;
        }

        while (claimed is { } waiter)
        {
            (claimed, waiter.NextClaimed) = (waiter.NextClaimed, null);
            waiter.Resume(isListed: false);
        }
    }

    /// <summary>Takes out of the list who waits for what is committed by now. Under the lock.</summary>
    /// <returns>The first of those that the caller goes on with, in the order of the offsets.</returns>
    private CommitWaiter? ClaimDue(List<CommitWaiter> waiters, bool isForAll)
    {
        var highWatermark = Log.HighWatermark;
        CommitWaiter? first = null, last = null;
        var count = 0;
        for (; count < waiters.Count && (isForAll || waiters[count].Offset <= highWatermark); count++)
        {
            var waiter = waiters[count];
            if (!waiter.TryClaim())
                continue; // another thread goes on with it
            if (last is null)
                first = waiter;
            else
                last.NextClaimed = waiter;
            last = waiter;
        }

        waiters.RemoveRange(0, count);
        return first;
    }
}
