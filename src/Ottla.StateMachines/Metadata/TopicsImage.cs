using System.Collections.Immutable;
using Ottla.Kernel;

namespace Ottla.StateMachines.Metadata;

/// <summary>A topic. Immutable.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Id">Its id. A topic that is deleted and created again has another id.</param>
/// <param name="Partitions">Its partitions, by index.</param>
public sealed record TopicImage(string Name, Uuid Id, ImmutableArray<PartitionRegistration> Partitions)
{
    /// <summary>The partition at an index; null when there is none.</summary>
    public PartitionRegistration? Partition(int index) => (uint)index < (uint)Partitions.Length ? Partitions[index] : null;

    /// <inheritdoc/>
    public bool Equals(TopicImage? other) =>
        ReferenceEquals(this, other)
            || (other is not null && Name == other.Name && Id == other.Id && ContentEquality.Items(Partitions, other.Partitions));

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Name, Id, Partitions.Length);
}

/// <summary>The topics by id and by name. Immutable.</summary>
public sealed record TopicsImage(ImmutableDictionary<Uuid, TopicImage> ById, ImmutableDictionary<string, TopicImage> ByName)
{
    public static readonly TopicsImage Empty = new(
        ImmutableDictionary<Uuid, TopicImage>.Empty, ImmutableDictionary.Create<string, TopicImage>(StringComparer.Ordinal));

    /// <summary>The topic with a name; null when there is none.</summary>
    public TopicImage? Find(string name) => ByName.GetValueOrDefault(name);

    /// <summary>The topic with an id; null when there is none.</summary>
    public TopicImage? Find(Uuid id) => ById.GetValueOrDefault(id);

    /// <summary>A partition; null when there is none.</summary>
    public PartitionRegistration? Partition(TopicPartition partition) => Find(partition.Topic)?.Partition(partition.Partition);

    /// <inheritdoc/>
    public bool Equals(TopicsImage? other) =>
        ReferenceEquals(this, other) || (other is not null && ContentEquality.Entries(ById, other.ById));

    /// <inheritdoc/>
    public override int GetHashCode() => ById.Count;
}
