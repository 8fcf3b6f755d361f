using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Storage.Producers;

namespace Ottla.Storage.Log;

/// <summary>What a follower fetched for one partition.</summary>
/// <param name="Records">Whole batches; a partial one at the end is left out, as a fetch may cut it.</param>
/// <param name="LeaderEpoch">The epoch of the leader that they come from. What follows a batch of a later epoch is left out: that leader
/// cannot have it.</param>
/// <param name="FetchOffset">The offset that was asked for, where the log must end still.</param>
/// <param name="LeaderHighWatermark">The leader's high watermark.</param>
/// <param name="LeaderLogStartOffset">The start of the leader's log.</param>
public readonly record struct FetchedBatches(
    Memory<byte> Records, int LeaderEpoch, long FetchOffset, long LeaderHighWatermark, long LeaderLogStartOffset);

/// <summary>Where a log stands, read in one step.</summary>
/// <param name="EndOffset">The offset after its last record.</param>
/// <param name="LatestEpoch">The latest leader epoch, or -1.</param>
/// <param name="LogStartOffset">Its first offset.</param>
public readonly record struct FollowerLogPosition(long EndOffset, int LatestEpoch, long LogStartOffset);

/// <summary>What a follower's fetch has changed.</summary>
/// <param name="Position">Where the log stands.</param>
/// <param name="IsFollowing">Whether the replica follows in the epoch of the fetch.</param>
/// <param name="HasAppended">Whether records were appended.</param>
/// <param name="HasMovedHighWatermark">Whether the high watermark moved.</param>
/// <param name="HasMovedLogStart">Whether the log start moved.</param>
public readonly record struct FetchedProgress(
    FollowerLogPosition Position, bool IsFollowing, bool HasAppended, bool HasMovedHighWatermark, bool HasMovedLogStart);

/// <content>What the fetcher of a follower does to its log.</content>
public sealed partial class PartitionLog
{
    /// <summary>Where the log stands.</summary>
    public FollowerLogPosition FollowerPosition()
    {
        using (_lock.EnterScope())
            return Position();
    }

    /// <summary>
    /// Takes over what was fetched from the leader, in one step: appends the batches with the offsets and epochs they have, then raises the
    /// high watermark, as far as the log goes, and the log start.
    /// </summary>
    /// <param name="fetched">What was fetched.</param>
    /// <param name="now">For the age of segments.</param>
    /// <param name="progress">What has changed.</param>
    /// <returns>False when it comes too late: the replica does not follow in this epoch, or the log ends elsewhere. Nothing was
    /// changed.</returns>
    /// <exception cref="LogException">CORRUPT_MESSAGE (checksum or frame), UNKNOWN_SERVER_ERROR (offsets before the log's end),
    /// KAFKA_STORAGE_ERROR. Nothing was appended.</exception>
    public bool TryTakeFetched(in FetchedBatches fetched, Instant now, out FetchedProgress progress)
    {
        // Checksums need no lock: consumers that read here do not wait for them.
        var length = MeasureFetched(fetched.Records.Span, fetched.LeaderEpoch, out var extent);
        using (_lock.EnterScope())
        {
            ThrowIfOffline();
            var isFollowing = MayFollow(fetched.LeaderEpoch);
            if (!isFollowing || _logEndOffset != fetched.FetchOffset)
            {
                progress = new FetchedProgress(Position(), isFollowing, false, false, false);
                return false;
            }

            if (length > 0)
                AppendFetched(fetched.Records.Span[..length], extent, now);
            var hasMovedHighWatermark = RaiseHighWatermark(fetched.LeaderHighWatermark);
            var hasMovedLogStart = RaiseLogStartOffset(Math.Min(fetched.LeaderLogStartOffset, _highWatermark));
            progress = new FetchedProgress(Position(), true, length > 0, hasMovedHighWatermark, hasMovedLogStart);
        }

        if (length > 0)
            FlushIfManyAreUnflushed();
        return true;
    }

    /// <summary>Appends batches that were read elsewhere, with the offsets and epochs they have, to a log without a role.</summary>
    /// <param name="batches">Whole batches; a partial one at the end is left out.</param>
    /// <param name="now">For the age of segments.</param>
    /// <returns>The offsets; (-1, -1) when there was no whole batch.</returns>
    /// <exception cref="LogException">CORRUPT_MESSAGE (checksum or frame), UNKNOWN_SERVER_ERROR (offsets before the log's end),
    /// KAFKA_STORAGE_ERROR. Nothing was appended.</exception>
    public LogAppendResult AppendAsFollower(Memory<byte> batches, Instant now)
    {
        var length = MeasureFetched(batches.Span, int.MaxValue, out var extent);
        using (_lock.EnterScope())
        {
            ThrowIfOffline();
            ThrowIfReplica();
            if (length > 0)
                AppendFetched(batches.Span[..length], extent, now);
        }

        FlushIfManyAreUnflushed();
        return new LogAppendResult(
            extent.FirstOffset, length > 0 ? extent.LastOffset : -1, RecordBatchLayout.NoTimestamp, LogStartOffset, IsDuplicate: false);
    }

