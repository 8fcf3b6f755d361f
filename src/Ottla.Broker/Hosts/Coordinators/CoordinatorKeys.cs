using Ottla.Kernel;

namespace Ottla.Broker.Hosts.Coordinators;

/// <summary>Maps a key to a partition of an internal topic. All brokers of a cluster, Kafka's too, must map alike.</summary>
public static class CoordinatorKeys
{
    /// <summary>The partition of <paramref name="key"/> among <paramref name="partitionCount"/>.</summary>
    public static int PartitionOf(string key, int partitionCount) => JavaHashCode.PlaceOf(JavaHashCode.Of(key), partitionCount);
}
