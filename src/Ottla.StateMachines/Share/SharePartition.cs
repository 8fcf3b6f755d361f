using Ottla.Kernel;

namespace Ottla.StateMachines.Share;

/// <summary>
/// A partition as a share group has it, on the partition's leader (KIP-932): which records are available, who holds which until when, and
/// what is done with. Pure.
/// </summary>
/// <remarks>
/// Everything between the start offset and the end offset is in flight and in a batch, except what compaction had removed before it was
/// acquired. Below is done with, above nothing was delivered yet. What a member says of its records is written first, and takes effect once
/// it is: until then they stay held, and nothing else can be said of them. One write is under way at a time, so the order in which they
/// arrive is the order in which they were decided; what is decided meanwhile goes with the next one. That a lock expires is effective at
/// once, and written afterwards: if the leader dies in between, its locks die with it. One caller at a time.
/// </remarks>
public sealed partial class SharePartition
{
    /// <summary>The wait before records that were delivered too often are given up again, if that could not be written.</summary>
    public const int WriteRetryMs = 1_000;

    private readonly List<InFlightBatch> _batches = [];

    /// <summary>Changes that are effective already, and are to be written.</summary>
    private readonly List<DeliveryBatch> _unwritten = [];

    private readonly List<(long Write, long Request)> _waiting = [];
    private readonly int _stateEpoch;

    /// <summary>The write that what is decided now goes with.</summary>
    private long _nextWrite = 1;

    /// <summary>Whether the write before <see cref="_nextWrite"/> is under way.</summary>
    private bool _isWriting;

    /// <summary>Whether something of the in-flight batches waits for <see cref="_nextWrite"/>.</summary>
    private bool _hasPending;

    /// <summary>Takes a share partition over from what was persisted.</summary>
    /// <param name="settings">The group's settings.</param>
    /// <param name="state">What was persisted.</param>
    /// <param name="startOffset">Where to begin, if the state does not say it.</param>
    /// <param name="effects">Empty; receives the effects: dead letters that were under way.</param>
    public SharePartition(SharePartitionSettings settings, ShareState state, long startOffset, SharePartitionEffects effects)
    {
        Settings = settings;
        _stateEpoch = state.StateEpoch;
        StartOffset = EndOffset = state.StartOffset == ShareState.UnsetStartOffset ? startOffset : state.StartOffset;
        foreach (var batch in DeliveryBatch.Combine([], state.Batches, StartOffset))
            Load(batch, effects);
        MoveStart();
    }

    /// <summary>The group's settings. They may change at any time; locks that are held keep their time.</summary>
    public SharePartitionSettings Settings { get; set; }

    /// <summary>The first offset that is not done with.</summary>
    public long StartOffset { get; private set; }

    /// <summary>The last offset that was acquired so far, or the start offset if nothing is in flight.</summary>
    public long EndOffset { get; private set; }

    /// <summary>How many offsets are between start and end.</summary>
    public int InFlightCount => _batches.Count == 0 ? 0 : (int)(EndOffset - StartOffset + 1);

    /// <summary>Where to read the log for the next member: the first record that is available.</summary>
    public long NextFetchOffset
    {
        get
        {
            foreach (var batch in _batches)
            {
                foreach (var run in batch.Runs)
                {
                    if (run.IsAvailable)
                        return run.FirstOffset;
                }
            }

            return _batches.Count == 0 ? EndOffset : EndOffset + 1;
        }
    }

    /// <summary>Whether a member may get something: a record was given back, or there is room for new ones.</summary>
    public bool CanAcquire => NextFetchOffset != EndOffset + 1 || InFlightCount < Settings.RecordLocksMax;

    /// <summary>How many offsets from the start offset on are done with.</summary>
    public int DeliveryCompleteCount => CountFinal(write: 0);

    /// <summary>When the next lock expires; null for none.</summary>
    public Instant? NextDeadline
    {
        get
        {
            Instant? next = null;
            foreach (var batch in _batches)
            {
                foreach (var run in batch.Runs)
                {
                    if (run.IsHeld && (next is null || run.LockedUntil < next))
                        next = run.LockedUntil;
                }
            }

            return next;
        }
    }

    /// <summary>What has become of the offsets in flight, in order. For tests and tools.</summary>
    public IEnumerable<DeliveryBatch> InFlight => _batches.SelectMany(
        batch => batch.Runs.Select(run => new DeliveryBatch(run.FirstOffset, run.LastOffset, run.State, run.DeliveryCount)));

