using System.Net;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Simulator.Clusters;
using Ottla.Simulator.Workloads;
using Ottla.Simulator.Worlds;

namespace Ottla.Simulator.Replication;

/// <summary>
/// A whole cluster with replicated topics, and clients that produce, consume and administer while everything goes wrong that a cluster must
/// survive. Nothing that was acknowledged is lost, nothing is read that is not committed, and after healing all replicas are the same.
/// </summary>
public sealed class ReplicationSimulation : ISimulation
{
    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(60);

    /// <summary>
    /// How long a healed cluster may take until it works as a whole: sessions run out, elections are held, brokers come back and catch up.
    /// </summary>
    private static readonly TimeSpan RecoveryTime = TimeSpan.FromMinutes(2);

    /// <inheritdoc/>
    public string Name => "replication";

    /// <inheritdoc/>
    public string Description =>
        "clusters of 3 and 5 nodes with replicated topics, producers, transactions and consumers; kills, power loss, pauses, cuts by "
            + "listener, slow links, failing and full disks, rolling restarts";

    /// <inheritdoc/>
    public void Run(ulong seed, TextWriter? log = null) => RunWorld(seed, log);

    /// <summary>Runs one seed.</summary>
    /// <returns>The world, in which all is over.</returns>
    public static World RunWorld(ulong seed, TextWriter? log = null) =>
        ClientSession.RunSeed(seed, log, ReplicationConditions.Draw, (world, conditions) => new Session(world, conditions));

    private sealed class Session : ClientSession
    {
        private const string Topic = "produced";
        private const int Partitions = 3;
        private const int Producers = 3;
        private const int Consumers = 2;
        private const int ClientLifeMsMax = 30_000;
        private const int ClientKillPercent = 30;

        private readonly ReplicationConditions _conditions;
        private readonly SimCluster _cluster;
        private readonly ReplicationInvariants _invariants;
        private readonly ClusterInvariants _metadata;
        private bool _areProducersOver;
        private bool _isChecked;

        public Session(World world, ReplicationConditions conditions)
            : base(world)
        {
            _conditions = conditions;
            var gate = new LossGate(() => _cluster!);
            _cluster = new SimCluster(
                world, conditions.Controllers, conditions.Brokers, conditions.Configs, conditions.PowerLossPercent, gate);
            _invariants = new ReplicationInvariants(
                new ClusterLook(_cluster, gate, conditions.Directories, conditions.MinInSync),
                new NodeInvariants(_cluster, conditions.Directories), gate);
            _metadata = new ClusterInvariants(_cluster, conditions.MinInSync);
            Bootstrap = [.. _cluster.Brokers.Select(broker => broker.EndPoint)];
        }

        protected override IReadOnlyList<IPEndPoint> Bootstrap { get; }

        public override void OnAcknowledged(TopicPartition partition, long? offset)
        {
            if (offset is { } stored)
                _invariants.NoteAcknowledged(partition, stored);
        }

        public override void OnRead(TopicPartition partition, long end) => _invariants.NoteRead(partition, end);

        protected override async Task DirectAsync(SimProcess director)
        {
            World.Tell(director.Name, $"{_conditions}");
            var watches = new[] { _invariants.WatchAsync(director, () => _isChecked), _metadata.WatchAsync(director, () => _isChecked) };
            foreach (var watch in watches)
                director.Watch(watch);
            foreach (var broker in _cluster.Brokers)
                broker.OnLogCut = () => _invariants.CheckSoon(director);
            await _cluster.StartAllAsync();
            if (_conditions.Work == ClientWork.Transactions)
                await RunTransactionsAsync(director);
            else
                await RunProducersAsync(director);
            await HealedCluster.AwaitAsync(director, RecoveryTime, () => HealedCluster.FindDifference(_invariants.Check()));
            await new RestingCluster(World, _cluster, _conditions, _invariants.Check).AwaitAsync(director);
            await CheckCoordinatorsAsync(director);
            _metadata.Check();
            if (TransactionInvariants.FindBroken(_invariants.Histories) is { } broken)
                throw new SimulationException(broken);
            _isChecked = true;
            foreach (var watch in watches)
                await watch;
        }

