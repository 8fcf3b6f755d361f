using Ottla.Broker.Hosts;
using Ottla.Protocol.Metadata;

namespace Ottla.UnitTests.Controller;

/// <summary>A metadata log in memory: commits at once, or when it is told to.</summary>
internal sealed class FakeMetadataLog : IMetadataLog
{
    private readonly List<IMetadataLogListener> _listeners = [];
    private readonly List<(long Base, int Epoch, IReadOnlyList<MetadataRecord> Records, TaskCompletionSource Committed)> _batches = [];
    private readonly TaskCompletionSource _firstSnapshot = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _committedBatches;

    public bool CommitsAtOnce { get; set; } = true;

    public LeaderAndEpoch Leader { get; private set; } = new(-1, 0);

    public long HighWatermark { get; private set; }

    public long EndOffset { get; private set; }

    public List<(OffsetAndEpoch Id, List<MetadataRecord> Records)> Snapshots { get; } = [];

    /// <summary>Completes when a snapshot was written.</summary>
    public Task FirstSnapshot => _firstSnapshot.Task;

    public int BatchCount => _batches.Count;

    public (long LastOffset, Task Committed) Append(int epoch, IReadOnlyList<MetadataRecord> records)
    {
        if (Leader != new LeaderAndEpoch(1, epoch))
            throw new InvalidOperationException("not the leader");
        var committed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _batches.Add((EndOffset, epoch, records, committed));
        EndOffset += records.Count;
        var last = EndOffset - 1;
        if (CommitsAtOnce)
            Commit();
        return (last, committed.Task);
    }

    public void Register(IMetadataLogListener listener)
    {
        _listeners.Add(listener);
        foreach (var (@base, epoch, records, _) in _batches.Take(_committedBatches))
            listener.HandleCommit(Batch(@base, epoch, records));
        listener.HandleCaughtUp();
        if (Leader.LeaderId >= 0)
            listener.HandleLeaderChange(Leader);
    }

    public void Resume(IMetadataLogListener listener) => throw new InvalidOperationException("This log holds nothing back.");

    public void WriteSnapshot(OffsetAndEpoch id, long lastContainedLogTimestampMs, IEnumerable<MetadataRecord> records)
    {
        Snapshots.Add((id, [.. records]));
        _firstSnapshot.TrySetResult();
    }

    public void Commit()
    {
        while (_committedBatches < _batches.Count)
        {
            var (@base, epoch, records, committed) = _batches[_committedBatches++];
            HighWatermark = @base + records.Count;
            foreach (var listener in _listeners)
                listener.HandleCommit(Batch(@base, epoch, records));
            committed.SetResult();
        }
    }

    /// <summary>The records of a batch, by its place.</summary>
    public IReadOnlyList<MetadataRecord> RecordsOf(int batch) => _batches[batch].Records;

    /// <summary>Another leader, of which the listeners do not know yet.</summary>
    public void LoseLeadUnnoticed(int leader, int epoch) => Leader = new LeaderAndEpoch(leader, epoch);

    /// <summary>Another leader: what was not committed is lost.</summary>
    public void Elect(int leader, int epoch)
    {
        var lost = _batches.Skip(_committedBatches).ToList();
        _batches.RemoveRange(_committedBatches, lost.Count);
        EndOffset = HighWatermark;
        Leader = new LeaderAndEpoch(leader, epoch);
        foreach (var listener in _listeners)
            listener.HandleLeaderChange(Leader);
        foreach (var (_, _, _, committed) in lost)
            committed.SetException(new InvalidOperationException("leadership lost"));
    }

    private static MetadataBatch Batch(long baseOffset, int epoch, IReadOnlyList<MetadataRecord> records) =>
        new(baseOffset, baseOffset + records.Count - 1, epoch, 1, MetadataBatch.Encode(baseOffset, epoch, 1, records).Length, records, []);
}
