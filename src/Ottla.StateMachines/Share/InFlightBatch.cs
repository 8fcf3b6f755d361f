using Ottla.Kernel;

namespace Ottla.StateMachines.Share;

/// <summary>A run of offsets of a share partition that have everything in common.</summary>
/// <param name="FirstOffset">The first offset.</param>
/// <param name="LastOffset">The last offset.</param>
/// <param name="State">What has become of the records.</param>
/// <param name="DeliveryCount">How often they were delivered.</param>
internal readonly record struct OffsetRun(long FirstOffset, long LastOffset, DeliveryState State, short DeliveryCount)
{
    /// <summary>The member that holds acquired records; null otherwise.</summary>
    public string? HolderId { get; init; }

    /// <summary>Until when it holds them.</summary>
    public Instant LockedUntil { get; init; }

    /// <summary>The write that will change acquired records to <see cref="Target"/>; 0 for none.</summary>
    public long PendingWrite { get; init; }

    /// <summary>The state after <see cref="PendingWrite"/>.</summary>
    public DeliveryState Target { get; init; }

    /// <summary>Why records become dead letters, if they do.</summary>
    public DeadLetterReason Reason { get; init; }

    public bool IsAvailable => State == DeliveryState.Available;

    /// <summary>Whether a member holds the records, and nothing that is being written changes that.</summary>
    public bool IsHeld => State == DeliveryState.Acquired && PendingWrite == 0;

    public int Count => (int)(LastOffset - FirstOffset + 1);

    /// <summary>Whether both runs are one when they are neighbours.</summary>
    public bool Continues(in OffsetRun before) =>
        before.LastOffset + 1 == FirstOffset && before == this with { FirstOffset = before.FirstOffset, LastOffset = before.LastOffset };
}

/// <summary>
/// Offsets that were acquired together at first, which they are again as long as nothing has told them apart. Its runs cover it, in order.
/// </summary>
internal sealed class InFlightBatch
{
    private readonly List<OffsetRun> _runs;

    public InFlightBatch(in OffsetRun run)
    {
        _runs = [run];
        FirstCount = run.Count;
    }

    public long FirstOffset => _runs[0].FirstOffset;

    public long LastOffset => _runs[^1].LastOffset;

    public int Count => (int)(LastOffset - FirstOffset + 1);

    /// <summary>How many offsets it had when it was made.</summary>
    public int FirstCount { get; }

    /// <summary>Whether its offsets are looked at one by one.</summary>
    public bool IsSplit { get; set; }

    /// <summary>
    /// Whether its offsets lie between those that the state says something about, and were never acknowledged: nobody knows their batches.
    /// </summary>
    public bool IsGap { get; init; }

    public IReadOnlyList<OffsetRun> Runs => _runs;

    /// <summary>Whether all of it is done with.</summary>
    public bool IsFinal => _runs.TrueForAll(run => run.State.IsFinal());

    /// <summary>Replaces a run.</summary>
    public void Set(int index, in OffsetRun run) => _runs[index] = run;

    /// <summary>Has a run begin at an offset of the batch.</summary>
    /// <returns>The index of the run.</returns>
    public int CutAt(long offset)
    {
        var index = IndexOf(offset);
        var run = _runs[index];
        if (run.FirstOffset == offset)
            return index;
        _runs[index] = run with { LastOffset = offset - 1 };
        _runs.Insert(index + 1, run with { FirstOffset = offset });
        return index + 1;
    }

    /// <summary>Changes all runs between two offsets, which need not be offsets of the batch.</summary>
    /// <param name="firstOffset">The first offset.</param>
    /// <param name="lastOffset">The last offset.</param>
    /// <param name="change">Returns the run as it is to be; it may not change the offsets.</param>
    public void Change(long firstOffset, long lastOffset, Func<OffsetRun, OffsetRun> change)
    {
        var first = Math.Max(firstOffset, FirstOffset);
        var last = Math.Min(lastOffset, LastOffset);
        if (first > last)
            return;
        var index = CutAt(first);
        if (last < LastOffset)
            CutAt(last + 1);
        for (; index < _runs.Count && _runs[index].FirstOffset <= last; index++)
            _runs[index] = change(_runs[index]);
        Join();
    }

    /// <summary>Lets go of what lies below an offset of the batch.</summary>
    public void RemoveBelow(long offset)
    {
        if (offset <= FirstOffset)
            return;
        var index = CutAt(offset);
        _runs.RemoveRange(0, index);
        IsSplit = true;
    }

    private int IndexOf(long offset)
    {
        var (low, high) = (0, _runs.Count - 1);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (_runs[middle].LastOffset < offset)
                low = middle + 1;
            else
                high = middle;
        }

        return low;
    }

    /// <summary>Makes one of neighbours that have become alike.</summary>
    private void Join()
    {
        var kept = 0;
        for (var i = 1; i < _runs.Count; i++)
        {
            if (_runs[i].Continues(_runs[kept]))
                _runs[kept] = _runs[kept] with { LastOffset = _runs[i].LastOffset };
            else
                _runs[++kept] = _runs[i];
        }

        _runs.RemoveRange(kept + 1, _runs.Count - kept - 1);
    }
}
