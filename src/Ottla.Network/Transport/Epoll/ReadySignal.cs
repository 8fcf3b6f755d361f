namespace Ottla.Network.Transport.Epoll;

/// <summary>
/// Whether one direction of a socket is worth a call, and whether somebody waits until it is. Set by the loop's thread, tried by the one who receives
/// or sends, cancelled by anyone; no lock.
/// </summary>
/// <remarks>
/// The kernel tells each change once (edge-triggered). So whoever tries forgets first and tries then: what comes in between stays remembered, and
/// <see cref="TryWait"/> refuses to wait.
/// </remarks>
internal struct ReadySignal
{
    private const int NotReady = 0;
    private const int Ready = 1;
    private const int Waiting = 2;

    private int _state;

    /// <summary>A signal that is set: a new socket may be tried.</summary>
    public static ReadySignal Set => new() { _state = Ready };

    /// <summary>Whether a call may find something.</summary>
    public readonly bool IsReady => Volatile.Read(in _state) == Ready;

    /// <summary>Forgets, before a call is tried.</summary>
    public void Reset() => Interlocked.Exchange(ref _state, NotReady);

    /// <summary>Remembers after a call that left something over.</summary>
    public void Keep() => Interlocked.Exchange(ref _state, Ready);

    /// <summary>Begins to wait for <see cref="Raise"/>.</summary>
    /// <returns>False when it came already: try again.</returns>
    public bool TryWait() => Interlocked.CompareExchange(ref _state, Waiting, NotReady) == NotReady;

    /// <summary>There is news.</summary>
    /// <returns>True when somebody waited: the caller is to go on for them, and is the only one to.</returns>
    public bool Raise() => Interlocked.Exchange(ref _state, Ready) == Waiting;

    /// <summary>Ends a wait without news.</summary>
    /// <returns>True when somebody waited: the caller is to tell them, and is the only one to.</returns>
    public bool TryCancel() => Interlocked.CompareExchange(ref _state, NotReady, Waiting) == Waiting;
}
