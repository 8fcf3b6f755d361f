using Ottla.Client;
using Ottla.Simulator.Workloads;
using Ottla.Simulator.Worlds;

namespace Ottla.Simulator.Library;

/// <summary>One run with clients of the library: it makes them, and sees to it that their calls end.</summary>
/// <param name="world">Where.</param>
/// <param name="conditions">What the seed has drawn.</param>
internal abstract class LibrarySession(World world, LibraryConditions conditions) : ClientSession(world)
{
    /// <summary>
    /// What a call may take longer than its bound: other work of the process goes first, and the world is slow now and then.
    /// </summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(1);

    private readonly List<SimProcess> _processes = [];

    /// <summary>What the seed has drawn.</summary>
    public LibraryConditions Conditions => conditions;

    /// <summary>The processes with a client that live.</summary>
    public IReadOnlyList<SimProcess> LivingClients
    {
        get
        {
            _processes.RemoveAll(process => !process.IsAlive);
            return _processes;
        }
    }

    /// <summary>A client of the library in a process.</summary>
    public OttlaClient NewLibraryClient(SimProcess process)
    {
        if (process.Name != "director" && !_processes.Contains(process))
            _processes.Add(process);
        return new OttlaClient(new OttlaClientOptions
        {
            BootstrapServers = string.Join(',', Bootstrap),
            ClientId = process.Name,
            RequestTimeout = conditions.RequestTimeout,
            ApiTimeout = conditions.ApiTimeout,
            TimeProvider = process.Clock,
            Transport = process.Transport,
            LoggerFactory = new SimLog(process.Tell),
            Seed = World.Random.NextUInt64(),
        });
    }

    /// <summary>The process of a client ends in order.</summary>
    public void Forget(SimProcess process) => _processes.Remove(process);

    /// <summary>How producers of this seed behave.</summary>
    public ProducerOptions ProducerOptions => new()
    {
        DeliveryTimeout = conditions.DeliveryTimeout + conditions.Linger,
        MaxBlock = conditions.ApiTimeout,
        Linger = conditions.Linger,
        BatchBytes = conditions.BatchBytes,
        InFlightMax = conditions.InFlightMax,
        Compression = conditions.Compression,
        CloseTimeout = TimeSpan.FromSeconds(5),
    };

    /// <summary>The bound of a record's way: the wait for metadata or room, and its delivery.</summary>
    public TimeSpan SendBound => ProducerOptions.MaxBlock + ProducerOptions.DeliveryTimeout;

    /// <summary>Waits for a call, which has to end within its bound, however it ends.</summary>
    /// <exception cref="SimulationException">It does not.</exception>
    public async Task<T> EndsAsync<T>(SimProcess process, string what, TimeSpan bound, Task<T> call)
    {
        await EndsAsync(process, what, bound, (Task)call);
        return await call;
    }

    /// <inheritdoc cref="EndsAsync{T}"/>
    public async Task EndsAsync(SimProcess process, string what, TimeSpan bound, Task call)
    {
        using (var over = new CancellationTokenSource())
        {
            var late = Task.Delay(bound + Grace, process.Clock, over.Token);
            await Task.WhenAny(InContextAsync(call), late);
            if (!call.IsCompleted)
            {
                await process.Delay(Grace); // a process that stood still does both at once
                if (!call.IsCompleted)
                    World.Fail(new SimulationException($"{process.Name}: {what} has not ended within {bound + Grace + Grace}"));
            }

            over.Cancel();
        }

        await call;
    }

    /// <summary>Ends with a call, in the process: a call may end on any thread, and what only combines tasks would go on there.</summary>
    public static async Task InContextAsync(Task call) =>
        await call.ConfigureAwait(ConfigureAwaitOptions.ContinueOnCapturedContext | ConfigureAwaitOptions.SuppressThrowing);
}
