using System.Net;
using Ottla.Client;
using Ottla.Protocol;
using Ottla.Simulator.Clusters;
using Ottla.Simulator.Replication;
using Ottla.Simulator.Workloads;
using Ottla.Simulator.Worlds;

namespace Ottla.Simulator.Library;

/// <summary>
/// The client library beside a cluster of three nodes, while everything goes wrong that both must survive: producers, transactions, groups
/// of both protocols. Nothing is lost, doubled or reordered, and every call of the library ends.
/// </summary>
public sealed class ClientSimulation : ISimulation
{
    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan RecoveryTime = TimeSpan.FromMinutes(2);

    /// <inheritdoc/>
    public string Name => "client";

    /// <inheritdoc/>
    public string Description =>
        "Ottla.Client beside a cluster of 3 nodes: producers, transactions and groups; the faults of replication, and clients that die, "
            + "stand still or are cut off";

    /// <inheritdoc/>
    public void Run(ulong seed, TextWriter? log = null) =>
        ClientSession.RunSeed(seed, log, LibraryConditions.Draw, (world, conditions) => new Session(world, conditions));

    private sealed class Session : LibrarySession
    {
        private const string Topic = "produced";
        private const int Partitions = 3;
        private const int Producers = 2;
        private const int Consumers = 1;

        private readonly SimCluster _cluster;

        public Session(World world, LibraryConditions conditions)
            : base(world, conditions)
        {
            var cluster = conditions.Cluster;
            _cluster = new SimCluster(
                world, cluster.Controllers, cluster.Brokers, cluster.Configs, cluster.PowerLossPercent, new LossGate(() => _cluster!));
            Bootstrap = [.. _cluster.Brokers.Select(broker => broker.EndPoint)];
        }

        protected override IReadOnlyList<IPEndPoint> Bootstrap { get; }

        protected override async Task DirectAsync(SimProcess director)
        {
            World.Tell(director.Name, $"{Conditions}");
            await _cluster.StartAllAsync();
            await HealedCluster.AwaitAsync(director, RecoveryTime, FindUnhealed);
            if (Conditions.Cluster.Work == ClientWork.Transactions)
                await RunTransactionsAsync(director);
            else
                await RunProducersAsync(director);
        }

        private async Task RunProducersAsync(SimProcess director)
        {
            await CreateTopicsAsync(director, (Topic, Partitions));
            var partitions = PartitionsOf(Topic, Partitions).ToList();
            var producers = new LibraryProducers(this, Topic, Partitions);
            producers.Start(director, Producers);
            var consumers = LibraryReaders.Start(this, director, partitions, Consumers);
            var groups = Conditions.Cluster.Work == ClientWork.Groups ? new LibraryGroups(this, Topic, Partitions) : null;
            groups?.Start(director);
            await SufferAsync(director);
            await producers.EndAsync();
            if (groups is not null)
                await groups.DrainAsync(director);
            IsOver = true;
            foreach (var consumer in consumers)
                await consumer;
            if (groups is not null)
                await groups.EndAsync();
            var records = await ReadToEndAsync(director, partitions);
            groups?.CheckConsumed(records);
        }

        private async Task RunTransactionsAsync(SimProcess director)
        {
            var transactions = new LibraryTransactions(this);
            await CreateTopicsAsync(director, transactions.Topics);
            transactions.Start(director, Producers);
            var consumers = LibraryReaders.Start(this, director, transactions.AllPartitions, Consumers);
            await SufferAsync(director);
            await transactions.DrainAsync(director);
            IsOver = true;
            await transactions.EndAsync();
            foreach (var consumer in consumers)
                await consumer;
            TransactionClients.CheckPiped(await ReadToEndAsync(director, transactions.AllPartitions));
        }

        private async Task CreateTopicsAsync(SimProcess director, params (string Name, int Partitions)[] topics)
        {
            var client = NewLibraryClient(director);
            var creatable = topics.Select(topic => new NewTopic(topic.Name)
            {
                Partitions = topic.Partitions,
                ReplicationFactor = Conditions.Cluster.ReplicationFactor,
                Configs = new Dictionary<string, string?> { ["internal.segment.bytes"] = $"{Conditions.Cluster.SegmentBytes}" },
            });
            var created = await EndsAsync(
                director, "CreateTopics", Conditions.ApiTimeout, client.CreateAdmin().CreateTopicsAsync([.. creatable]));
            foreach (var (name, _) in topics)
            {
                if (created[name].Error is not (ErrorCode.None or ErrorCode.TopicAlreadyExists))
                    throw new SimulationException($"the topic {name} was not created: {created[name].Message}");
            }

            await EndsAsync(director, "closing a client", TimeSpan.Zero, client.DisposeAsync().AsTask());
        }

        /// <summary>Has everything go wrong for a while, and waits until the cluster is whole again.</summary>
        private async Task SufferAsync(SimProcess director)
        {
            World.Network.Weather = new NetworkWeather { StallsPerThousand = Conditions.Cluster.StallsPerThousand };
            var chaos = new ClusterChaos(World, _cluster, Conditions.Cluster.Faults)
            {
                QuietMsMax = Conditions.Cluster.QuietMsMax,
                Directories = Conditions.Cluster.Directories,
            };
            var clients = new ClientChaos(this, [.. _cluster.Brokers.Select(broker => broker.EndPoint.Address)]);
            var suffering = clients.RunAsync(director, Duration);
            await chaos.RunAsync(director, Duration);
            await suffering;
            World.Network.Heal();
            World.Tell(director.Name, $"nothing goes wrong any more");
            await HealedCluster.AwaitAsync(director, RecoveryTime, FindUnhealed);
            World.Tell(director.Name, $"the cluster is whole");
        }

        private string? FindUnhealed() => _cluster.IsWhole ? null : "the cluster is not whole";
    }
}
