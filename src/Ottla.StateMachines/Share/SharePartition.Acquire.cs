using Ottla.Kernel;

namespace Ottla.StateMachines.Share;

// Who gets what.
public sealed partial class SharePartition
{
    /// <summary>Has a member hold records that were read from the log.</summary>
    /// <param name="request">What the member asks for.</param>
    /// <param name="fetched">The batches that were read, in order.</param>
    /// <param name="now">The current time.</param>
    /// <returns>
    /// What it holds now, in order. Offsets of aborted transactions are not among it: they are done with. The others may have no record.
    /// </returns>
    public List<AcquiredRange> Acquire(in AcquireRequest request, IReadOnlyList<FetchedBatch> fetched, Instant now)
    {
        var acquired = new List<AcquiredRange>();
        if (request.RecordsMax <= 0 || fetched.Count == 0 || fetched[^1].LastOffset < StartOffset)
            return acquired;
        var recordsMax = Math.Min(request.RecordsMax, Settings.RecordLocksMax - InFlightCount);
        var lastOffset = fetched[^1].LastOffset;
        if (recordsMax <= 0)
        {
            // There is no room for new records. What was given back may be had again.
            if (_batches.Count == 0 || request.FetchOffset > EndOffset)
                return acquired;
            recordsMax = (int)Math.Min(request.RecordsMax, EndOffset - request.FetchOffset + 1);
            lastOffset = Math.Min(lastOffset, EndOffset);
        }

        ArchiveRemoved(request.FetchOffset, fetched[0].BaseOffset);
        var step = new AcquireStep(request, fetched, lastOffset, recordsMax, now, acquired);
        AcquireKnown(step);
        SkipAborted(fetched, acquired);
        if (_batches.TrueForAll(batch => batch.IsFinal))
            MoveStart(); // nobody will say anything of these, and they must not use up the room for others
        return acquired;
    }

    private void AcquireKnown(AcquireStep step)
    {
        var baseOffset = step.Fetched[0].BaseOffset;
        var floor = Floor(baseOffset);
        var newFrom = floor is null ? Math.Max(baseOffset, StartOffset) : baseOffset;
        if (floor is not null && floor.LastOffset >= baseOffset)
            newFrom = floor.FirstOffset;
        var index = IndexFrom(Math.Min(baseOffset, newFrom));
        if (index == _batches.Count || _batches[index].FirstOffset > step.LastOffset)
        {
            AcquireNew(step, newFrom, step.LastOffset);
            return;
        }

        var lastKnown = baseOffset - 1;
        while (index < _batches.Count && _batches[index].FirstOffset <= step.LastOffset && step.Remaining > 0)
        {
            var batch = _batches[index];
            lastKnown = batch.LastOffset;
            if (!TryAcquire(batch, step))
                return;
            index = IndexFrom(Math.Max(lastKnown, batch.LastOffset) + 1);
        }

        if (step.Remaining > 0 && lastKnown < step.LastOffset)
            AcquireNew(step, Math.Max(lastKnown + 1, newFrom), step.LastOffset);
    }

    /// <summary>Acquires what is available of a batch.</summary>
    /// <returns>Whether more may be acquired after it.</returns>
    private bool TryAcquire(InFlightBatch batch, AcquireStep step)
    {
        if (batch is { IsGap: true, IsSplit: false } && batch.Runs[0].IsAvailable)
        {
            AcquireGap(batch, step);
            return true;
        }

        var baseOffset = step.Fetched[0].BaseOffset;
        var isWhole = batch.FirstOffset >= baseOffset && batch.LastOffset <= step.LastOffset;
        var isThrottled = IsThrottled(batch, baseOffset, step.LastOffset);
        if (isThrottled && step.Count > 0)
            return false; // such records come alone
        if (isWhole && !batch.IsSplit && !isThrottled && !(step.IsExact && batch.Count > step.Remaining))
        {
            if (batch.Runs[0].IsAvailable)
                step.Add(Acquire(batch, 0, step));
            return true;
        }

        if (!batch.IsSplit && !batch.Runs[0].IsAvailable)
            return true;
        batch.IsSplit = true;
        return AcquireSome(batch, step) == 0 || !isThrottled;
    }

