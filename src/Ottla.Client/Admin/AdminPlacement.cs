using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Client;

/// <summary>A reassignment that is under way (KIP-455).</summary>
/// <param name="Replicas">All brokers that have or get a replica.</param>
/// <param name="AddingReplicas">Those that get one.</param>
/// <param name="RemovingReplicas">Those that lose theirs at the end.</param>
public sealed record PartitionReassignment(
    IReadOnlyList<int> Replicas, IReadOnlyList<int> AddingReplicas, IReadOnlyList<int> RemovingReplicas);

/// <summary>Which replica is to lead.</summary>
public enum ElectionType : sbyte
{
    /// <summary>The preferred one: the first of the replicas.</summary>
    Preferred = 0,

    /// <summary>One that is not in sync, where none is: records may be lost (KIP-460).</summary>
    Unclean = 1,
}

/// <summary>A replica of a partition on a broker.</summary>
/// <param name="Partition">The partition.</param>
/// <param name="BrokerId">The broker.</param>
public readonly record struct PartitionReplica(TopicPartition Partition, int BrokerId)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Partition} on broker {BrokerId}";
}

/// <summary>A log directory of a broker (KIP-113, KIP-827).</summary>
/// <param name="Error">Its error; KAFKA_STORAGE_ERROR when the disk has failed.</param>
/// <param name="TotalBytes">The size of its volume; null when the broker does not say.</param>
/// <param name="UsableBytes">The room that is left there; null when the broker does not say.</param>
/// <param name="IsCordoned">Whether it takes no new replicas (KIP-1066).</param>
/// <param name="Replicas">Its replicas.</param>
public sealed record LogDirDescription(
    ErrorCode Error, long? TotalBytes, long? UsableBytes, bool IsCordoned, IReadOnlyDictionary<TopicPartition, LogDirReplica> Replicas);

/// <summary>A replica in a log directory.</summary>
/// <param name="SizeBytes">The size of its log.</param>
/// <param name="OffsetLag">How many offsets it is behind: a future one behind the current one, others behind the high watermark.</param>
/// <param name="IsFuture">Whether it is being copied here from another directory of the broker.</param>
public readonly record struct LogDirReplica(long SizeBytes, long OffsetLag, bool IsFuture);

/// <summary>In which directory a replica is, and to which it is moved.</summary>
/// <param name="Directory">The directory; null when the broker has no such replica.</param>
/// <param name="OffsetLag">How many offsets it is behind; -1 when the broker has no such replica.</param>
/// <param name="FutureDirectory">The directory to which it is being copied; null when it is not.</param>
/// <param name="FutureOffsetLag">How many offsets the copy is behind; -1 when there is none.</param>
public sealed record ReplicaLogDir(string? Directory, long OffsetLag, string? FutureDirectory, long FutureOffsetLag);
