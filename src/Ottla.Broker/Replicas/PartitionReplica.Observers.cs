using Ottla.Kernel;

namespace Ottla.Broker.Replicas;

/// <content>Who waits for the replica, and who is told what changes in it.</content>
public sealed partial class PartitionReplica
{
    private readonly ScheduledLock _waitersLock = new();
    private readonly List<DataWaiter> _waiters = [];

    private long _announcedLogStart;

    /// <summary>Replaced as a whole, under <see cref="_waitersLock"/>.</summary>
    private volatile IReplicaObserver[] _observers = [];

    /// <summary>Wakes <paramref name="waiter"/> when there is more to read, or the leader or the ISR changes.</summary>
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
            WakeWaiters();
        foreach (var observer in _observers)
            observer.OnChange(this, change);
    }

    private void WakeWaiters()
    {
        using (_waitersLock.EnterScope())
        {
            foreach (var waiter in _waiters)
                waiter.Wake();
            _waiters.Clear();
        }
    }
}
