using System.Diagnostics;
using System.Globalization;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;

namespace Ottla.Benchmarks.Metadata;

/// <summary>
/// What a controller's metadata costs, in this process and without a disk: memory and time of a replay of many partitions, and the time of
/// decisions over them.
/// </summary>
internal static class MetadataBench
{
    public const string Usage = "bench metadata [PARTITIONS...]         memory of a controller's metadata, and the time of its decisions";

    private const int Brokers = 6;
    private const int ReplicationFactor = 3;
    private const int PartitionsPerTopic = 10;
    /// <summary>As a request may hold 10,000 records, those of topics included.</summary>
    private const int PartitionsPerRequest = 5_000;
    private const int Rounds = 5;
    private const int Epoch = 1;
    private const string ClusterId = "bench";

    private static readonly int[] s_defaultSizes = [10_000, 100_000, 1_000_000];

    /// <summary>Measures each number of partitions, and prints a table.</summary>
    public static int Run(IReadOnlyList<string> arguments)
    {
        var sizes = arguments.Count > 0 ? [.. arguments.Select(size => int.Parse(size, CultureInfo.InvariantCulture))] : s_defaultSizes;
        Console.WriteLine(
            $"{PartitionsPerTopic} partitions of factor {ReplicationFactor} in a topic, {Brokers} brokers; decisions are the median of "
                + $"{Rounds} rounds, "
            + "and each is applied as the active controller applies it");
        Console.WriteLine(
            "partitions  heap MB  B/partition  replay s  snapshot s  one topic ms  10,000 partitions ms  MB allocated  fence a broker ms  "
                + "heartbeat us");
        foreach (var size in sizes)
            Console.WriteLine(Measure(size));
        return 0;
    }

