using Ottla.Kernel;
using Ottla.Protocol.Batches;
using Ottla.Storage.Producers;

namespace Ottla.Storage.Log;

/// <content>Moves a log to another log directory: the mover fills a copy beside it, and the log then takes over the copy's files.</content>
public sealed partial class PartitionLog
{
    private int _truncations;

    /// <summary>Grows with each truncation, because a copy may still have the removed batches.</summary>
    internal int Truncations => Volatile.Read(ref _truncations);

    /// <summary>
    /// Takes over the files of a copy of this log; the caller deletes the old files. Readers keep their old files open.
    /// </summary>
    /// <remarks>
    /// Appends wait for the last batches to be copied, flushed, and two renames, which wait for a flush and a step of a compaction
    /// under way. A death between the renames leaves the copy beside the old directory, and the next start finishes the rest.
    /// </remarks>
    /// <param name="copy">The copy, which lacks only the last batches. The caller alone uses it; it is closed afterwards.</param>
    /// <param name="truncations">What <see cref="Truncations"/> was when the copy was begun.</param>
    /// <param name="directory">The new directory, which does not exist yet, beside that of the copy.</param>
    /// <param name="deletedDirectory">What the old directory is renamed to: <see cref="LogFileNames.ReplacedBy"/> of the copy's.</param>
    /// <returns>False when the log was truncated meanwhile, or is closed: nothing was done.</returns>
    /// <exception cref="LogException">KAFKA_STORAGE_ERROR, of either log.</exception>
    internal bool TryTakeOver(PartitionLog copy, int truncations, string directory, string deletedDirectory)
    {
        using (_compactionLock.EnterScope())
        using (_flushLock.EnterScope())
        using (_lock.EnterScope())
        {
            if (IsClosed || _truncations != truncations)
                return false;
            ThrowIfOffline();
            CopyBatches(copy, long.MaxValue);
            if (copy.SizeInBytes == 0)
                copy.TruncateFullyAndStartAt(_logEndOffset);
            copy.Flush();
            try
            {
                copy.TakeKnowledge(_epochs, _producers);
            }
            catch (LogException)
            {
                _epochs.MovedTo(Directory);
                _producers.ReturnTo(Directory);
                throw;
            }

            List<LogSegment> copied;
            try
            {
                // In this order there are never two logs of the partition. Where there is none, the names tell the next start
                // that this one was to take over.

                _fileSystem.RenameDirectory(Directory, deletedDirectory);
                _fileSystem.FlushDirectory(Path.GetDirectoryName(deletedDirectory)!);
                copied = copy.Surrender(directory);
                _epochs.MovedTo(directory);
                _producers.MovedTo(directory);
            }
            catch (Exception failure) when (IsIoFailure(failure))
            {
                throw Fail(failure);
            }

            foreach (var segment in _segments)
                segment.Abandon();
            _segments.Clear();
            _segments.AddRange(copied);
            _deletedSegments.Clear(); // they go with their directory
            _cleaningGeneration++;
            _hasRolled = false;
            _isDirectoryNew = false;
            _isTopicIdUnwritten = _isTopicIdStaged = false; // the copy has it
            Directory = directory;
            Volatile.Write(ref _recoveryPoint, _logEndOffset);
            Volatile.Write(ref _sizeInBytes, _segments.Sum(segment => segment.Size));
            return true;
        }
    }

    /// <summary>Copies batches from the end of <paramref name="copy"/> on.</summary>
    /// <param name="copy">Where to; empty and unused, or the result of earlier calls.</param>
    /// <param name="maxBytes">How many bytes at most, but one batch at least.</param>
    /// <returns>The bytes copied; 0 when the copy has everything.</returns>
    /// <exception cref="LogException">KAFKA_STORAGE_ERROR, of either log; OFFSET_OUT_OF_RANGE: this log lost what comes next to
    /// retention.</exception>
    internal long CopyBatches(PartitionLog copy, long maxBytes)
    {
        const int chunkBytesMax = 1024 * 1024;
        long copied = 0;
        while (copied < maxBytes)
        {
            using var slice = Read(Math.Max(copy.LogEndOffset, LogStartOffset), chunkBytesMax, minOneBatch: true, long.MaxValue).Slice;
            if (slice is null)
                break;
            var bytes = new byte[slice.Length];
            slice.Read(0, bytes);
            var start = Math.Min(new RecordBatchView(bytes).BaseOffset, LogStartOffset); // the log may start inside a batch
            if (copy.SizeInBytes == 0 && copy.LogEndOffset != start)
                copy.TruncateFullyAndStartAt(start);
            copy.AppendAsFollower(bytes, Instant.Now(_time));
            copied += bytes.Length;
        }

        return copied;
    }

    /// <summary>Writes down what only the log knows that this one is a copy of.</summary>
    private void TakeKnowledge(LeaderEpochCache epochs, ProducerStateManager producers)
    {
        using (_flushLock.EnterScope())
        using (_lock.EnterScope())
        {
            ThrowIfOffline();
            try
            {
                WriteTopicId();
                epochs.CopyTo(Directory);
                producers.CopyTo(Directory);
            }
            catch (Exception failure) when (IsIoFailure(failure))
            {
                throw Fail(failure);
            }
        }
    }

    /// <summary>Gives the files up to the log that this one is a copy of, under their final name.</summary>
    /// <exception cref="IOException">The disk fails.</exception>
    private List<LogSegment> Surrender(string directory)
    {
        using (_lock.EnterScope())
        {
            _fileSystem.RenameDirectory(Directory, directory);
            _fileSystem.FlushDirectory(Path.GetDirectoryName(directory)!);
            Directory = directory;
            foreach (var segment in _segments)
                segment.MovedTo(directory);
            List<LogSegment> surrendered = [.. _segments];
            _isClosed = true;
            return surrendered;
        }
    }
}
