using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.StateMachines.Share;

// What members say of the records that they hold, and what is written of it.
public sealed partial class SharePartition
{
    /// <summary>
    /// Takes a member's acknowledgements, all of them or none. The answer comes at once if there is nothing to write, otherwise with
    /// <see cref="OnWritten"/>.
    /// </summary>
    /// <remarks>Offsets below the start offset are done with: nothing is said of them, and that is no error.</remarks>
    /// <param name="request">Names the request in the answer.</param>
    /// <param name="memberId">The member.</param>
    /// <param name="batches">The acknowledgements, in order.</param>
    /// <param name="now">The current time.</param>
    /// <param name="effects">Empty; receives the effects.</param>
    /// <exception cref="ApiException">
    /// INVALID_REQUEST (they are malformed, or name offsets that were never acquired), INVALID_RECORD_STATE (the member does not hold all).
    /// </exception>
    public void Acknowledge(
        long request, string memberId, IReadOnlyList<AcknowledgementBatch> batches, Instant now, SharePartitionEffects effects)
    {
        CheckForm(batches);
        foreach (var batch in batches)
            Check(batch, memberId, now);

        var isPending = false;
        foreach (var batch in batches)
        {
            var first = Math.Max(batch.FirstOffset, StartOffset);
            while (first <= batch.LastOffset)
            {
                var type = batch.TypeOf(first);
                var last = batch.Types.Count == 1 ? batch.LastOffset : first;
                while (last < batch.LastOffset && batch.TypeOf(last + 1) == type)
                    last++;
                isPending |= Apply(type, first, last, now);
                first = last + 1;
            }
        }

        if (isPending)
            _waiting.Add((_nextWrite, request));
        else
            effects.Replies.Add(new AcknowledgementReply(request, ApiError.None));
        StartWrite(effects);
    }

    /// <summary>Gives back what a member holds: its session has ended.</summary>
    /// <param name="memberId">The member.</param>
    /// <param name="effects">Empty; receives the effects.</param>
    public void Release(string memberId, SharePartitionEffects effects)
    {
        foreach (var batch in _batches)
        {
            batch.Change(batch.FirstOffset, batch.LastOffset, run => run.IsHeld && run.HolderId == memberId
                ? Pending(run, AcknowledgeType.Release)
                : run);
        }

        StartWrite(effects);
    }

    /// <summary>Takes back what was held too long.</summary>
    /// <param name="now">The current time.</param>
    /// <param name="effects">Empty; receives the effects.</param>
    public void OnDeadline(Instant now, SharePartitionEffects effects)
    {
        foreach (var batch in _batches)
        {
            batch.Change(batch.FirstOffset, batch.LastOffset, run =>
            {
                if (!run.IsHeld || run.LockedUntil > now)
                    return run;
                if (run.DeliveryCount >= Settings.DeliveryCountLimit)
                    return Pending(run, AcknowledgeType.Release);
                var released = new OffsetRun(run.FirstOffset, run.LastOffset, DeliveryState.Available, run.DeliveryCount);
                AddUnwritten(released);
                effects.MayAcquireMore = true;
                return released;
            });
        }

        StartWrite(effects);
    }

    /// <summary>A write has ended.</summary>
    /// <param name="number">The write's number.</param>
    /// <param name="error">
    /// Its error, or none. What was to change has not changed then. If another leader or another beginning has fenced this one, the host
    /// lets go of it after this step.
    /// </param>
    /// <param name="now">The current time.</param>
    /// <param name="effects">Empty; receives the effects.</param>
    public void OnWritten(long number, ApiError error, Instant now, SharePartitionEffects effects)
    {
        Invariant.Check(_isWriting && number == _nextWrite - 1, "one write is under way at a time");
        _isWriting = false;
        foreach (var batch in _batches)
        {
            batch.Change(batch.FirstOffset, batch.LastOffset, run => run.PendingWrite != number ? run
                : error.IsFailure ? TakeBack(run, now) : Settle(run, effects));
        }

        if (!error.IsFailure)
            effects.MayAcquireMore |= MoveStart();
        for (var i = 0; i < _waiting.Count; i++)
        {
            if (_waiting[i].Write == number)
                effects.Replies.Add(new AcknowledgementReply(_waiting[i].Request, error));
        }

        _waiting.RemoveAll(waiting => waiting.Write == number);
        StartWrite(effects);
    }

    /// <summary>Dead letters are written, or can not be: the records are done with either way.</summary>
    /// <param name="firstOffset">The first offset.</param>
    /// <param name="lastOffset">The last offset.</param>
    /// <param name="effects">Empty; receives the effects.</param>
    public void OnDeadLettered(long firstOffset, long lastOffset, SharePartitionEffects effects)
    {
        Change(firstOffset, lastOffset, run =>
        {
            if (run.State != DeliveryState.Archiving)
                return run;
            var archived = new OffsetRun(run.FirstOffset, run.LastOffset, DeliveryState.Archived, run.DeliveryCount);
            AddUnwritten(archived);
            return archived;
        });
        StartWrite(effects);
    }

