using Ottla.Kernel;
using Ottla.Storage.Log;

namespace Ottla.Simulator.Crash;

/// <summary>What one log was told, over all its lives: by it a recovered log is judged.</summary>
/// <remarks>A topic that is deleted and made again is another log, with another id.</remarks>
internal sealed class LogModel(TopicPartition partition, Uuid topicId)
{
    private readonly List<WrittenBatch> _written = [];

    public TopicPartition Partition => partition;

    public Uuid TopicId => topicId;

    /// <summary>The log while a process has it open; afterwards what it last said.</summary>
    public PartitionLog? Log { get; set; }

    /// <summary>The last batch of the log.</summary>
    public WrittenBatch? Tip { get; set; }

    /// <summary>The epoch of its leader.</summary>
    public int LeaderEpoch { get; set; }

    /// <summary>It is deleted, or that was tried.</summary>
    public bool MayBeGone { get; set; }

    /// <summary>A truncation to here was begun and may have happened or not; null when there is none.</summary>
    public long? TruncatesTo { get; set; }

    /// <summary>The highest start that the log was given: what lies before it may be gone.</summary>
    public long StartOffsetMax { get; private set; }

    /// <summary>Batches before this offset must survive everything.</summary>
    public long FlushedEndOffset { get; private set; }

    /// <summary>Notes that a batch may be in the log from now on, after <paramref name="previous"/>.</summary>
    public WrittenBatch Try(ReadOnlyMemory<byte> bytes, WrittenBatch? previous)
    {
        var batch = new WrittenBatch(bytes, previous);
        _written.Add(batch);
        return batch;
    }

    /// <summary>Takes over what the log says of itself, at the end of a life or after a recovery.</summary>
    public void Note(PartitionLog log)
    {
        StartOffsetMax = Math.Max(StartOffsetMax, log.LogStartOffset);
        FlushedEndOffset = Math.Min(log.RecoveryPoint, TruncatesTo ?? long.MaxValue);
    }

    /// <summary>The log was emptied: it starts anew, possibly before where it once started.</summary>
    public void Restart(long offset)
    {
        Tip = null;
        StartOffsetMax = offset;
    }

    /// <summary>The batch that was written with exactly these bytes; null when nobody wrote it.</summary>
    public IEnumerable<WrittenBatch> Find(ReadOnlyMemory<byte> bytes) => _written.Where(batch => batch.Bytes.Span.SequenceEqual(bytes.Span));

    /// <summary>Whether a producer ever wrote to the log.</summary>
    public bool Knows(long producerId) => _written.Any(batch => batch.View.ProducerId == producerId);

    /// <summary>What must have survived.</summary>
    public IEnumerable<WrittenBatch> Flushed() =>
        Tip?.Backwards().Where(batch => batch.LastOffset < FlushedEndOffset && batch.LastOffset >= StartOffsetMax) ?? [];
}
