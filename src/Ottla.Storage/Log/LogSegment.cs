using Ottla.Protocol.Batches;
using Ottla.Storage.Files;
using Ottla.Storage.Producers;

namespace Ottla.Storage.Log;

/// <summary>One segment of a log: the batches from a base offset on, with their indexes.</summary>
/// <remarks>
/// The log's lock guards it; reading bytes of an acquired file needs no lock. Lives from creation or load until its files are
/// deleted.
/// </remarks>
internal sealed partial class LogSegment
{
    /// <summary>The largest gap of offsets before the first batch of a segment; its indexes have 32-bit offsets.</summary>
    public const long OffsetGapMax = int.MaxValue / 2;

    private static readonly string[] s_fileSuffixes =
        [LogFileNames.LogSuffix, LogFileNames.OffsetIndexSuffix, LogFileNames.TimeIndexSuffix, LogFileNames.TransactionIndexSuffix];

    private readonly IFileSystem _fileSystem;
    private readonly SegmentNames _names;
    private readonly SegmentFile _file;
    private readonly OffsetIndex _offsetIndex;
    private readonly TimeIndex _timeIndex;
    private readonly long _createdMs;
    private readonly ulong _jitter;
    private bool _indexesAreValid;
    private bool _isTimestampKnown;
    private long _maxTimestampMs = -1;
    private long _offsetOfMaxTimestamp;
    private long _bytesSinceLastIndexEntry;
    private long? _firstBatchTimestampMs;
    private bool _needsFlush;
    private bool _wasWritten;
    private TransactionIndex? _transactions;

    /// <summary>Null until something was appended, and while the segment is idle.</summary>
    private RecentBatches? _recent;

    public LogSegment(
        IFileSystem fileSystem, string directory, long baseOffset, long length, ulong jitter, long nowMs, string nameSuffix = "")
    {
        _fileSystem = fileSystem;
        BaseOffset = baseOffset;
        _jitter = jitter;
        _createdMs = nowMs;
        _names = new SegmentNames(directory, baseOffset, nameSuffix);
        _file = new SegmentFile(fileSystem, _names, length);
        _offsetIndex = new OffsetIndex(fileSystem, _names, baseOffset);
        _timeIndex = new TimeIndex(fileSystem, _names, baseOffset);
    }

    public long BaseOffset { get; }

    /// <summary>Its aborted transactions, created at first use because most segments have none.</summary>
    public TransactionIndex Transactions => _transactions ??= new TransactionIndex(_fileSystem, _names);

    public long Size => _file.Length;

    public string LogPath => _file.Path;

    /// <summary>Whether the segment has writes that are not flushed yet.</summary>
    public bool NeedsFlush => _needsFlush;

    /// <summary>Makes the log file of a new segment. Its indexes get files when it is rolled or closed.</summary>
    /// <param name="fileSystem">The disk.</param>
    /// <param name="directory">The log's directory.</param>
    /// <param name="baseOffset">The first offset it may have.</param>
    /// <param name="jitter">A random number for the part of <c>segment.jitter.ms</c> by which it is rolled earlier.</param>
    /// <param name="nowMs">The time from which its age counts.</param>
    /// <param name="nameSuffix">A suffix for the names of its files: files of a cleaned segment do not belong to the log yet.</param>
    public static LogSegment Create(
        IFileSystem fileSystem, string directory, long baseOffset, ulong jitter, long nowMs, string nameSuffix = "")
    {
        var segment = new LogSegment(fileSystem, directory, baseOffset, 0, jitter, nowMs, nameSuffix);
        segment._file.Create();
        segment.ResetIndexes();
        segment._needsFlush = true;
        segment._wasWritten = true;
        return segment;
    }

    /// <summary>
    /// The greatest timestamp in the segment with the offset of (the last record of) its batch; (-1, base offset) when no batch
    /// has one.
    /// </summary>
    public (long TimestampMs, long Offset) MaxTimestamp
    {
        get
        {
            if (!_isTimestampKnown)
            {
                if (_indexesAreValid)
                    (_maxTimestampMs, _offsetOfMaxTimestamp) = _timeIndex.Last;
                else if (_timeIndex.TryReadLast(out var last))
                    (_maxTimestampMs, _offsetOfMaxTimestamp) = last;
                else
                    FindMaxTimestamp(0, stackalloc byte[BatchWalker.BufferBytes]); // loading the index rebuilds it
                _isTimestampKnown = true;
            }

            return (_maxTimestampMs, _offsetOfMaxTimestamp);
        }
    }

    /// <summary>The time that retention uses: the greatest timestamp, or the file's last write when no record has one.</summary>
    public long RetentionTimestampMs => MaxTimestamp.TimestampMs >= 0 ? _maxTimestampMs : LastWriteMs;

