using Ottla.Kernel;
using Ottla.StateMachines.Raft;

namespace Ottla.Simulator.Quorum;

/// <summary>A batch of the simulated log. The world knows each by its id, so that equal ids are equal bytes.</summary>
internal sealed record LoggedBatch(int Id, long BaseOffset, int Epoch, int Count, short? KRaftVersion, VoterSet? Voters)
{
    public long EndOffset => BaseOffset + Count;

    /// <summary>The control records are the last ones of their batch: the version, then the voters.</summary>
    public IReadOnlyList<QuorumChange> Changes =>
        Voters is null ? []
        : KRaftVersion is { } version ? [new QuorumChange(EndOffset - 2, null, version), new QuorumChange(EndOffset - 1, Voters, null)]
        : [new QuorumChange(EndOffset - 1, Voters, null)];

    public AppendedBatch ToAppended() => new(BaseOffset, EndOffset, Epoch, Changes);
}

/// <summary>A snapshot on a simulated disk.</summary>
internal sealed record SavedSnapshot(LogPosition Id, short KRaftVersion, VoterSet Voters)
{
    private const int SizeMax = 7;

    /// <summary>What a download brings, piece by piece.</summary>
    public byte[] Bytes
    {
        get
        {
            var bytes = new byte[1 + Id.Offset % SizeMax];
            for (var i = 0; i < bytes.Length; i++)
                bytes[i] = (byte)(Id.Offset * 31 + Id.Epoch * 7 + i);
            return bytes;
        }
    }
}

/// <summary>What survives a node's process: its log directory, with an id of its own. What was not flushed may be lost with it.</summary>
internal sealed class ReplicaDisk(ReplicaKey key, VoterSet staticVoters)
{
    private readonly List<LoggedBatch> _log = [];
    private readonly List<SavedSnapshot> _snapshots = [];

    public ReplicaKey Key => key;

    public ElectionState Election { get; private set; } = ElectionState.None;

    public IReadOnlyList<LoggedBatch> Log => _log;

    public IReadOnlyList<SavedSnapshot> Snapshots => _snapshots;

    public long StartOffset { get; private set; }

    public long FlushedOffset { get; private set; }

    public long EndOffset => _log.Count > 0 ? _log[^1].EndOffset : StartOffset;

    /// <summary>The bytes of the snapshot that is being fetched.</summary>
    public List<byte> Part { get; } = [];

    /// <summary>Writes the first voters as the bootstrap snapshot has them: before the log.</summary>
    public QuorumHistory Bootstrap { get; set; } = QuorumHistory.Begin(staticVoters);

    /// <summary>Saves the election. As in Kafka's file, the directory of the vote is lost while kraft.version is 0.</summary>
    public void Save(ElectionState state, short kraftVersion) =>
        Election = kraftVersion > 0 || state.Voted is not { } voted ? state : state with { Voted = new ReplicaKey(voted.Id, Uuid.Zero) };

    public void Append(LoggedBatch batch)
    {
        if (batch.BaseOffset != EndOffset)
            throw new InvalidOperationException($"{key} appends {batch} at {EndOffset}");
        _log.Add(batch);
    }

    public void TruncateTo(long endOffset)
    {
        _log.RemoveAll(batch => batch.BaseOffset >= endOffset);
        if (EndOffset > endOffset)
            throw new InvalidOperationException($"{key} cuts a batch in two at {endOffset}");
        FlushedOffset = Math.Min(FlushedOffset, EndOffset);
    }

    public void Flush() => FlushedOffset = EndOffset;

    /// <summary>The power fails: of what was not flushed, any prefix is left.</summary>
    public void LosePower(Prng prng)
    {
        var lost = prng.NextInt(_log.Count(batch => batch.EndOffset > FlushedOffset) + 1);
        _log.RemoveRange(_log.Count - lost, lost);
        FlushedOffset = Math.Min(FlushedOffset, EndOffset);
        Part.Clear();
    }

    /// <summary>Saves a snapshot of this log, and drops the log before it and the older snapshots.</summary>
    public void Save(SavedSnapshot snapshot, bool keepsLog)
    {
        _snapshots.Add(snapshot);
        if (keepsLog)
            return;
        _snapshots.RemoveAll(older => older.Id < snapshot.Id);
        _log.RemoveAll(batch => batch.EndOffset <= snapshot.Id.Offset);
        StartOffset = snapshot.Id.Offset;
    }

    /// <summary>A snapshot of the leader replaces everything.</summary>
    public void Install(SavedSnapshot snapshot)
    {
        _log.Clear();
        _snapshots.Clear();
        _snapshots.Add(snapshot);
        StartOffset = FlushedOffset = snapshot.Id.Offset;
    }

    /// <summary>Opens the directory as a host does.</summary>
    public RaftEvent.Started Open()
    {
        if (_snapshots.Count > 0 && _snapshots[^1] is var newest
            && (newest.Id.Offset > EndOffset || (EpochBefore(newest.Id.Offset) is { } epoch && epoch != newest.Id.Epoch)))
            Install(newest);
        FlushedOffset = EndOffset;
        var epochs = new List<(int, long)>();
        foreach (var batch in _log)
        {
            if (epochs.Count == 0 || epochs[^1].Item1 < batch.Epoch)
                epochs.Add((batch.Epoch, batch.BaseOffset));
        }

        var (first, last) = (_snapshots.FirstOrDefault()?.Id, _snapshots.LastOrDefault()?.Id);
        var state = RaftLogState.Open(StartOffset, EndOffset, epochs, first, last);
        return new RaftEvent.Started(Election, state, History());
    }

    /// <summary>The voters and kraft.version by what is on the disk, in force at the end of the log.</summary>
    public QuorumHistory History()
    {
        var history = _snapshots.Count > 0 ? HistoryOf(_snapshots[^1]) : Bootstrap;
        foreach (var batch in _log.Where(batch => _snapshots.Count == 0 || batch.BaseOffset >= _snapshots[^1].Id.Offset))
        {
            foreach (var change in batch.Changes)
            {
                if (change.KRaftVersion is { } version)
                    history = history.WithKRaftVersion(change.Offset, version);
                if (change.Voters is { } voters)
                    history = history.WithVoters(change.Offset, voters);
            }
        }

        return history;
    }

    public QuorumHistory HistoryOf(SavedSnapshot snapshot)
    {
        var history = QuorumHistory.Begin(staticVoters);
        return snapshot.KRaftVersion == 0
            ? history
            : history.WithKRaftVersion(snapshot.Id.Offset - 1, snapshot.KRaftVersion).WithVoters(snapshot.Id.Offset - 1, snapshot.Voters);
    }

    /// <summary>The epoch of the batch that ends at an offset; null when the log does not have it.</summary>
    public int? EpochBefore(long endOffset) => _log.Find(batch => batch.BaseOffset < endOffset && batch.EndOffset >= endOffset)?.Epoch;
}
