namespace Ottla.Kernel;

/// <summary>A partition of a topic by name, written <c>topic-partition</c>: also the name of its directory.</summary>
/// <param name="Topic">The topic's name.</param>
/// <param name="Partition">The partition's index, from 0.</param>
public readonly record struct TopicPartition(string Topic, int Partition)
{
    /// <summary>The form Kafka logs and names directories by.</summary>
    public override string ToString() => $"{Topic}-{Partition}";
}
