using Ottla.Kernel;
using Ottla.Simulator.Worlds;

namespace Ottla.Simulator.Replication;

/// <summary>Looks at the whole cluster again and again, and checks what must hold of its replicas.</summary>
internal sealed class ReplicationInvariants
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

    private readonly ClusterLook _look;
    private readonly NodeInvariants _nodes;
    private readonly Dictionary<TopicPartition, PartitionInvariants> _partitions = [];
    private bool _isCheckDue;

    public ReplicationInvariants(ClusterLook look, NodeInvariants nodes, LossGate gate)
    {
        _look = look;
        _nodes = nodes;
        gate.OnEnding = NoteHighWatermarks;
    }

    /// <summary>Looks again and again, until the run is over.</summary>
    public async Task WatchAsync(SimProcess director, Func<bool> isOver)
    {
        while (!isOver())
        {
            Check();
            await director.Delay(Interval);
        }
    }

    /// <summary>Looks as soon as what goes on now is done: before anything else can hide what it has left.</summary>
    public void CheckSoon(SimProcess director)
    {
        if (_isCheckDue)
            return;
        _isCheckDue = true;
        director.Post(
            _ =>
            {
                _isCheckDue = false;
                Check();
            },
            null);
    }

    /// <summary>Looks once.</summary>
    /// <returns>What there is; null before there is metadata.</returns>
    /// <exception cref="SimulationException">Something does not hold.</exception>
    public ClusterView? Check()
    {
        var view = _look.Take();
        foreach (var partition in view?.Partitions ?? [])
            Of(partition.Partition).Check(partition);
        _nodes.Check();
        return view;
    }

    /// <summary>What is committed in each partition, as far as looks have seen it.</summary>
    public IEnumerable<(TopicPartition Partition, IReadOnlyList<StoredBatch> Batches)> Histories =>
        _partitions.Select(partition => (partition.Key, partition.Value.Committed.Batches));

    /// <summary>A client was told that a record is stored on all that are in sync.</summary>
    public void NoteAcknowledged(TopicPartition partition, long offset) => Of(partition).NoteCommitted(offset + 1);

    /// <summary>A client has read all that is committed up to an offset (P7).</summary>
    /// <exception cref="SimulationException">No replica takes that for committed.</exception>
    public void NoteRead(TopicPartition partition, long end)
    {
        Of(partition).NoteStable(_look.LastStableOf(partition));
        Of(partition).NoteRead(end);
    }

    /// <summary>What a leader takes for committed is committed, though it dies before the next look.</summary>
    private void NoteHighWatermarks(SimNode node)
    {
        foreach (var replica in node.Replicas)
        {
            Of(replica.Partition).NoteStable(replica.Log.LastStableOffset);
            if (replica.Leadership.IsLeaderHere)
                Of(replica.Partition).NoteCommitted(replica.Log.HighWatermark);
        }
    }

    private PartitionInvariants Of(TopicPartition partition)
    {
        if (!_partitions.TryGetValue(partition, out var invariants))
            _partitions.Add(partition, invariants = new PartitionInvariants(partition));
        return invariants;
    }
}
