namespace Ottla.Kernel;

/// <summary>
/// A partition identified by topic name and index. Its text form <c>topic-partition</c> is also the name of its directory.
/// </summary>
/// <param name="Topic">The topic's name.</param>
/// <param name="Partition">The partition's index, from 0.</param>
public readonly record struct TopicPartition(string Topic, int Partition)
{
    /// <summary>The form that Kafka uses in logs and as a directory name.</summary>
    public override string ToString() => $"{Topic}-{Partition}";
}
