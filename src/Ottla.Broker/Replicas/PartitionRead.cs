using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Storage.Log;

namespace Ottla.Broker.Replicas;

/// <summary>
/// The result of reading one partition, taken in one step. A value in the fetch's array, replaced with each read. The fetch owns the slice
/// until it is answered.
/// </summary>
/// <param name="Partition">The partition.</param>
/// <param name="Replica">The replica here; null when there is none.</param>
/// <param name="Leadership">Who led when it was read: a change is news.</param>
public readonly record struct PartitionRead(FetchedPartition Partition, PartitionReplica? Replica, PartitionLeadership? Leadership)
{
    // Two fields are half the size of a nullable EpochEndOffset, and a fetch has one of these values for each of its partitions.
    private readonly int _divergingEpoch = -1;
    private readonly long _divergingEndOffset = -1;

    /// <summary>An error.</summary>
    public PartitionRead(FetchedPartition partition, PartitionReplica? replica, PartitionLeadership? leadership, ErrorCode error)
        : this(partition, replica, leadership)
    {
        Error = error;
        HighWatermark = LastStableOffset = LogStartOffset = -1;
    }

    /// <summary>Another replica, which the consumer had better read from: nothing is read here.</summary>
    public PartitionRead(FetchedPartition partition, PartitionReplica replica, PartitionLeadership? leadership, int preferredReplica)
        : this(partition, replica, leadership)
    {
        PreferredReplica = preferredReplica;
        (HighWatermark, LastStableOffset) = (replica.Log.HighWatermark, replica.Log.LastStableOffset);
        LogStartOffset = replica.Log.LogStartOffset;
    }

    /// <summary>A result of the log.</summary>
    public PartitionRead(FetchedPartition partition, PartitionReplica? replica, PartitionLeadership? leadership, in LogReadResult result)
        : this(partition, replica, leadership)
    {
        HighWatermark = result.HighWatermark;
        LastStableOffset = result.LastStableOffset;
        LogStartOffset = result.LogStartOffset;
        BoundOffset = result.BoundOffset;
        AbortedTransactions = result.AbortedTransactions;
        if (result.DivergingEpoch is { } end)
            (_divergingEpoch, _divergingEndOffset) = (end.Epoch, end.EndOffset);
        Slice = result.Slice;
        HasMoreInLaterSegments = result.HasMoreInLaterSegments;
    }

    /// <summary>Why nothing was read; <see cref="ErrorCode.None"/> when the read succeeded.</summary>
    public ErrorCode Error { get; }

    /// <summary>The replica to read from instead of this one; -1 when there is none.</summary>
    public int PreferredReplica { get; } = RackAwareReplicas.Leader;

    /// <inheritdoc cref="LogReadResult.HasMoreInLaterSegments"/>
    public bool HasMoreInLaterSegments { get; }

    /// <inheritdoc cref="LogReadResult.HighWatermark"/>
    public long HighWatermark { get; }

    /// <inheritdoc cref="LogReadResult.LastStableOffset"/>
    public long LastStableOffset { get; }

    /// <inheritdoc cref="LogReadResult.LogStartOffset"/>
    public long LogStartOffset { get; }

    /// <inheritdoc cref="LogReadResult.BoundOffset"/>
    public long BoundOffset { get; }

    /// <inheritdoc cref="LogReadResult.AbortedTransactions"/>
    public IReadOnlyList<AbortedTransaction>? AbortedTransactions { get; }

    /// <inheritdoc cref="LogReadResult.DivergingEpoch"/>
    public EpochEndOffset? DivergingEpoch => _divergingEndOffset < 0 ? null : new EpochEndOffset(_divergingEpoch, _divergingEndOffset);

    /// <summary>The records, if there are any.</summary>
    public IFileSlice? Slice { get; }

    /// <summary>The bytes of the records.</summary>
    public int Bytes => Slice?.Length ?? 0;

    /// <summary>Whether the client must be answered at once, with or without records.</summary>
    public bool EndsWait => Error != ErrorCode.None || DivergingEpoch is not null || HasMoreInLaterSegments
        || PreferredReplica != RackAwareReplicas.Leader;
}
