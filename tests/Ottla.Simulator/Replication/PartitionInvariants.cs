using System.Runtime.CompilerServices;
using Ottla.Kernel;
using Ottla.Storage.Log;

namespace Ottla.Simulator.Replication;

/// <summary>
/// What must hold of a partition and its replicas at every look, given all looks before: pure checks over what the look found.
/// </summary>
/// <remarks>The rows are those of the simulator's invariants P. One for each partition; lives as long as a run.</remarks>
internal sealed partial class PartitionInvariants(TopicPartition partition)
{
    private readonly Dictionary<int, ReplicaMatch> _matches = [];
    private readonly Dictionary<(int Node, int Start, int LeaderEpoch), LeaderMark> _marks = [];
    private readonly Dictionary<int, int> _leaderOfEpoch = [];

    /// <summary>An offset below which all is committed, though no look has seen it yet.</summary>
    private long _acknowledgedEnd;

    /// <summary>The highest last stable offset that any replica ever had.</summary>
    private long _lastStable;

    /// <summary>What is committed.</summary>
    public CommittedHistory Committed { get; } = new();

    /// <summary>
    /// Everything below an offset is committed: somebody was told so, or a leader believed it before it died. It must be found in the log
    /// of whoever leads.
    /// </summary>
    public void NoteCommitted(long end) => _acknowledgedEnd = Math.Max(_acknowledgedEnd, end);

    /// <summary>A replica takes everything below an offset for committed, and the transactions there for ended.</summary>
    public void NoteStable(long lastStable) => _lastStable = Math.Max(_lastStable, lastStable);

    /// <summary>P7: a consumer was given nothing that no replica has taken for committed.</summary>
    /// <exception cref="SimulationException">It was.</exception>
    public void NoteRead(long end)
    {
        if (end > _lastStable)
            throw new SimulationException(
                $"{partition}: a consumer has read up to {end}, and the last stable offset never was above {_lastStable}");
        NoteCommitted(end);
    }

    /// <summary>Checks one look.</summary>
    /// <exception cref="SimulationException">Something does not hold.</exception>
    public void Check(PartitionView view)
    {
        foreach (var replica in view.Replicas)
        {
            if (replica.Live is null)
                continue;
            NoteStable(replica.Live.LastStable);
            CheckLog(view, replica, replica.Live);
        }

        CheckOneLeaderPerEpoch(view);
        CheckTruncations(view);
        CheckInSync(view);
        Extend(view);
        foreach (var replica in view.Replicas)
        {
            MatchOf(replica).Update(replica, Committed);
            if (replica.Live is not null)
                CheckBelowHighWatermark(view, replica, replica.Live);
        }

        CheckHighWatermarksOfLeaders(view);
        if (!view.IsBehindLeader)
            CheckCommittedIsKept(view);
    }

    /// <summary>How far a replica has the committed history; for reports.</summary>
    public long MatchedEnd(int node) => _matches.TryGetValue(node, out var match) ? match.End : 0;

    /// <summary>
    /// P3 (bounds), P4, and that a log has no older epoch behind a newer one and no gaps, but for one that the node knows of while there is
    /// no leader.
    /// </summary>
    private void CheckLog(PartitionView view, ReplicaView replica, LiveReplica live)
    {
        Demand(view, !live.IsTorn, $"the log of node {replica.NodeId} to end with a batch");
        Demand(view, live.LogStart <= live.HighWatermark, $"node {replica.NodeId} to have no high watermark below its log start");
        Demand(view, live.HighWatermark <= live.End, $"node {replica.NodeId} to have no high watermark above its end");
        // What a node that starts finds on its disk has not changed, and was not looked at.
        var isKnown = _standings.TryGetValue(replica.NodeId, out var standing) && standing.Start == live.Start;
        for (var i = isKnown ? Math.Max(1, Math.Min(replica.ChangedFrom, replica.Batches.Count)) : 1; i < replica.Batches.Count; i++)
        {
            var (before, batch) = (replica.Batches[i - 1], replica.Batches[i]);
            Demand(
                view, batch.BaseOffset == before.NextOffset || (before.NextOffset == live.Gap && !live.IsLeader),
                $"node {replica.NodeId} to have {batch} right behind {before}");
            Demand(view, batch.LeaderEpoch >= before.LeaderEpoch, $"node {replica.NodeId} to have {batch} not behind the newer {before}");
        }

        if (replica.Batches.Count > 0)
            Demand(
                view, replica.Batches[^1].NextOffset is var end && (end == live.End || (end == live.Gap && !live.IsLeader)),
                $"node {replica.NodeId} to have its end behind {replica.Batches[^1]}");
        CheckEpochs(view, replica, live);
    }

    /// <summary>P4: the epoch cache grows, ends with the log, and says what the batches say.</summary>
    private void CheckEpochs(PartitionView view, ReplicaView replica, LiveReplica live)
    {
        for (var i = 0; i < live.Epochs.Count; i++)
        {
            Demand(view, live.Epochs[i].StartOffset <= live.End, $"no epoch of node {replica.NodeId} to start behind its end");
            if (i == 0)
                continue;
            Demand(
                view, live.Epochs[i].Epoch > live.Epochs[i - 1].Epoch && live.Epochs[i].StartOffset > live.Epochs[i - 1].StartOffset,
                $"the epochs of node {replica.NodeId} to grow, not {string.Join(' ', live.Epochs)}");
        }

        var first = replica.Batches.Count == 0 ? -1 : replica.Batches[0].LeaderEpoch;
        for (var i = Math.Min(replica.ChangedFrom, replica.Batches.Count); i < replica.Batches.Count; i++)
        {
            var batch = replica.Batches[i];
            if (batch.NextOffset <= live.LogStart || (i > 0 && replica.Batches[i - 1].LeaderEpoch == batch.LeaderEpoch))
                continue;
            var start = EntryOf(live.Epochs, batch.LeaderEpoch);
            Demand(
                view, start is { } offset && (offset == batch.BaseOffset || (batch.LeaderEpoch == first && offset >= batch.BaseOffset)),
                $"node {replica.NodeId} to know that {batch} begins an epoch, not {string.Join(' ', live.Epochs)}");
        }
    }

