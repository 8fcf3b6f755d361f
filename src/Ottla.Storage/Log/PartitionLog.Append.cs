using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Storage.Files;
using Ottla.Storage.Producers;

namespace Ottla.Storage.Log;

public sealed partial class PartitionLog
{
    /// <summary>Appends batches that a validator has accepted: assigns their offsets and leader epoch in place, and writes them.</summary>
    /// <param name="batches">One or more whole batches; their headers are patched even when the append is refused.</param>
    /// <param name="leaderEpoch">The epoch of this leader.</param>
    /// <param name="origin">Who sent them: clients' sequences are checked, coordinators' are not.</param>
    /// <param name="now">For the age of segments.</param>
    /// <param name="transactionVersion">For transaction markers: the transaction version the coordinator goes by (KIP-890).</param>
    /// <param name="guard">For the first batch of a transaction: what <see cref="StartTransactionVerification"/> gave before the
    /// coordinator was asked.</param>
    /// <returns>The offsets; a retry of a producer's recent batch appends nothing and returns the original's.</returns>
    /// <exception cref="LogException">
    /// NOT_LEADER_OR_FOLLOWER (the replica does not lead in this epoch), OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH,
    /// INVALID_TXN_STATE, TRANSACTION_COORDINATOR_FENCED, RECORD_LIST_TOO_LARGE, CORRUPT_MESSAGE (not whole batches),
    /// KAFKA_STORAGE_ERROR. The log is unchanged.
    /// </exception>
    public LogAppendResult AppendAsLeader(
        Memory<byte> batches, int leaderEpoch, AppendOrigin origin, Instant now, short transactionVersion = 0,
        VerificationGuard guard = default)
    {
        var result = AppendLocked(batches, leaderEpoch, origin, now, transactionVersion, guard, out var isUncommitted);
        FlushIfManyAreUnflushed();
        if (isUncommitted)
            AdvanceHighWatermark(result.LastOffset + 1, leaderEpoch); // flushed now, by this caller or another
        return result;
    }

    /// <summary>
    /// Begins to verify that a producer's transaction includes this partition: to be called before its coordinator is asked.
    /// </summary>
    /// <param name="producerId">The producer of the transaction.</param>
    /// <param name="producerEpoch">The epoch of the batch that is to be appended.</param>
    /// <param name="sequence">Its first sequence.</param>
    /// <param name="bumpsEpoch">Whether the producer's epoch grows with each transaction (transaction version 2).</param>
    /// <param name="now">The time.</param>
    /// <returns>What the append needs; <see cref="VerificationGuard.None"/> when the transaction is open here already, and the
    /// coordinator need not be asked.</returns>
    /// <exception cref="LogException">INVALID_PRODUCER_EPOCH.</exception>
    public VerificationGuard StartTransactionVerification(long producerId, short producerEpoch, int sequence, bool bumpsEpoch, Instant now)
    {
        using (_lock.EnterScope())
        {
            ThrowIfOffline();
            if (_producers.Find(producerId) is { } producer)
            {
                if (producerEpoch < producer.ProducerEpoch)
                    throw ProducerAppendChecks.InvalidEpoch(producerId, producerEpoch, producer.ProducerEpoch);
                if (producer.CurrentTransactionFirstOffset >= 0 && producerEpoch == producer.ProducerEpoch)
                    return VerificationGuard.None;
            }

            return _producers.StartVerification(producerId, producerEpoch, sequence, bumpsEpoch, now);
        }
    }

