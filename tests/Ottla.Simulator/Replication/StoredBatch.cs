using Ottla.Kernel;
using Ottla.Protocol.Batches;

namespace Ottla.Simulator.Replication;

/// <summary>A record batch as it lies in the logs of a partition. Immutable; the same object in all replicas that have it.</summary>
internal sealed class StoredBatch
{
    public StoredBatch(byte[] bytes)
    {
        Bytes = bytes;
        var view = new RecordBatchView(bytes);
        (BaseOffset, NextOffset, LeaderEpoch) = (view.BaseOffset, view.NextOffset, view.PartitionLeaderEpoch);
        (ProducerId, ProducerEpoch) = (view.ProducerId, view.ProducerEpoch);
        (IsTransactional, IsControl) = (view.IsTransactional, view.IsControl);
    }

    public byte[] Bytes { get; }

    public long BaseOffset { get; }

    public long NextOffset { get; }

    public int LeaderEpoch { get; }

    public long ProducerId { get; }

    public short ProducerEpoch { get; }

    public bool IsTransactional { get; }

    public bool IsControl { get; }

    /// <inheritdoc/>
    public override string ToString() => $"[{BaseOffset}, {NextOffset}) of epoch {LeaderEpoch}, producer {ProducerId}/{ProducerEpoch}"
        + $"{(IsControl ? ", marker" : IsTransactional ? ", transactional" : "")}";
}

/// <summary>Every batch that was ever seen in a log, by where it was and which leader wrote it. Lives as long as a run.</summary>
/// <remarks>P5: what is written at one offset in one leader epoch is the same in every log, byte for byte.</remarks>
internal sealed class BatchBook
{
    private readonly Dictionary<(TopicPartition Partition, long Offset, int Epoch), StoredBatch> _batches = [];

    /// <summary>The one object for a batch.</summary>
    /// <exception cref="SimulationException">Another batch was seen there.</exception>
    public StoredBatch Note(string node, TopicPartition partition, byte[] bytes)
    {
        var batch = new StoredBatch(bytes);
        if (_batches.TryAdd((partition, batch.BaseOffset, batch.LeaderEpoch), batch))
            return batch;
        var known = _batches[(partition, batch.BaseOffset, batch.LeaderEpoch)];
        return known.Bytes.AsSpan().SequenceEqual(bytes) ? known
            : throw new SimulationException($"{node} has {batch} in {partition}, where {known} was seen: the bytes differ");
    }
}
