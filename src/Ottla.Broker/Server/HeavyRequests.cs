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
    private readonly TimeProvider _time;
    private readonly bool _isUrgent;

    // The fields below are guarded by _gate.
    private int _threadCount;
    private int _idleCount;
    private int _runningCount;
    private TimeSpan _busyTime;
    private long _busyUntil;
    private bool _isClosed;

    /// <summary>Creates the queue without threads.</summary>
    /// <param name="threadsMax">
    /// How many requests run at once: <c>num.io.threads</c>, or the number of processors if that is lower, because these requests compute
    /// and gain nothing from more threads. Read at each use.
    /// </param>
    /// <param name="time">Measures how busy the threads are.</param>
    /// <param name="isUrgent">Whether its threads compete with all others for the processors, or give way to them.</param>
    public HeavyRequests(Func<int> threadsMax, TimeProvider time, bool isUrgent = true)
    {
        _threadsMax = threadsMax;
        _time = time;
        _busyUntil = time.GetTimestamp();
        _isUrgent = isUrgent;
    }

    /// <summary>How busy its threads are; those that are not needed yet count as well.</summary>
    public ThreadLoad Load
    {
        get
        {
            lock (_gate)
            {
                CountBusyTime();
                return new ThreadLoad(Math.Max(Math.Max(1, _threadsMax()), _threadCount), _busyTime);
            }
        }
    }

    /// <summary>How many requests wait for a thread.</summary>
    public int QueueLength
    {
        get
        {
            lock (_gate)
                return _queue.Count;
        }
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
        for (var isFirst = true; TryTake(isFirst, out var work); isFirst = false)
            work.Execute();
    }

    /// <param name="isFirst">Whether the thread asks for its first request: otherwise it has just done one.</param>
    /// <param name="work">What to do next.</param>
    private bool TryTake(bool isFirst, out IThreadPoolWorkItem work)
    {
        lock (_gate)
        {
            CountBusyTime();
            _runningCount -= isFirst ? 0 : 1;
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
                CountBusyTime();
            }

            _runningCount++;
            return true;
        }
    }

    /// <summary>Adds the time since the last call. Before each change of how many run, under the lock.</summary>
    private void CountBusyTime()
    {
        var now = _time.GetTimestamp();
        _busyTime += _runningCount * _time.GetElapsedTime(_busyUntil, now);
        _busyUntil = now;
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