    /// <summary>The log begins at a later offset now: what lies below is done with, whoever holds it.</summary>
    /// <remarks>The next write has the new start offset; none is made for it alone.</remarks>
    /// <param name="logStartOffset">The first offset of the log.</param>
    public void MoveLogStart(long logStartOffset)
    {
        if (logStartOffset <= StartOffset)
            return;
        StartOffset = logStartOffset;
        EndOffset = Math.Max(EndOffset, logStartOffset);
        var removed = _batches.FindIndex(batch => batch.LastOffset >= logStartOffset);
        _batches.RemoveRange(0, removed == -1 ? _batches.Count : removed);
        if (_batches.Count > 0)
            _batches[0].RemoveBelow(logStartOffset);
    }

    private void Load(DeliveryBatch batch, SharePartitionEffects effects)
    {
        if (!Enum.IsDefined(batch.State))
            throw new InvalidDataException($"The offsets {batch.FirstOffset} to {batch.LastOffset} have the unknown state {batch.State}.");
        var expected = _batches.Count == 0 ? StartOffset : EndOffset + 1;
        if (batch.FirstOffset > expected)
        {
            _batches.Add(new InFlightBatch(new OffsetRun(expected, batch.FirstOffset - 1, DeliveryState.Available, 0)) { IsGap = true });
        }

        // Nobody holds anything any more. Kafka never writes that somebody did, but takes it if a client does.
        var state = batch.State == DeliveryState.Acquired ? DeliveryState.Available : batch.State;
        _batches.Add(new InFlightBatch(new OffsetRun(batch.FirstOffset, batch.LastOffset, state, batch.DeliveryCount)));
        EndOffset = batch.LastOffset;
        if (state == DeliveryState.Archiving)
        {
            var reason = batch.DeliveryCount >= Settings.DeliveryCountLimit
                ? DeadLetterReason.DeliveryCountExceeded
                : DeadLetterReason.Rejected;
            effects.DeadLetters.Add(new DeadLetters(batch.FirstOffset, batch.LastOffset, batch.DeliveryCount, reason));
        }
    }

    /// <summary>Lets go of what is done with at the beginning.</summary>
    /// <returns>Whether the start offset has moved.</returns>
    private bool MoveStart()
    {
        var lastFinal = -1L;
        foreach (var batch in _batches)
        {
            var isFinal = true;
            foreach (var run in batch.Runs)
            {
                isFinal = run.State.IsFinal();
                if (!isFinal)
                    break;
                lastFinal = run.LastOffset;
            }

            if (!isFinal)
                break;
        }

        if (lastFinal == -1)
            return false;
        var removed = _batches.FindIndex(batch => batch.LastOffset > lastFinal);
        if (removed == -1)
        {
            _batches.Clear();
            StartOffset = EndOffset = lastFinal + 1;
            return true;
        }

        _batches.RemoveRange(0, removed);
        if (_batches[0].FirstOffset <= lastFinal)
            _batches[0].RemoveBelow(lastFinal + 1);
        StartOffset = _batches[0].FirstOffset; // further on than the offset after the last one, if compaction had removed what lies between
        return true;
    }

    /// <summary>Counts what is done with, and what will be with a write.</summary>
    private int CountFinal(long write)
    {
        var count = 0;
        foreach (var batch in _batches)
        {
            foreach (var run in batch.Runs)
            {
                if (run.State.IsFinal() || (write != 0 && run.PendingWrite == write && run.Target.IsFinal()))
                    count += run.Count;
            }
        }

        return count;
    }

    /// <summary>The index of the first batch that begins at or after an offset.</summary>
    private int IndexFrom(long offset)
    {
        var (low, high) = (0, _batches.Count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (_batches[middle].FirstOffset < offset)
                low = middle + 1;
            else
                high = middle;
        }

        return low;
    }

    /// <summary>The last batch that begins at or before an offset; null for none.</summary>
    private InFlightBatch? Floor(long offset)
    {
        var index = IndexFrom(offset);
        if (index < _batches.Count && _batches[index].FirstOffset == offset)
            return _batches[index];
        return index == 0 ? null : _batches[index - 1];
    }

    private void Change(long firstOffset, long lastOffset, Func<OffsetRun, OffsetRun> change)
    {
        var floor = Floor(firstOffset);
        for (var i = floor is null ? 0 : IndexFrom(floor.FirstOffset); i < _batches.Count && _batches[i].FirstOffset <= lastOffset; i++)
        {
            var batch = _batches[i];
            if (batch.FirstOffset < firstOffset || batch.LastOffset > lastOffset)
                batch.IsSplit |= batch.LastOffset >= firstOffset;
            batch.Change(firstOffset, lastOffset, change);
        }
    }
}
