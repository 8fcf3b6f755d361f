using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;

namespace Ottla.Client.Consumers.Fetching;

/// <summary>
/// The records of one partition from one answer, of which an application has taken some. Owned by the partition; one reader at a time.
/// </summary>
/// <remarks>
/// Batches are checked and expanded when their first record is taken, so that bytes wait in the form in which they came. Batches of aborted
/// transactions and control batches have no records for the application, but move its position.
/// </remarks>
internal sealed class FetchedRecords : IDisposable
{
    private readonly ReadOnlyMemory<byte> _bytes;
    private readonly bool _checksCrcs;
    private readonly RecordCursor _cursor = new();
    private readonly Queue<(long ProducerId, long FirstOffset)>? _aborted;
    private readonly HashSet<long>? _abortedProducers;
    private readonly long _firstOffset;
    private int _position;
    private bool _isOpen;
    private CorruptRecordException? _failure;

    /// <summary>Looks through the batches' headers.</summary>
    /// <param name="bytes">The records as they came. The last batch may be cut off.</param>
    /// <param name="fetchOffset">What was asked for: earlier records of the first batch are left out.</param>
    /// <param name="aborted">The aborted transactions of these records, to leave them out; null to leave nothing out.</param>
    /// <param name="checksCrcs">Whether checksums are compared.</param>
    /// <param name="frame">What the bytes are in, which is used until this is disposed; null for memory of their own.</param>
    /// <exception cref="CorruptRecordException">No batch is whole.</exception>
    public FetchedRecords(
        ReadOnlyMemory<byte> bytes, long fetchOffset, FetchResponse.AbortedTransaction[]? aborted, bool checksCrcs,
        FetchedFrame? frame = null)
    {
        _firstOffset = fetchOffset;
        _checksCrcs = checksCrcs;
        NextOffset = fetchOffset;
        var end = 0;
        while (TryMeasure(bytes.Span[end..], out var size))
        {
            var view = new RecordBatchView(bytes.Span.Slice(end, size));
            NextOffset = Math.Max(NextOffset, view.NextOffset);
            LastEpoch = view.PartitionLeaderEpoch;
            end += size;
        }

        if (end == 0 && bytes.Length > 0)
            throw new CorruptRecordException(
                ErrorCode.CorruptMessage, $"the {bytes.Length} bytes fetched from offset {fetchOffset} contain no whole batch");
        _bytes = bytes[..end];
        Frame = frame;
        frame?.AddUser();
        if (aborted is null)
            return;
        _abortedProducers = [];
        _aborted = new Queue<(long, long)>(
            aborted.OrderBy(each => each.FirstOffset).Select(each => (each.ProducerId, each.FirstOffset)));
    }

    /// <summary>What the bytes are in; null for memory of their own.</summary>
    public FetchedFrame? Frame { get; }

    /// <summary>The bytes that are held.</summary>
    public int SizeBytes => _bytes.Length;

    /// <summary>The offset after these records, where the next fetch begins.</summary>
    public long NextOffset { get; }

    /// <summary>The leader epoch of the last batch; -1 for unknown.</summary>
    public int LastEpoch { get; } = RecordBatchLayout.NoPartitionLeaderEpoch;

    /// <summary>The record, after <see cref="TryRead"/>.</summary>
    public RecordCursor Current => _cursor;

    /// <summary>The leader epoch of the record; -1 for unknown.</summary>
    public int CurrentEpoch { get; private set; } = RecordBatchLayout.NoPartitionLeaderEpoch;

    /// <summary>Whether the record's timestamp is the broker's.</summary>
    public TimestampType TimestampType { get; private set; }

