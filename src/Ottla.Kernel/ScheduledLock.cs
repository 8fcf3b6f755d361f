namespace Ottla.Kernel;

/// <summary>A lock whose order a simulation decides; outside of a simulation it is a <see cref="Lock"/>.</summary>
/// <remarks>
/// For locks that are held, or waited for, while files are worked on: <c>using (_lock.EnterScope())</c>. A thread that holds it may enter
/// it again.
/// </remarks>
public sealed class ScheduledLock
{
    private readonly Lock _lock = new();

    /// <summary>Waits for the lock and takes it; the result gives it back.</summary>
    public Lock.Scope EnterScope()
    {
        if (LockScheduler.IsAnywhere)
            LockScheduler.Current?.BeforeEnter(_lock);
        return _lock.EnterScope();
    }

    /// <summary>Takes the lock if nobody else has it.</summary>
    /// <returns>Whether it was taken.</returns>
    public bool TryEnter()
    {
        if (LockScheduler.IsAnywhere)
            LockScheduler.Current?.BeforeTryEnter();
        return _lock.TryEnter();
    }

    /// <summary>Gives back what <see cref="TryEnter"/> took.</summary>
    public void Exit() => _lock.Exit();
}

/// <summary>Decides in a simulation which thread goes on at a lock. No thread outside of a simulation has one.</summary>
public abstract class LockScheduler
{
    [ThreadStatic]
    private static LockScheduler? t_current;

    /// <summary>The scheduler of this thread; null outside of simulations.</summary>
    public static LockScheduler? Current
    {
        get => t_current;
        set
        {
            IsAnywhere = true;
            t_current = value;
        }
    }

    /// <summary>Whether this process has ever simulated. Quicker to read than <see cref="Current"/>.</summary>
    public static bool IsAnywhere { get; private set; }

    /// <summary>This thread wants a lock. Returns when it can take it at once.</summary>
    public abstract void BeforeEnter(Lock wanted);

    /// <summary>This thread takes a lock if nobody else has it.</summary>
    public abstract void BeforeTryEnter();
}
