using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Storage.Files;

namespace Ottla.Storage.Log;

public sealed partial class PartitionLog
{
    /// <summary>
    /// Held for a whole flush, so that there is one at a time and the directory keeps its name. Taken before the log's lock.
    /// </summary>
    private readonly ScheduledLock _flushLock = new();

    private long _lastFlushMs;
    private bool _hasRolled;

    /// <summary>Records written since the last flush.</summary>
    public long UnflushedRecords => LogEndOffset - RecoveryPoint;

    /// <summary>
    /// Whether a flush is due: a rolled segment is not flushed yet, or <c>flush.messages</c> or <c>flush.ms</c> is reached.
    /// </summary>
    /// <param name="now">The present.</param>
    /// <param name="isTimed">Whether <c>flush.ms</c> is checked now.</param>
    public bool NeedsFlush(Instant now, bool isTimed)
    {
        if (UnflushedRecords == 0 && !Volatile.Read(ref _hasRolled))
            return false; // without the lock: of ten thousand logs most are idle
        using (_lock.EnterScope())
        {
            return !_isClosed && _failure is null && (_hasRolled || IsFlushDue(now, isTimed));
        }
    }

    /// <summary>
    /// The offset up to which a flush due by <see cref="NeedsFlush"/> must go: the start of the active segment when a roll made it due.
    /// </summary>
    internal long FlushTarget(Instant now, bool isTimed)
    {
        using (_lock.EnterScope())
            return IsFlushDue(now, isTimed) ? _logEndOffset : Active.BaseOffset;
    }

    private bool IsFlushDue(Instant now, bool isTimed)
    {
        var unflushed = _logEndOffset - _recoveryPoint;
        return unflushed >= _config.FlushMessages || (isTimed && unflushed > 0 && now.UnixMilliseconds - _lastFlushMs >= _config.FlushMs);
    }

    /// <summary>
    /// Makes everything before <paramref name="upToOffset"/> survive power loss and moves the recovery point there. Appends go on
    /// meanwhile.
    /// </summary>
    /// <exception cref="LogException">KAFKA_STORAGE_ERROR: the flush failed and the log is offline.</exception>
    public void Flush(long upToOffset = long.MaxValue)
    {
        using (_flushLock.EnterScope())
        {
            var files = new List<SharedFile>();
            var flushed = new List<LogSegment>();
            var syncDirectory = false;
            var isDirectoryNew = false;
            long target;
            int truncations;
            try
            {
                using (_lock.EnterScope())
                {
                    ThrowIfOffline();
                    target = Math.Min(upToOffset, _logEndOffset);
                    truncations = _truncations;
                    isDirectoryNew = _isDirectoryNew && target > 0;
                    _epochs.WriteBack(_logEndOffset);
                    foreach (var segment in _segments)
                    {
                        if (!segment.NeedsFlush || segment.BaseOffset >= target)
                            continue;
                        flushed.Add(segment);
                        files.Add(segment.BeginFlush(isActive: segment == Active, out var hasNewFile));
                        syncDirectory |= hasNewFile;
                    }

                    syncDirectory |= isDirectoryNew || _hasRolled || _producers.HasNewSnapshots;
                    _producers.FlushSnapshots();
                    _hasRolled = false;
                }

                foreach (var file in files)
                {
                    if (IsRetired)
                        throw new LogException(ErrorCode.KafkaStorageError, $"The log {Directory} is deleted.");
                    file.File.Flush();
                }

                if (syncDirectory)
                    _fileSystem.FlushDirectory(Directory);
                if (isDirectoryNew)
                    _fileSystem.FlushDirectory(Path.GetDirectoryName(Directory)!);
            }
            catch (DiskFullException failure)
            {
                // An index write failed: nothing counts as flushed, and the next flush does all of it again.
                using (_lock.EnterScope())
                {
                    foreach (var segment in flushed)
                        segment.UndoFlush();
                    _hasRolled |= syncDirectory;
                }

                throw OutOfSpace(failure);
            }
            catch (Exception failure) when (IsIoFailure(failure))
            {
                throw Fail(failure);
            }
            finally
            {
                foreach (var file in files)
                    file.Release();
            }

            using (_lock.EnterScope())
            {
                _isDirectoryNew &= !isDirectoryNew;
                // After a truncation the offsets before the target may be those of other records, which are not flushed.
                if (_truncations != truncations)
                    return;
                Volatile.Write(ref _recoveryPoint, Math.Max(_recoveryPoint, target));
                if (target > Active.BaseOffset || _recoveryPoint == _logEndOffset)
                    _lastFlushMs = Instant.Now(_time).UnixMilliseconds;
            }
        }
    }

    /// <summary>Starts a new segment even though the active one has room.</summary>
    public void Roll(Instant now)
    {
        using (_lock.EnterScope())
        {
            ThrowIfOffline();
            try
            {
                RollTo(_logEndOffset, now);
            }
            catch (Exception failure) when (IsIoFailure(failure))
            {
                throw FailOrRefuse(failure);
            }
        }
    }

    /// <summary>Gives back the space reserved past the log's end, because other logs need it now.</summary>
    public void GiveBackReserve()
    {
        using (_lock.EnterScope())
        {
            if (_isClosed || _failure is not null || _config.ReserveBytes > 0)
                return;
            try
            {
                Active.GiveBackReserve();
            }
            catch (Exception failure) when (IsIoFailure(failure))
            {
                throw Fail(failure);
            }
        }
    }