    /// <summary>Acquires available offsets of a batch: the fewer at once, the more often they were delivered.</summary>
    /// <returns>How many are acquired.</returns>
    private int AcquireSome(InFlightBatch batch, AcquireStep step)
    {
        var exactMax = step.IsExact ? step.Remaining : int.MaxValue;
        var throttledMax = int.MaxValue;
        var count = 0;
        var ranges = new List<AcquiredRange>();
        var offset = Math.Max(batch.FirstOffset, step.Fetched[0].BaseOffset);
        var last = Math.Min(batch.LastOffset, step.LastOffset);
        while (offset <= last)
        {
            var index = batch.CutAt(offset);
            var run = batch.Runs[index];
            offset = run.LastOffset + 1;
            if (!run.IsAvailable)
                continue;
            var isLastDelivery = Settings.IsLastDeliveryAlone && run.DeliveryCount == Settings.DeliveryCountLimit - 1;
            if (isLastDelivery && count > 0)
                break;
            if (run.DeliveryCount >= Settings.ThrottleCount && throttledMax == int.MaxValue)
                throttledMax = Math.Max(1, batch.FirstCount >> Math.Min(run.DeliveryCount - Settings.ThrottleCount + 1, 30));
            var countMax = Math.Min(exactMax, throttledMax) - count;
            if (countMax <= 0)
                break;
            var take = (int)Math.Min(Math.Min(run.LastOffset, last) - run.FirstOffset + 1, isLastDelivery ? 1 : countMax);
            if (take < run.Count)
                batch.CutAt(run.FirstOffset + take);
            ranges.Add(Acquire(batch, index, step));
            offset = run.FirstOffset + take;
            count += take;
            if (isLastDelivery || count >= Math.Min(exactMax, throttledMax))
                break;
        }

        for (var i = 0; i < ranges.Count; i++)
        {
            var range = ranges[i];
            while (i + 1 < ranges.Count && ranges[i + 1].FirstOffset == range.LastOffset + 1
                && ranges[i + 1].DeliveryCount == range.DeliveryCount)
                range = range with { LastOffset = ranges[++i].LastOffset };
            step.Add(range);
        }

        return count;
    }

    private AcquiredRange Acquire(InFlightBatch batch, int index, AcquireStep step)
    {
        var run = batch.Runs[index];
        var deliveryCount = (short)Math.Min(run.DeliveryCount + 1, short.MaxValue);
        batch.Set(index, new OffsetRun(run.FirstOffset, run.LastOffset, DeliveryState.Acquired, deliveryCount)
        {
            HolderId = step.Request.MemberId,
            LockedUntil = step.Now.AddMilliseconds(Settings.LockDurationMs),
        });
        return new AcquiredRange(run.FirstOffset, run.LastOffset, deliveryCount);
    }

    /// <summary>
    /// Acquires what was read of a gap in what was persisted, as batches of the log: the gap may be larger than what the member wants.
    /// </summary>
    private void AcquireGap(InFlightBatch gap, AcquireStep step)
    {
        var first = Math.Max(gap.FirstOffset, step.Fetched[0].BaseOffset);
        var last = Math.Min(gap.LastOffset, step.LastOffset);
        var (gapFirst, gapLast) = (gap.FirstOffset, gap.LastOffset);
        _batches.Remove(gap);
        var acquiredTo = AcquireNew(step, first, last);
        if (gapFirst < first)
            AddGap(gapFirst, first - 1);
        if (acquiredTo < gapLast)
            AddGap(acquiredTo + 1, gapLast);
    }

    private void AddGap(long firstOffset, long lastOffset) => _batches.Insert(
        IndexFrom(firstOffset), new InFlightBatch(new OffsetRun(firstOffset, lastOffset, DeliveryState.Available, 0)) { IsGap = true });