    /// <summary>Reads the next record for the application.</summary>
    /// <param name="position">The application's position: records before it are left out.</param>
    /// <returns>False after the last one.</returns>
    /// <exception cref="CorruptRecordException">
    /// The batch cannot be read; the records before it were returned. Another call throws it again.
    /// </exception>
    public bool TryRead(long position)
    {
        if (_failure is not null)
            throw new CorruptRecordException(_failure.ErrorCode, _failure.Message, _failure);
        try
        {
            return TryReadNext(position);
        }
        catch (CorruptRecordException e)
        {
            _failure = e;
            throw;
        }
    }

    /// <summary>Takes the next batch for the application as it is; one of which records were read already is the next, too.</summary>
    /// <param name="batch">The batch.</param>
    /// <returns>False after the last one.</returns>
    /// <exception cref="CorruptRecordException">The batch cannot be read. Another call throws it again.</exception>
    public bool TryTakeBatch(out ReadOnlyMemory<byte> batch)
    {
        batch = default;
        if (_failure is not null)
            throw new CorruptRecordException(_failure.ErrorCode, _failure.Message, _failure);
        try
        {
            while (!_isOpen)
            {
                if (_position == _bytes.Length)
                    return false;
                OpenBatch();
            }
        }
        catch (CorruptRecordException e)
        {
            _failure = e;
            throw;
        }

        var size = new RecordBatchView(_bytes.Span[_position..]).SizeInBytes;
        batch = _bytes.Slice(_position, size);
        _isOpen = false;
        _position += size;
        return true;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _cursor.Dispose();
        Frame?.Release();
    }

    private bool TryReadNext(long position)
    {
        while (true)
        {
            while (_isOpen && _cursor.TryRead())
            {
                if (_cursor.Offset >= position && _cursor.Offset >= _firstOffset)
                    return true;
            }

            if (_isOpen)
            {
                _isOpen = false;
                _position += new RecordBatchView(_bytes.Span[_position..]).SizeInBytes;
            }

            if (_position == _bytes.Length)
                return false;
            OpenBatch();
        }
    }

    /// <summary>Opens the next batch, unless it has nothing for the application: then it is passed over.</summary>
    private void OpenBatch()
    {
        var rest = _bytes[_position..];
        var view = new RecordBatchView(rest.Span);
        if (_checksCrcs && !view.IsCrcValid)
            throw new CorruptRecordException(ErrorCode.CorruptMessage,
                $"the batch at offset {view.BaseOffset} has the checksum {view.ComputeCrc():x8} and should have {view.Crc:x8}");
        NoteAbortedUntil(view.LastOffset);
        if (view.IsControl)
        {
            if (_abortedProducers is not null && IsAbortMarker(rest))
                _abortedProducers.Remove(view.ProducerId);
            _position += view.SizeInBytes;
            return;
        }

        if (view.IsTransactional && _abortedProducers?.Contains(view.ProducerId) == true)
        {
            _position += view.SizeInBytes;
            return;
        }

        CurrentEpoch = view.PartitionLeaderEpoch;
        TimestampType = view.TimestampType;
        _cursor.Open(rest[..view.SizeInBytes]);
        _isOpen = true;
    }

    /// <summary>
    /// Notes whose transactions are open, and will be aborted, in batches up to an offset. A marker ends its producer's, also when
    /// compaction has left nothing else of the transaction.
    /// </summary>
    private void NoteAbortedUntil(long lastOffset)
    {
        while (_aborted is not null && _aborted.TryPeek(out var next) && next.FirstOffset <= lastOffset)
            _abortedProducers!.Add(_aborted.Dequeue().ProducerId);
    }

    private static bool IsAbortMarker(ReadOnlyMemory<byte> batch)
    {
        using var reader = new RecordReader(batch);
        return reader.TryRead(out var record) && ControlBatches.TryReadType(record.Key, out var type) && type == ControlRecordType.Abort;
    }

    private static bool TryMeasure(ReadOnlySpan<byte> bytes, out int size) =>
        RecordBatchView.TryReadSize(bytes, out size, out var magic) && size >= RecordBatchLayout.SizeBytesMin(magic)
        && size <= bytes.Length;
}
