namespace Ottla.Network.Transport.Epoll;

/// <summary>
/// Whether one direction of a socket is ready for a call, and whether somebody waits for that. The loop's thread sets it, the sender or
/// receiver tests it, and any thread cancels it. It needs no lock.
/// </summary>
/// <remarks>
/// The kernel reports each change once (edge-triggered). So the caller resets the signal first and tries the call then: a change in between
/// sets the signal again, and <see cref="TryWait"/> refuses to wait.
/// </remarks>
internal struct ReadySignal
{
    private const int NotReady = 0;
    private const int Ready = 1;
    private const int Waiting = 2;

    private int _state;

    /// <summary>A ready signal: a new socket can be tried.</summary>
    public static ReadySignal Set => new() { _state = Ready };

    /// <summary>Whether a call may succeed.</summary>
    public readonly bool IsReady => Volatile.Read(in _state) == Ready;

    /// <summary>Marks the direction as not ready, before a call is tried.</summary>
    public void Reset() => Interlocked.Exchange(ref _state, NotReady);

    /// <summary>Marks the direction as ready, after a call that left something over.</summary>
    public void Keep() => Interlocked.Exchange(ref _state, Ready);

    /// <summary>Begins to wait for <see cref="Raise"/>.</summary>
    /// <returns>False when <see cref="Raise"/> was called already: try again.</returns>
    public bool TryWait() => Interlocked.CompareExchange(ref _state, Waiting, NotReady) == NotReady;

    /// <summary>Marks the direction as ready.</summary>
    /// <returns>True when somebody waited. Only this caller resumes the waiter.</returns>
    public bool Raise() => Interlocked.Exchange(ref _state, Ready) == Waiting;

    /// <summary>Ends a wait without readiness.</summary>
    /// <returns>True when somebody waited. Only this caller resumes the waiter.</returns>
    public bool TryCancel() => Interlocked.CompareExchange(ref _state, NotReady, Waiting) == Waiting;
}
