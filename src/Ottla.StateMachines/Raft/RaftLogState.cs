using Ottla.Kernel;

namespace Ottla.StateMachines.Raft;

/// <summary>The result of a leader's check of the end of a follower's log.</summary>
public enum PositionCheck
{
    /// <summary>The leader's log contains the position.</summary>
    Valid,

    /// <summary>The logs diverge: the follower truncates its log to the returned position.</summary>
    Diverging,

    /// <summary>The leader's log begins after the position: the follower fetches the returned snapshot.</summary>
    Snapshot,
}

/// <summary>The Raft machine's view of the log: its offsets, the start of each epoch, and its snapshots, without the records.</summary>
/// <remarks>The host fills it when it opens the log. From then on one <see cref="RaftMachine"/> owns it.</remarks>
public sealed class RaftLogState
{
    private readonly List<(int Epoch, long StartOffset)> _epochs = [];

    /// <summary>The first offset of the log.</summary>
    public long StartOffset { get; private set; }

    /// <summary>The offset of the next record.</summary>
    public long EndOffset { get; private set; }

    /// <summary>The records before this offset survive a crash.</summary>
    public long FlushedOffset { get; private set; }

    /// <summary>The oldest snapshot on disk; null when there is none.</summary>
    public LogPosition? EarliestSnapshot { get; private set; }

    /// <summary>The newest snapshot on disk; null when there is none.</summary>
    public LogPosition? LatestSnapshot { get; private set; }

    /// <summary>The end offset of the log and the epoch of its last record.</summary>
    public LogPosition End => new(EndOffset, LastEpoch);

    private int LastEpoch =>
        _epochs.Count > 0 ? _epochs[^1].Epoch : LatestSnapshot is { } snapshot && snapshot.Offset == EndOffset ? snapshot.Epoch : 0;

    /// <summary>Describes a log as found on disk. The host flushed it when it opened it, so all of it counts as flushed.</summary>
    public static RaftLogState Open(long startOffset, long endOffset, IEnumerable<(int Epoch, long StartOffset)> epochs,
        LogPosition? earliestSnapshot, LogPosition? latestSnapshot)
    {
        var state = new RaftLogState
        {
            StartOffset = startOffset,
            EndOffset = endOffset,
            FlushedOffset = endOffset,
            EarliestSnapshot = earliestSnapshot,
            LatestSnapshot = latestSnapshot
        };
        state._epochs.AddRange(epochs);
        return state;
    }

    /// <summary>Adds records of <paramref name="epoch"/> up to <paramref name="endOffset"/>.</summary>
    public void Append(int epoch, long endOffset)
    {
        Invariant.Check(endOffset > EndOffset && epoch >= LastEpoch, "an append moves the end forward and never lowers the epoch");
        if (_epochs.Count == 0 || epoch > _epochs[^1].Epoch)
            _epochs.Add((epoch, EndOffset));
        EndOffset = endOffset;
    }

    /// <summary>The records before <paramref name="offset"/> were flushed.</summary>
    public void Flushed(long offset) => FlushedOffset = Math.Max(FlushedOffset, Math.Min(offset, EndOffset));

    /// <summary>Removes the records from <paramref name="endOffset"/> on.</summary>
    public void TruncateTo(long endOffset)
    {
        Invariant.Check(endOffset >= StartOffset, "a truncation stays behind the start of the log");
        EndOffset = Math.Min(EndOffset, endOffset);
        FlushedOffset = Math.Min(FlushedOffset, EndOffset);
        _epochs.RemoveAll(entry => entry.StartOffset >= EndOffset);
    }

    /// <summary>
    /// A snapshot was written. The records before <paramref name="startOffset"/> and the snapshots before <paramref name="earliest"/> were
    /// deleted.
    /// </summary>
    public void SnapshotWritten(LogPosition earliest, LogPosition latest, long startOffset)
    {
        Invariant.Check(startOffset <= EndOffset, "the log starts at or before its end");
        EarliestSnapshot = earliest;
        LatestSnapshot = latest;
        StartOffset = Math.Max(StartOffset, startOffset);
        while (_epochs.Count > 1 && _epochs[1].StartOffset <= StartOffset)
            _epochs.RemoveAt(0);
        if (_epochs.Count > 0 && _epochs[0].StartOffset < StartOffset)
            _epochs[0] = (_epochs[0].Epoch, StartOffset);
    }

    /// <summary>A snapshot fetched from the leader replaced the log. The log is empty and begins at the end of the snapshot.</summary>
    public void ReplacedBy(LogPosition snapshot)
    {
        _epochs.Clear();
        StartOffset = EndOffset = FlushedOffset = snapshot.Offset;
        EarliestSnapshot = LatestSnapshot = snapshot;
    }

    /// <summary>The latest epoch of the log up to <paramref name="epoch"/>, and its end offset.</summary>
    public LogPosition EndOf(int epoch)
    {
        for (var i = _epochs.Count - 1; i >= 0; i--)
        {
            if (_epochs[i].Epoch <= epoch)
                return new LogPosition(i + 1 < _epochs.Count ? _epochs[i + 1].StartOffset : EndOffset, _epochs[i].Epoch);
        }

        return EarliestSnapshot is { } snapshot && snapshot.Offset == StartOffset && snapshot.Epoch <= epoch
            ? snapshot
            : new LogPosition(StartOffset, 0);
    }

    /// <summary>Checks the end of a follower's log, <paramref name="claim"/>, against this log.</summary>
    public PositionCheck CheckPosition(LogPosition claim, out LogPosition answer)
    {
        answer = claim;
        if (StartOffset == 0 && claim is { Offset: 0, Epoch: 0 })
            return PositionCheck.Valid;
        if (EarliestSnapshot is { } earliest && LatestSnapshot is { } latest
            && (claim.Offset < StartOffset
                || (claim.Offset == StartOffset && earliest.Offset == StartOffset && claim.Epoch != earliest.Epoch)
                    || claim.Epoch < earliest.Epoch))
        {
            answer = latest;
            return PositionCheck.Snapshot;
        }

        answer = EndOf(claim.Epoch);
        return answer.Epoch == claim.Epoch && answer.Offset >= claim.Offset ? PositionCheck.Valid : PositionCheck.Diverging;
    }

    /// <summary>
    /// The offset to which a follower truncates its log when the leader reports that the logs diverge at <paramref name="leaderEnd"/>.
    /// </summary>
    public long TruncationPoint(LogPosition leaderEnd)
    {
        if (leaderEnd.Epoch == 0)
            return Math.Max(StartOffset, Math.Min(leaderEnd.Offset, EndOffset));
        var local = EndOf(leaderEnd.Epoch);
        return local.Epoch == leaderEnd.Epoch ? Math.Min(local.Offset, leaderEnd.Offset) : local.Offset;
    }
}
