using Ottla.Kernel;
using Ottla.Simulator.Clusters;

namespace Ottla.Simulator.Replication;

/// <summary>What clients do in a run.</summary>
internal enum ClientWork
{
    /// <summary>Idempotent producers, and consumers that choose their partitions themselves.</summary>
    Produce,

    /// <summary>Transactional producers, and loops that consume, transform and produce.</summary>
    Transactions,

    /// <summary>Idempotent producers, and groups of both protocols.</summary>
    Groups,
}

/// <summary>What a seed draws at its start.</summary>
internal sealed record ReplicationConditions
{
    /// <summary>The ids of the controllers: the voters.</summary>
    public required int[] Controllers { get; init; }

    /// <summary>The ids of the brokers; a node may be both.</summary>
    public required int[] Brokers { get; init; }

    /// <summary>What clients do.</summary>
    public required ClientWork Work { get; init; }

    /// <summary>How many replicas each partition has.</summary>
    public required short ReplicationFactor { get; init; }

    /// <summary>How large the segments of the topics become that clients write to.</summary>
    public required int SegmentBytes { get; init; }

    /// <summary><c>min.insync.replicas</c>, of internal topics too.</summary>
    public required int MinInSync { get; init; }

    /// <summary>Of a hundred kills of a node, how many take the power of its host.</summary>
    public required int PowerLossPercent { get; init; }

    /// <summary>What goes wrong.</summary>
    public required IReadOnlyList<ClusterFault> Faults { get; init; }

    /// <summary>How long it is quiet between two faults, at most.</summary>
    public required int QuietMsMax { get; init; }

    /// <summary>Of a thousand sends, how many hold up their connection.</summary>
    public required int StallsPerThousand { get; init; }

    /// <summary>The log directories of each node.</summary>
    public required IReadOnlyList<string> Directories { get; init; }

    /// <summary>What all nodes are configured with besides.</summary>
    public required IReadOnlyDictionary<string, string> Configs { get; init; }

    /// <inheritdoc/>
    public override string ToString() =>
        $"controllers {string.Join(',', Controllers)}, brokers {string.Join(',', Brokers)}, {Work}, "
            + $"replication factor {ReplicationFactor}, "
            + $"min ISR {MinInSync}, segments of {SegmentBytes} bytes, power loss {PowerLossPercent}%, quiet {QuietMsMax} ms, "
            + $"faults {string.Join(',', Faults)}, {string.Join(", ", Configs.Select(config => $"{config.Key}={config.Value}"))}";

    /// <summary>The conditions of a seed.</summary>
    public static ReplicationConditions Draw(Prng random)
    {
        var layout = random.NextInt(8);
        var replicas = Pick(random, 1, 2, 3, 3, 3, 3);
        var hasPowerLoss = replicas > 1 && random.NextChance(50);
        var minInSync = replicas > 1 && (hasPowerLoss || random.NextChance(70)) ? 2 : 1; // alone in sync, nobody may lose power
        var directories = random.NextChance(40) ? new[] { "/data0", "/data1" } : ["/data0"];
        var sessionMs = Pick(random, 3_000, 6_000, 9_000);
        return new ReplicationConditions
        {
            Controllers = layout is 0 ? [7, 8, 9] : [1, 2, 3],
            Brokers = layout is 1 or 2 ? [1, 2, 3, 4, 5] : [1, 2, 3],
            ReplicationFactor = (short)replicas,
            Work = (ClientWork)random.NextInt(3),
            SegmentBytes = Pick(random, 600, 5_000, 1_000_000),
            MinInSync = minInSync,
            PowerLossPercent = hasPowerLoss ? 60 : 0,
            Faults = DrawFaults(random, directories.Length > 1),
            QuietMsMax = Pick(random, 1_500, 3_000, 8_000),
            StallsPerThousand = random.NextInt(4),
            Directories = directories,
            Configs = new Dictionary<string, string>
            {
                ["log.dirs"] = string.Join(',', directories),
                ["min.insync.replicas"] = minInSync.ToString(),
                ["default.replication.factor"] = replicas.ToString(),
                ["offsets.topic.replication.factor"] = replicas.ToString(),
                ["offsets.topic.num.partitions"] = "2",
                ["transaction.state.log.replication.factor"] = replicas.ToString(),
                ["transaction.state.log.num.partitions"] = "2",
                ["transaction.state.log.min.isr"] = minInSync.ToString(),
                ["transaction.abort.timed.out.transaction.cleanup.interval.ms"] = "1000",
                ["group.initial.rebalance.delay.ms"] = "500",
                ["group.consumer.min.session.timeout.ms"] = "6000",
                ["group.consumer.session.timeout.ms"] = "6000",
                ["group.consumer.min.heartbeat.interval.ms"] = "1000",
                ["group.consumer.heartbeat.interval.ms"] = "1000",
                ["auto.create.topics.enable"] = "false",
                ["log.cleaner.enable"] = "false", // replicas compact each for itself: their bytes would differ
                ["log.roll.ms"] = Pick(random, 2_000, 15_000, 1_000_000_000).ToString(),
                ["broker.session.timeout.ms"] = sessionMs.ToString(),
                ["broker.heartbeat.interval.ms"] = (sessionMs / 5).ToString(),
                ["replica.lag.time.max.ms"] = Pick(random, 1_000, 3_000, 10_000).ToString(),
                ["replica.fetch.wait.max.ms"] = Pick(random, 100, 500).ToString(),
                ["replica.fetch.max.bytes"] = Pick(random, 1, 1_000, 1_048_576).ToString(),
                ["num.replica.fetchers"] = Pick(random, 1, 2).ToString(),
                ["replica.high.watermark.checkpoint.interval.ms"] = Pick(random, 500, 5_000).ToString(),
                ["auto.leader.rebalance.enable"] = random.NextChance(50) ? "true" : "false",
                ["leader.imbalance.check.interval.seconds"] = "5",
                ["metadata.log.max.record.bytes.between.snapshots"] = Pick(random, 5_000, 20_000_000).ToString(),
            },
        };
    }

    /// <summary>Some of the faults: the less at once, the further each gets.</summary>
    private static List<ClusterFault> DrawFaults(Prng random, bool hasSeveralDirectories)
    {
        var faults = new List<ClusterFault>();
        foreach (var fault in Enum.GetValues<ClusterFault>())
        {
            if (fault != ClusterFault.FailDirectory || hasSeveralDirectories)
                if (random.NextChance(45))
                    faults.Add(fault);
        }

        if (faults.Count == 0)
            faults.Add(ClusterFault.Kill);
        return faults;
    }

    private static int Pick(Prng random, params ReadOnlySpan<int> values) => values[random.NextInt(values.Length)];
}
