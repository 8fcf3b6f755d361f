// One of the few places that may start threads: this work would block a network loop, or take all threads of the small thread pool.
#pragma warning disable RS0030

using Ottla.Kernel;

namespace Ottla.Broker.Server;

/// <summary>
/// Runs requests that take long on a few threads of its own, from one queue, so that they do not delay the other clients of their network
/// loop.
/// </summary>
/// <remarks>
/// One per node, from start to stop; any thread may add work. A connection has at most one request here, so the number of connections
/// bounds the queue. Threads are started when they are needed, and kept. Under a synchronization context (in the simulator), work runs
/// there instead.
/// </remarks>
public sealed class HeavyRequests : IDisposable
{
    /// <summary>
    /// A request whose estimate is longer leaves the network loop. For shorter ones, the change of threads would cost more than it gains.
    /// </summary>
    public const int MicrosecondsOnLoopMax = 1_000;

    /// <summary>The estimate of a handler that cannot know how long it takes.</summary>
    public const int Unbounded = int.MaxValue;

    private readonly object _gate = new();
    private readonly Queue<IThreadPoolWorkItem> _queue = new();
    private readonly Func<int> _threadsMax;
    private readonly bool _isUrgent;
    private int _threadCount;
    private int _idleCount;
    private bool _isClosed;

    /// <summary>Creates the queue without threads.</summary>
    /// <param name="threadsMax">
    /// How many requests run at once: <c>num.io.threads</c>, or the number of processors if that is lower, because these requests compute
    /// and gain nothing from more threads. Read at each use.
    /// </param>
    /// <param name="isUrgent">Whether its threads compete with all others for the processors, or give way to them.</param>
    public HeavyRequests(Func<int> threadsMax, bool isUrgent = true)
    {
        _threadsMax = threadsMax;
        _isUrgent = isUrgent;
    }

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

    /// <summary>Runs <paramref name="work"/> and completes when it does, with its exception if it throws.</summary>
    public Task RunAsync(Action work)
    {
        var item = new AwaitedWork(work);
        Queue(item);
        return item.Completion;
    }

    /// <summary>Ends the threads when the queue is empty.</summary>
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
        if (!_isUrgent)
            ThreadPriorities.GiveWay();
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
        // Not inline: the awaiting connection continues with reading, and would keep this thread from the next request.
        private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Completion => _done.Task;

        public void Execute()
        {
            try
            {
                work();
                _done.SetResult();
            }
            catch (Exception e) // the awaiting task gets it
            {
                _done.SetException(e);
            }
        }
    }
}
