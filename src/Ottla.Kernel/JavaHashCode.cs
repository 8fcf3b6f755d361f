namespace Ottla.Kernel;

/// <summary>
/// Java's hash codes, by which Kafka places keys and partitions. All brokers of a cluster, Kafka's too, must place alike.
/// </summary>
public static class JavaHashCode
{
    /// <summary>Java's <c>String.hashCode</c>: over UTF-16 code units, as C# has them.</summary>
    public static int Of(string text)
    {
        var hash = 0;
        foreach (var unit in text)
            hash = Combine(hash, unit);
        return hash;
    }

    /// <summary>Adds a value to a hash code, as Java's hash codes of several values are made.</summary>
    public static int Combine(int hash, int value) => unchecked((31 * hash) + value);

    /// <summary>The place of a hash code among <paramref name="count"/>, as Kafka's <c>Utils.abs</c> has it.</summary>
    public static int PlaceOf(int hash, int count) => (hash == int.MinValue ? 0 : Math.Abs(hash)) % count;
}
