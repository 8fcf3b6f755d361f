using System.Runtime.CompilerServices;
using Ottla.Kernel;
using Ottla.Protocol.Batches;

namespace Ottla.Storage.Producers;

/// <summary>One of the last batches of an idempotent producer, kept to recognise a retry.</summary>
/// <param name="LastSequence">The sequence of its last record.</param>
/// <param name="LastOffset">The offset of its last record.</param>
/// <param name="OffsetDelta">Last offset minus first offset.</param>
/// <param name="TimestampMs">Its greatest timestamp.</param>
internal readonly record struct ProducerBatch(int LastSequence, long LastOffset, int OffsetDelta, long TimestampMs)
{
    public int FirstSequence => RecordBatchLayout.DecrementSequence(LastSequence, OffsetDelta);

    public long FirstOffset => LastOffset - OffsetDelta;
}

/// <summary>The last record of a producer in a log. Compaction keeps its batch, which holds the producer's sequence.</summary>
/// <param name="LastDataOffset">The offset of its last record, or -1 when the log has only a marker of it.</param>
/// <param name="ProducerEpoch">Its epoch.</param>
internal readonly record struct LastRecordOfProducer(long LastDataOffset, short ProducerEpoch);

/// <summary>The state of a producer in a log: its epoch, its last five batches, its open transaction.</summary>
/// <remarks>The log's lock guards it. Lives until the producer is idle for <c>producer.id.expiration.ms</c>.</remarks>
internal sealed class ProducerState(long producerId)
{
    /// <summary>How many batches an idempotent producer may have in flight, and so how many retries a log must recognise.</summary>
    public const int BatchesMax = 5;

    private Ring _batches;
    private int _start;

    public long ProducerId => producerId;

    public short ProducerEpoch { get; private set; } = RecordBatchLayout.NoProducerEpoch;

    public int CoordinatorEpoch { get; set; } = -1;

    public long LastTimestampMs { get; set; } = RecordBatchLayout.NoTimestamp;

    /// <summary>The first offset of the open transaction, or -1.</summary>
    public long CurrentTransactionFirstOffset { get; set; } = -1;

    /// <summary>
    /// Whether the log may have recent batches of this epoch that are not kept here: a snapshot has only the last one of each producer.
    /// </summary>
    public bool LacksBatches { get; set; }

    /// <summary>How many batches are kept: 0 to 5.</summary>
    public int BatchCount { get; private set; }

    /// <summary>The sequence of the last record, or -1.</summary>
    public int LastSequence => BatchCount == 0 ? RecordBatchLayout.NoSequence : Last.LastSequence;

    /// <summary>The offset of the last data record, or -1.</summary>
    public long LastDataOffset => BatchCount == 0 ? -1 : Last.LastOffset;

    /// <summary>The last batch's last offset minus its first, or 0.</summary>
    public int LastOffsetDelta => BatchCount == 0 ? 0 : Last.OffsetDelta;

    private ProducerBatch Last => BatchAt(BatchCount - 1);

    /// <summary>Starts a new epoch, in which sequences start again.</summary>
    public void SetEpoch(short epoch)
    {
        if (ProducerEpoch == epoch)
            return;
        ProducerEpoch = epoch;
        BatchCount = 0;
        _start = 0;
        LacksBatches = false;
    }

    public void AddBatch(short epoch, ProducerBatch batch)
    {
        SetEpoch(epoch);
        if (BatchCount == BatchesMax)
        {
            _start = (_start + 1) % BatchesMax;
            BatchCount--;
        }

        LacksBatches &= BatchCount < BatchesMax - 1;

        _batches[(_start + BatchCount) % BatchesMax] = batch;
        BatchCount++;
        LastTimestampMs = batch.TimestampMs;
    }

    /// <summary>Takes over the batches of the log that come before those that are kept.</summary>
    public void AddEarlierBatches(IEnumerable<ProducerBatch> batches)
    {
        ProducerBatch[] kept = [.. Enumerable.Range(0, BatchCount).Select(BatchAt)];
        ProducerBatch[] all = [.. batches.Where(batch => batch.LastOffset < kept[0].FirstOffset), .. kept];
        (BatchCount, _start, LacksBatches) = (0, 0, false);
        foreach (var batch in all.TakeLast(BatchesMax))
            AddBatch(ProducerEpoch, batch);
    }

    /// <summary>Whether a batch that begins with a sequence would follow the last one, and so is no retry.</summary>
    public bool IsNext(short epoch, int firstSequence) =>
        epoch != ProducerEpoch || BatchCount == 0 || firstSequence == (LastSequence == int.MaxValue ? 0 : LastSequence + 1);

    /// <summary>Finds the batch with exactly these sequences among the last five of this epoch.</summary>
    public bool TryFindDuplicate(short epoch, int firstSequence, int lastSequence, out ProducerBatch duplicate)
    {
        for (var i = 0; epoch == ProducerEpoch && i < BatchCount; i++)
        {
            duplicate = BatchAt(i);
            if (duplicate.FirstSequence == firstSequence && duplicate.LastSequence == lastSequence)
                return true;
        }

        duplicate = default;
        return false;
    }

    private ProducerBatch BatchAt(int index)
    {
        Invariant.Check((uint)index < (uint)BatchCount, "only known batches are looked at");
        return _batches[(_start + index) % BatchesMax];
    }

    [InlineArray(BatchesMax)]
    private struct Ring
    {
        private ProducerBatch _first;
    }
}

/// <summary>A producer with state in a log, as DescribeProducers shows it.</summary>
/// <param name="ProducerId">Its id.</param>
/// <param name="ProducerEpoch">Its epoch.</param>
/// <param name="LastSequence">The sequence of its last record, or -1.</param>
/// <param name="LastTimestampMs">The time of its last write.</param>
/// <param name="CoordinatorEpoch">The transaction coordinator's epoch in its last marker, or -1.</param>
/// <param name="CurrentTransactionStartOffset">The first offset of its open transaction, or -1.</param>
public readonly record struct ActiveProducer(
    long ProducerId, short ProducerEpoch, int LastSequence, long LastTimestampMs, int CoordinatorEpoch, long CurrentTransactionStartOffset);
