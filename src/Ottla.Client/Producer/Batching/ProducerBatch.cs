using System.Buffers;
using Microsoft.Extensions.Logging;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Batches.Compression;

namespace Ottla.Client.Producing;

/// <summary>
/// A batch of one partition, from its first record to its outcome. Records are written where they are sent from: behind room for the
/// header.
/// </summary>
/// <remarks>
/// While it is open, its queue's lock guards it; once it was taken from the queue, the sender's loop owns it. Its memory is counted by
/// <see cref="MemoryLimit"/> and goes back to the pool with <see cref="Release"/>.
/// </remarks>
internal sealed partial class ProducerBatch
{
    private const int FirstBufferBytes = 4096;
    private const int FirstCallbacks = 16;

    /// <summary>
    /// The room that a batch has behind a first record that is larger than batches should be: what the Java client reserves for such a
    /// record and does not need. Partitions of records without a key depend on when batches are full.
    /// </summary>
    private const int LargeRecordReserveBytes = 18;

    private readonly Lock _lock = new();
    private readonly ProducerContext _context;
    private PooledBuffer _records;
    private PooledBuffer _compressed;
    private int _compressedLength;
    private RecordCallback[] _callbacks = [];
    private int _callbackCount;
    private bool _arePooled = true;
    private int _bytesMax;
    private TaskCompletionSource? _done;
    private bool _isDone;
    private bool _isSealed;

    /// <param name="queue">The partition's queue.</param>
    /// <param name="createdAt">Now.</param>
    public ProducerBatch(PartitionQueue queue, Instant createdAt)
    {
        Queue = queue;
        _context = queue.Topic.Context;
        _bytesMax = _context.Options.BatchBytes;
        CreatedAt = createdAt;
    }

    /// <summary>The partition's queue.</summary>
    public PartitionQueue Queue { get; }

    /// <summary>When its first record was enqueued.</summary>
    public Instant CreatedAt { get; init; }

    /// <summary>Records.</summary>
    public int RecordCount { get; private set; }

    /// <summary>Bytes without compression, with the header.</summary>
    public int Length { get; private set; } = RecordBatchLayout.HeaderSizeBytes;

    /// <summary>Bytes of memory that are counted for it.</summary>
    public long MemoryBytes { get; private set; }

    /// <summary>What timestamps are relative to.</summary>
    public long BaseTimestamp { get; private set; } = RecordBatchLayout.NoTimestamp;

    /// <summary>The largest timestamp.</summary>
    public long MaxTimestamp { get; private set; } = RecordBatchLayout.NoTimestamp;

    /// <summary>The producer's id and epoch that it was stamped with; null before it was sent, and without idempotence.</summary>
    public ProducerIdAndEpoch? Producer { get; set; }

    /// <summary>The sequence of its first record; -1 before it was sent, and without idempotence.</summary>
    public int Sequence { get; set; } = RecordBatchLayout.NoSequence;

    /// <summary>Attempts so far.</summary>
    public int Attempts { get; set; }

    /// <summary>When it may be sent again; null when it was not sent, or at once.</summary>
    public Instant? RetryAt { get; set; }

    /// <summary>Whether a request with it is under way.</summary>
    public bool IsInFlight { get; set; }

    /// <summary>Whether an attempt that failed may have written it all the same.</summary>
    public bool MayBeWritten { get; set; }

    /// <summary>
    /// Whether a connection may still read its memory: a request with it has ended without an answer. Then the memory is left to the
    /// garbage collector, since another batch in it would be sent in this one's place.
    /// </summary>
    public bool MayBeRead { get; set; }

    /// <summary>The last failure of an attempt, for the message of a time-out.</summary>
    public KafkaException? LastFailure { get; set; }

    /// <summary>Whether its outcome was told.</summary>
    public bool IsDone => Volatile.Read(ref _isDone);

    /// <summary>The bytes to send. It is sealed.</summary>
    public Memory<byte> Wire => _compressedLength > 0 ? _compressed.Memory[.._compressedLength] : _records.Memory[..Length];

    /// <summary>Whether a record fits, given the bytes that it takes: the first one always does.</summary>
    public bool Fits(int recordBytes) => RecordCount == 0 || Length + recordBytes <= _bytesMax;

    /// <summary>Whether no record fits any more.</summary>
    public bool IsFull => RecordCount > 0 && Length >= _bytesMax;

    /// <summary>The bytes that a record would take.</summary>
    public int SizeOf(
        long timestamp, NullableBytes key, NullableBytes value, ReadOnlySpan<RecordHeader> headers, out int bodyBytes)
    {
        var timestampDelta = RecordCount == 0 ? 0 : unchecked(timestamp - BaseTimestamp);
        bodyBytes = RecordWriter.BodySizeOf(RecordCount, timestampDelta, key, value, headers);
        return RecordWriter.SizeOf(bodyBytes);
    }

