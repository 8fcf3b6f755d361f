using System.Globalization;

namespace Ottla.Chaos.Machines;

/// <summary>What a broker says of the cluster.</summary>
/// <param name="Brokers">Those that are not fenced.</param>
/// <param name="Partitions">Every partition of every topic.</param>
internal sealed record ClusterState(IReadOnlyList<int> Brokers, IReadOnlyList<PartitionPlace> Partitions)
{
    /// <summary>What is missing until all is well; null when nothing is.</summary>
    public string? FindMissing(int brokers)
    {
        if (Brokers.Count < brokers)
            return string.Create(CultureInfo.InvariantCulture, $"only {Brokers.Count} brokers of {brokers} serve");
        var missing = Partitions.Where(partition => partition.Leader < 0 || partition.InSync.Count < partition.Replicas.Count).ToList();
        return missing.Count == 0 ? null : string.Join("; ", missing);
    }
}

/// <summary>Where a partition is.</summary>
internal sealed record PartitionPlace(string Topic, int Partition, int Leader, IReadOnlyList<int> Replicas, IReadOnlyList<int> InSync)
{
    /// <inheritdoc/>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{Topic}-{Partition} leader {Leader} replicas [{string.Join(',', Replicas)}] in sync [{string.Join(',', InSync)}]");
}
