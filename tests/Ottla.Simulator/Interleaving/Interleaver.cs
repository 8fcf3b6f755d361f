using Ottla.Kernel;

namespace Ottla.Simulator.Interleaving;

/// <summary>
/// Runs actors, each on a thread of its own, of which only one goes on at a time: the seed decides which, at every file operation and every
/// lock.
/// </summary>
/// <remarks>
/// An actor may be stopped while it holds a lock; another that wants the lock then waits without being asked again until it is free.
/// Continuations of what an actor awaits come back to its thread. When no actor can go on, the clock does. Made for one run.
/// </remarks>
internal sealed class Interleaver : IDisposable
{
    private const int ClockStepMs = 5;

    /// <summary>A run that takes more steps than this makes no progress.</summary>
    private const int StepsMax = 2_000_000;

    private readonly Prng _random;
    private readonly InterleavedClock _clock;
    private readonly int _stayPercent;
    private readonly TextWriter? _log;
    private readonly List<Actor> _actors = [];
    private Actor? _last;

    /// <param name="random">Decides who goes on.</param>
    /// <param name="clock">Goes on when nobody can, and now and then beside them.</param>
    /// <param name="log">Where to tell who goes on; null for silence.</param>
    public Interleaver(Prng random, InterleavedClock clock, TextWriter? log)
    {
        _random = random;
        _clock = clock;
        _log = log;
        _stayPercent = random.NextInt(90); // some runs switch at nearly every point, others seldom
    }

    /// <summary>Adds an actor.</summary>
    /// <param name="name">What the log calls it.</param>
    /// <param name="work">What it does.</param>
    /// <param name="isService">
    /// Whether it goes on for as long as the others do: the run ends when only services are left, which are then asked to stop.
    /// </param>
    public void Add(string name, Func<Task> work, bool isService = false) => _actors.Add(new Actor(name, work, isService));

    /// <summary>Runs until all actors are done.</summary>
    /// <param name="stopServices">Asks the services to stop, once all others are done.</param>
    /// <exception cref="SimulationException">An actor failed, or none can go on.</exception>
    public void Run(Action stopServices)
    {
        foreach (var actor in _actors)
            actor.Begin();
        RunUntil(() => _actors.All(actor => actor.IsDone || actor.IsService));
        stopServices();
        RunUntil(() => _actors.All(actor => actor.IsDone));
    }

    /// <summary>Ends the threads of actors that are not done.</summary>
    public void Dispose()
    {
        foreach (var actor in _actors)
            actor.Dispose();
    }

    private void RunUntil(Func<bool> isDone)
    {
        for (var step = 0; !isDone(); step++)
        {
            if (step == StepsMax)
                throw new SimulationException($"There is no end after {StepsMax} steps: {Describe()}");
            if (_random.NextInt(50) == 0)
                _clock.AdvanceMs(_random.NextInt(ClockStepMs));
            if (Choose() is not { } next)
            {
                if (_actors.Any(actor => actor.IsWaitingForLock))
                    throw new SimulationException($"Locks are taken in a circle: {Describe()}");
                _clock.AdvanceMs(ClockStepMs);
                continue;
            }

            if (next != _last)
                _log?.WriteLine($"  {_clock.NowMs}: {next}");
            _last = next;
            next.GoOn();
        }
    }

    private Actor? Choose()
    {
        if (_last is { CanGoOn: true } last && _random.NextInt(100) < _stayPercent)
            return last;
        var able = _actors.Where(actor => actor.CanGoOn).ToList();
        return able.Count == 0 ? null : able[_random.NextInt(able.Count)];
    }

    private string Describe() => string.Join("; ", _actors.Where(actor => !actor.IsDone).Select(actor => actor.ToString()));
}
