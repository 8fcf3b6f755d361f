// The second home of Thread (the first is EpollThread): work that would hold up a network loop, or starve the thread pool of the few
// threads it has.
#pragma warning disable RS0030

namespace Ottla.Broker.Server;

/// <summary>
/// Runs the requests that take long: a few threads of their own, and one queue before them. So no client holds up the others of its network
/// loop.
/// </summary>
/// <remarks>
/// One per node, from start to stop; queued from any thread. A connection has one request here at most, so the queue is never longer than
/// there are connections. Threads are started when they are needed, and kept. Under a synchronization context (the simulator's) work runs
/// there instead.
/// </remarks>
public sealed class HeavyRequests : IDisposable
{
    /// <summary>
    /// A request that is estimated to take longer leaves the network loop. Below, a change of threads would cost more than it spares the
    /// others.
    /// </summary>
    public const int MicrosecondsOnLoopMax = 1_000;

    /// <summary>What a handler estimates that works for an unknown time.</summary>
    public const int Unbounded = int.MaxValue;

    private readonly object _gate = new();
    private readonly Queue<IThreadPoolWorkItem> _queue = new();
    private readonly Func<int> _threadsMax;
    private int _threadCount;
    private int _idleCount;
    private bool _isClosed;

    /// <summary>Makes the queue; no thread runs yet.</summary>
    /// <param name="threadsMax">
    /// How many requests run at once, asked for each time: <c>num.io.threads</c>, but no more than there are processors. What computes gains
    /// nothing from more threads, and the network loops want their share.
    /// </param>
    public HeavyRequests(Func<int> threadsMax) => _threadsMax = threadsMax;

    /// <summary>Runs <paramref name="work"/>, which must not throw, as soon as there is a thread for it.</summary>
    public void Queue(IThreadPoolWorkItem work)
    {
        if (SynchronizationContext.Current is { } context)
        {
            context.Post(static work => ((IThreadPoolWorkItem)work!).Execute(), work);
            return;
        }

        lock (_gate)
        {
            _queue.Enqueue(work);
            if (_idleCount >= _queue.Count || _threadCount >= Math.Max(1, _threadsMax()))
            {
                Monitor.Pulse(_gate);
                return;
            }

            _threadCount++;
        }

        new Thread(Run) { IsBackground = true, Name = "ottla-heavy" }.UnsafeStart();
    }

    /// <summary>Runs <paramref name="work"/> and completes with it, also when it throws.</summary>
    public Task RunAsync(Action work)
    {
        var item = new AwaitedWork(work);
        Queue(item);
        return item.Completion;
    }

    /// <summary>Lets the threads end once nothing is queued.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _isClosed = true;
            Monitor.PulseAll(_gate);
        }
    }

    private void Run()
    {
        while (TryTake(out var work))
            work.Execute();
    }

    private bool TryTake(out IThreadPoolWorkItem work)
    {
        lock (_gate)
        {
            while (!_queue.TryDequeue(out work!))
            {
                if (_isClosed || _threadCount > Math.Max(1, _threadsMax()))
                {
                    _threadCount--;
                    return false;
                }

                _idleCount++;
                Monitor.Wait(_gate);
                _idleCount--;
            }

            return true;
        }
    }

    private sealed class AwaitedWork(Action work) : IThreadPoolWorkItem
    {
        // Whoever awaits goes on to read its connection, and must not keep a thread from the next request.
        private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Completion => _done.Task;

        public void Execute()
        {
            try
            {
                work();
                _done.SetResult();
            }
            catch (Exception e) // it is the awaiter's
            {
                _done.SetException(e);
            }
        }
    }
}
