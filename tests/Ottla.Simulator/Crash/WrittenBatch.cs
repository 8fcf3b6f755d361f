using Ottla.Protocol.Batches;

namespace Ottla.Simulator.Crash;

/// <summary>A batch that somebody tried to append, and what the log ended with before it. Truncations make a tree of them; every state of a log is a path in it.</summary>
/// <param name="Bytes">The batch as it was handed to the log, which patched its offsets.</param>
/// <param name="Previous">The last batch at that time; null when the log was empty.</param>
internal sealed record WrittenBatch(ReadOnlyMemory<byte> Bytes, WrittenBatch? Previous)
{
    public RecordBatchView View => new(Bytes.Span);

    public long BaseOffset => View.BaseOffset;

    public long LastOffset => View.LastOffset;

    /// <summary>This batch and those before it, latest first.</summary>
    public IEnumerable<WrittenBatch> Backwards()
    {
        for (var batch = this; batch is not null; batch = batch.Previous)
            yield return batch;
    }

    public override string ToString() => $"[{BaseOffset}..{LastOffset}] of epoch {View.PartitionLeaderEpoch}";
}