    private FollowerLogPosition Position() => new(_logEndOffset, _epochs.LatestEpoch, _logStartOffset);

    private void AppendFetched(ReadOnlySpan<byte> bytes, in AppendExtent extent, Instant now)
    {
        try
        {
            if (extent.FirstOffset < _lastBatchEndOffset)
                BeginInside(extent, now);
            for (var rest = bytes; !rest.IsEmpty;)
            {
                var batch = new RecordBatchView(rest);
                if (batch.PartitionLeaderEpoch >= 0)
                    _epochs.Assign(batch.PartitionLeaderEpoch, batch.BaseOffset);
                rest = rest[batch.SizeInBytes..];
            }

            Write(bytes, extent, now);
        }
        catch (Exception failure) when (IsIoFailure(failure))
        {
            throw FailOrRefuse(failure);
        }
    }

    /// <summary>
    /// An empty log starts inside the leader's first batch, after DeleteRecords there: it starts with that batch, and the log start comes
    /// back with the leader's (P12).
    /// </summary>
    private void BeginInside(in AppendExtent extent, Instant now)
    {
        if (_sizeInBytes > 0 || _logStartOffset != _logEndOffset || extent.LastOffset < _logEndOffset)
            throw new LogException(
                ErrorCode.UnknownServerError,
                $"The fetched batches start at offset {extent.FirstOffset}, but the log already ends at {_logEndOffset}.");
        StartAt(extent.FirstOffset, now);
    }

    /// <summary>Checks batches that another log has: frames, checksums, markers, and that offsets go up.</summary>
    /// <param name="batches">The batches.</param>
    /// <param name="leaderEpochMax">Batches from the first of a later epoch on are left out.</param>
    /// <param name="extent">Their offsets; (-1, -1) when there is none.</param>
    /// <returns>The bytes of the whole batches.</returns>
    /// <exception cref="LogException">CORRUPT_MESSAGE, UNKNOWN_SERVER_ERROR.</exception>
    private static int MeasureFetched(ReadOnlySpan<byte> batches, int leaderEpochMax, out AppendExtent extent)
    {
        try
        {
            return MeasureBatches(batches, leaderEpochMax, out extent);
        }
        catch (CorruptRecordException failure)
        {
            throw new LogException(failure.ErrorCode, failure.Message, failure);
        }
    }

    private static int MeasureBatches(ReadOnlySpan<byte> batches, int leaderEpochMax, out AppendExtent extent)
    {
        extent = new AppendExtent(-1, -1, RecordBatchLayout.NoTimestamp);
        var length = 0;
        while (true)
        {
            var rest = batches[length..];
            if (!RecordBatchView.TryReadSize(rest, out var size, out _))
            {
                if (rest.Length >= RecordBatchLayout.SizeAndMagicBytes)
                    throw new CorruptRecordException(ErrorCode.CorruptMessage, "The size field of a fetched batch is too small.");
                return length;
            }

            if (size > rest.Length)
                return length;
            RequireBatch(rest, magicMin: 0); // what is copied may be of any age
            var batch = new RecordBatchView(rest[..size]);
            if (batch.PartitionLeaderEpoch > leaderEpochMax)
                return length;
            if (!batch.IsCrcValid)
                throw new CorruptRecordException(
                    ErrorCode.CorruptMessage, $"The checksum of the fetched batch at offset {batch.BaseOffset} is wrong.");
            if (batch.BaseOffset < 0 || batch.BaseOffset <= extent.LastOffset)
                throw new LogException(
                    ErrorCode.UnknownServerError,
                    $"The fetched batch at offset {batch.BaseOffset} comes after one that ends at {extent.LastOffset}.");
            if (batch.HasProducerId && batch.IsControl && batch.RecordCount > 0)
                _ = EndTransactionMarker.Read(batch); // a marker that cannot be applied must not be written
            extent = new AppendExtent(
                length == 0 ? batch.BaseOffset : extent.FirstOffset, batch.LastOffset, Math.Max(extent.MaxTimestampMs, batch.MaxTimestamp));
            length += size;
        }
    }
}