    /// <summary>Makes room for a record.</summary>
    /// <param name="recordBytes">The bytes that it takes.</param>
    /// <param name="takenBytes">Bytes of memory that the caller has taken for it; what is used of them is subtracted.</param>
    /// <returns>The bytes of memory that it needs and are not there; 0 when there is room now.</returns>
    public long Reserve(int recordBytes, ref long takenBytes)
    {
        var needed = Length + recordBytes;
        if (needed <= _records.Length)
            return 0;
        var atMost = Math.Max(FirstBufferBytes, _context.Options.BatchBytes);
        var guess = _records.IsEmpty ? Math.Max(Queue.ExpectedBatchBytes, FirstBufferBytes) : 4L * _records.Length;
        var wanted = Math.Max(needed, (int)Math.Min(guess, atMost));
        var grown = _context.Buffers.Rent(wanted);
        var more = grown.Length - MemoryBytes;
        if (more <= takenBytes)
        {
            takenBytes -= more;
        }
        else if (!_context.Memory.TryTake(more))
        {
            grown.Dispose();
            return more;
        }

        MemoryBytes += more;
        _records.Span[..Math.Min(Length, _records.Length)].CopyTo(grown.Span);
        _records.Dispose();
        _records = grown;
        return 0;
    }

    /// <summary>Writes a record for which <see cref="Reserve"/> has made room.</summary>
    public void Append(
        int recordBytes, int bodyBytes, long timestamp, NullableBytes key, NullableBytes value, ReadOnlySpan<RecordHeader> headers,
        RecordCallback callback)
    {
        if (RecordCount == 0)
        {
            BaseTimestamp = timestamp;
            _bytesMax = Math.Max(_bytesMax, RecordBatchLayout.HeaderSizeBytes + bodyBytes + LargeRecordReserveBytes);
        }

        RecordWriter.Write(
            _records.Span.Slice(Length, recordBytes), bodyBytes, RecordCount, unchecked(timestamp - BaseTimestamp), key, value, headers);
        if (!callback.IsEmpty)
        {
            if (_callbackCount == _callbacks.Length)
                GrowCallbacks();
            _callbacks[_callbackCount++] = callback with { Index = RecordCount, Timestamp = timestamp };
        }

        Length += recordBytes;
        MaxTimestamp = Math.Max(MaxTimestamp, timestamp);
        RecordCount++;
    }

    /// <summary>Compresses the records. Nothing is appended any more; a second call does nothing.</summary>
    public void Seal()
    {
        if (_isSealed)
            return;
        _isSealed = true;
        var options = _context.Options;
        if (options.Compression == CompressionType.None)
            return;
        var codec = CompressionCodecs.For(options.Compression);
        using var output = new PooledBufferWriter(Length / 2);
        output.GetSpan(RecordBatchLayout.HeaderSizeBytes);
        output.Advance(RecordBatchLayout.HeaderSizeBytes);
        codec.Compress(
            _records.Span[RecordBatchLayout.HeaderSizeBytes..Length], options.CompressionLevel ?? codec.Levels.Default, output);
        _compressed = _context.Buffers.Rent(output.WrittenCount);
        output.WrittenSpan.CopyTo(_compressed.Span);
        _compressedLength = output.WrittenCount;
        _records.Dispose();
    }

    /// <summary>Writes header and checksum. Done again when the producer's epoch or the sequence has changed.</summary>
    /// <param name="isTransactional">Whether it belongs to a transaction.</param>
    public void Stamp(bool isTransactional)
    {
        var header = new RecordBatchOptions
        {
            Compression = _context.Options.Compression,
            ProducerId = Producer?.Id ?? RecordBatchLayout.NoProducerId,
            ProducerEpoch = Producer?.Epoch ?? RecordBatchLayout.NoProducerEpoch,
            BaseSequence = Sequence,
            IsTransactional = isTransactional,
        };
        RecordBatchHeader.Write(Wire.Span, header, RecordCount - 1, BaseTimestamp, MaxTimestamp, RecordCount);
    }

