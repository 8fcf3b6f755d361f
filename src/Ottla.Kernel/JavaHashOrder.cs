namespace Ottla.Kernel;

/// <summary>
/// The order in which Java's HashMap gives its keys back: that of configs in Kafka's DescribeConfigs, and of some lists of its tools.
/// </summary>
public static class JavaHashOrder
{
    private const int CapacityMin = 16;

    /// <summary>Texts in the order of a map that they were put into in this order.</summary>
    public static IEnumerable<string> Of(IEnumerable<string> keys) => Of(keys, JavaHashCode.Of);

    /// <summary>Things in the order of a map whose keys have these hash codes.</summary>
    /// <param name="keys">The keys in the order in which they are put into the map.</param>
    /// <param name="hashOf">Java's hash code of a key.</param>
    /// <param name="capacity">The capacity that the map begins with.</param>
    public static IEnumerable<T> Of<T>(IEnumerable<T> keys, Func<T, int> hashOf, int capacity = CapacityMin)
    {
        var all = keys.Distinct().ToList();
        while (all.Count > capacity * 3 / 4)
            capacity *= 2;
        return all.OrderBy(key => Spread(hashOf(key)) & (capacity - 1));
    }

    private static int Spread(int hash) => hash ^ (hash >>> 16);

    /// <summary>Java's hash code of a partition.</summary>
    public static int HashOf(TopicPartition partition)
    {
        var hash = JavaHashCode.Combine(1, partition.Partition);
        return JavaHashCode.Combine(hash, JavaHashCode.Of(partition.Topic));
    }

    /// <summary>Java's hash code of a partition of a topic with an id.</summary>
    public static int HashOf(TopicIdPartition partition) =>
        JavaHashCode.Combine(HashOf(partition.TopicId.High ^ partition.TopicId.Low), partition.Partition);

    private static int HashOf(ulong value) => unchecked((int)(value >> 32) ^ (int)value);
}