    /// <summary>Forgets idle producers, and frees memory and file handles that were not used since the last call.</summary>
    public void ReleaseIdle(Instant now)
    {
        using (_lock.EnterScope())
        {
            if (_isClosed || _failure is not null)
                return;
            _producers.RemoveExpired(now, _config.ProducerIdExpirationMs);
            foreach (var segment in _segments)
                segment.ReleaseIdle(isActive: segment == Active);
        }
    }

    /// <summary>
    /// Flushes, writes a producer snapshot at the log's end, trims all files: the next start needs no recovery. Slices that
    /// readers hold stay readable.
    /// </summary>
    /// <exception cref="LogException">KAFKA_STORAGE_ERROR.</exception>
    public void Close()
    {
        using (_lock.EnterScope())
        {
            if (_isClosed)
                return;
        }

        if (!IsOffline)
            Flush();
        using (_lock.EnterScope())
        {
            try
            {
                if (_failure is null)
                    CloseInOrder();
            }
            catch (Exception failure) when (IsIoFailure(failure))
            {
                throw FailOrRefuse(failure);
            }
            finally
            {
                Abandon();
            }
        }
    }

    /// <summary>Whether closing the log needs a flush.</summary>
    internal bool HasUnflushed
    {
        get
        {
            using (_lock.EnterScope())
                return UnflushedRecords > 0 || _hasRolled || _isTopicIdUnwritten || _producers.HasNewSnapshots
                    || _segments.Exists(segment => segment.NeedsFlush);
        }
    }

    /// <summary>
    /// The first half of closing many logs: writes the same as <see cref="Close"/>, but leaves the flush of the volume to the caller.
    /// </summary>
    /// <exception cref="LogException">KAFKA_STORAGE_ERROR.</exception>
    internal void BeginClose()
    {
        using (_flushLock.EnterScope())
        using (_lock.EnterScope())
        {
            if (IsClosed || IsOffline)
                return;
            try
            {
                _epochs.Stage(_logEndOffset);
                Active.OnBecomeInactive(_config);
                foreach (var segment in _segments)
                    segment.WriteUnflushed();
                WriteStagedTopicId();
                _producers.AdvanceTo(_logEndOffset);
                _producers.TakeSnapshot(sync: false, isRequired: true);
                foreach (var (segment, _) in _deletedSegments)
                    segment.DeleteFiles();
                _deletedSegments.Clear();
                _isClosed = true; // what is written is all there will be
            }
            catch (Exception failure) when (IsIoFailure(failure))
            {
                throw FailOrRefuse(failure);
            }
        }
    }

    /// <summary>
    /// The second half of closing many logs: called after <see cref="BeginClose"/> and a flush of the volume; the caller flushes
    /// the volume again.
    /// </summary>
    /// <exception cref="LogException">KAFKA_STORAGE_ERROR.</exception>
    internal void EndClose()
    {
        using (_lock.EnterScope())
        {
            try
            {
                if (IsRetired || IsOffline)
                    return;
                PublishStagedTopicId();
                _epochs.PublishStaged();
                Volatile.Write(ref _recoveryPoint, _logEndOffset);
            }
            catch (Exception failure) when (IsIoFailure(failure))
            {
                throw FailOrRefuse(failure);
            }
            finally
            {
                Abandon();
            }
        }
    }

    /// <summary>Closes the log and renames its directory. The caller removes the directory later.</summary>
    /// <remarks>A flush or compaction in progress uses the old name: it is asked to stop, and this call waits for it.</remarks>
    /// <param name="newDirectory">Its path, in the same log directory.</param>
    /// <param name="isFlushed">Whether to flush the new name; otherwise the caller flushes it, for many logs at a time.</param>
    /// <exception cref="LogException">KAFKA_STORAGE_ERROR.</exception>
    public void Delete(string newDirectory, bool isFlushed = true)
    {
        Volatile.Write(ref _isRetired, true);
        using (_compactionLock.EnterScope())
        using (_flushLock.EnterScope())
        using (_lock.EnterScope())
        {
            try
            {
                _fileSystem.RenameDirectory(Directory, newDirectory);
                if (isFlushed)
                    _fileSystem.FlushDirectory(Path.GetDirectoryName(newDirectory)!);
                Directory = newDirectory;
                foreach (var segment in _segments)
                    segment.MovedTo(newDirectory);
                _epochs.MovedTo(newDirectory);
                _producers.MovedTo(newDirectory);
            }
            catch (DiskFullException failure)
            {
                throw OutOfSpace(failure);
            }
            catch (Exception failure) when (IsIoFailure(failure))
            {
                throw FailDirectory(failure); // nobody else touches these files: it is the disk
            }
            finally
            {
                Abandon();
            }
        }
    }

    private void CloseInOrder()
    {
        WriteTopicId();
        Active.OnBecomeInactive(_config);
        _producers.AdvanceTo(_logEndOffset);
        _producers.TakeSnapshot(sync: true, isRequired: true);
        foreach (var (segment, _) in _deletedSegments)
            segment.DeleteFiles();
        _deletedSegments.Clear();
        if (!Active.NeedsFlush && !_producers.HasNewSnapshots)
            return;
        if (Active.NeedsFlush)
            Active.Flush();
        // Without a snapshot the next start assumes that a cleanly closed log never had a producer.
        _fileSystem.FlushDirectory(Directory);
    }

    private void Abandon()
    {
        _isClosed = true;
        foreach (var segment in _segments)
            segment.Abandon();
    }
}