    /// <summary>
    /// Makes two batches of it, or more, because the leader finds it too large. It was sent and has more than one record.
    /// </summary>
    /// <returns>The parts, which have the callbacks and the memory from now on.</returns>
    public List<ProducerBatch> Split()
    {
        var parts = new List<ProducerBatch>();
        var options = new RecordBatchOptions
        {
            Compression = _context.Options.Compression,
            CompressionLevel = _context.Options.CompressionLevel,
        };
        using var builder = new RecordBatchBuilder(options);
        var partBytes = Length / 2;
        var first = 0;
        var (baseTimestamp, maxTimestamp) = (RecordBatchLayout.NoTimestamp, RecordBatchLayout.NoTimestamp);
        var reader = new RecordReader(Wire);
        try
        {
            while (reader.TryRead(out var record))
            {
                if (builder.RecordCount > 0 && builder.UncompressedSizeInBytes + record.SizeInBytes > partBytes)
                    EndPart();
                (baseTimestamp, maxTimestamp) = builder.RecordCount == 0
                    ? (record.Timestamp, record.Timestamp)
                    : (baseTimestamp, Math.Max(maxTimestamp, record.Timestamp));
                builder.AppendCopy(builder.NextOffset, record);
            }

            EndPart();
        }
        finally
        {
            reader.Dispose();
        }

        parts[0].MemoryBytes = MemoryBytes;
        MemoryBytes = 0;
        ReleaseCallbacks();
        return parts;

        void EndPart()
        {
            var built = builder.Build();
            var part = new ProducerBatch(Queue, CreatedAt)
            {
                RecordCount = builder.RecordCount,
                Length = builder.UncompressedSizeInBytes,
                BaseTimestamp = baseTimestamp,
                MaxTimestamp = maxTimestamp,
                LastFailure = LastFailure,
                MayBeWritten = MayBeWritten,
                _isSealed = true,
                _compressed = _context.Buffers.Rent(built.Length),
                _compressedLength = built.Length,
            };
            built.CopyTo(part._compressed.Span);
            var end = first + builder.RecordCount;
            part._callbacks = [.. _callbacks.Take(_callbackCount).Where(each => each.Index >= first && each.Index < end)
                .Select(each => each with { Index = each.Index - first })];
            part._callbackCount = part._callbacks.Length;
            part._arePooled = false;
            parts.Add(part);
            first = end;
            builder.Reset(options);
        }
    }

    /// <summary>A task that completes when the outcome was told.</summary>
    public Task DoneAsync()
    {
        lock (_lock)
        {
            if (_isDone)
                return Task.CompletedTask;
            return (_done ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }
    }

    /// <summary>Tells everybody the outcome; the first call counts.</summary>
    /// <param name="baseOffset">The offset of the first record; -1 when it is not known, or there is an error.</param>
    /// <param name="logAppendTimeMs">The timestamp that the leader gave all records; -1 when they keep their own.</param>
    /// <param name="errorOf">The error of a record by its index; null when there is none.</param>
    /// <returns>False when the outcome was told before.</returns>
    public bool Complete(long baseOffset, long logAppendTimeMs, Func<int, KafkaException>? errorOf)
    {
        TaskCompletionSource? done;
        lock (_lock)
        {
            if (_isDone)
                return false;
            _isDone = true;
            done = _done;
        }

        ClientTelemetry.CountSent(Queue.Id, RecordCount, errorOf?.Invoke(0).ErrorCode ?? ErrorCode.None);
        if (errorOf is not null)
            _context.Metrics?.OnFailed(this);
        for (var i = 0; i < _callbackCount; i++)
            Tell(_callbacks[i], baseOffset, logAppendTimeMs, errorOf);
        ReleaseCallbacks();
        done?.SetResult();
        return true;
    }

    /// <summary>Gives the memory back.</summary>
    public void Release()
    {
        if (!MayBeRead)
        {
            _records.Dispose();
            _compressed.Dispose();
        }

        _records = default;
        _compressed = default;
        _context.Memory.Return(MemoryBytes);
        MemoryBytes = 0;
    }

    private void GrowCallbacks()
    {
        var grown = ArrayPool<RecordCallback>.Shared.Rent(Math.Max(FirstCallbacks, 2 * _callbackCount));
        _callbacks.AsSpan(0, _callbackCount).CopyTo(grown);
        var count = _callbackCount;
        ReleaseCallbacks();
        (_callbacks, _callbackCount) = (grown, count);
    }

    private void ReleaseCallbacks()
    {
        if (_arePooled && _callbacks.Length > 0)
            ArrayPool<RecordCallback>.Shared.Return(_callbacks, clearArray: true);
        _callbacks = [];
        _callbackCount = 0;
        _arePooled = true;
    }

    private void Tell(RecordCallback callback, long baseOffset, long logAppendTimeMs, Func<int, KafkaException>? errorOf)
    {
        var error = errorOf?.Invoke(callback.Index);
        var timestamp = logAppendTimeMs >= 0 ? logAppendTimeMs : callback.Timestamp;
        var metadata = new RecordMetadata(
            Queue.Topic.Name, Queue.Partition, baseOffset < 0 || error is not null ? -1 : baseOffset + callback.Index,
            DateTimeOffset.FromUnixTimeMilliseconds(timestamp));
        try
        {
            callback.Tell(metadata, error);
        }
        catch (Exception e)
        {
            LogHandlerFailed(_context.Logger, metadata.Topic, metadata.Partition, e); // it must not end the sender
        }
    }

    [LoggerMessage(EventId = 112, Level = LogLevel.Error, Message = "A delivery handler of a record for {Topic}-{Partition} has thrown")]
    private static partial void LogHandlerFailed(ILogger logger, string topic, int partition, Exception exception);
}
