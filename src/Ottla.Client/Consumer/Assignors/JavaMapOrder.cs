using Ottla.Kernel;

namespace Ottla.Client.Consumers.Assignors;

/// <summary>The order in which a Java <c>HashMap</c> lists its keys.</summary>
/// <remarks>
/// Some choices of Kafka's own assignors follow it: which of several equal members keeps one partition more, for example. Members of one
/// group may run different clients, and whoever leads assigns for all, so both must choose alike or partitions move for nothing.
/// </remarks>
internal static class JavaMapOrder
{
    private const int CapacityMin = 16;

    /// <summary>Orders distinct keys as a map does to which they were added one after the other.</summary>
    public static List<string> Of(IReadOnlyCollection<string> keys) => Of(keys, JavaHashCode.Of);

    /// <summary>As <see cref="Of(IReadOnlyCollection{string})"/>, for partitions.</summary>
    public static List<TopicPartition> Of(IReadOnlyCollection<TopicPartition> keys) => Of(keys, HashOf);

    private static List<T> Of<T>(IReadOnlyCollection<T> keys, Func<T, int> hashOf)
    {
        var capacity = CapacityMin;
        while (keys.Count > capacity / 4 * 3)
            capacity *= 2;
        return [.. keys.OrderBy(key => Spread(hashOf(key)) & (uint)(capacity - 1))]; // the sort is stable, as the lists in a map's buckets
    }

    private static uint Spread(int hash) => (uint)hash ^ ((uint)hash >> 16);

    private static int HashOf(TopicPartition partition) =>
        JavaHashCode.Combine(JavaHashCode.Combine(1, partition.Partition), JavaHashCode.Of(partition.Topic));
}
