using Ottla.Kernel;
using Ottla.Protocol.Batches;

namespace Ottla.Client.Consumers.Fetching;

/// <summary>What a partition needs before it can be fetched from.</summary>
internal enum PositionNeed
{
    /// <summary>The application is being told of it, and may choose a position.</summary>
    Callback,

    /// <summary>The offset that the group has committed.</summary>
    Committed,

    /// <summary>The offset of a timestamp, or of the log's start or end.</summary>
    Reset,

    /// <summary>The leader may have lost records that were read already: it has to say where the epoch of the last one ends.</summary>
    Validation,

    /// <summary>An offset that the application chooses: none was committed, or it is gone, and the options say to choose none.</summary>
    Choice,

    /// <summary>Nothing.</summary>
    Nothing,
}

/// <summary>
/// A partition that is assigned to a consumer: its position, and the records that wait for the application. Guarded by the consumer's lock.
/// A partition that is taken away and comes back is another object, so that late answers do not touch it.
/// </summary>
internal sealed class ConsumedPartition(TopicPartition partition)
{
    private readonly Queue<FetchedRecords> _fetched = new();

    /// <summary>Its name.</summary>
    public TopicPartition Partition { get; } = partition;

    /// <summary>Whether it was taken away.</summary>
    public bool IsGone { get; private set; }

    /// <summary>Whether it stands in the queue of those with records.</summary>
    public bool IsQueued { get; set; }

    /// <summary>What it needs.</summary>
    public PositionNeed Need { get; set; } = PositionNeed.Callback;

    /// <summary>The timestamp to look for: ms since the epoch, or one of ListOffsets' marks.</summary>
    public long ResetTimestamp { get; set; }

    /// <summary>Whether a lookup of its position is under way.</summary>
    public bool IsLookedUp { get; set; }

    /// <summary>Changes whenever the position is set anew: an answer that was asked for before does not count.</summary>
    public int PositionVersion { get; private set; }

    /// <summary>The offset of the next record for the application; -1 while it is unknown.</summary>
    public long Position { get; private set; } = -1;

    /// <summary>The leader epoch of the last record before the position; -1 for unknown.</summary>
    public int PositionEpoch { get; private set; } = -1;

    /// <summary>The offset to fetch from next.</summary>
    public long FetchOffset { get; private set; } = -1;

    /// <summary>The leader epoch of the last record before that.</summary>
    public int FetchEpoch { get; private set; } = -1;

    /// <summary>The newest leader epoch for which the position is known to be right.</summary>
    public int ValidEpoch { get; set; } = -1;

    /// <summary>Whether the application has paused it.</summary>
    public bool IsPaused { get; set; }

    /// <summary>Whether it rests because enough of its records are being processed.</summary>
    public bool IsHeld { get; set; }

    /// <summary>Whether a fetch of it is under way.</summary>
    public bool IsFetched { get; set; }

    /// <summary>Nothing is asked about it before.</summary>
    public Instant RetryAt { get; set; } = new(long.MinValue);

    /// <summary>The node to fetch from instead of the leader (KIP-392); -1 for the leader.</summary>
    public int PreferredReplica { get; set; } = -1;

    /// <summary>How long that holds.</summary>
    public Instant PreferredUntil { get; set; }

    /// <summary>The offset after the last record that is on all in-sync replicas; -1 for unknown.</summary>
    public long HighWatermark { get; set; } = -1;

    /// <summary>The offset up to which transactions are decided; -1 for unknown.</summary>
    public long LastStableOffset { get; set; } = -1;

    /// <summary>The first offset of the log; -1 for unknown.</summary>
    public long LogStartOffset { get; set; } = -1;

    /// <summary>Why the application has to choose a position.</summary>
    public KafkaException? Refusal { get; set; }

    /// <summary>What is to be committed next; null when there is nothing new.</summary>
    public CommitOffset? Stored { get; set; }

    /// <summary>Records that the application has taken, until they are counted.</summary>
    public long TakenRecords { get; set; }

    /// <summary>The bytes of their keys and values; for batches that were taken as they are, those of the batches.</summary>
    public long TakenBytes { get; set; }

