namespace Ottla.Broker.Hosts.Coordinators;

/// <summary>Maps a key to a partition of an internal topic. All brokers of a cluster, Kafka's too, must map alike.</summary>
public static class CoordinatorKeys
{
    /// <summary>The partition of <paramref name="key"/> among <paramref name="partitionCount"/>.</summary>
    public static int PartitionOf(string key, int partitionCount)
    {
        var hash = JavaHashCode(key);
        return (hash == int.MinValue ? 0 : Math.Abs(hash)) % partitionCount;
    }

    /// <summary>Java's String.hashCode: over UTF-16 code units, as C# has them.</summary>
    private static int JavaHashCode(string text)
    {
        var hash = 0;
        foreach (var unit in text)
            hash = unchecked((31 * hash) + unit);
        return hash;
    }
}
