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
            if (listener.NextOffset < highWatermark)
                continue;
            NotifyOfCatchUp(listener);
            NotifyOfLeader(listener);
        }

        while (_uncommitted.TryPeek(out var append) && append.Batch.LastOffset < highWatermark)
            _uncommitted.Dequeue().Committed.TrySetResult();
    }

    /// <summary>Tells a listener what it does not know yet, as far as it is ready to take it.</summary>
    private void CatchUp(ListenerState state, long highWatermark)
    {
        if (!state.HasStarted || state.NextOffset < _store.LogStartOffset)
        {
            state.HasStarted = true;
            // The bootstrap snapshot is not state: the first controller writes what it holds to the log.
            if (_store.LatestSnapshot is { Offset: > 0 } id && id.Offset >= state.NextOffset)
            {
                state.Listener.HandleSnapshot(_store.OpenSnapshot(id));
                state.NextOffset = id.Offset;
            }
        }

        foreach (var batch in CommittedBatches(state.NextOffset, highWatermark))
        {
            if (!state.Listener.IsReady)
                return;
            state.Listener.HandleCommit(batch);
            state.NextOffset = batch.LastOffset + 1;
        }
    }

    /// <summary>The committed batches from an offset on. This leader's own are still at hand, decoded; the others are read.</summary>
    private IEnumerable<MetadataBatch> CommittedBatches(long offset, long highWatermark)
    {
        foreach (var append in _uncommitted)
        {
            if (append.Batch.LastOffset >= highWatermark)
                break;
            if (append.Batch.BaseOffset < offset)
                continue;
            // An epoch's control batch may lie between.
            foreach (var batch in _store.ReadBatches(offset, append.Batch.BaseOffset))
                yield return batch;
            yield return append.Batch;
            offset = append.Batch.LastOffset + 1;
        }

        foreach (var batch in _store.ReadBatches(offset, highWatermark))
            yield return batch;
    }

    private void NotifyOfCatchUp(ListenerState state)
    {
        if (state.HasCaughtUp || _machine.QuorumHighWatermark < 0 || state.NextOffset < _machine.QuorumHighWatermark)
            return;
        state.HasCaughtUp = true;
        state.Listener.HandleCaughtUp();
    }

    private void NotifyOfLeader(ListenerState state)
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

        public bool HasCaughtUp { get; set; }

        public long NextOffset { get; set; }

        public LeaderAndEpoch Leader { get; set; } = new(-1, 0);
    }
}