    /// <summary>The last write of the log file, which compaction keeps for the file that replaces it.</summary>
    public long LastWriteMs
    {
        get => _fileSystem.GetLastWriteMs(_file.Path);
        set => _fileSystem.SetLastWriteMs(_file.Path, value);
    }

    /// <summary>The greatest timestamp of the first batch, or -1.</summary>
    public long FirstBatchTimestampMs
    {
        get
        {
            if (_firstBatchTimestampMs is null && Size > 0)
            {
                Span<byte> buffer = stackalloc byte[RecordBatchLayout.HeaderSizeBytes];
                var walker = new BatchWalker(_file.Open(), 0, Size, buffer);
                if (walker.MoveNext())
                    _firstBatchTimestampMs = walker.Batch.MaxTimestamp;
            }

            return _firstBatchTimestampMs ?? RecordBatchLayout.NoTimestamp;
        }
    }

    /// <summary>Bytes of the larger of its indexes.</summary>
    public long IndexBytes => Math.Max(_offsetIndex.File.LengthBytes, _timeIndex.File.LengthBytes);

    /// <summary>Appends whole batches whose offsets are final.</summary>
    public void Append(ReadOnlySpan<byte> batches, LogConfig config)
    {
        EnsureIndexes(config);
        var position = Size;
        _needsFlush = true;
        _wasWritten = true;
        _file.Append(batches, config.SegmentBytes, config.Preallocate, config.ReserveBytes);
        _recent ??= new RecentBatches();
        while (!batches.IsEmpty)
        {
            var batch = new RecordBatchView(batches);
            if (position == 0)
                _firstBatchTimestampMs = batch.MaxTimestamp;
            IndexBatch(batch, position, config.IndexIntervalBytes);
            var size = batch.SizeInBytes;
            _recent.Add(new BatchPlace(batch.BaseOffset, batch.LastOffset, position, position + size));
            position += size;
            _bytesSinceLastIndexEntry += size;
            batches = batches[size..];
        }
    }

    /// <summary>Whether the active segment must be rolled before an append.</summary>
    /// <param name="config">Sizes and times.</param>
    /// <param name="bytes">Bytes to be appended.</param>
    /// <param name="maxTimestampMs">The greatest timestamp in them.</param>
    /// <param name="lastOffset">The last offset in them.</param>
    /// <param name="nowMs">The time, for records without timestamps.</param>
    public bool ShouldRoll(LogConfig config, int bytes, long maxTimestampMs, long lastOffset, long nowMs)
    {
        EnsureIndexes(config);
        return Size > (long)config.SegmentBytes - bytes
            || (Size > 0 && TimeWaitedForRollMs(nowMs, maxTimestampMs) > config.SegmentMs - RollJitterMs(config))
            || _offsetIndex.IsFull(config.SegmentIndexBytes)
            || _timeIndex.IsFull(config.SegmentIndexBytes)
            || lastOffset - BaseOffset > int.MaxValue
            || lastOffset < BaseOffset;
    }

    /// <summary>Closes the segment for appends: adds the last time index entry and trims the files.</summary>
    public void OnBecomeInactive(LogConfig config)
    {
        if (!_wasWritten)
            return; // it is as the last clean shutdown left it
        EnsureIndexes(config);
        var max = MaxTimestamp;
        _timeIndex.MaybeAppend(max.TimestampMs, max.Offset);
        _offsetIndex.File.TryWriteBack();
        _timeIndex.File.TryWriteBack();
        _file.GiveBackReserve();
        _needsFlush = true;
        _wasWritten = false;
    }

    /// <summary>Acquires the log file for a flush; the caller fsyncs it outside the lock.</summary>
    /// <remarks>Leaves out the indexes of the active segment: the recovery point lies in it, so recovery rebuilds them.</remarks>
    /// <param name="isActive">Whether it is the active segment.</param>
    /// <param name="hasNewFile">Whether a file was made since the last flush, so that the directory must be flushed too.</param>
    public SharedFile BeginFlush(bool isActive, out bool hasNewFile)
    {
        if (!isActive)
        {
            _offsetIndex.File.WriteBack(sync: true);
            _timeIndex.File.WriteBack(sync: true);
        }

        hasNewFile = _transactions?.Flush() ?? false;
        _needsFlush = false;
        return _file.Acquire();
    }

    /// <summary>Makes the segment durable, with its indexes. The caller flushes the directory for the names of new files.</summary>
    public void Flush()
    {
        var file = BeginFlush(isActive: false, out _);
        try
        {
            file.File.Flush();
        }
        finally
        {
            file.Release();
        }
    }

