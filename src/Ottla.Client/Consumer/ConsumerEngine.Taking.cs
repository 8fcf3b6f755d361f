using Ottla.Client.Consumers.Fetching;
using Ottla.Client.Consumers.Membership;
using Ottla.Kernel;
using Ottla.Protocol.Batches;

namespace Ottla.Client.Consumers;

/// <summary>A record as it was fetched, for the application.</summary>
/// <param name="Partition">Where it comes from.</param>
/// <param name="Offset">Its offset.</param>
/// <param name="LeaderEpoch">The epoch of the leader that wrote it.</param>
/// <param name="TimestampMs">Its timestamp.</param>
/// <param name="TimestampType">Whose it is.</param>
/// <param name="Key">Its key.</param>
/// <param name="HasKey">Whether it has one.</param>
/// <param name="Value">Its value.</param>
/// <param name="HasValue">Whether it has one.</param>
/// <param name="Headers">Its headers.</param>
internal readonly record struct TakenRecord(
    ConsumedPartition Partition, long Offset, int LeaderEpoch, long TimestampMs, TimestampType TimestampType, ReadOnlyMemory<byte> Key,
    bool HasKey, ReadOnlyMemory<byte> Value, bool HasValue, ConsumedHeaders Headers);

/// <summary>What the application does: it takes records, and is called back in between.</summary>
internal sealed partial class ConsumerEngine
{
    // Guarded by _lock.
    private readonly Queue<ConsumedPartition> _ready = new();
    private ConsumedPartition? _current;
    private readonly RecordCursor _rawCursor = new();
    private ConsumedPartition? _taken;
    private FetchedFrame? _takenFrame;
    private CommitOffset _takenNext;

    /// <summary>Whether something was taken since the loop has looked: the clock is not read for each record.</summary>
    private bool _hasTaken;
    private bool _isWaiting;

    /// <summary>The group has waited for this poll: it comes first, and then the records that are at hand.</summary>
    private bool _isGroupDue;
    private bool _isUnchosen;

    /// <summary>When the call began that has waited for what comes next; null when it did not wait, or nobody listens to traces.</summary>
    private DateTimeOffset? _waitedSince;

    /// <summary>When the call began that is given something now. For traces.</summary>
    public DateTimeOffset TakeBeginning()
    {
        lock (_lock)
        {
            var since = _waitedSince ?? _time.GetUtcNow();
            _waitedSince = null;
            return since;
        }
    }

    /// <summary>The time. For traces.</summary>
    public DateTimeOffset UtcNow => _time.GetUtcNow();

    /// <summary>Takes the next record if one is at hand, and nothing is more urgent. What was taken before counts as processed.</summary>
    /// <param name="record">The record.</param>
    /// <exception cref="UnreadableRecordException">The record cannot be read.</exception>
    /// <exception cref="ObjectDisposedException">The consumer is closed.</exception>
    public bool TryTake(out TakenRecord record)
    {
        lock (_lock)
        {
            if (MayTake())
                return TryTakeNext(out record);
            record = default;
            return false;
        }
    }

    /// <summary>As <see cref="TryTake"/>, with what is at hand of the same partition and the same answer.</summary>
    /// <param name="records">Receives the records; it grows.</param>
    /// <param name="max">The most records.</param>
    /// <returns>How many there are. A record that cannot be read ends them, and is met again as the first of the next ones.</returns>
    /// <exception cref="UnreadableRecordException">The first one cannot be read.</exception>
    /// <exception cref="ObjectDisposedException">The consumer is closed.</exception>
    public int TakeMany(ref TakenRecord[] records, int max)
    {
        const int firstSize = 64;
        lock (_lock)
        {
            if (!MayTake())
                return 0;
            if (records.Length == 0)
                records = new TakenRecord[Math.Min(firstSize, max)];
            if (!TryTakeNext(out records[0]))
                return 0;
            var partition = records[0].Partition;
            var count = 1;
            try
            {
                while (count < max)
                {
                    if (count == records.Length)
                        Array.Resize(ref records, (int)Math.Min(max, 2L * count));
                    if (!TryTakeFrom(partition, out records[count]))
                    {
                        EndTurn();
                        break;
                    }

                    count++;
                }
            }
            catch (UnreadableRecordException)
            {
                // Those before it come first.
            }

            return count;
        }
    }