    private LogAppendResult AppendLocked(
        Memory<byte> batches, int leaderEpoch, AppendOrigin origin, Instant now, short transactionVersion, VerificationGuard guard,
        out bool isUncommitted)
    {
        isUncommitted = false;
        using (_lock.EnterScope())
        {
            ThrowIfOffline();
            ThrowUnlessLeading(leaderEpoch);
            try
            {
                var bytes = batches.Span;
                if (AssignOffsets(bytes, leaderEpoch, origin, transactionVersion, guard, out var extent, out var duplicate))
                    return new LogAppendResult(
                        duplicate.FirstOffset, duplicate.LastOffset, duplicate.TimestampMs, _logStartOffset, IsDuplicate: true);
                if (origin != AppendOrigin.Replication && bytes.Length > _config.SegmentBytes)
                    throw new LogException(
                        ErrorCode.RecordListTooLarge,
                        $"The batches have {bytes.Length} bytes; a segment holds at most {_config.SegmentBytes} (segment.bytes).");
                _epochs.Assign(leaderEpoch, extent.FirstOffset);
                Write(bytes, extent, now);
                if (_commitsAlone && !(isUncommitted = AreManyUnflushed))
                    RaiseHighWatermark(_logEndOffset);
                var appendTimeMs = _config.TimestampType == TimestampType.LogAppendTime
                    ? extent.MaxTimestampMs
                    : RecordBatchLayout.NoTimestamp;
                return new LogAppendResult(extent.FirstOffset, extent.LastOffset, appendTimeMs, _logStartOffset, IsDuplicate: false);
            }
            catch (Exception failure) when (IsIoFailure(failure))
            {
                throw FailOrRefuse(failure);
            }
            catch (CorruptRecordException failure)
            {
                throw new LogException(failure.ErrorCode, failure.Message, failure);
            }
        }
    }

    /// <summary>
    /// With <c>flush.messages</c> the caller waits for the disk before it answers; upkeep does <c>flush.ms</c>.
    /// </summary>
    private void FlushIfManyAreUnflushed()
    {
        if (AreManyUnflushed)
            Flush();
    }

    private bool AreManyUnflushed => UnflushedRecords >= Config.FlushMessages;

    /// <summary>Patches offsets and epoch into every batch and checks their producers.</summary>
    /// <returns>True when a batch is a duplicate: nothing is to be appended.</returns>
    private bool AssignOffsets(
        Span<byte> batches,
        int leaderEpoch,
        AppendOrigin origin,
        short transactionVersion,
        VerificationGuard guard,
        out AppendExtent extent,
        out ProducerBatch duplicate)
    {
        duplicate = default;
        extent = new AppendExtent(_logEndOffset, _logEndOffset - 1, RecordBatchLayout.NoTimestamp);
        if (batches.IsEmpty)
            throw new CorruptRecordException(ErrorCode.CorruptMessage, "The append has no batches.");
        _checks.Begin();
        while (!batches.IsEmpty)
        {
            var size = RequireBatch(batches);
            RecordBatchEditor.SetBaseOffset(batches, extent.LastOffset + 1);
            RecordBatchEditor.SetPartitionLeaderEpoch(batches, leaderEpoch);
            var batch = new RecordBatchView(batches[..size]);
            extent = new AppendExtent(extent.FirstOffset, batch.LastOffset, Math.Max(extent.MaxTimestampMs, batch.MaxTimestamp));
            if (batch.HasProducerId)
            {
                if (origin == AppendOrigin.Client && !batch.IsControl && _producers.Find(batch.ProducerId) is { } producer
                    && IsRetry(producer, batch, out duplicate))
                    return true;
                _checks.Check(batch, origin, transactionVersion, _config.VerifyTransactions ? guard : null);
            }

            batches = batches[size..];
        }

        return false;
    }

    /// <summary>The size of the batch that <paramref name="batches"/> starts with.</summary>
    private static int RequireBatch(ReadOnlySpan<byte> batches, byte magicMin = RecordBatchLayout.CurrentMagic)
    {
        if (!RecordBatchView.TryReadSize(batches, out var size, out var magic) || magic < magicMin
            || size < RecordBatchLayout.SizeBytesMin(magic) || size > batches.Length || new RecordBatchView(batches).LastOffsetDelta < 0)
            throw new CorruptRecordException(ErrorCode.CorruptMessage, "The bytes to append are not whole batches.");
        return size;
    }

