using System.Globalization;
using System.Net;
using Ottla.Kernel;

namespace Ottla.Simulator.Worlds;

/// <summary>
/// A world that follows from its seed: processes on a network, with one clock, run one step at a time. Lives for one run.
/// </summary>
public sealed class World
{
    private static readonly TimeSpan LimitDefault = TimeSpan.FromHours(1);

    private readonly TextWriter? _log;
    private int _lastProcess;
    private SimulationException? _failure;

    /// <summary>An empty world.</summary>
    /// <param name="seed">Everything random follows from it.</param>
    /// <param name="log">Where to tell what happens; null for silence.</param>
    public World(ulong seed, TextWriter? log = null)
    {
        Seed = seed;
        _log = log;
        Random = new Prng(seed);
        Scheduler = new SimScheduler(new Prng(Random.NextUInt64()));
        Network = new SimNetwork(Scheduler, new Prng(Random.NextUInt64()));
    }

    /// <summary>Where everything comes from.</summary>
    public ulong Seed { get; }

    /// <summary>For what the workload decides.</summary>
    public Prng Random { get; }

    /// <summary>What runs everything.</summary>
    public SimScheduler Scheduler { get; }

    /// <summary>What connects the processes.</summary>
    public SimNetwork Network { get; }

    /// <summary>A process that does nothing yet.</summary>
    /// <param name="name">What it is called in the log.</param>
    /// <param name="address">Its host; null for a host of its own.</param>
    public SimProcess NewProcess(string name, IPAddress? address = null)
    {
        var number = ++_lastProcess;
        return new SimProcess(Scheduler, Network, number, name, address ?? new IPAddress([10, 1, (byte)(number >> 8), (byte)number]))
        {
            Fail = Fail,
            Tell = _log is null ? null : what => Tell(name, what),
        };
    }

    /// <summary>Runs <paramref name="body"/> in a process of its own, and with it whatever it starts, until it is over.</summary>
    /// <exception cref="SimulationException">It fails, or does not come to an end.</exception>
    public void Run(Func<SimProcess, Task> body)
    {
        var process = NewProcess("director");
        var main = process.Start(() => body(process));
        try
        {
            Scheduler.Run(() => main.IsCompleted || _failure is not null, LimitDefault);
            if (_failure is not null)
                throw _failure;
        }
        catch (SimulationException e)
        {
            throw new SimulationException($"at {Describe(Scheduler.NowTicks)}, step {Scheduler.Steps}: {e.Message}", e);
        }

        if (main.Exception?.InnerException is { } failure)
            throw failure as SimulationException
            ?? new SimulationException($"at {Describe(Scheduler.NowTicks)}, step {Scheduler.Steps}: {failure.Message}", failure);
        Tell(process.Name, $"is done; the hash of all that was run is {Scheduler.TraceHash:x16}");
    }

    /// <summary>Something happened that must not: the run ends.</summary>
    public void Fail(SimulationException failure) => _failure ??= failure;

    /// <summary>Tells whoever looks at this seed what happens.</summary>
    public void Tell(string who, FormattableString what) =>
        _log?.WriteLine($"{Describe(Scheduler.NowTicks)} {Scheduler.Steps,8} {who,-12} {what.ToString(CultureInfo.InvariantCulture)}");

    private static string Describe(long ticks) =>
        new DateTime(ticks, DateTimeKind.Utc).ToString("HH:mm:ss.ffffff", CultureInfo.InvariantCulture);
}