    /// <summary>The bytes that wait for the application.</summary>
    public int BufferedBytes { get; private set; }

    /// <summary>The answers that wait for the application.</summary>
    public int BufferedCount => _fetched.Count;

    /// <summary>Whether records may be at hand.</summary>
    public bool HasRecords => _fetched.Count > 0 && !IsPaused && !IsHeld && Need == PositionNeed.Nothing;

    /// <summary>Sets the position anew, and drops what waits.</summary>
    public void Seek(long offset, int leaderEpoch)
    {
        PositionVersion++;
        IsLookedUp = false;
        DropFetched();
        Position = FetchOffset = offset;
        PositionEpoch = FetchEpoch = leaderEpoch;
        ValidEpoch = -1;
        Need = leaderEpoch >= 0 ? PositionNeed.Validation : PositionNeed.Nothing;
        RetryAt = new Instant(long.MinValue);
    }

    /// <summary>Has the position looked up by a timestamp.</summary>
    public void Reset(long timestamp)
    {
        PositionVersion++;
        IsLookedUp = false;
        DropFetched();
        Position = FetchOffset = -1;
        PositionEpoch = FetchEpoch = -1;
        ResetTimestamp = timestamp;
        Need = PositionNeed.Reset;
        RetryAt = new Instant(long.MinValue);
    }

    /// <summary>Takes records that were fetched from the fetch offset.</summary>
    public void Add(FetchedRecords fetched)
    {
        FetchOffset = fetched.NextOffset;
        if (fetched.LastEpoch >= 0)
            FetchEpoch = fetched.LastEpoch;
        BufferedBytes += fetched.SizeBytes;
        _fetched.Enqueue(fetched);
    }

    /// <summary>Takes the next record of the oldest answer for the application, and moves the position behind it.</summary>
    /// <param name="source">Where the record is, until the next call.</param>
    /// <returns>False when that answer has no more.</returns>
    /// <exception cref="CorruptRecordException">
    /// The next batch cannot be read. The position stays before it.
    /// </exception>
    public bool TryTake(out FetchedRecords source)
    {
        if (!_fetched.TryPeek(out source!))
            return false;
        if (source.TryRead(Position))
        {
            Position = source.Current.Offset + 1;
            PositionEpoch = source.CurrentEpoch;
            return true;
        }

        // Markers and aborted records are passed over, and count as read.
        if (source.NextOffset > Position)
            (Position, PositionEpoch) = (source.NextOffset, source.LastEpoch);
        Drop();
        return false;
    }

    /// <summary>Takes the next batch of the oldest answer for the application, and moves the position behind it.</summary>
    /// <param name="source">Where the batch is from.</param>
    /// <param name="batch">The batch.</param>
    /// <param name="firstOffset">The position before: earlier records of the batch do not count.</param>
    /// <returns>False when that answer has no more.</returns>
    /// <exception cref="CorruptRecordException">The next batch cannot be read. The position stays before it.</exception>
    public bool TryTakeBatch(out FetchedRecords source, out ReadOnlyMemory<byte> batch, out long firstOffset)
    {
        firstOffset = Position;
        batch = default;
        if (!_fetched.TryPeek(out source!))
            return false;
        while (source.TryTakeBatch(out batch))
        {
            var view = new RecordBatchView(batch.Span);
            if (view.NextOffset <= Position)
                continue; // all of it was read already
            (Position, PositionEpoch) = (view.NextOffset, view.PartitionLeaderEpoch);
            return true;
        }

        if (source.NextOffset > Position)
            (Position, PositionEpoch) = (source.NextOffset, source.LastEpoch);
        Drop();
        return false;
    }

    /// <summary>It is taken away.</summary>
    public void Remove()
    {
        IsGone = true;
        DropFetched();
    }

    /// <summary>Lets go of what waits.</summary>
    public void DropFetched()
    {
        while (_fetched.Count > 0)
            Drop();
    }

    private void Drop()
    {
        var done = _fetched.Dequeue();
        BufferedBytes -= done.SizeBytes;
        done.Dispose();
    }
}
