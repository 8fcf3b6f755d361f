using System.Runtime.InteropServices;
using System.Text;
using Ottla.Protocol.Batches;

namespace Ottla.Simulator.Crash;

/// <summary>
/// A batch that somebody tried to append, and what the log ended with before it. Truncations make a tree of them; every state of a log is a
/// path in it.
/// </summary>
/// <param name="Bytes">The batch as it was handed to the log, which patched its offsets.</param>
/// <param name="Previous">The last batch at that time; null when the log was empty.</param>
internal sealed record WrittenBatch(ReadOnlyMemory<byte> Bytes, WrittenBatch? Previous)
{
    public RecordBatchView View => new(Bytes.Span);

    public long BaseOffset => View.BaseOffset;

    public long LastOffset => View.LastOffset;

    /// <summary>The leader epoch that was written, if the log has it no more: see <see cref="LoseEpoch"/>.</summary>
    public int? LostEpoch { get; private set; }

    /// <summary>
    /// Takes over what is left of the leader epoch after a torn write. It lies outside the checksum, so the batch stays in the log, and the
    /// epochs of others say what its own was.
    /// </summary>
    public void LoseEpoch(int left)
    {
        LostEpoch = View.PartitionLeaderEpoch;
        RecordBatchEditor.SetPartitionLeaderEpoch(MemoryMarshal.AsMemory(Bytes).Span, left);
    }

    /// <summary>
    /// Whether this may be what a torn write left of <paramref name="original"/>: all of it, but for the last bytes of its leader epoch,
    /// where a sector ended.
    /// </summary>
    public bool IsTornFrom(WrittenBatch original)
    {
        const int epochAt = RecordBatchLayout.PartitionLeaderEpochOffset, afterEpoch = RecordBatchLayout.MagicOffset;
        var (left, written) = (View.PartitionLeaderEpoch, original.View.PartitionLeaderEpoch);
        return Bytes.Length == original.Bytes.Length
            && Bytes.Span[..epochAt].SequenceEqual(original.Bytes.Span[..epochAt])
            && Bytes.Span[afterEpoch..].SequenceEqual(original.Bytes.Span[afterEpoch..])
            && Enumerable.Range(1, sizeof(int)).Any(lost => left == (int)(written & (-1L << (8 * lost))));
    }

    /// <summary>This batch and those before it, latest first.</summary>
    public IEnumerable<WrittenBatch> Backwards()
    {
        for (var batch = this; batch is not null; batch = batch.Previous)
            yield return batch;
    }

    /// <summary>The records that are in it.</summary>
    public List<WrittenRecord> Records()
    {
        var records = new List<WrittenRecord>();
        using var reader = new RecordReader(Bytes);
        while (reader.TryRead(out var record))
            records.Add(
                new WrittenRecord(
                    record.Offset, record.Timestamp, TextOf(record.HasKey, record.Key), TextOf(record.HasValue, record.Value)));
        return records;
    }

    /// <summary>
    /// Whether this may be left of <paramref name="original"/> after compaction: the same batch, with some of its records or all.
    /// </summary>
    public bool IsPartOf(WrittenBatch original)
    {
        var mine = View;
        var its = original.View;
        return mine.BaseOffset == its.BaseOffset && mine.LastOffset == its.LastOffset
            && mine.PartitionLeaderEpoch == its.PartitionLeaderEpoch
            && mine.ProducerId == its.ProducerId && mine.ProducerEpoch == its.ProducerEpoch && mine.BaseSequence == its.BaseSequence
            && mine.IsTransactional == its.IsTransactional && mine.IsControl == its.IsControl
            && Records() is var records
            && records.SequenceEqual(original.Records().IntersectBy(records.Select(record => record.Offset), record => record.Offset));
    }

    private static string? TextOf(bool isThere, ReadOnlySpan<byte> bytes) => isThere ? Encoding.Latin1.GetString(bytes) : null;

    public override string ToString() => $"[{BaseOffset}..{LastOffset}] of epoch {View.PartitionLeaderEpoch}";
}

/// <summary>A record of a batch.</summary>
internal readonly record struct WrittenRecord(long Offset, long Timestamp, string? Key, string? Value);
