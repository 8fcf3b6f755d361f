using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.StateMachines.Metadata;

namespace Ottla.Simulator.Clusters;

/// <summary>
/// What must hold of each partition in the metadata: the rows M2 to M5 of the simulator's invariants. Lives as long as a run.
/// </summary>
/// <param name="minInSync"><c>min.insync.replicas</c> of all topics; null when it is not known.</param>
internal sealed class PartitionMetadataInvariants(int? minInSync)
{
    private readonly Dictionary<(Uuid Topic, int Index), PartitionRegistration> _newest = [];
    private long _newestOffset = -1;

    /// <summary>Looks at all partitions of an image.</summary>
    /// <returns>What is wrong; null when nothing is.</returns>
    public string? FindBroken(MetadataImage image)
    {
        var isNewest = image.Provenance.LastOffset >= _newestOffset;
        if (isNewest)
            _newestOffset = image.Provenance.LastOffset;
        foreach (var topic in image.Topics.ById.Values)
        {
            for (var i = 0; i < topic.Partitions.Length; i++)
            {
                var partition = topic.Partitions[i];
                var broken = FindBroken(image, partition)
                    ?? (isNewest && _newest.TryGetValue((topic.Id, i), out var before) ? FindBrokenChange(before, partition) : null);
                if (broken is not null)
                    return $"{broken}: {topic.Name}-{i} {Describe(partition)}";
                if (isNewest)
                    _newest[(topic.Id, i)] = partition;
            }
        }

        return null;
    }

    /// <summary>M2, M3, M5.</summary>
    private string? FindBroken(MetadataImage image, PartitionRegistration partition)
    {
        var (isr, elr) = (partition.Isr, partition.EligibleLeaderReplicas);
        if (!isr.All(partition.Replicas.Contains) || !elr.All(partition.Replicas.Contains))
            return "who is in sync or eligible is no replica";
        if (isr.Any(elr.Contains))
            return "somebody is in sync, and eligible besides";
        if (partition.LastKnownElr.Length > 1)
            return "there are several last leaders";
        if (minInSync is { } wanted && isr.Length >= Math.Min(wanted, partition.Replicas.Length) && !elr.IsEmpty)
            return "replicas are eligible although enough are in sync";
        if (partition.Leader >= 0 && !isr.Contains(partition.Leader))
            return "the leader is not in sync";
        if (partition.Leader >= 0 && image.Cluster.Broker(partition.Leader) is not { Fenced: false })
            return "the leader is fenced";
        if (isr.Any(member => image.Cluster.Broker(member) is not { Fenced: false }) && !(partition.Leader < 0 && isr.Length == 1))
            return "a fenced broker is in sync";
        if (partition.Leader < 0 && (isr.IsEmpty ? elr : isr).Any(member => CanLead(image, partition, member)))
            return "nobody leads, though somebody could";
        if (partition.Directories.Length != partition.Replicas.Length)
            return "not every replica has a directory";
        for (var i = 0; i < partition.Replicas.Length; i++)
        {
            if (!IsDirectoryOf(image, partition.Replicas[i], partition.Directories[i], orNone: true))
                return $"broker {partition.Replicas[i]} has no directory {partition.Directories[i]}";
        }

        return null;
    }

    /// <summary>M4, against an older image: there may be any number of changes in between.</summary>
    private static string? FindBrokenChange(PartitionRegistration before, PartitionRegistration after)
    {
        if (after.LeaderEpoch < before.LeaderEpoch || after.PartitionEpoch < before.PartitionEpoch)
            return "an epoch has fallen";
        if (after.Leader != before.Leader && after.LeaderEpoch == before.LeaderEpoch)
            return "another leader has the same epoch";
        return after != before && after.PartitionEpoch == before.PartitionEpoch ? "a change has left the partition epoch" : null;
    }

    private static bool CanLead(MetadataImage image, PartitionRegistration partition, int broker) =>
        image.Cluster.IsActive(broker) && IsDirectoryOf(image, broker, partition.DirectoryOf(broker), orNone: false);

    private static bool IsDirectoryOf(MetadataImage image, int broker, Uuid directory, bool orNone)
    {
        if (directory == DirectoryIds.Unassigned || directory == DirectoryIds.Migrating || (orNone && directory == DirectoryIds.Lost))
            return true;
        // One that failed is not registered any more: its replicas are not moved.
        return image.Cluster.Broker(broker) is { } registration && (orNone || registration.LogDirs.Contains(directory));
    }

    private static string Describe(PartitionRegistration partition) =>
        $"leader {partition.Leader}, leader epoch {partition.LeaderEpoch}, partition epoch {partition.PartitionEpoch}, replicas "
        + $"{Text(partition.Replicas)}, ISR {Text(partition.Isr)}, ELR {Text(partition.EligibleLeaderReplicas)}, last leader "
        + $"{Text(partition.LastKnownElr)}";

    private static string Text(ImmutableArray<int> ids) => string.Join(',', ids);
}
