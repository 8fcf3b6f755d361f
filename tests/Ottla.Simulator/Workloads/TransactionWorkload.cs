using Ottla.Simulator.Worlds;

namespace Ottla.Simulator.Workloads;

/// <summary>
/// Jepsen's workload of transactions: producers with transactional ids that send, poll, commit and abort; loops that consume, transform and
/// produce with their offsets in the transaction; zombies of both; and all that can go wrong around them.
/// </summary>
/// <remarks>
/// Each seed has conditions of its own: which <c>transaction.version</c> is finalized, whether requests arrive late, whether power is lost
/// (<see cref="TransactionConditions"/>).
/// </remarks>
public sealed class TransactionWorkload : ISimulation
{
    private const int Producers = 3;
    private const int Consumers = 2;
    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(20);

    /// <inheritdoc/>
    public string Name => "transactions";

    /// <inheritdoc/>
    public string Description =>
        "transactional producers and consume-transform-produce loops by every transaction.version; kills, power loss, zombies, resets, "
            + "requests that arrive late";

    /// <inheritdoc/>
    public void Run(ulong seed, TextWriter? log = null) => RunSession(seed, TransactionConditions.Of(seed), log);

    /// <summary>One run of it.</summary>
    /// <param name="seed">Where everything comes from.</param>
    /// <param name="conditions">What may go wrong, and by which protocol.</param>
    /// <param name="log">Where to tell what happens.</param>
    /// <returns>What is left of it.</returns>
    /// <exception cref="SimulationException">An invariant does not hold.</exception>
    internal static ClientSession RunSession(ulong seed, TransactionConditions conditions, TextWriter? log = null)
    {
        log?.WriteLine(conditions);
        var session = new Session(new World(seed, log), conditions);
        session.Run();
        return session;
    }

    private sealed class Session(World world, TransactionConditions conditions)
        : NodeSession(world, conditions.PowerLossPercent > 0 ? FlushedConfigs : Configs, conditions.PowerLossPercent, conditions.Bug)
    {
        private static readonly Dictionary<string, string> Configs = new()
        {
            ["offsets.topic.num.partitions"] = "2",
            ["transaction.state.log.num.partitions"] = "2",
            ["transaction.abort.timed.out.transaction.cleanup.interval.ms"] = "1000",
        };

        private static readonly Dictionary<string, string> FlushedConfigs = new(Configs) { ["log.flush.interval.messages"] = "1" };

        protected override async Task DirectAsync(SimProcess director)
        {
            World.Network.Weather = new NetworkWeather
            {
                StallsPerThousand = conditions.HasLateRequests ? World.Random.NextInt(10) : 0,
                StallMsMax = TransactionClients.StallMsMax,
            };
            await Node.StartAsync();
            var clients = new TransactionClients(this, conditions);
            await clients.PrepareAsync(director);
            clients.Start(director, Producers);
            var consumers = new List<Task>();
            for (var i = 0; i < Consumers; i++)
            {
                consumers.Add(KeepRunningAsync(
                    director, $"consumer.{i}", 30, (int)Duration.TotalMilliseconds, (process, number) =>
                    ConsumeAsync(process, number, clients.AllPartitions, isReadCommitted: true)));
            }

            var change = clients.ChangeVersionAsync(director, Duration / 2);
            await new Chaos(World, Node).RunAsync(director, Duration);
            await change;
            await clients.DrainAsync(director);
            IsOver = true;
            await clients.EndAsync();
            foreach (var consumer in consumers)
                await consumer;
            TransactionClients.CheckPiped(await ReadToEndAsync(director, clients.AllPartitions));
        }
    }
}