        private async Task RunProducersAsync(SimProcess director)
        {
            await CreateTopicAsync(NewClient(director), Topic, Partitions, _conditions.ReplicationFactor, _conditions.SegmentBytes);
            var partitions = PartitionsOf(Topic, Partitions).ToList();
            var clients = new List<Task>();
            for (var i = 0; i < Producers; i++)
            {
                clients.Add(KeepRunningAsync(
                    director, $"producer.{i}", ClientKillPercent, ClientLifeMsMax, (process, number) =>
                    ProduceAsync(process, number, partitions, () => _areProducersOver), () => _areProducersOver));
            }

            clients.AddRange(StartConsumers(director, partitions));
            var groups = _conditions.Work == ClientWork.Groups ? new GroupClients(this, Topic, Partitions) : null;
            groups?.Start(director);
            await SufferAsync(director);
            _areProducersOver = true;
            foreach (var client in clients.Take(Producers))
                await client;
            if (groups is not null)
                await groups.DrainAsync(director);
            IsOver = true;
            foreach (var client in clients)
                await client;
            if (groups is not null)
                await groups.EndAsync();
            await HealedCluster.AwaitAsync(director, RecoveryTime, () => HealedCluster.FindDifference(_invariants.Check()));
            var records = await ReadToEndAsync(director, partitions);
            groups?.CheckConsumed(records);
        }

        private async Task RunTransactionsAsync(SimProcess director)
        {
            var conditions = new TransactionConditions { HasLateRequests = true, HasRepeatedEnds = World.Random.NextChance(30) };
            var transactions = new TransactionClients(this, conditions);
            await transactions.PrepareAsync(director, _conditions.ReplicationFactor, _conditions.SegmentBytes);
            transactions.Start(director, Producers);
            var consumers = StartConsumers(director, transactions.AllPartitions);
            await SufferAsync(director);
            await transactions.DrainAsync(director);
            IsOver = true;
            await transactions.EndAsync();
            foreach (var consumer in consumers)
                await consumer;
            await HealedCluster.AwaitAsync(director, RecoveryTime, () => HealedCluster.FindDifference(_invariants.Check()));
            TransactionClients.CheckPiped(await ReadToEndAsync(director, transactions.AllPartitions));
        }

        /// <summary>Has every coordinator load its log anew: what they answer must be the same before and after.</summary>
        private async Task CheckCoordinatorsAsync(SimProcess director)
        {
            var answers = new CoordinatorAnswers(
                NewClient(director, (ApiKey.OffsetFetch, 8, 9), (ApiKey.FindCoordinator, 1, 6)),
                _conditions.Work switch
                {
                    ClientWork.Groups => GroupClients.CommittedBy(Topic, Partitions),
                    ClientWork.Transactions => TransactionClients.Committed,
                    _ => [],
                },
                _conditions.Work == ClientWork.Transactions ? TransactionClients.TransactionalIds(Producers) : []);
            if (answers.IsEmpty)
                return;
            var before = await answers.AskAsync();
            foreach (var node in _cluster.Brokers)
            {
                await node.StopAsync();
                await node.StartAsync();
                await HealedCluster.AwaitAsync(
                    director, RecoveryTime, () => HealedCluster.FindWhatIsMissing(_cluster, _invariants.Check()));
            }

            await HealedCluster.AwaitAsync(director, RecoveryTime, FindUnhealed);
            var after = await answers.AskAsync();
            if (before.Zip(after).FirstOrDefault(answer => answer.First != answer.Second) is { First: not null } changed)
                throw new SimulationException($"a coordinator said that {changed.First}; from its log it says that {changed.Second}");
        }

        private string? FindUnhealed()
        {
            var view = _invariants.Check();
            return HealedCluster.FindWhatIsMissing(_cluster, view) ?? HealedCluster.FindPending(_cluster, view);
        }

        private List<Task> StartConsumers(SimProcess director, IReadOnlyList<TopicPartition> partitions) =>
            [.. Enumerable.Range(0, Consumers).Select(i => KeepRunningAsync(
                director, $"consumer.{i}", ClientKillPercent, ClientLifeMsMax, (process, number) =>
                ConsumeAsync(process, number, partitions, isReadCommitted: true)))];

        /// <summary>Has everything go wrong for a while, and waits until the cluster is whole again.</summary>
        private async Task SufferAsync(SimProcess director)
        {
            World.Network.Weather = new NetworkWeather { StallsPerThousand = _conditions.StallsPerThousand };
            var chaos = new ClusterChaos(World, _cluster, _conditions.Faults)
            {
                QuietMsMax = _conditions.QuietMsMax,
                Directories = _conditions.Directories,
            };
            await chaos.RunAsync(director, Duration);
            World.Tell(director.Name, $"nothing goes wrong any more");
            await HealedCluster.AwaitAsync(director, RecoveryTime, FindUnhealed);
            World.Tell(director.Name, $"the cluster is whole");
        }
    }
}
