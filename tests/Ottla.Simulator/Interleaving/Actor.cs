using System.Collections.Concurrent;
using Ottla.Kernel;

namespace Ottla.Simulator.Interleaving;

/// <summary>Work on a thread of its own that goes on only when its <see cref="Interleaver"/> says so.</summary>
internal sealed class Actor : LockScheduler, IDisposable
{
    /// <summary>An actor that takes longer for one step is blocked by something that the simulation does not see.</summary>
    private static readonly TimeSpan s_stepLimit = TimeSpan.FromMinutes(1);

    private readonly string _name;
    private readonly Func<Task> _work;
    private readonly SemaphoreSlim _mayGoOn = new(0);
    private readonly SemaphoreSlim _hasStopped = new(0);
    private readonly ConcurrentQueue<(SendOrPostCallback Callback, object? State)> _continuations = [];
    private Exception? _failure;
    private Lock? _wanted;
    private bool _isIdle;
    private string _point = "the beginning";
    private volatile bool _isAbandoned;
    private Thread? _thread;

    public Actor(string name, Func<Task> work, bool isService)
    {
        _name = name;
        _work = work;
        IsService = isService;
    }

    public bool IsService { get; }

    public bool IsDone { get; private set; }

    public bool IsWaitingForLock => _wanted is not null;

    public bool CanGoOn => !IsDone && (!_isIdle || !_continuations.IsEmpty) && (_wanted is null || IsFree(_wanted));

    /// <summary>A point at which another actor may go on; does nothing on threads that are no actor's.</summary>
    public static void Pause(string point) => (Current as Actor)?.StopAt(point);

    public void Begin()
    {
        _thread = new Thread(Run) { IsBackground = true, Name = _name };
        _thread.Start();
    }

    /// <summary>Lets the actor go on to its next point.</summary>
    public void GoOn()
    {
        _mayGoOn.Release();
        if (!_hasStopped.Wait(s_stepLimit))
            throw new SimulationException($"{this} is blocked by something that the simulation does not see.");
        if (_failure is not null)
            throw new SimulationException($"The {_name} failed: {_failure.Message}", _failure);
    }

    /// <summary>Ends the thread, at the point where it has stopped.</summary>
    public void Dispose()
    {
        _isAbandoned = true;
        if (!IsDone)
            _mayGoOn.Release();
        if (_thread?.Join(s_stepLimit) == false)
            return; // what it is blocked by was reported; its semaphores stay for it
        _mayGoOn.Dispose();
        _hasStopped.Dispose();
    }

    public override void BeforeEnter(Lock wanted)
    {
        if (wanted.IsHeldByCurrentThread)
            return;
        _wanted = wanted;
        StopAt("a lock");
        _wanted = null;
    }

    public override void BeforeTryEnter() => StopAt("a try for a lock");

    public override string ToString() => $"{_name} at {_point}";

    private static bool IsFree(Lock wanted)
    {
        if (!wanted.TryEnter())
            return false;
        wanted.Exit();
        return true;
    }

    private void StopAt(string point)
    {
        if (_isAbandoned)
            throw new AbandonedException(); // again: code that survives any exception of its work has caught the first one
        _point = point;
        _hasStopped.Release();
        _mayGoOn.Wait();
        if (_isAbandoned)
            throw new AbandonedException();
    }

    private void Run()
    {
        Current = this;
        SynchronizationContext.SetSynchronizationContext(new Context(_continuations));
        try
        {
            _mayGoOn.Wait();
            if (_isAbandoned)
                return;
            var task = _work();
            while (!task.IsCompleted)
            {
                if (_continuations.TryDequeue(out var continuation))
                {
                    continuation.Callback(continuation.State);
                    continue;
                }

                _isIdle = true;
                StopAt("an await");
                _isIdle = false;
            }

            task.GetAwaiter().GetResult();
        }
        catch (AbandonedException)
        {
            return;
        }
        catch (Exception e)
        {
            _failure = e;
        }

        IsDone = true;
        _hasStopped.Release();
    }

    /// <summary>The run is over, and this actor's thread ends.</summary>
    private sealed class AbandonedException : Exception;

    private sealed class Context(ConcurrentQueue<(SendOrPostCallback Callback, object? State)> continuations) : SynchronizationContext
    {
        public override void Post(SendOrPostCallback d, object? state) => continuations.Enqueue((d, state));

        public override void Send(SendOrPostCallback d, object? state) =>
            throw new NotSupportedException("Nothing here waits for another actor's thread.");
    }
}
