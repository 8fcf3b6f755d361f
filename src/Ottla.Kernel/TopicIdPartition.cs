namespace Ottla.Kernel;

/// <summary>
/// A partition identified by topic id and index, so a topic that is deleted and created again is a different one. Ordered by topic id, then
/// by index.
/// </summary>
/// <param name="TopicId">The topic's id.</param>
/// <param name="Partition">The partition's index, from 0.</param>
public readonly record struct TopicIdPartition(Uuid TopicId, int Partition) : IComparable<TopicIdPartition>
{
    /// <inheritdoc/>
    public int CompareTo(TopicIdPartition other)
    {
        var byTopic = TopicId.CompareTo(other.TopicId);
        return byTopic != 0 ? byTopic : Partition.CompareTo(other.Partition);
    }

    /// <inheritdoc/>
    public override string ToString() => $"{TopicId}-{Partition}";

    public static bool operator <(TopicIdPartition left, TopicIdPartition right) => left.CompareTo(right) < 0;

    public static bool operator >(TopicIdPartition left, TopicIdPartition right) => left.CompareTo(right) > 0;

    public static bool operator <=(TopicIdPartition left, TopicIdPartition right) => left.CompareTo(right) <= 0;

    public static bool operator >=(TopicIdPartition left, TopicIdPartition right) => left.CompareTo(right) >= 0;
}
