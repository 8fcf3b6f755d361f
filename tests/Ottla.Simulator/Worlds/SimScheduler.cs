using System.Diagnostics;
using System.Globalization;
using Ottla.Kernel;

namespace Ottla.Simulator.Worlds;

/// <summary>Runs everything in a world, one piece of work at a time on one thread, in an order that follows from the seed.</summary>
/// <remarks>
/// Work is what the processes post: continuations of awaits, timers that are due, bytes that arrive. Of all that could run next, any may.
/// When nothing can, the clock jumps to the next timer; now and then it goes on a little earlier, as if the work were slow. Lives as long
/// as the world.
/// </remarks>
public sealed class SimScheduler
{
    /// <summary>How much later than now a timer may be to get ahead of work that is ready.</summary>
    private const long OvertakingTicksMax = 2 * TimeSpan.TicksPerMillisecond;
    private const int OvertakingOneIn = 64;

    private readonly int _threadId = Environment.CurrentManagedThreadId;
    private readonly Prng _random;
    private readonly List<Work> _ready = [];
    private readonly PriorityQueue<(SimTimer Timer, long Version), (long Ticks, long Order)> _timers = new();
    private string? _escape;
    private long _timerOrder;
    private (long Step, Action Action)? _interruption;

    /// <summary>A scheduler at the beginning of time.</summary>
    public SimScheduler(Prng random) => _random = random;

    /// <summary>The time, in ticks of UTC. It begins at the same moment in every world.</summary>
    public long NowTicks { get; private set; } = new DateTime(2026, 1, 2, 0, 0, 0, DateTimeKind.Utc).Ticks;

    /// <summary>How many pieces of work were run.</summary>
    public long Steps { get; private set; }

    /// <summary>A hash of everything that was run, in its order and at its time: two runs with the same hash went the same way.</summary>
    public ulong TraceHash { get; private set; } = 14695981039346656037;

    /// <summary>Runs until <paramref name="isDone"/>.</summary>
    /// <param name="isDone">Asked before each piece of work.</param>
    /// <param name="limit">How much simulated time it may take.</param>
    /// <exception cref="SimulationException">Nothing can run any more, time is up, or something got away to another thread.</exception>
    public void Run(Func<bool> isDone, TimeSpan limit)
    {
        var deadline = NowTicks + limit.Ticks;
        var outer = SynchronizationContext.Current;
        try
        {
            while (!isDone())
            {
                if (_escape is { } escape)
                    throw new SimulationException(
                        $"Something ran on another thread, and would run otherwise the next time:{Environment.NewLine}{escape}");
                if (_ready.Count == 0 || _random.NextInt(OvertakingOneIn) == 0)
                    FireTimers(mayJump: _ready.Count == 0);
                if (NowTicks > deadline)
                    throw new SimulationException($"It is not over after {limit} of simulated time.");
                RunOne();
            }
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(outer);
        }
    }

    /// <summary>Mixes something into <see cref="TraceHash"/>.</summary>
    public void Trace(ulong value) => TraceHash = (TraceHash ^ value) * 1099511628211;

    /// <summary>
    /// Has <paramref name="action"/> done between two pieces of work, <paramref name="steps"/> from now. One at a time: a later call
    /// replaces an earlier one.
    /// </summary>
    public void InterruptAfter(int steps, Action action) => _interruption = (Steps + steps, action);

    /// <summary>Has <paramref name="action"/> done in a process after a time.</summary>
    public void After(TimeSpan delay, SimProcess process, Action action) =>
        new SimTimer(this, process, static action => ((Action)action!)(), action).Change(delay, Timeout.InfiniteTimeSpan);

    internal void Enqueue(SimProcess process, SendOrPostCallback callback, object? state)
    {
        if (!process.IsAlive)
            return; // nobody cares, not even when finalizers run
        if (Environment.CurrentManagedThreadId != _threadId)
            Interlocked.CompareExchange(ref _escape, new StackTrace(fNeedFileInfo: true).ToString(), null);
        else if (process.IsPaused)
            process.Hold(callback, state);
        else
            _ready.Add(new Work(process, callback, state));
    }

    internal void Schedule(SimTimer timer, long version, long ticks) =>
        _timers.Enqueue((timer, version), (Math.Max(ticks, NowTicks), _timerOrder++));

    private void RunOne()
    {
        if (_interruption is var (step, action) && Steps >= step)
        {
            _interruption = null;
            action();
            return;
        }

        if (_ready.Count == 0)
            return; // the timer that fired belonged to a process that is dead
        var index = _random.NextInt(_ready.Count);
        var work = _ready[index];
        _ready[index] = _ready[^1];
        _ready.RemoveAt(_ready.Count - 1);
        if (!work.Process.IsAlive)
            return;
        if (work.Process.IsPaused)
        {
            work.Process.Hold(work.Callback, work.State);
            return;
        }

        Steps++;
        Trace((ulong)NowTicks);
        Trace((ulong)index);
        Trace((ulong)work.Process.Number);
        work.Process.Run(work.Callback, work.State);
    }

    /// <summary>Makes ready what is due next.</summary>
    private void FireTimers(bool mayJump)
    {
        while (_timers.TryPeek(out var next, out var due))
        {
            if (!next.Timer.IsDue(next.Version))
            {
                _timers.Dequeue();
                continue;
            }

            if (due.Ticks > NowTicks)
            {
                if (!mayJump && due.Ticks > NowTicks + OvertakingTicksMax)
                    return;
                NowTicks = due.Ticks;
            }

            while (_timers.TryPeek(out next, out var same) && same.Ticks <= NowTicks)
            {
                _timers.Dequeue();
                if (next.Timer.IsDue(next.Version))
                    next.Timer.Fire();
            }

            return;
        }

        if (mayJump)
            throw new SimulationException(
                string.Create(CultureInfo.InvariantCulture, $"Nothing can go on after step {Steps}: everybody waits for somebody else."));
    }

    private readonly record struct Work(SimProcess Process, SendOrPostCallback Callback, object? State);
}
