using Ottla.Client;
using Ottla.Simulator.Clusters;
using Ottla.Simulator.Faults;
using Ottla.Simulator.Worlds;

namespace Ottla.UnitTests.Client.Errors;

/// <summary>A simulated cluster, and clients whose requests fail as a test says. Lives for one run.</summary>
internal sealed class ClientWorld
{
    private static readonly TimeSpan StartTime = TimeSpan.FromMinutes(1);

    private readonly World _world;
    private int _clients;

    private ClientWorld(World world, int nodes, IReadOnlyDictionary<string, string> configs)
    {
        _world = world;
        var ids = Enumerable.Range(1, nodes).ToArray();
        Cluster = new SimCluster(world, ids, ids, configs.Concat(new Dictionary<string, string>
        {
            ["offsets.topic.num.partitions"] = "1",
            ["offsets.topic.replication.factor"] = $"{nodes}",
            ["transaction.state.log.num.partitions"] = "1",
            ["transaction.state.log.replication.factor"] = $"{nodes}",
            ["transaction.state.log.min.isr"] = "1",
            ["default.replication.factor"] = $"{nodes}",
            ["group.initial.rebalance.delay.ms"] = "0",
            ["group.min.session.timeout.ms"] = "500",
            ["group.consumer.min.heartbeat.interval.ms"] = "300",
            ["group.consumer.heartbeat.interval.ms"] = "300",
            ["group.consumer.min.session.timeout.ms"] = "2000",
            ["group.consumer.session.timeout.ms"] = "2000",
        }).DistinctBy(config => config.Key).ToDictionary());
    }

    /// <summary>The nodes.</summary>
    public SimCluster Cluster { get; }

    /// <summary>The network of all.</summary>
    public SimNetwork Network => _world.Network;

    /// <summary>Runs a test beside a cluster that has started.</summary>
    /// <param name="nodes">The number of nodes.</param>
    /// <param name="body">The test.</param>
    /// <param name="seed">Everything random follows from it.</param>
    /// <param name="configs">What the nodes are configured with besides.</param>
    public static void Run(
        int nodes, Func<ClientWorld, SimProcess, Task> body, ulong seed = 1, params (string Name, string Value)[] configs)
    {
        var world = new World(seed);
        var run = new ClientWorld(world, nodes, configs.ToDictionary(each => each.Name, each => each.Value));
        world.Run(async director =>
        {
            await run.Cluster.StartAllAsync();
            var end = director.Clock.GetUtcNow() + StartTime;
            while (!run.Cluster.IsWhole)
            {
                Assert.True(director.Clock.GetUtcNow() < end, "the cluster does not start");
                await director.Delay(TimeSpan.FromMilliseconds(50));
            }

            await body(run, director);
        });
    }

    /// <summary>Runs something in a process with a client, which is closed afterwards.</summary>
    /// <param name="body">What it does.</param>
    /// <param name="change">Changes the client's options.</param>
    public async Task WithClientAsync(Func<ClientRun, Task> body, Func<OttlaClientOptions, OttlaClientOptions>? change = null)
    {
        var process = _world.NewProcess($"client.{++_clients}");
        await process.Start(async () =>
        {
            var faults = new FaultTransport(process.Transport, process.Clock);
            var options = new OttlaClientOptions
            {
                BootstrapServers = string.Join(',', Cluster.Brokers.Select(broker => broker.EndPoint)),
                RequestTimeout = TimeSpan.FromMilliseconds(1_500),
                ApiTimeout = TimeSpan.FromSeconds(2),
                TimeProvider = process.Clock,
                Transport = faults,
                Seed = (ulong)_clients,
            };
            var client = new OttlaClient(change is null ? options : change(options));
            await body(new ClientRun(process, client, faults, _clients));
            await client.DisposeAsync();
        });
        process.Kill();
    }
}

/// <summary>A client of a <see cref="ClientWorld"/>.</summary>
/// <param name="Process">Where it runs.</param>
/// <param name="Client">The client.</param>
/// <param name="Faults">Its network.</param>
/// <param name="Number">Counts the clients.</param>
internal sealed record ClientRun(SimProcess Process, OttlaClient Client, FaultTransport Faults, int Number)
{
    /// <summary>Waits for a call, and returns what it threw of the library's exceptions.</summary>
    public static async Task<KafkaException?> TryAsync(Task call)
    {
        try
        {
            await call;
            return null;
        }
        catch (KafkaException e)
        {
            return e;
        }
    }
}
