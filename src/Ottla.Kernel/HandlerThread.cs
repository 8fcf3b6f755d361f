namespace Ottla.Kernel;

/// <summary>A thread that runs the handlers of many connections to completion, one after another: where those who receive, store and wake meet it without knowing the network.</summary>
/// <remarks>Elsewhere (thread pool, simulator, tests) there is none: then nothing is deferred to it, and blocking is the thread's own matter.</remarks>
public abstract class HandlerThread
{
    [ThreadStatic]
    private static HandlerThread? _current;

    /// <summary>The one that the calling code runs on; null elsewhere.</summary>
    public static HandlerThread? Current => _current;

    /// <summary>Tells that the caller is about to wait for a disk for long: whoever else depends on this thread is looked after by another one from now on.</summary>
    public static void AboutToBlock() => _current?.OnAboutToBlock();

    /// <summary>Runs <paramref name="work"/> on this thread once the handler that runs now is done, or sooner elsewhere. Called on this thread only.</summary>
    public abstract void Defer(IThreadPoolWorkItem work);

    /// <summary>The running handler is about to block.</summary>
    protected abstract void OnAboutToBlock();

    /// <summary>Makes <paramref name="current"/> what the calling thread runs as.</summary>
    protected static void Enter(HandlerThread? current) => _current = current;
}