    /// <summary>Acquires offsets that are in no batch yet.</summary>
    /// <returns>The last offset that is in a batch now.</returns>
    private long AcquireNew(AcquireStep step, long firstOffset, long lastOffset)
    {
        var first = _batches.Count == 0 ? Math.Max(firstOffset, EndOffset) : firstOffset;
        var last = lastOffset;
        if (first > last)
            return last;
        var recordsMax = step.Remaining;
        if (recordsMax < last - first + 1)
            last = Math.Min(lastOffset, LastOffsetOfBatchWith(step.Fetched, first + recordsMax - 1));
        if (_batches.Count == 0)
            StartOffset = first; // compaction may have removed what lies before
        if (step.IsExact && last - first + 1 > recordsMax)
        {
            var batch = new InFlightBatch(new OffsetRun(first, last, DeliveryState.Available, 0)) { IsSplit = true };
            batch.CutAt(first + recordsMax);
            step.Add(Acquire(batch, 0, step));
            _batches.Insert(IndexFrom(first), batch);
        }
        else
        {
            var from = first;
            if (!step.IsExact && last - first + 1 > step.Request.BatchSize)
            {
                foreach (var fetched in step.Fetched)
                {
                    if (fetched.BaseOffset > last)
                        break;
                    if (fetched.BaseOffset - from < Math.Max(step.Request.BatchSize, 1))
                        continue;
                    AddAcquired(from, fetched.BaseOffset - 1, step);
                    from = fetched.BaseOffset;
                }
            }

            AddAcquired(from, last, step);
        }

        EndOffset = Math.Max(EndOffset, last);
        return last;
    }

    private void AddAcquired(long firstOffset, long lastOffset, AcquireStep step)
    {
        var batch = new InFlightBatch(new OffsetRun(firstOffset, lastOffset, DeliveryState.Available, 0));
        step.Add(Acquire(batch, 0, step));
        _batches.Insert(IndexFrom(firstOffset), batch);
    }

    private static long LastOffsetOfBatchWith(IReadOnlyList<FetchedBatch> batches, long offset)
    {
        for (var i = batches.Count - 1; i >= 0; i--)
        {
            if (batches[i].BaseOffset <= offset)
                return Math.Max(offset, batches[i].LastOffset);
        }

        return offset;
    }

    private bool IsThrottled(InFlightBatch batch, long firstOffset, long lastOffset)
    {
        foreach (var run in batch.Runs)
        {
            if (run.IsAvailable && run.DeliveryCount >= Settings.ThrottleCount && run.LastOffset >= firstOffset
                && run.FirstOffset <= lastOffset)
                return true;
        }

        return false;
    }

    /// <summary>What is available and was not there when the log was read is gone: compaction has removed it.</summary>
    private void ArchiveRemoved(long fetchOffset, long baseOffset)
    {
        if (fetchOffset < baseOffset)
        {
            Change(fetchOffset, baseOffset - 1, run => run.IsAvailable
                ? run with { State = DeliveryState.Archived }
                : run);
        }
    }

    /// <summary>Archives what has just been acquired of aborted transactions.</summary>
    private void SkipAborted(IReadOnlyList<FetchedBatch> fetched, List<AcquiredRange> acquired)
    {
        foreach (var aborted in fetched.Where(batch => batch.IsAborted))
        {
            for (var i = acquired.Count - 1; i >= 0; i--)
            {
                var range = acquired[i];
                var first = Math.Max(range.FirstOffset, aborted.BaseOffset);
                var last = Math.Min(range.LastOffset, aborted.LastOffset);
                if (first > last)
                    continue;
                Change(first, last, run => new OffsetRun(run.FirstOffset, run.LastOffset, DeliveryState.Archived, run.DeliveryCount));
                acquired.RemoveAt(i);
                if (last < range.LastOffset)
                    acquired.Insert(i, range with { FirstOffset = last + 1 });
                if (range.FirstOffset < first)
                    acquired.Insert(i, range with { LastOffset = first - 1 });
            }
        }
    }

    /// <summary>One call of <see cref="Acquire(in AcquireRequest, IReadOnlyList{FetchedBatch}, Instant)"/>.</summary>
    private sealed class AcquireStep(
        AcquireRequest request, IReadOnlyList<FetchedBatch> fetched, long lastOffset, int recordsMax, Instant now,
        List<AcquiredRange> acquired)
    {
        public AcquireRequest Request => request;

        public IReadOnlyList<FetchedBatch> Fetched => fetched;

        /// <summary>The last offset that may be acquired.</summary>
        public long LastOffset => lastOffset;

        public Instant Now => now;

        public bool IsExact => request.Mode == ShareAcquireMode.RecordLimit;

        public int Count { get; private set; }

        public int Remaining => recordsMax - Count;

        public void Add(in AcquiredRange range)
        {
            acquired.Add(range);
            Count += (int)(range.LastOffset - range.FirstOffset + 1);
        }
    }
}
