using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Raft;

namespace Ottla.Broker.Hosts;

/// <content>The listeners: each is told everything once, in order, by the loop.</content>
public sealed partial class RaftHost
{
    private readonly List<ListenerState> _listeners = [];

    private void Deliver()
    {
        var highWatermark = _machine.HighWatermark;
        foreach (var listener in _listeners)
        {
            CatchUp(listener, highWatermark);
            TellLeader(listener);
        }

        while (_uncommitted.TryPeek(out var append) && append.Batch.LastOffset < highWatermark)
            _uncommitted.Dequeue().Committed.TrySetResult();
    }

    private void CatchUp(ListenerState state, long highWatermark)
    {
        if (!state.HasStarted || state.NextOffset < _store.LogStartOffset)
        {
            state.HasStarted = true;
            // The bootstrap snapshot is not state: the first controller writes what it holds to the log.
            if (_store.LatestSnapshot is { Offset: > 0 } id && id.Offset >= state.NextOffset)
            {
                state.Listener.HandleSnapshot(new OffsetAndEpoch(id.Offset, id.Epoch), _store.ReadSnapshot(id).Records);
                state.NextOffset = id.Offset;
            }
        }

        if (state.NextOffset >= highWatermark)
            return;
        // This leader's own batches are still at hand, decoded; the rest is read.
        var ownFrom = _uncommitted.TryPeek(out var first) ? first.Batch.BaseOffset : long.MaxValue;
        var readUpTo = Math.Min(highWatermark, Math.Max(ownFrom, state.NextOffset));
        foreach (var batch in _store.ReadBatches(state.NextOffset, readUpTo))
            Tell(state, batch);
        foreach (var append in _uncommitted)
        {
            if (append.Batch.LastOffset >= highWatermark)
                break;
            if (append.Batch.BaseOffset < state.NextOffset)
                continue;
            // An epoch's control batch may lie between.
            foreach (var batch in _store.ReadBatches(state.NextOffset, append.Batch.BaseOffset))
                Tell(state, batch);
            Tell(state, append.Batch);
        }
    }

    private static void Tell(ListenerState state, MetadataBatch batch)
    {
        if (batch.BaseOffset < state.NextOffset)
            return;
        state.Listener.HandleCommit(batch.BaseOffset, batch.Epoch, batch.AppendTimestampMs, batch.Records, batch.LastOffset);
        state.NextOffset = batch.LastOffset + 1;
    }

    private void TellLeader(ListenerState state)
    {
        var leader = LeaderOf(_machine);
        if (leader == state.Leader)
            return;
        // A new leader first sees everything that was committed before it.
        if (_machine.Role == RaftRole.Leader && state.NextOffset <= _machine.EpochStartOffset)
            return;
        state.Leader = leader;
        state.Listener.HandleLeaderChange(leader);
    }

    /// <summary>How far a listener is.</summary>
    private sealed class ListenerState(IMetadataLogListener listener)
    {
        public IMetadataLogListener Listener { get; } = listener;

        public bool HasStarted { get; set; }

        public long NextOffset { get; set; }

        public LeaderAndEpoch Leader { get; set; } = new(-1, 0);
    }
}
