using Ottla.Kernel;

namespace Ottla.Configuration;

/// <summary>The iteration order of Java's HashMap, which is the order of configs in Kafka's DescribeConfigs.</summary>
internal static class JavaHashOrder
{
    private const int SmallestTable = 16;

    /// <summary>Sorts items in the order of a HashMap to which they were added in the given order.</summary>
    /// <param name="items">The items, with unique keys.</param>
    /// <param name="key">The key of an item.</param>
    public static List<T> Of<T>(IEnumerable<T> items, Func<T, string> key)
    {
        var list = items.ToList();
        var tableSize = SmallestTable;
        while (list.Count > tableSize / 4 * 3) // the table grows when it is more than three quarters full
            tableSize *= 2;
        return [.. list.OrderBy(item => Bucket(key(item), tableSize))]; // items in the same bucket keep their order
    }

    private static int Bucket(string key, int tableSize)
    {
        var hash = JavaHashCode.Of(key);
        return (hash ^ (hash >>> 16)) & (tableSize - 1);
    }
}
