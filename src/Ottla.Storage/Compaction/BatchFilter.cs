using System.Buffers;
using Ottla.Protocol.Batches;
using Ottla.Storage.Log;
using Ottla.Storage.Producers;

namespace Ottla.Storage.Compaction;

/// <summary>The rules by which one compaction keeps or drops records.</summary>
/// <param name="Map">The last offset of every key in the dirty part.</param>
/// <param name="LastRecords">The last record of each producer in the log's state, whose sequence must survive.</param>
/// <param name="HighWatermark">Compaction keeps the batch right before it, even without records.</param>
/// <param name="NowMs">The time of the cleaning.</param>
/// <param name="DeleteRetentionMs"><c>delete.retention.ms</c>.</param>
/// <param name="RecordSizeBytesMax">The largest size to which compaction expands a record of a compressed batch.</param>
internal sealed record RetentionRules(
    KeyOffsetMap Map, IReadOnlyDictionary<long, LastRecordOfProducer> LastRecords, long HighWatermark, long NowMs, long DeleteRetentionMs,
    int RecordSizeBytesMax);

/// <summary>
/// Filters batches for compaction: writes each one unchanged, rebuilt from the records that it keeps, without records, or not at all.
/// </summary>
/// <remarks>
/// Offsets never change: a batch keeps its first and last offset, and with them its first and last sequence. Messages of magic 0 and 1 stay
/// as they are; if some of their records go, the others become a batch of magic 2. A batch that expands past the limit stays as it is: its
/// keys are unknown, and the compaction of the others goes on. Tombstones, and markers of transactions without records, get a delete
/// horizon when first seen; they are dropped after it (KIP-534). Owned by one cleaning, which disposes it.
/// </remarks>
internal sealed class BatchFilter(RetentionRules rules, TransactionsInCleaning transactions) : IDisposable
{
    /// <summary>The largest size to which the records of one batch may expand, because the rebuilt batch is held in memory.</summary>
    private const int ExpandedBytesMax = RecordReader.RecordSizeBytesMaxDefault;

    private readonly RecordBatchBuilder _builder = new(new RecordBatchOptions());
    private readonly List<bool> _stays = [];
    private long _firstOffset;

    /// <summary>How many records were read.</summary>
    public long RecordsRead { get; private set; }

    /// <summary>How many records were kept.</summary>
    public long RecordsKept { get; private set; }

    /// <summary>How many records were dropped because they have no key.</summary>
    public long RecordsWithoutKey { get; private set; }

    /// <summary>How many batches were kept unchanged because their records expand past the limit.</summary>
    public long BatchesNotExpanded { get; private set; }

    /// <summary>Writes the rest of a batch to the end of <paramref name="output"/>.</summary>
    /// <param name="bytes">The whole batch, with a verified checksum.</param>
    /// <param name="output">The output.</param>
    /// <param name="kept">The aborted transaction that this marker ends, if the new segment's index needs it.</param>
    public void Filter(ReadOnlyMemory<byte> bytes, PooledBufferWriter output, out AbortedTransaction? kept)
    {
        kept = null;
        var batch = new RecordBatchView(bytes.Span);
        var isSuperfluous = batch.IsControl ? transactions.IsMarkerOfNothing(batch, out kept) : transactions.IsAborted(batch);
        var isMarkerOfNothing = isSuperfluous && batch.IsControl;
        var dropsRecords = isSuperfluous && (!batch.IsControl || IsPastHorizon(batch));
        var staysEmpty = IsLastOfProducer(batch) || batch.NextOffset == rules.HighWatermark;
        if (dropsRecords && !staysEmpty)
            return;

        if (!TryDecide(bytes, batch, dropsRecords, out var count, out var hasTombstones))
        {
            BatchesNotExpanded++;
            RecordsKept += batch.RecordCount;
            output.Write(bytes.Span);
            return;
        }

        if (count == 0)
        {
            if (staysEmpty)
                output.Write(RecordBatchHeader.WriteEmptyBatch(RecordBatchOptions.Of(batch), batch.LastOffsetDelta, batch.MaxTimestamp));
            return;
        }

        RecordsKept += count;
        var needsHorizon = (hasTombstones || isMarkerOfNothing) && batch.DeleteHorizonMs is null;
        if (count == _stays.Count && !needsHorizon)
            output.Write(bytes.Span);
        else
            Rebuild(bytes, batch, needsHorizon, output);
    }

    public void Dispose() => _builder.Dispose();

    private bool IsPastHorizon(RecordBatchView batch) => batch.DeleteHorizonMs is { } horizonMs && horizonMs <= rules.NowMs;

    private bool IsLastOfProducer(RecordBatchView batch)
    {
        if (!batch.HasProducerId || !rules.LastRecords.TryGetValue(batch.ProducerId, out var last))
            return false;
        return last.LastDataOffset >= 0
            ? batch.LastOffset == last.LastDataOffset
            : batch.IsControl && batch.ProducerEpoch == last.ProducerEpoch;
    }

    /// <summary>Decides for every record of the batch whether to keep it.</summary>
    /// <returns>False when the batch cannot be expanded within bounds.</returns>
    private bool TryDecide(ReadOnlyMemory<byte> bytes, RecordBatchView batch, bool dropsRecords, out int count, out bool hasTombstones)
    {
        (count, hasTombstones) = (0, false);
        _stays.Clear();
        if (dropsRecords)
            return true;
        try
        {
            return TryDecide(bytes, batch, ref count, ref hasTombstones);
        }
        catch (CorruptRecordException failure) when (failure.ExceedsBound)
        {
            return false;
        }
    }

    private bool TryDecide(ReadOnlyMemory<byte> bytes, RecordBatchView batch, ref int count, ref bool hasTombstones)
    {
        var expandedBytes = 0L;
        using var reader = new RecordReader(bytes, rules.RecordSizeBytesMax);
        while (reader.TryRead(out var record))
        {
            expandedBytes += record.SizeInBytes;
            if (expandedBytes > ExpandedBytesMax)
                return false;
            if (_stays.Count == 0)
                _firstOffset = record.Offset;
            var stays = batch.IsControl || Stays(batch, record);
            _stays.Add(stays);
            if (!stays)
                continue;
            count++;
            hasTombstones |= !record.HasValue;
        }

        RecordsRead += _stays.Count;
        return true;
    }

    private bool Stays(RecordBatchView batch, in Record record)
    {
        if (record.Offset > rules.Map.LatestOffset)
            return true;
        if (!record.HasKey)
        {
            RecordsWithoutKey++;
            return false;
        }

        return (record.HasValue || !IsPastHorizon(batch)) && record.Offset >= rules.Map.Find(record.Key);
    }

    private void Rebuild(ReadOnlyMemory<byte> bytes, RecordBatchView batch, bool needsHorizon, PooledBufferWriter output)
    {
        var baseOffset = batch.IsMessage ? _firstOffset : batch.BaseOffset; // a compressed message has its last offset only
        _builder.Reset(RecordBatchOptions.Of(batch) with
        {
            BaseOffset = baseOffset,
            DeleteHorizonMs = needsHorizon ? rules.NowMs + rules.DeleteRetentionMs : batch.DeleteHorizonMs,
            LastOffsetDelta = checked((int)(batch.LastOffset - baseOffset)),
        });
        using var reader = new RecordReader(bytes, rules.RecordSizeBytesMax);
        for (var i = 0; reader.TryRead(out var record); i++)
        {
            if (_stays[i])
                _builder.AppendCopy(record.Offset, record);
        }

        _builder.BuildInto(output);
    }
}
