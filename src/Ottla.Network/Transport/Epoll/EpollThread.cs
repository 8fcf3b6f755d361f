using System.Collections.Concurrent;
using Ottla.Kernel;

// The only place that makes threads: handlers run to their end on the few threads that wait for the network (docs/adr/0009).
#pragma warning disable RS0030
#pragma warning disable CA1001 // Threads and their events live as long as the process.

namespace Ottla.Network.Transport.Epoll;

/// <summary>A thread that serves a loop, or waits as a spare until a loop needs it. Lives as long as the process.</summary>
/// <remarks>
/// A handler that is about to flush a file (fsync) announces it with <see cref="HandlerThread.AboutToBlock"/>. Another thread then takes
/// the loop over, and this thread becomes a spare when its handler is done. So a slow flush delays only the requests that need it; while
/// nobody flushes, each loop has one thread and requests change no threads. Reads are not announced: a cold read delays the other
/// connections of its loop.
/// </remarks>
internal sealed class EpollThread : HandlerThread
{
    /// <summary>The most threads in the process. If all of them flush, the connections of their loops wait for the disk as well.</summary>
    private const int ThreadsMax = 64;

    private static readonly ConcurrentStack<EpollThread> Spares = new();
    private static int _threadCount;

    private readonly SemaphoreSlim _wanted = new(0);

    private EpollThread(EpollLoop loop) => Loop = loop;

    /// <summary>The loop that this thread serves; null after it handed the loop over.</summary>
    public EpollLoop? Loop { get; private set; }

    /// <summary>Finds a thread for a loop that has none: a spare, or a new one.</summary>
    /// <returns>False when the process already has <see cref="ThreadsMax"/> threads.</returns>
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
