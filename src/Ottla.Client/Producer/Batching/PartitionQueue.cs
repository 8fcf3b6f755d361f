using Ottla.Kernel;
using Ottla.Protocol.Batches;

namespace Ottla.Client.Producing;

/// <summary>What came of an attempt to append a record.</summary>
internal enum AppendOutcome
{
    /// <summary>It is in a batch.</summary>
    Appended,

    /// <summary>There is no memory for it.</summary>
    NoMemory,

    /// <summary>It needs another batch, and the caller wants to choose the partition again before one is begun.</summary>
    NeedsBatch,
}

/// <summary>The batches of one partition that were not sent yet.</summary>
/// <remarks>Whoever appends and the sender's loop meet here, under its lock; what the loop alone owns says so.</remarks>
internal sealed class PartitionQueue
{
    private readonly Lock _lock = new();
    private bool _waitsForAnswer;

    // Guarded by _lock.
    private readonly Queue<ProducerBatch> _closed = new();
    private ProducerBatch? _open;
    private bool _isActive;

    /// <param name="topic">The topic.</param>
    /// <param name="partition">The partition.</param>
    public PartitionQueue(TopicQueues topic, int partition)
    {
        Topic = topic;
        Partition = partition;
        Sequences = new PartitionSequences(topic.Context.Options.InFlightMax, topic.Context.Options.IsSequenced);
    }

    /// <summary>The topic.</summary>
    public TopicQueues Topic { get; }

    /// <summary>The partition.</summary>
    public int Partition { get; }

    /// <summary>Topic and partition.</summary>
    public TopicPartition Id => new(Topic.Name, Partition);

    /// <summary>The bytes that the next batch will probably have: as the last one, or half of what that was to have.</summary>
    public int ExpectedBatchBytes { get; private set; }

    /// <summary>What was sent and has no outcome, and what may be sent next. Owned by the sender's loop.</summary>
    public PartitionSequences Sequences { get; }

    /// <summary>
    /// Whether the sender can send nothing more of it before an answer comes, with which it looks again: it need not be woken for a batch
    /// that is full. The sender's loop clears it before it looks for batches, and sets it when it has found that out.
    /// </summary>
    public bool WaitsForAnswer
    {
        get => Volatile.Read(ref _waitsForAnswer);
        set => Volatile.Write(ref _waitsForAnswer, value);
    }

    /// <summary>Batches that wait to be sent.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
                return _closed.Count + (_open is null ? 0 : 1);
        }
    }

    /// <summary>Appends a record.</summary>
    /// <param name="timestamp">Its timestamp, in milliseconds since the epoch.</param>
    /// <param name="key">Its key.</param>
    /// <param name="value">Its value.</param>
    /// <param name="headers">Its headers.</param>
    /// <param name="callback">Who wants to know the outcome.</param>
    /// <param name="mayBeginBatch">Whether a batch may be begun; otherwise <see cref="AppendOutcome.NeedsBatch"/>.</param>
    /// <param name="takenBytes">Bytes of memory that the caller has taken for it; what is used of them is subtracted.</param>
    /// <param name="appended">What happened.</param>
    public AppendOutcome Append(
        long timestamp, NullableBytes key, NullableBytes value, ReadOnlySpan<RecordHeader> headers, RecordCallback callback,
        bool mayBeginBatch, ref long takenBytes, out Appended appended)
    {
        appended = default;
        lock (_lock)
        {
            int recordBytes = 0, bodyBytes = 0;
            if (_open is not null)
            {
                recordBytes = _open.SizeOf(timestamp, key, value, headers, out bodyBytes);
                if (!_open.Fits(recordBytes))
                {
                    CloseOpen();
                    appended.HasClosedBatch = !WaitsForAnswer;
                }
            }

            var batch = _open;
            if (batch is null)
            {
                if (!mayBeginBatch)
                    return AppendOutcome.NeedsBatch;
                batch = new ProducerBatch(this, Instant.Now(Topic.Context.Time));
                recordBytes = batch.SizeOf(timestamp, key, value, headers, out bodyBytes);
                appended.NewBatch = batch;
            }

            appended.MissingBytes = batch.Reserve(recordBytes, ref takenBytes);
            if (appended.MissingBytes > 0)
            {
                appended.NewBatch = null;
                return AppendOutcome.NoMemory;
            }

            var before = appended.NewBatch is null ? batch.Length : 0;
            batch.Append(recordBytes, bodyBytes, timestamp, key, value, headers, callback);
            appended.Bytes = batch.Length - before;
            appended.IsBatchFull = batch.IsFull;
            _open = batch;
            if (batch.IsFull)
            {
                CloseOpen();
                appended.HasClosedBatch = !WaitsForAnswer;
            }

            appended.HasBecomeActive = !_isActive;
            _isActive = true;
            return AppendOutcome.Appended;
        }
    }

    /// <summary>When the next batch was begun, and whether it is closed; null when nothing waits.</summary>
    public (Instant CreatedAt, bool IsClosed)? Head()
    {
        lock (_lock)
        {
            return _closed.TryPeek(out var first) ? (first.CreatedAt, true)
                : _open is { } open ? (open.CreatedAt, false)
                : null;
        }
    }

    /// <summary>Takes the next batch, also one that is not full; null when nothing waits.</summary>
    public ProducerBatch? Take()
    {
        lock (_lock)
        {
            if (_closed.Count == 0 && _open is not null)
                CloseOpen();
            return _closed.TryDequeue(out var batch) ? batch : null;
        }
    }

    /// <summary>Takes the queue out of what the sender looks at; false when something waits.</summary>
    public bool TryDeactivate()
    {
        lock (_lock)
        {
            if (_closed.Count > 0 || _open is not null)
                return false;
            _isActive = false;
            return true;
        }
    }

    /// <summary>Called under the lock.</summary>
    private void CloseOpen()
    {
        // The last batch of a flush says little about the next one, which would begin too small and be copied as it grows.
        ExpectedBatchBytes = Math.Max(_open!.Length, ExpectedBatchBytes / 2);
        _closed.Enqueue(_open);
        _open = null;
    }

    /// <summary>What an append did.</summary>
    public struct Appended
    {
        /// <summary>How much longer the batch has become; with its header if it is new.</summary>
        public int Bytes;

        /// <summary>Whether no further record fits.</summary>
        public bool IsBatchFull;

        /// <summary>The batch, if the record began it.</summary>
        public ProducerBatch? NewBatch;

        /// <summary>Whether a batch was closed, which can be sent at once.</summary>
        public bool HasClosedBatch;

        /// <summary>Whether the sender does not look at the queue yet.</summary>
        public bool HasBecomeActive;

        /// <summary>The memory that is missing, in bytes.</summary>
        public long MissingBytes;
    }
}