    private static long? EntryOf(IReadOnlyList<EpochEntry> epochs, int epoch)
    {
        foreach (var entry in epochs)
        {
            if (entry.Epoch == epoch)
                return entry.StartOffset;
        }

        return null;
    }

    /// <summary>A leader epoch has one leader, ever.</summary>
    private void CheckOneLeaderPerEpoch(PartitionView view)
    {
        foreach (var leader in view.Leaders)
        {
            var epoch = leader.Live!.LeaderEpoch;
            Demand(
                view, _leaderOfEpoch.TryAdd(epoch, leader.NodeId) || _leaderOfEpoch[epoch] == leader.NodeId,
                $"only one leader of epoch {epoch}, not {leader.NodeId} beside {_leaderOfEpoch[epoch]}");
        }
    }

    /// <summary>
    /// Takes over what became committed since the last look: leaders say it first, but others keep what a former one said.
    /// </summary>
    private void Extend(PartitionView view)
    {
        foreach (var leader in view.Leaders)
            Extend(view, leader, leader.Live!.HighWatermark);
        foreach (var replica in view.Replicas)
        {
            if (replica.Live is { IsLeader: false } live)
                Extend(view, replica, live.HighWatermark);
        }

        if (_acknowledgedEnd > Committed.End && !view.IsBehindLeader
            && view.Leaders.FirstOrDefault() is { } newest && newest.Live!.LeaderEpoch == view.Registration.LeaderEpoch)
        {
            Demand(
                view, newest.Live.End >= _acknowledgedEnd,
                $"the leader {newest.NodeId} to have all that was acknowledged, up to {_acknowledgedEnd}");
            Extend(view, newest, _acknowledgedEnd);
        }
    }

    private void Extend(PartitionView view, ReplicaView replica, long end)
    {
        if (end <= Committed.End)
            return;
        var match = MatchOf(replica);
        match.Update(replica, Committed);
        Demand(
            view, match.End >= Committed.End, $"node {replica.NodeId}, which takes records for committed up to {end}, to have those "
                + $"that are, up to {Committed.End}: it has them up to {match.End}");
        for (var i = replica.PlaceOf(Committed.End); i < replica.Batches.Count && replica.Batches[i].NextOffset <= end; i++)
            Committed.Add(replica.Batches[i]);
    }

    /// <summary>P1, P3: nothing else than what is committed lies below any replica's high watermark.</summary>
    private void CheckBelowHighWatermark(PartitionView view, ReplicaView replica, LiveReplica live)
    {
        var match = MatchOf(replica).End;
        Demand(
            view, live.HighWatermark <= Math.Max(match, live.LogStart),
            $"node {replica.NodeId} to have what is committed below its high watermark {live.HighWatermark}: it differs from {match} on");
    }

    /// <summary>P3: a leader's high watermark never falls, and does not move while too few replicas are in sync.</summary>
    private void CheckHighWatermarksOfLeaders(PartitionView view)
    {
        foreach (var leader in view.Leaders)
        {
            var live = leader.Live!;
            var key = (leader.NodeId, live.Start, live.LeaderEpoch);
            var isUnder = live.InSync.Count < view.MinInSync;
            if (_marks.TryGetValue(key, out var mark))
            {
                Demand(
                    view, live.HighWatermark >= mark.HighWatermark,
                    $"the high watermark {mark.HighWatermark} of leader {leader.NodeId} never to fall in epoch {live.LeaderEpoch}");
                Demand(
                    view, !(isUnder && mark.IsUnderMinInSync && mark.PartitionEpoch == live.PartitionEpoch)
                        || live.HighWatermark == mark.HighWatermark,
                    $"leader {leader.NodeId} not to move its high watermark while {live.InSync.Count} replicas are in sync");
            }

            _marks[key] = new LeaderMark(live.HighWatermark, live.PartitionEpoch, isUnder);
        }
    }

    /// <summary>P1: each committed record is on all in-sync and all eligible replicas, alive or dead.</summary>
    private void CheckCommittedIsKept(PartitionView view)
    {
        foreach (var member in view.Registration.Isr.Concat(view.Registration.EligibleLeaderReplicas))
        {
            var replica = view.Replicas.FirstOrDefault(replica => replica.NodeId == member);
            // A power cut may also cost a new log as a whole.
            if (view.HasLostRecords(member) || (replica is null && Committed.End == 0))
                continue;
            Demand(
                view, replica is not null && MatchOf(replica).End >= Committed.End,
                $"node {member}, in sync or eligible, to have what is committed up to {Committed.End}: "
                    + $"{(replica is null ? "it has no log" : $"it has it up to {MatchOf(replica).End}")}");
        }
    }

    private ReplicaMatch MatchOf(ReplicaView replica)
    {
        if (!_matches.TryGetValue(replica.NodeId, out var match))
            _matches.Add(replica.NodeId, match = new ReplicaMatch());
        return match;
    }

    private void Demand(PartitionView view, bool holds, [InterpolatedStringHandlerArgument(nameof(holds))] FailureText what)
    {
        if (!holds)
            throw new SimulationException($"{partition}: wanted {what.Take()}. {view}");
    }

    /// <summary>A leader at an earlier look.</summary>
    private readonly record struct LeaderMark(long HighWatermark, int PartitionEpoch, bool IsUnderMinInSync);
}