    /// <summary>
    /// Takes the next batch as it is, if one is at hand and nothing is more urgent. What was taken before counts as processed.
    /// </summary>
    /// <param name="batch">The batch, whose memory is valid until the next call that takes something.</param>
    /// <exception cref="UnreadableRecordException">The batch cannot be read.</exception>
    /// <exception cref="ObjectDisposedException">The consumer is closed.</exception>
    public bool TryTakeRaw(out RawBatch batch)
    {
        batch = null!;
        lock (_lock)
        {
            if (!MayTake())
                return false;
            while (TryChoose())
            {
                if (TryTakeRawFrom(_current!, out batch))
                    return true;
                EndTurn();
            }

            return false;
        }
    }

    /// <summary>Waits until a record may be at hand; calls the application back meanwhile.</summary>
    /// <param name="cancellation">Ends the wait.</param>
    /// <param name="callbacks">Ends a call back, too.</param>
    /// <exception cref="KafkaException">Something failed that the application has to know.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The consumer is closed.</exception>
    public async ValueTask WaitAsync(CancellationToken cancellation, CancellationToken callbacks)
    {
        DateTimeOffset? begunAt = ClientTelemetry.IsTraced ? _time.GetUtcNow() : null;
        BeginPoll();
        try
        {
            while (true)
            {
                cancellation.ThrowIfCancellationRequested();
                Task waiting;
                MembershipAction? callback = null;
                lock (_lock)
                {
                    ThrowIfClosed();
                    ThrowFailure();
                    if (_callback is not null && !_isCalledBack)
                    {
                        callback = _callback;
                        _isCalledBack = true;
                    }
                    else if (_callback is null && !_isGroupDue && HasReady())
                    {
                        _waitedSince = begunAt;
                        return;
                    }

                    waiting = (_waiter ??= NewWaiter()).Task;
                    if (callback is null)
                        Wake();
                }

                if (callback is null)
                    await waiting.UntilCanceled(cancellation);
                else
                    await CallBackAsync(callback, callbacks);
            }
        }
        finally
        {
            EndPoll();
        }
    }

    /// <summary>The record cannot be deserialized: the position goes back to it.</summary>
    /// <param name="record">The record.</param>
    /// <param name="before">The offset behind the record that was taken before it and is handed out; null for none.</param>
    public void PutBack(in TakenRecord record, CommitOffset? before = null)
    {
        lock (_lock)
        {
            if (!record.Partition.IsGone)
                record.Partition.Seek(record.Offset, -1);
            if (_taken == record.Partition && before is { } next)
                _takenNext = next;
            else if (_taken == record.Partition)
                _taken = null;
            Wake();
        }
    }

    /// <summary>
    /// Counts what was taken before as processed, and says whether something more may be taken: nothing is more urgent. Called under the
    /// lock.
    /// </summary>
    private bool MayTake()
    {
        ThrowIfClosed();
        StoreTaken();
        return _failure is null && _callback is null && _membership is not { WaitsForPoll: true };
    }

    private static TaskCompletionSource NewWaiter() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private void BeginPoll()
    {
        lock (_lock)
        {
            ThrowIfClosed();
            if (_isWaiting)
                throw new InvalidOperationException("Another call waits for records of this consumer. One at a time may.");
            if (_membership is null && _partitions.Count == 0 && !_isManual)
                throw new InvalidOperationException("The consumer has no topics: subscribe to some, or assign partitions, before.");
            _isWaiting = true;
            StoreTaken();
            _isGroupDue = _membership is { WaitsForPoll: true };
            _takenFrame?.Release(); // the application has come back
            _takenFrame = null;
            _membership?.OnPollBegun(Instant.Now(_time));
        }

        _metrics?.OnPollBegun();
        _reporter?.EnsureStarted();
    }

    private void EndPoll()
    {
        lock (_lock)
        {
            _isWaiting = false;
            _hasTaken = false;
            _membership?.OnPollEnded(Instant.Now(_time));
            _signal.Set(); // the time in which the application has to come back begins
        }

        _metrics?.OnPollEnded();
    }

    private void ThrowFailure()
    {
        if (_failure is { } failure)
        {
            _failure = null;
            throw failure;
        }

        if (!_isUnchosen)
            return;
        var unchosen = _partitions.Values.FirstOrDefault(partition => partition.Need == PositionNeed.Choice);
        if (unchosen is null)
            _isUnchosen = false;
        else
            throw unchosen.Refusal!;
    }

