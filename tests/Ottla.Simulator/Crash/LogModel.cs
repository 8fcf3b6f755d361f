using Ottla.Kernel;
using Ottla.Storage.Log;

namespace Ottla.Simulator.Crash;

/// <summary>What one log was told, over all its lives: by it a recovered log is judged.</summary>
/// <remarks>A topic that is deleted and made again is another log, with another id.</remarks>
internal sealed class LogModel(TopicPartition partition, Uuid topicId, bool isCompacted)
{
    private readonly List<WrittenBatch> _written = [];

    public TopicPartition Partition => partition;

    public Uuid TopicId => topicId;

    /// <summary>Compaction takes records out of it.</summary>
    public bool IsCompacted => isCompacted;

    /// <summary>What lies before this offset may be compacted.</summary>
    public long CompactedTo { get; private set; }

    /// <summary>
    /// What compaction relied on having been committed, the markers of its transactions among it: a log is not truncated to before that.
    /// </summary>
    public long CommittedTo { get; private set; }

    /// <summary>
    /// Offsets of records, and in a log that is not compacted of batches, that are gone without compaction, as they may be: they were not
    /// flushed, or their truncation was begun.
    /// </summary>
    public HashSet<long> Lost { get; } = [];

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

    /// <summary>Has the log lead in the epoch of its leader.</summary>
    public void Lead() => Log!.BeginLeading(LeaderEpoch);

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

    /// <summary>A compaction is about to begin.</summary>
    public void NoteCompaction(PartitionLog log)
    {
        CompactedTo = Math.Max(CompactedTo, Math.Min(log.LastStableOffset, log.ActiveSegmentOffset));
        CommittedTo = Math.Max(CommittedTo, log.HighWatermark);
    }

    /// <summary>The log was emptied: it starts anew, possibly before where it once started.</summary>
    public void Restart(long offset)
    {
        Tip = null;
        StartOffsetMax = offset;
        CompactedTo = CommittedTo = 0;
        Lost.Clear();
    }

    /// <summary>
    /// The batches that were written with exactly these bytes or, in a log that is compacted, that these bytes may be what is left of.
    /// </summary>
    public IEnumerable<WrittenBatch> Find(ReadOnlyMemory<byte> bytes)
    {
        var found = new WrittenBatch(bytes, null);
        return _written.Where(batch => batch.Bytes.Span.SequenceEqual(bytes.Span) || (isCompacted && found.IsPartOf(batch)));
    }

    /// <summary>The batches that a torn write may have left these bytes of.</summary>
    public IEnumerable<WrittenBatch> FindTorn(ReadOnlyMemory<byte> bytes)
    {
        var found = new WrittenBatch(bytes, null);
        return found.BaseOffset >= FlushedEndOffset ? _written.Where(found.IsTornFrom) : [];
    }

    /// <summary>
    /// Whether a batch's transaction was aborted: true, or committed: false; null when it was never ended. A marker counts even if it was
    /// truncated since, or lost:
    /// the coordinator had decided before it sent it.
    /// </summary>
    public bool? OutcomeOf(WrittenBatch batch) =>
        _written.Find(marker => IsMarkerOf(marker, batch.View.ProducerId)
            && marker.Backwards().Skip(1).TakeWhile(earlier => !IsMarkerOf(earlier, batch.View.ProducerId))
            .Any(earlier => ReferenceEquals(earlier, batch))) is { } end
            ? ReplayedProducers.IsAbort(end)
            : null;

    /// <summary>
    /// Whether power loss took the batch out of the middle of the log, where it was not flushed. From then on the log cannot know what it
    /// said: not that it ended a transaction, which so may be open again.
    /// </summary>
    public bool IsLost(WrittenBatch batch) => !isCompacted && Lost.Contains(batch.BaseOffset);

    /// <summary>The log ends here from now on: what is written next has the offsets of what was lost.</summary>
    public void ForgetLostFrom(long endOffset) => Lost.RemoveWhere(offset => offset >= endOffset);

    /// <summary>Whether a producer ever wrote to the log.</summary>
    public bool Knows(long producerId) => _written.Any(batch => batch.View.ProducerId == producerId);

    private static bool IsMarkerOf(WrittenBatch batch, long producerId) => batch.View.IsControl && batch.View.ProducerId == producerId;

    /// <summary>What must have survived.</summary>
    public IEnumerable<WrittenBatch> Flushed() =>
        Tip?.Backwards().Where(batch => batch.LastOffset < FlushedEndOffset && batch.LastOffset >= StartOffsetMax && !IsLost(batch)) ?? [];
}
