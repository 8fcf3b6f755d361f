using Ottla.Kernel;

namespace Ottla.StateMachines.Raft;

/// <summary>How a leader answers a follower's claim that its log ends with (offset, epoch).</summary>
public enum PositionVerdict
{
    /// <summary>The leader's log contains it.</summary>
    Valid,

    /// <summary>The logs diverge: the follower truncates to the position given.</summary>
    Diverging,

    /// <summary>The leader's log no longer reaches back to it: the follower fetches the snapshot given.</summary>
    Snapshot,
}

/// <summary>What the Raft machine knows of the log: its offsets, where each epoch begins, and its snapshots; not the records.</summary>
/// <remarks>Owned by one <see cref="RaftMachine"/>; the host fills it when it opens the log and hands it over.</remarks>
public sealed class RaftLogShape
{
    private readonly List<(int Epoch, long StartOffset)> _epochs = [];

    /// <summary>The first offset of the log.</summary>
    public long StartOffset { get; private set; }

    /// <summary>The offset of the next record.</summary>
    public long EndOffset { get; private set; }

    /// <summary>Everything before this offset survives a crash.</summary>
    public long FlushedOffset { get; private set; }

    /// <summary>The oldest snapshot that is kept, if there is one.</summary>
    public LogPosition? EarliestSnapshot { get; private set; }

    /// <summary>The newest snapshot, if there is one.</summary>
    public LogPosition? LatestSnapshot { get; private set; }

    /// <summary>The end of the log and the epoch of its last record.</summary>
    public LogPosition End => new(EndOffset, LastEpoch);

    private int LastEpoch => _epochs.Count > 0 ? _epochs[^1].Epoch : LatestSnapshot is { } snapshot && snapshot.Offset == EndOffset ? snapshot.Epoch : 0;

    /// <summary>Describes a log as it was found on disk; all of it counts as flushed (the host has flushed it when it opened it).</summary>
    public static RaftLogShape Open(long startOffset, long endOffset, IEnumerable<(int Epoch, long StartOffset)> epochs, LogPosition? earliestSnapshot, LogPosition? latestSnapshot)
    {
        var shape = new RaftLogShape { StartOffset = startOffset, EndOffset = endOffset, FlushedOffset = endOffset, EarliestSnapshot = earliestSnapshot, LatestSnapshot = latestSnapshot };
        shape._epochs.AddRange(epochs);
        return shape;
    }

    /// <summary>Records of <paramref name="epoch"/> were appended up to <paramref name="endOffset"/>.</summary>
    public void Append(int epoch, long endOffset)
    {
        Invariant.Check(endOffset > EndOffset && epoch >= LastEpoch, "a log grows, and its epochs never decrease");
        if (_epochs.Count == 0 || epoch > _epochs[^1].Epoch)
            _epochs.Add((epoch, EndOffset));
        EndOffset = endOffset;
    }

    /// <summary>Everything before <paramref name="offset"/> is on disk.</summary>
    public void Flushed(long offset) => FlushedOffset = Math.Max(FlushedOffset, Math.Min(offset, EndOffset));

    /// <summary>Forgets what is at or after <paramref name="endOffset"/>.</summary>
    public void TruncateTo(long endOffset)
    {
        Invariant.Check(endOffset >= StartOffset, "what a snapshot replaced cannot be truncated");
        EndOffset = Math.Min(EndOffset, endOffset);
        FlushedOffset = Math.Min(FlushedOffset, EndOffset);
        _epochs.RemoveAll(entry => entry.StartOffset >= EndOffset);
    }

    /// <summary>A snapshot was written; everything before <paramref name="startOffset"/> was deleted, and with it all snapshots but those from <paramref name="earliest"/> on.</summary>
    public void SnapshotWritten(LogPosition earliest, LogPosition latest, long startOffset)
    {
        Invariant.Check(startOffset <= EndOffset, "only a prefix is deleted");
        EarliestSnapshot = earliest;
        LatestSnapshot = latest;
        StartOffset = Math.Max(StartOffset, startOffset);
        while (_epochs.Count > 1 && _epochs[1].StartOffset <= StartOffset)
            _epochs.RemoveAt(0);
        if (_epochs.Count > 0 && _epochs[0].StartOffset < StartOffset)
            _epochs[0] = (_epochs[0].Epoch, StartOffset);
    }

    /// <summary>The log was replaced by a snapshot fetched from the leader: it is empty and begins at its end.</summary>
    public void ReplacedBy(LogPosition snapshot)
    {
        _epochs.Clear();
        StartOffset = EndOffset = FlushedOffset = snapshot.Offset;
        EarliestSnapshot = LatestSnapshot = snapshot;
    }

    /// <summary>The largest epoch of the log that is not after <paramref name="epoch"/>, and where it ends.</summary>
    public LogPosition EndOf(int epoch)
    {
        for (var i = _epochs.Count - 1; i >= 0; i--)
        {
            if (_epochs[i].Epoch <= epoch)
                return new LogPosition(i + 1 < _epochs.Count ? _epochs[i + 1].StartOffset : EndOffset, _epochs[i].Epoch);
        }

        return EarliestSnapshot is { } snapshot && snapshot.Offset == StartOffset && snapshot.Epoch <= epoch ? snapshot : new LogPosition(StartOffset, 0);
    }

    /// <summary>Judges a follower's claim that its log ends at <paramref name="claim"/>.</summary>
    public PositionVerdict Judge(LogPosition claim, out LogPosition answer)
    {
        answer = claim;
        if (StartOffset == 0 && claim is { Offset: 0, Epoch: 0 })
            return PositionVerdict.Valid;
        if (EarliestSnapshot is { } earliest && LatestSnapshot is { } latest
            && (claim.Offset < StartOffset || (claim.Offset == StartOffset && earliest.Offset == StartOffset && claim.Epoch != earliest.Epoch) || claim.Epoch < earliest.Epoch))
        {
            answer = latest;
            return PositionVerdict.Snapshot;
        }

        answer = EndOf(claim.Epoch);
        return answer.Epoch == claim.Epoch && answer.Offset >= claim.Offset ? PositionVerdict.Valid : PositionVerdict.Diverging;
    }

    /// <summary>Where a follower cuts its log when the leader says that the logs diverge at <paramref name="leaderEnd"/>.</summary>
    public long TruncationPoint(LogPosition leaderEnd)
    {
        if (leaderEnd.Epoch == 0)
            return Math.Max(StartOffset, Math.Min(leaderEnd.Offset, EndOffset));
        var local = EndOf(leaderEnd.Epoch);
        return local.Epoch == leaderEnd.Epoch ? Math.Min(local.Offset, leaderEnd.Offset) : local.Offset;
    }
}