    /// <summary>Writes accepted batches and updates the indexes, epochs and producers.</summary>
    /// <exception cref="LogException">KAFKA_STORAGE_ERROR: the file has batches that memory lacks. The log goes offline, because
    /// it would use their offsets again.</exception>
    private void Write(ReadOnlySpan<byte> bytes, in AppendExtent extent, Instant now)
    {
        WriteTopicId();
        if (Active.ShouldRoll(_config, bytes.Length, extent.MaxTimestampMs, extent.LastOffset, now.UnixMilliseconds))
            RollTo(extent.FirstOffset, now);
        var segment = Active;
        var sizeBefore = segment.Size;
        try
        {
            segment.Append(bytes, _config);
            TakeOver(segment, bytes, extent);
        }
        catch (DiskFullException) when (segment.Size == sizeBefore)
        {
            throw; // the file is as it was
        }
        catch (Exception failure)
        {
            throw IsIoFailure(failure) ? Fail(failure) : FailAlone(failure);
        }
    }

    /// <summary>Updates the indexes, epochs and producers for batches that are in the segment's file.</summary>
    private void TakeOver(LogSegment segment, ReadOnlySpan<byte> bytes, in AppendExtent extent)
    {
        Volatile.Write(ref _sizeInBytes, _sizeInBytes + bytes.Length);
        var hadProducers = false;
        for (var rest = bytes; !rest.IsEmpty;)
        {
            var batch = new RecordBatchView(rest);
            hadProducers |= batch.HasProducerId;
            if (_producers.Apply(batch, out var completed))
                Complete(segment, completed);
            rest = rest[batch.SizeInBytes..];
        }

        _producers.AdvanceTo(extent.LastOffset + 1);
        Volatile.Write(ref _logEndOffset, extent.LastOffset + 1);
        _lastBatchEndOffset = _logEndOffset;
        if (hadProducers)
            UpdateFirstUnstableOffset();
    }

    private void Complete(LogSegment segment, in CompletedTransaction completed)
    {
        if (completed.IsAborted)
            segment.Transactions.Append(new AbortedTransaction(
                completed.ProducerId, completed.FirstOffset, completed.LastOffset, _producers.LastStableOffsetAt(completed)));
        _producers.Complete(completed);
    }

    /// <summary>Starts a new active segment for a batch at <paramref name="firstOffset"/>.</summary>
    /// <remarks>
    /// It is named after the end of the last batch, so that segments follow each other without gaps even where offsets have some: where a
    /// log never has gaps, recovery
    /// can then tell that a segment lost its end. A log that is compacted may not lose any: its segments are flushed before there is a next
    /// one.
    /// </remarks>
    private void RollTo(long firstOffset, Instant now)
    {
        var baseOffset = firstOffset - _lastBatchEndOffset <= LogSegment.OffsetGapMax ? _lastBatchEndOffset : firstOffset;
        if (Active.Size == 0 && Active.BaseOffset == baseOffset)
            return; // an empty segment with a full index cannot be; one that is merely old is as good as new
        Active.OnBecomeInactive(_config);
        // After a truncation inside a batch the recovery point may lie past the new segment's start. Recovery would then trust
        // indexes that are not flushed.
        if (_config.Compact || _recoveryPoint > baseOffset)
            Active.Flush();
        _producers.AdvanceTo(baseOffset);
        _producers.TakeSnapshot(sync: false);
        _segments.Add(NewSegment(baseOffset, now));
        _hasRolled = true;
    }

    private LogSegment NewSegment(long baseOffset, Instant now)
    {
        try
        {
            return LogSegment.Create(_fileSystem, Directory, baseOffset, LogLoader.JitterOf(_jitterSeed, baseOffset), now.UnixMilliseconds);
        }
        catch (DiskFullException)
        {
            // Smaller batches may still fit the active segment, so the file of the new one must go.
            new LogSegment(_fileSystem, Directory, baseOffset, length: 0, jitter: 0, now.UnixMilliseconds).DeleteFiles();
            throw;
        }
    }

    /// <summary>The offsets and the greatest timestamp of an append.</summary>
    private readonly record struct AppendExtent(long FirstOffset, long LastOffset, long MaxTimestampMs);
}
