namespace Ottla.Kernel;

/// <summary>
/// A thread that runs the handlers of many connections, one handler after another, each to its end. It lets storage and replication code
/// defer work and announce blocking calls without a reference to the network.
/// </summary>
/// <remarks>
/// Other threads (thread pool, simulator, tests) have no handler thread: <see cref="Current"/> is null there and <see cref="AboutToBlock"/>
/// does nothing.
/// </remarks>
public abstract class HandlerThread
{
    [ThreadStatic]
    private static HandlerThread? _current;

    /// <summary>The handler thread that runs the calling code; null on other threads.</summary>
    public static HandlerThread? Current => _current;

    /// <summary>
    /// Announces that the caller is about to wait long for a disk, or to compute for long. Another thread then serves the connections of
    /// this one.
    /// </summary>
    public static void AboutToBlock() => _current?.OnAboutToBlock();

    /// <summary>
    /// Runs <paramref name="work"/> on this thread after the current handler, or on the thread pool if too much work is deferred already.
    /// Only this thread may call it.
    /// </summary>
    public abstract void Defer(IThreadPoolWorkItem work);

    /// <summary>The running handler is about to take long.</summary>
    protected abstract void OnAboutToBlock();

    /// <summary>Sets <see cref="Current"/> for the calling thread.</summary>
    protected static void Enter(HandlerThread? current) => _current = current;
}
