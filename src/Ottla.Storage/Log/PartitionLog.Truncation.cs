using Microsoft.Extensions.Logging;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Storage.Files;

namespace Ottla.Storage.Log;

public sealed partial class PartitionLog
{
    private const long NoGap = -1;

    private readonly List<(LogSegment Segment, Instant DeleteAt)> _deletedSegments = [];
    private long _unflushedGap;

    /// <summary>
    /// Whether removed segments have files that wait for <see cref="UnlinkDeletedSegments"/>. Takes no lock: a segment removed
    /// just now can wait.
    /// </summary>
    internal bool HasDeletedSegments => _deletedSegments.Count > 0;

    /// <summary>
    /// Drops every batch of a log without a role that has a record at <paramref name="offset"/> or after it; the log then ends there.
    /// </summary>
    /// <returns>Whether anything changed.</returns>
    /// <exception cref="LogException">KAFKA_STORAGE_ERROR.</exception>
    public bool TruncateTo(long offset)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        using (_lock.EnterScope())
        {
            ThrowIfOffline();
            ThrowIfReplica();
            return EndAt(offset);
        }
    }

    /// <summary>
    /// Drops every batch that has a record at <paramref name="offset"/> or after it, as the leader of this epoch has others there.
    /// </summary>
    /// <param name="offset">Where the log ends afterwards.</param>
    /// <param name="leaderEpoch">The epoch of the leader.</param>
    /// <param name="expectedEnd">Where the log must end for the truncation to be meant for it; null when that does not matter.</param>
    /// <exception cref="LogException">KAFKA_STORAGE_ERROR.</exception>
    public FollowerTruncation TruncateAsFollower(long offset, int leaderEpoch, long? expectedEnd = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        using (_lock.EnterScope())
        {
            ThrowIfOffline();
            return !MayFollow(leaderEpoch) ? FollowerTruncation.TooLate
                : expectedEnd is { } end && end != _logEndOffset ? FollowerTruncation.Moved
                : EndAt(offset) ? FollowerTruncation.Truncated
                : FollowerTruncation.NothingToDrop;
        }
    }

    /// <summary>Drops everything of a log without a role; it is empty and starts and ends at <paramref name="offset"/>.</summary>
    /// <exception cref="LogException">KAFKA_STORAGE_ERROR.</exception>
    public void TruncateFullyAndStartAt(long offset)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        using (_lock.EnterScope())
        {
            ThrowIfOffline();
            ThrowIfReplica();
            BeginAnew(offset);
        }
    }

    /// <summary>Drops everything, as the leader of this epoch has nothing of it any more; the log starts and ends at
    /// <paramref name="offset"/>.</summary>
    /// <returns>False when it comes too late: the replica does not follow in this epoch.</returns>
    /// <exception cref="LogException">KAFKA_STORAGE_ERROR.</exception>
    public bool TryTruncateFullyAsFollower(long offset, int leaderEpoch)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        using (_lock.EnterScope())
        {
            ThrowIfOffline();
            if (!MayFollow(leaderEpoch))
                return false;
            BeginAnew(offset);
            return true;
        }
    }

    private void BeginAnew(long offset)
    {
        try
        {
            StartAt(offset, Instant.Now(_time));
        }
        catch (Exception failure) when (IsIoFailure(failure))
        {
            throw Fail(failure);
        }
    }

    private bool EndAt(long offset)
    {
        try
        {
            if (offset >= _logEndOffset)
            {
                _epochs.TruncateFromEnd(Math.Max(offset, _logEndOffset));
                return false;
            }

            var now = Instant.Now(_time);
            if (_segments[0].BaseOffset > offset)
            {
                StartAt(offset, now);
                return true;
            }

            LogTruncation(_logger, Directory, offset, _logEndOffset);
            ForgetGap(offset);
            RemoveSegmentsFrom(FloorSegment(offset) + 1, offset, now);
            Volatile.Write(ref _sizeInBytes, _sizeInBytes - Active.TruncateTo(offset, _config));
            Active.Flush(); // what is written next must not survive a power loss together with what it replaces
            _lastBatchEndOffset = Active.ReadNextOffset(_config);
            Volatile.Write(ref _logStartOffset, Math.Min(_logStartOffset, offset));
            Volatile.Write(ref _logEndOffset, offset);
            Volatile.Write(ref _recoveryPoint, Math.Min(_recoveryPoint, offset));
            Volatile.Write(ref _highWatermark, Math.Min(_highWatermark, offset));
            _epochs.TruncateFromEnd(offset);
            LogLoader.RebuildProducers(_producers, _segments, _config, _logStartOffset, offset, now, hadCleanShutdown: false);
            _producers.OnHighWatermark(_highWatermark);
            UpdateFirstUnstableOffset();
            return true;
        }
        catch (Exception failure) when (IsIoFailure(failure))
        {
            throw Fail(failure);
        }
    }

    private void ForgetGap(long endOffset)
    {
        if (_unflushedGap >= endOffset)
            Volatile.Write(ref _unflushedGap, NoGap);
    }

    /// <summary>
    /// Raises the log start offset of a log without a role. Whole segments below it are deleted by <see cref="DeleteOldSegments"/>.
    /// </summary>
    /// <returns>Whether it moved.</returns>
    /// <exception cref="LogException">OFFSET_OUT_OF_RANGE above the high watermark; KAFKA_STORAGE_ERROR.</exception>
    public bool AdvanceLogStartOffset(long offset)
    {
        using (_lock.EnterScope())
        {
            ThrowIfReplica();
            return RaiseLogStartOffset(offset);
        }
    }

    /// <summary>
    /// Raises the log start offset (DeleteRecords, or what the leader says). Whole segments below it are deleted by
    /// <see cref="DeleteOldSegments"/>.
    /// </summary>
    /// <param name="offset">The new start.</param>
    /// <param name="leaderEpoch">The epoch of the leader that says so: this replica, or the one that it follows.</param>
    /// <returns>Whether it moved. It does not when the replica has a newer epoch by now.</returns>
    /// <exception cref="LogException">OFFSET_OUT_OF_RANGE above the high watermark; KAFKA_STORAGE_ERROR.</exception>
    public bool AdvanceLogStartOffset(long offset, int leaderEpoch)
    {
        using (_lock.EnterScope())
            return (_role == ReplicaRole.None || _roleEpoch == leaderEpoch) && RaiseLogStartOffset(offset);
    }

    private bool RaiseLogStartOffset(long offset)
    {
        ThrowIfOffline();
        if (offset > _highWatermark)
            throw new LogException(
                ErrorCode.OffsetOutOfRange,
                $"The log of {Partition} cannot start at {offset}: its high watermark is {_highWatermark}.");
        if (offset <= _logStartOffset)
            return false;
        try
        {
            StartReadingAt(offset);
            return true;
        }
        catch (Exception failure) when (IsIoFailure(failure))
        {
            throw Fail(failure);
        }
    }

    /// <summary>
    /// Deletes segments wholly below the log start offset and, if <c>cleanup.policy</c> contains <c>delete</c>, those past
    /// <c>retention.ms</c> or <c>retention.bytes</c>.
    /// </summary>
    /// <returns>How many.</returns>
    /// <exception cref="LogException">KAFKA_STORAGE_ERROR.</exception>
    public int DeleteOldSegments(Instant now)
    {
        using (_lock.EnterScope())
        {
            ThrowIfOffline();
            try
            {
                var count = DeleteWhile((segment, next) => next is not null && next.BaseOffset <= _logStartOffset, now);
                if (!_config.Delete)
                    return count;
                if (_config.RetentionBytes >= 0 && _sizeInBytes >= _config.RetentionBytes)
                {
                    var excess = _sizeInBytes - _config.RetentionBytes;
                    count += DeleteWhile((segment, _) => (excess -= segment.Size) >= 0, now);
                }

                if (_config.RetentionMs >= 0)
                    count += DeleteWhile((segment, _) => IsTooOld(segment, now), now);
                return count;
            }
            catch (Exception failure) when (IsIoFailure(failure))
            {
                throw FailOrRefuse(failure);
            }
        }
    }

    private bool IsTooOld(LogSegment segment, Instant now)
    {
        var ageMs = now.MillisecondsSince(new Instant(segment.RetentionTimestampMs));
        if (ageMs < 0)
            LogFutureTimestamp(_logger, segment.BaseOffset, Directory);
        return ageMs > _config.RetentionMs;
    }

    /// <summary>Unlinks the files of removed segments whose time has come.</summary>
    /// <returns>How many segments.</returns>
    public int UnlinkDeletedSegments(Instant now)
    {
        using (_lock.EnterScope())
        {
            ThrowIfOffline();
            try
            {
                return _deletedSegments.RemoveAll(deleted =>
                {
                    if (deleted.DeleteAt > now)
                        return false;
                    deleted.Segment.DeleteFiles();
                    return true;
                });
            }
            catch (Exception failure) when (IsIoFailure(failure))
            {
                throw Fail(failure);
            }
        }
    }

    /// <summary>Deletes segments from the oldest on while the rule holds and the high watermark has passed them.</summary>
    private int DeleteWhile(Func<LogSegment, LogSegment?, bool> rule, Instant now)
    {
        var count = 0;
        while (count < _segments.Count)
        {
            var next = count + 1 < _segments.Count ? _segments[count + 1] : null;
            var end = next?.BaseOffset ?? _logEndOffset;
            if (_highWatermark < end || (next is null && _segments[count].Size == 0) || !rule(_segments[count], next))
                break;
            count++;
        }

        if (count == 0)
            return 0;
        if (count == _segments.Count)
            RollTo(_logEndOffset, now);
        if (_segments[count].BaseOffset > _logStartOffset)
            StartReadingAt(_segments[count].BaseOffset);
        LogRetention(_logger, count, Directory, _logStartOffset);
        RemoveSegments(0, count, now);
        return count;
    }

    private void StartReadingAt(long offset)
    {
        Volatile.Write(ref _logStartOffset, offset);
        _epochs.TruncateFromStart(offset);
        _producers.OnLogStartOffset(offset);
        UpdateFirstUnstableOffset();
    }

    private void StartAt(long offset, Instant now)
    {
        LogTruncation(_logger, Directory, offset, _logEndOffset);
        ForgetGap(0);
        WriteTopicId();
        RemoveSegmentsFrom(0, offset, now);
        _epochs.Clear();
        _producers.TruncateFullyAndStartAt(offset);
        _segments.Add(NewSegment(offset, now));
        _hasRolled = true;
        Volatile.Write(ref _logStartOffset, offset);
        Volatile.Write(ref _logEndOffset, offset);
        _lastBatchEndOffset = offset;
        Volatile.Write(ref _recoveryPoint, offset);
        Volatile.Write(ref _highWatermark, offset);
        UpdateFirstUnstableOffset();
    }

    /// <summary>
    /// Removes the last segments of the log and the snapshots after <paramref name="offset"/> durably: they must not come back
    /// after a power loss, beside the new ones.
    /// </summary>
    /// <remarks>Starts at the end, so that a crash leaves no hole.</remarks>
    private void RemoveSegmentsFrom(int index, long offset, Instant now)
    {
        _cleaningGeneration++;
        _truncations++;
        var isChanged = _producers.DeleteSnapshotsAfter(offset) || index < _segments.Count;
        while (_segments.Count > index)
            RemoveSegments(_segments.Count - 1, 1, now);
        if (isChanged)
            _fileSystem.FlushDirectory(Directory);
    }

    /// <summary>Removes segments and their producer snapshots.</summary>
    private void RemoveSegments(int index, int count, Instant now)
    {
        _cleaningGeneration++;
        for (var i = index; i < index + count; i++)
            _producers.DeleteSnapshot(_segments[i].BaseOffset);
        TakeOut(index, count, now);
    }

    /// <summary>
    /// Removes segments from the list. Renames their files now and unlinks them later, so that readers and other processes can finish.
    /// </summary>
    private void TakeOut(int index, int count, Instant now)
    {
        for (var i = index; i < index + count; i++)
        {
            var segment = _segments[i];
            try
            {
                segment.MarkDeleted();
            }
            catch (DiskFullException failure)
            {
                throw Fail(failure); // some of its files are renamed and some are not
            }

            _deletedSegments.Add((segment, now.AddMilliseconds(_config.FileDeleteDelayMs)));
            Volatile.Write(ref _sizeInBytes, _sizeInBytes - segment.Size);
        }

        _segments.RemoveRange(index, count);
    }

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Segment {BaseOffset} of {Directory} has timestamps in the future. Retention by time keeps it and all later "
            + "segments until then. Check the clocks of the producers")]
    private static partial void LogFutureTimestamp(ILogger logger, long baseOffset, string directory);

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "Truncating {Directory} from its end at offset {LogEndOffset} back to offset {Offset}")]
    private static partial void LogTruncation(ILogger logger, string directory, long offset, long logEndOffset);

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "Deleting the {Count} oldest segments of {Directory}; it now starts at {LogStartOffset}")]
    private static partial void LogRetention(ILogger logger, int count, string directory, long logStartOffset);
}