    private static void CheckForm(IReadOnlyList<AcknowledgementBatch> batches)
    {
        long? previousLast = null;
        foreach (var batch in batches)
        {
            if (batch.FirstOffset > batch.LastOffset || batch.FirstOffset < previousLast)
                throw new ApiException(ErrorCode.InvalidRequest, "Acknowledgement batches must be in order.");
            if (batch.Types.Count == 0 || (batch.Types.Count > 1 && batch.Types.Count != batch.LastOffset - batch.FirstOffset + 1))
                throw new ApiException(ErrorCode.InvalidRequest, "An acknowledgement batch needs one type, or one for each offset.");
            foreach (var type in batch.Types)
            {
                if (type is < (sbyte)AcknowledgeType.Gap or > (sbyte)AcknowledgeType.Renew)
                    throw new ApiException(ErrorCode.InvalidRequest, $"Invalid acknowledge type: {type}");
            }

            if (batch.FirstOffset == previousLast)
                throw new ApiException(ErrorCode.InvalidRecordState, $"The offset {previousLast} is acknowledged twice.");
            previousLast = batch.LastOffset;
        }
    }

    /// <summary>Makes sure that a member may acknowledge a batch.</summary>
    private void Check(in AcknowledgementBatch acknowledged, string memberId, Instant now)
    {
        if (acknowledged.LastOffset < StartOffset)
            return;
        if (Floor(Math.Max(acknowledged.FirstOffset, StartOffset)) is null)
            throw new ApiException(ErrorCode.InvalidRecordState, "The offsets are not acquired.");
        var last = Floor(acknowledged.LastOffset)!;
        if (last.LastOffset < acknowledged.LastOffset)
            throw new ApiException(ErrorCode.InvalidRequest, "The last offset is past the acquired records.");
        var renews = acknowledged.Types.Contains((sbyte)AcknowledgeType.Renew);
        if (renews && !Settings.IsRenewEnabled)
            throw new ApiException(ErrorCode.InvalidRecordState, "Renewing acquisition locks is not enabled for the group.");
        var first = Math.Max(acknowledged.FirstOffset, StartOffset);
        for (var i = IndexFrom(Floor(first)!.FirstOffset); i < _batches.Count; i++)
        {
            foreach (var run in _batches[i].Runs)
            {
                if (run.FirstOffset > acknowledged.LastOffset)
                    return;
                if (run.LastOffset < first)
                    continue;
                if (!run.IsHeld || run.LockedUntil <= now)
                    throw new ApiException(ErrorCode.InvalidRecordState, $"The offset {Math.Max(run.FirstOffset, first)} is not acquired.");
                if (run.HolderId != memberId)
                {
                    throw new ApiException(
                        ErrorCode.InvalidRecordState, $"Another member holds the offset {Math.Max(run.FirstOffset, first)}.");
                }
            }
        }
    }

    /// <summary>Notes what is said of offsets that may be acknowledged.</summary>
    /// <returns>Whether there is something to write.</returns>
    private bool Apply(AcknowledgeType type, long firstOffset, long lastOffset, Instant now)
    {
        var isPending = false;
        Change(firstOffset, lastOffset, run =>
        {
            if (type == AcknowledgeType.Renew)
                return run with { LockedUntil = now.AddMilliseconds(Settings.LockDurationMs) };
            isPending = true;
            return Pending(run, type);
        });
        return isPending;
    }

    /// <summary>The run, to be changed by the next write.</summary>
    private OffsetRun Pending(in OffsetRun run, AcknowledgeType type)
    {
        _hasPending = true;
        var isExhausted = type == AcknowledgeType.Release && run.DeliveryCount >= Settings.DeliveryCountLimit;
        return run with
        {
            PendingWrite = _nextWrite,
            Reason = isExhausted ? DeadLetterReason.DeliveryCountExceeded : DeadLetterReason.Rejected,
            Target = type switch
            {
                AcknowledgeType.Accept => DeliveryState.Acknowledged,
                AcknowledgeType.Release when !isExhausted => DeliveryState.Available,
                AcknowledgeType.Release or AcknowledgeType.Reject when Settings.HasDeadLetterTopic => DeliveryState.Archiving,
                _ => DeliveryState.Archived,
            },
        };
    }

    private static OffsetRun Settle(in OffsetRun run, SharePartitionEffects effects)
    {
        if (run.Target == DeliveryState.Archiving)
            effects.DeadLetters.Add(new DeadLetters(run.FirstOffset, run.LastOffset, run.DeliveryCount, run.Reason));
        effects.MayAcquireMore |= run.Target == DeliveryState.Available;
        return new OffsetRun(run.FirstOffset, run.LastOffset, run.Target, run.DeliveryCount);
    }

    private static OffsetRun TakeBack(in OffsetRun run, Instant now) =>
        new(run.FirstOffset, run.LastOffset, DeliveryState.Acquired, run.DeliveryCount)
        {
            HolderId = run.HolderId,
            LockedUntil = run.LockedUntil > now ? run.LockedUntil : now.AddMilliseconds(WriteRetryMs),
        };

    private void AddUnwritten(in OffsetRun run) =>
        _unwritten.Add(new DeliveryBatch(run.FirstOffset, run.LastOffset, run.State, run.DeliveryCount));

    /// <summary>Begins the next write, if there is something to write and none is under way.</summary>
    private void StartWrite(SharePartitionEffects effects)
    {
        if (_isWriting || !(_hasPending || _unwritten.Count > 0))
            return;
        var number = _nextWrite++;
        var changes = new List<DeliveryBatch>(_unwritten);
        foreach (var batch in _batches)
        {
            foreach (var run in batch.Runs)
            {
                if (run.PendingWrite == number)
                    changes.Add(new DeliveryBatch(run.FirstOffset, run.LastOffset, run.Target, run.DeliveryCount));
            }
        }

        _unwritten.Clear();
        _hasPending = false;
        _isWriting = true;
        effects.Write = new ShareStateWrite(
            number, _stateEpoch, StartOffset, CountFinal(number), DeliveryBatch.Combine([], changes, StartOffset));
    }
}
