using System.Collections.Concurrent;
using Ottla.Kernel;

// The one home of Thread: handlers run to completion on the few threads that wait for the network (docs/adr/0009).
#pragma warning disable RS0030
#pragma warning disable CA1001 // Threads, and what wakes them, live as long as the process.

namespace Ottla.Network.Transport.Epoll;

/// <summary>A thread that serves a loop, or waits to be needed for one.</summary>
/// <remarks>
/// A handler that blocks (an fsync, a cold read) says so first: another thread then takes the loop over where it stands, and this one is kept for the next
/// time once its handler is done. So a slow disk stops nobody but who waits for it, and while nobody blocks there is one thread to a loop and no hop.
/// </remarks>
internal sealed class EpollThread : HandlerThread
{
    /// <summary>Threads in the process at most. With all of them blocked, their loops' connections wait for the disk, too.</summary>
    private const int ThreadsMax = 64;

    private static readonly ConcurrentStack<EpollThread> Spares = new();
    private static int _threadCount;

    private readonly SemaphoreSlim _wanted = new(0);

    private EpollThread(EpollLoop loop) => Loop = loop;

    /// <summary>The loop that this thread serves; null when it has handed it over.</summary>
    public EpollLoop? Loop { get; private set; }

    /// <summary>Finds a thread for a loop that has none.</summary>
    /// <returns>False when there are too many threads.</returns>
    public static bool TryStart(EpollLoop loop)
    {
        if (Spares.TryPop(out var spare))
        {
            spare.Loop = loop;
            spare._wanted.Release();
            return true;
        }

        if (Interlocked.Increment(ref _threadCount) > ThreadsMax)
        {
            Interlocked.Decrement(ref _threadCount);
            return false;
        }

        var thread = new EpollThread(loop);
        new Thread(thread.Run) { IsBackground = true, Name = $"ottla-io-{loop.Index}" }.UnsafeStart();
        return true;
    }

    /// <inheritdoc/>
    public override void Defer(IThreadPoolWorkItem work)
    {
        if (Loop?.TryDefer(work) != true)
            ThreadPool.UnsafeQueueUserWorkItem(work, preferLocal: false);
    }

    /// <inheritdoc/>
    protected override void OnAboutToBlock()
    {
        if (Loop is not { } loop)
            return;
        Loop = null;
        if (!TryStart(loop))
            Loop = loop;
    }

    private void Run()
    {
        Enter(this);
        while (true)
        {
            Loop!.Serve(this);
            Spares.Push(this);
            _wanted.Wait();
        }
    }
}