    /// <summary>Writes the same files as <see cref="Flush"/>, for a caller that flushes the volume afterwards.</summary>
    public void WriteUnflushed()
    {
        if (!_needsFlush)
            return;
        _offsetIndex.File.WriteBack(sync: false);
        _timeIndex.File.WriteBack(sync: false);
        _transactions?.WriteUnflushed();
    }

    /// <summary>Notes that a flush begun by <see cref="BeginFlush"/> failed.</summary>
    public void UndoFlush() => _needsFlush = true;

    /// <summary>Gives back the space that is reserved past the end.</summary>
    public void GiveBackReserve() => _file.GiveBackReserve();

    /// <summary>Holds the file open for a reader, which releases it.</summary>
    public SharedFile Acquire() => _file.Acquire();

    /// <summary>Where the batch with <paramref name="offset"/> is, if it is one of the last; null otherwise.</summary>
    public BatchPlace? FindRecent(long offset) => _recent?.Find(offset);

    /// <summary>The position at which a search for <paramref name="offset"/> starts.</summary>
    public long LookupPosition(long offset, LogConfig config)
    {
        EnsureIndexes(config);
        return _offsetIndex.LookupPosition(offset);
    }

    /// <summary>A position that the batch with <paramref name="offset"/> does not start after.</summary>
    public long LookupPositionFrom(long offset, LogConfig config)
    {
        EnsureIndexes(config);
        return _offsetIndex.LookupPositionFrom(offset, Size);
    }

    /// <summary>
    /// An offset that a slice of <paramref name="maxBytes"/>, or of one batch, from <paramref name="offset"/> on does not reach.
    /// </summary>
    public long LookupUpperBound(long offset, int maxBytes, LogConfig config)
    {
        EnsureIndexes(config);
        return _offsetIndex.LookupUpperBound(offset, maxBytes);
    }

    /// <summary>The last indexed batch boundary that is not after <paramref name="position"/>.</summary>
    public long LookupBoundary(long position, LogConfig config)
    {
        EnsureIndexes(config);
        return _offsetIndex.LookupBoundary(position);
    }

    /// <summary>The position at which a search for the first record not older than <paramref name="timestampMs"/> starts.</summary>
    public long LookupTimestamp(long timestampMs, long startOffset, LogConfig config)
    {
        EnsureIndexes(config);
        return _offsetIndex.LookupPosition(Math.Max(_timeIndex.LookupOffset(timestampMs), startOffset));
    }

    /// <summary>Collects the batches of a producer's epoch from a batch boundary on.</summary>
    public void CollectBatches(long position, long producerId, short producerEpoch, List<ProducerBatch> batches)
    {
        Span<byte> buffer = stackalloc byte[BatchWalker.BufferBytes];
        var walker = new BatchWalker(_file.Open(), position, Size, buffer);
        while (walker.MoveNext())
        {
            var batch = walker.Batch;
            if (batch is { Magic: RecordBatchLayout.CurrentMagic, IsControl: false }
                && batch.ProducerId == producerId && batch.ProducerEpoch == producerEpoch)
                batches.Add(new ProducerBatch(batch.LastSequence, batch.LastOffset, batch.LastOffsetDelta, batch.MaxTimestamp));
        }
    }

    /// <summary>The offset after the last batch, found by scanning from the last index entry on.</summary>
    public long ReadNextOffset(LogConfig config)
    {
        if (Size == 0)
            return BaseOffset;
        var from = _indexesAreValid ? -1 : _offsetIndex.ReadLastPosition(Size);
        if (from < 0)
        {
            EnsureIndexes(config);
            from = _offsetIndex.LookupPosition(_offsetIndex.LastOffset);
        }

        try
        {
            return ReadNextOffset(from);
        }
        catch (CorruptRecordException) when (from > 0)
        {
            RebuildIndexes(config); // its last entry points to a position without a batch
            return ReadNextOffset(_offsetIndex.LookupPosition(_offsetIndex.LastOffset));
        }
    }

    private long ReadNextOffset(long from)
    {
        Span<byte> buffer = stackalloc byte[BatchWalker.BufferBytes];
        var walker = new BatchWalker(_file.Open(), from, Size, buffer);
        var next = BaseOffset;
        while (walker.MoveNext())
            next = walker.Batch.NextOffset;
        return next;
    }

