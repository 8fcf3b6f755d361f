using Ottla.Kernel;

namespace Ottla.Simulator.Clusters;

/// <summary>What a seed draws at its start.</summary>
internal sealed record ClusterConditions
{
    /// <summary>The ids of the controllers: the voters.</summary>
    public required int[] Controllers { get; init; }

    /// <summary>The ids of the brokers; a node may be both.</summary>
    public required int[] Brokers { get; init; }

    /// <summary>Of a hundred kills of a node, how many take the power of its host.</summary>
    public required int PowerLossPercent { get; init; }

    /// <summary>Of a thousand sends, how many hold up their connection.</summary>
    public required int StallsPerThousand { get; init; }

    /// <summary><c>metadata.log.max.record.bytes.between.snapshots</c>.</summary>
    public required int SnapshotBytes { get; init; }

    public static ClusterConditions Draw(Prng random)
    {
        var layout = random.NextInt(5);
        return new ClusterConditions
        {
            Controllers = layout switch
            {
                0 => [1],
                1 => [7, 8, 9],
                _ => [1, 2, 3],
            },
            Brokers = layout switch
            {
                0 => [1, 2],
                2 => [1, 2, 3, 4],
                _ => [1, 2, 3],
            },
            PowerLossPercent = new[] { 0, 30, 100 }[random.NextInt(3)],
            StallsPerThousand = random.NextInt(4),
            SnapshotBytes = random.NextChance(50) ? 3_000 : 20_000_000,
        };
    }
}