    /// <summary>Counts the record that was taken last as processed. Called under the lock.</summary>
    private void StoreTaken()
    {
        if (_taken is not { } taken)
            return;
        _taken = null;
        if (!_options.EnableAutoCommit || taken.IsGone || _guard is not null)
            return;
        taken.Stored = _takenNext;
        if (_autoCommitAt is null)
            _signal.Set(); // the time until the next commit begins
    }

    private bool HasReady()
    {
        if (_current is { IsGone: false, HasRecords: true })
            return true;
        while (_ready.TryPeek(out var next))
        {
            if (next is { IsGone: false, HasRecords: true })
                return true;
            _ready.Dequeue();
            next.IsQueued = false; // it comes back with its next records, or when it is resumed
        }

        return false;
    }

    private bool TryTakeNext(out TakenRecord record)
    {
        while (TryChoose())
        {
            if (TryTakeFrom(_current!, out record))
                return true;
            EndTurn();
        }

        record = default;
        return false;
    }

    /// <summary>Sees to it that the current partition has records; false when none has.</summary>
    private bool TryChoose()
    {
        if (_current is { IsGone: false, HasRecords: true })
            return true;
        if (!HasReady())
            return false;
        _current = _ready.Dequeue();
        _current.IsQueued = false;
        return true;
    }

    /// <summary>The current partition has come to the end of an answer: others' turn comes first.</summary>
    private void EndTurn()
    {
        var current = _current!;
        _current = null;
        TellTaken(current);
        EnqueueReady(current);
    }

    private bool TryTakeFrom(ConsumedPartition partition, out TakenRecord record)
    {
        record = default;
        if (partition.IsGone || !partition.HasRecords)
            return false;
        bool isThere;
        FetchedRecords source;
        try
        {
            isThere = partition.TryTake(out source);
        }
        catch (CorruptRecordException e)
        {
            throw Unreadable(partition, e);
        }

        if (!isThere)
        {
            _answersUsedUp++;
            _signal.Set(); // there is room for more
            return false;
        }

        var read = source.Current;
        record = new TakenRecord(
            partition, read.Offset, source.CurrentEpoch, read.Timestamp, source.TimestampType, read.Key, read.HasKey, read.Value,
            read.HasValue, HeadersOf(read));
        NoteTaken(partition, source, new CommitOffset(read.Offset + 1, source.CurrentEpoch), read.Key.Length + read.Value.Length);
        return true;
    }

    private bool TryTakeRawFrom(ConsumedPartition partition, out RawBatch batch)
    {
        batch = null!;
        try
        {
            if (!partition.TryTakeBatch(out var source, out var bytes, out var firstOffset))
            {
                _answersUsedUp++;
                _signal.Set(); // there is room for more
                return false;
            }

            batch = new RawBatch(partition.Partition, bytes, firstOffset, _rawCursor);
            NoteTaken(partition, source, batch.Next.Offset, bytes.Length, batch.RecordCount);
            return true;
        }
        catch (CorruptRecordException e)
        {
            throw Unreadable(partition, e);
        }
    }

    private void NoteTaken(ConsumedPartition partition, FetchedRecords source, CommitOffset next, int bytes, int records = 1)
    {
        partition.TakenRecords += records;
        partition.TakenBytes += bytes;
        _taken = partition;
        _takenNext = next;
        _hasTaken = true;
        if (ClientTelemetry.CountsConsumed)
            ClientTelemetry.CountConsumed(partition.Partition, _options.GroupId, records);
        if (_takenFrame == source.Frame)
            return;
        // The application reads it outside of the lock, also when the partition is taken away meanwhile.
        _takenFrame?.Release();
        _takenFrame = source.Frame;
        _takenFrame?.AddUser();
    }

    /// <summary>The headers, which the application may keep.</summary>
    private ConsumedHeaders HeadersOf(RecordCursor record) =>
        record.HeaderCount == 0 ? default
        : new ConsumedHeaders(_keepsBytes ? record.RawHeaders : record.RawHeaders.ToArray(), record.HeaderCount);

    private static UnreadableRecordException Unreadable(ConsumedPartition partition, CorruptRecordException e) => new(
        e.ErrorCode, partition.Partition, partition.Position,
        $"A record of {partition.Partition} at or after offset {partition.Position} cannot be read: {e.Message}", e);

    /// <summary>Puts a partition into the queue of those with records. Called under the lock.</summary>
    private void EnqueueReady(ConsumedPartition partition)
    {
        if (partition.IsQueued || partition.IsGone || !partition.HasRecords)
            return;
        partition.IsQueued = true;
        _ready.Enqueue(partition);
    }
}