    /// <summary>Drops all batches that have a record at <paramref name="offset"/> or after it.</summary>
    /// <returns>The bytes dropped.</returns>
    public long TruncateTo(long offset, LogConfig config)
    {
        EnsureIndexes(config);
        Span<byte> buffer = stackalloc byte[BatchWalker.BufferBytes];
        var walker = new BatchWalker(_file.Open(), _offsetIndex.LookupPosition(offset), Size, buffer);
        var end = Size;
        while (walker.MoveNext())
        {
            if (walker.Batch.LastOffset >= offset)
            {
                end = walker.Position;
                break;
            }
        }

        _offsetIndex.TruncateTo(offset);
        _timeIndex.TruncateTo(offset);
        Transactions.TruncateTo(offset);
        var dropped = Size - end;
        if (dropped > 0)
            _file.TruncateTo(end);
        _recent?.Clear();
        _needsFlush = true;
        _wasWritten = true;
        _bytesSinceLastIndexEntry = 0;
        if (end == 0)
            _firstBatchTimestampMs = null;
        ReadMaxTimestamp(buffer);
        return dropped;
    }

    /// <summary>Frees memory and handles that were not used lately.</summary>
    public void ReleaseIdle(bool isActive)
    {
        _file.CloseIfIdle();
        if (_recent?.TakeWasUsed() == false)
            _recent = null;
        if (isActive || _needsFlush)
            return;
        _offsetIndex.File.ReleaseIfIdle();
        _timeIndex.File.ReleaseIfIdle();
        _indexesAreValid = _offsetIndex.File.IsLoaded && _timeIndex.File.IsLoaded;
    }

    /// <summary>Closes the file without writing anything; the next use opens it again.</summary>
    public void Abandon() => _file.Close();

    /// <summary>Adds <c>.deleted</c> to all its files; readers keep theirs open.</summary>
    public void MarkDeleted()
    {
        ChangeNameSuffix("", LogFileNames.DeletedSuffix);
        _file.Close();
    }

    /// <summary>Renames all its files to end in another suffix, or in none.</summary>
    public void ChangeNameSuffix(string from, string to)
    {
        // The log file comes first: after a crash in between, a load drops indexes without a log file and rebuilds missing ones.
        foreach (var kind in s_fileSuffixes)
        {
            var path = _names.PathOf(kind);
            if (kind == LogFileNames.LogSuffix || _fileSystem.FileExists(path))
                _fileSystem.Rename(path, path[..^from.Length] + to);
        }

        _names.NameSuffix = to;
    }

    /// <summary>Removes its files.</summary>
    public void DeleteFiles()
    {
        _file.Close();
        foreach (var kind in s_fileSuffixes)
            _fileSystem.Delete(_names.PathOf(kind));
    }

    /// <summary>Notes the new name of the directory.</summary>
    public void MovedTo(string directory) => _names.Directory = directory;

    private void IndexBatch(in RecordBatchView batch, long position, int intervalBytes)
    {
        var lastOffset = batch.LastOffset;
        var timestamp = batch.MaxTimestamp;
        if (timestamp > MaxTimestamp.TimestampMs)
            (_maxTimestampMs, _offsetOfMaxTimestamp) = (timestamp, lastOffset);
        if (_bytesSinceLastIndexEntry <= intervalBytes)
            return;
        _offsetIndex.Append(lastOffset, position);
        _timeIndex.MaybeAppend(_maxTimestampMs, _offsetOfMaxTimestamp);
        _bytesSinceLastIndexEntry = 0;
    }

    /// <summary>
    /// How much earlier than <c>segment.ms</c> the segment is rolled. The configuration may have changed since the segment was made or
    /// opened.
    /// </summary>
    private long RollJitterMs(LogConfig config) =>
        Math.Min(config.SegmentJitterMs, config.SegmentMs) is var max and > 0 ? (long)(_jitter % (ulong)max) : 0;

    private long TimeWaitedForRollMs(long nowMs, long messageTimestampMs) =>
        FirstBatchTimestampMs is var first and >= 0 ? messageTimestampMs - first : nowMs - _createdMs;

    private void ReadMaxTimestamp(Span<byte> buffer)
    {
        (_maxTimestampMs, _offsetOfMaxTimestamp) = _timeIndex.Last;
        _isTimestampKnown = true;
        FindMaxTimestamp(_offsetIndex.LookupPosition(_offsetOfMaxTimestamp), buffer);
    }

    /// <summary>Looks for a greater timestamp than the one that is known, from <paramref name="position"/> on.</summary>
    private void FindMaxTimestamp(long position, Span<byte> buffer)
    {
        var walker = new BatchWalker(_file.Open(), position, Size, buffer);
        while (walker.MoveToWhole()) // retention calls this, and a damaged segment must not stop it
        {
            if (walker.Batch.MaxTimestamp > _maxTimestampMs)
                (_maxTimestampMs, _offsetOfMaxTimestamp) = (walker.Batch.MaxTimestamp, walker.Batch.LastOffset);
        }
    }
}