    private static string Measure(int partitions)
    {
        var before = LiveBytes();
        var cluster = new Cluster();
        var clock = Stopwatch.StartNew();
        cluster.Replay(partitions);
        var replaySeconds = clock.Elapsed.TotalSeconds;
        var heap = LiveBytes() - before;
        var snapshot = Seconds(() => cluster.Image.ToRecords().Count());
        var oneTopic = Median(() => cluster.Decide(cluster.CreateTopics(PartitionsPerTopic)));
        var allocatedBefore = GC.GetAllocatedBytesForCurrentThread();
        var manyTopics = Median(() =>
        {
            cluster.Decide(cluster.CreateTopics(PartitionsPerRequest));
            cluster.Decide(cluster.CreateTopics(PartitionsPerRequest));
        });
        var allocated = (GC.GetAllocatedBytesForCurrentThread() - allocatedBefore) / Rounds;
        var fence = Median(cluster.FenceBroker);
        var heartbeat = Median(() =>
        {
            for (var i = 0; i < 1_000; i++)
                cluster.Heartbeat();
        });
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{partitions,10:N0} {heap / 1e6,8:F0} {(double)heap / partitions,12:F0} {replaySeconds,9:F2} {snapshot,11:F2} "
                + $"{oneTopic * 1e3,13:F2} "
            + $"{manyTopics * 1e3,21:F0} {allocated / 1e6,13:F0} {fence * 1e3,18:F0} {heartbeat * 1e3,13:F2}");
    }

    private static double Median(Action action)
    {
        var rounds = new double[Rounds];
        for (var i = 0; i < Rounds; i++)
            rounds[i] = Seconds(action);
        Array.Sort(rounds);
        return rounds[Rounds / 2];
    }

    private static double Seconds(Action action)
    {
        var clock = Stopwatch.StartNew();
        action();
        return clock.Elapsed.TotalSeconds;
    }

    private static double Seconds(Func<int> action) => Seconds(() => { action(); });

    private static long LiveBytes()
    {
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Forced, blocking: true, compacting: true);
        GC.WaitForPendingFinalizers();
        return GC.GetTotalMemory(forceFullCollection: true);
    }

    /// <summary>A controller with its metadata, as the active one has it: what is decided is encoded and applied.</summary>
    private sealed class Cluster
    {
        private readonly QuorumController _controller = new(new ControllerSettings
        {
            NodeId = 1,
            ClusterId = ClusterId,
            Config = BrokerConfig.LoadDevMode(null, []),
            SupportedFeatures = SupportedFeatures.Latest,
            Seed = 1,
        });

        private MetadataReplayer _replayer = new(MetadataImage.Empty);
        private long _nextOffset;
        private int _topicCount;

        public Cluster()
        {
            var bootstrap = new MetadataRecord(
                new FeatureLevelRecord { Name = MetadataVersion.FeatureName, FeatureLevel = MetadataVersion.Latest.Level }, 0);
            Decide(new ActivateCommand([bootstrap], -1));
            for (var id = 1; id <= Brokers; id++)
                AddBroker(id);
        }

        public MetadataImage Image => _replayer.Image;

        private ControllerState State => new(Image, _nextOffset, new Instant(1), new ControllerQuorum(1, [1]));

        /// <summary>Makes topics as the records of a log would, decoded from their bytes.</summary>
        public void Replay(int partitions)
        {
            for (var made = 0; made < partitions; made += PartitionsPerRequest)
            {
                var decision = _controller.Decide(CreateTopics(Math.Min(PartitionsPerRequest, partitions - made)), State);
                var bytes = MetadataBatch.Encode(_nextOffset, Epoch, 0, decision.Records);
                Write(MetadataBatch.Decode(bytes).Records);
            }
        }

        public CreateTopicsCommand CreateTopics(int partitions)
        {
            var topics = new CreateTopicsRequest.CreatableTopic[Math.Max(1, partitions / PartitionsPerTopic)];
            for (var i = 0; i < topics.Length; i++)
            {
                topics[i] = new CreateTopicsRequest.CreatableTopic
                {
                    Name = string.Create(CultureInfo.InvariantCulture, $"topic-{_topicCount++}"),
                    NumPartitions = PartitionsPerTopic,
                    ReplicationFactor = ReplicationFactor,
                };
            }

            return new CreateTopicsCommand(new CreateTopicsRequest { Topics = topics });
        }

        public void Decide<TReply>(ControllerCommand<TReply> command)
        {
            var records = _controller.Decide(command, State).Records;
            MetadataBatch.Encode(_nextOffset, Epoch, 0, records);
            Write(records);
        }

        /// <summary>Decides what a broker's death means; not applied, so that each round finds the same.</summary>
        public void FenceBroker() => _controller.Decide(new BrokerHeartbeatCommand(HeartbeatOf(1, wantFence: true)), State);

        public void Heartbeat() => _controller.Decide(new BrokerHeartbeatCommand(HeartbeatOf(2, wantFence: false)), State);

        private void AddBroker(int id)
        {
            Decide(new RegisterBrokerCommand(new BrokerRegistrationRequest
            {
                BrokerId = id,
                ClusterId = ClusterId,
                IncarnationId = new Uuid(1, (ulong)id),
                Features =
                [
                    .. SupportedFeatures.Latest.Ranges.Select(feature => new BrokerRegistrationRequest.Feature
                    {
                        Name = feature.Key,
                        MinSupportedVersion = feature.Value.Min,
                        MaxSupportedVersion = feature.Value.Max,
                    }),
                ],
                LogDirs = [new Uuid(2, (ulong)id)],
            }));
            Decide(new BrokerHeartbeatCommand(HeartbeatOf(id, wantFence: false)));
        }

        private BrokerHeartbeatRequest HeartbeatOf(int id, bool wantFence) => new()
        {
            BrokerId = id,
            BrokerEpoch = Image.Cluster.Broker(id)!.Epoch,
            CurrentMetadataOffset = _nextOffset,
            WantFence = wantFence,
        };

        private void Write(IReadOnlyList<MetadataRecord> records)
        {
            if (records.Count == 0)
                return;
            var next = _replayer.Copy();
            next.Apply(records, _nextOffset, new MetadataProvenance(_nextOffset + records.Count - 1, Epoch, 0));
            _replayer = next;
            _nextOffset += records.Count;
            _controller.Apply(records, _nextOffset - 1);
        }
    }
}
