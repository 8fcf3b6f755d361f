namespace Ottla.Configuration;

/// <summary>The order in which Java's HashMap gives its keys, which is the order of the configs in Kafka's DescribeConfigs.</summary>
internal static class JavaHashOrder
{
    private const int SmallestTable = 16;

    /// <summary>Sorts as a HashMap would that the items were put into in the given order.</summary>
    /// <param name="items">The items, no two with the same key.</param>
    /// <param name="key">The key of an item.</param>
    public static List<T> Of<T>(IEnumerable<T> items, Func<T, string> key)
    {
        var list = items.ToList();
        var tableSize = SmallestTable;
        while (list.Count > tableSize / 4 * 3) // it grows when it is three quarters full
            tableSize *= 2;
        return [.. list.OrderBy(item => Bucket(key(item), tableSize))]; // what shares a bucket keeps its order
    }

    private static int Bucket(string key, int tableSize)
    {
        var hash = 0;
        foreach (var character in key)
            hash = unchecked((31 * hash) + character);
        return (hash ^ (hash >>> 16)) & (tableSize - 1);
    }
}
