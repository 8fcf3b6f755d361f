using Ottla.Simulator.Worlds;

namespace Ottla.Simulator.Workloads;

/// <summary>
/// Idempotent producers and consumers of their own partitions, while node and clients are killed and connections break: nothing
/// acknowledged is lost, nothing is twice.
/// </summary>
public sealed class ProduceWorkload : ISimulation
{
    private const string Topic = "t";
    private const int Partitions = 3;
    private const int Producers = 3;
    private const int Consumers = 2;
    private const int KillPercent = 30;
    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(20);

    /// <inheritdoc/>
    public string Name => "produce";

    /// <inheritdoc/>
    public string Description => "idempotent producers and assigned consumers; kills of node and clients, resets, delays";

    /// <inheritdoc/>
    public void Run(ulong seed, TextWriter? log = null) => RunSession(seed, log);

    /// <summary>One run of it.</summary>
    /// <returns>What is left of it.</returns>
    /// <exception cref="SimulationException">An invariant does not hold.</exception>
    internal static ClientSession RunSession(ulong seed, TextWriter? log = null)
    {
        var session = new Session(new World(seed, log));
        session.Run();
        return session;
    }

    private sealed class Session(World world) : NodeSession(world, new Dictionary<string, string>())
    {
        protected override async Task DirectAsync(SimProcess director)
        {
            World.Network.Weather = new NetworkWeather { StallsPerThousand = World.Random.NextInt(10) };
            await Node.StartAsync();
            await CreateTopicAsync(NewClient(director), Topic, Partitions);

            var partitions = PartitionsOf(Topic, Partitions).ToList();
            var lifeMsMax = (int)Duration.TotalMilliseconds / 2;
            var clients = new List<Task>();
            for (var i = 0; i < Producers; i++)
                clients.Add(
                    KeepRunningAsync(
                        director, $"producer.{i}", KillPercent, lifeMsMax, (process, number) =>
                        ProduceAsync(process, number, partitions, () => IsOver)));
            for (var i = 0; i < Consumers; i++)
            {
                var isReadCommitted = World.Random.NextChance(50);
                var some = partitions.Where((_, index) => index == 0 || World.Random.NextChance(70)).ToList();
                clients.Add(
                    KeepRunningAsync(
                        director, $"consumer.{i}", KillPercent, lifeMsMax, (process, number) =>
                        ConsumeAsync(process, number, some, isReadCommitted)));
            }

            await new Chaos(World, Node).RunAsync(director, Duration);
            IsOver = true;
            foreach (var client in clients)
                await client;
            await ReadToEndAsync(director, partitions);
        }
    }
}
