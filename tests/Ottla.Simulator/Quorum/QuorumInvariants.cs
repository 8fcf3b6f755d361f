using Ottla.Protocol;
using Ottla.StateMachines.Raft;

namespace Ottla.Simulator.Quorum;

/// <summary>What must hold after every step of every node, by the true history that only the simulation sees.</summary>
internal sealed class QuorumInvariants(QuorumWorld world)
{
    private readonly List<LoggedBatch> _committed = [];
    private readonly Dictionary<int, int> _leaders = [];
    private readonly Dictionary<(ReplicaKey Voter, int Epoch), ReplicaKey> _votes = [];
    private readonly Dictionary<int, int> _predecessors = [];
    private readonly Dictionary<LogPosition, SavedSnapshot> _snapshots = [];
    private readonly Dictionary<ReplicaKey, int> _epochs = [];
    private readonly Dictionary<ReplicaKey, ElectionState> _saved = [];
    private readonly Dictionary<SimulatedReplica, long> _highWatermarks = [];
    private readonly Dictionary<ReplicaKey, long> _lostDisks = [];
    private long _committedEnd;

    public int CommittedCount => _committed.Count;

    public long CommittedEnd => _committedEnd;

    public int LeaderCount => _leaders.Count;

    public int Installs { get; private set; }

    public int Truncations { get; private set; }

    public int CommittedVoterChanges => _committed.Count(batch => batch.Voters is not null && batch.Count < 3);

    public SavedSnapshot SnapshotOf(LogPosition id) => _snapshots[id];

    /// <summary>A process starts: what it knew of the high watermark is gone.</summary>
    public void NoteStart(SimulatedReplica node) => _highWatermarks.Remove(node);

    /// <summary>A disk is lost for ever; what it had was there when it counted.</summary>
    public void NoteLostDisk(ReplicaDisk disk) => _lostDisks[disk.Key] = disk.FlushedOffset;

    public void NoteStep(SimulatedReplica node)
    {
        var machine = node.Machine!;
        var saved = node.Disk.Election;
        Demand(saved.Epoch == machine.Epoch, node, $"to have saved its epoch, but it saved {saved.Epoch}"); // Q3
        Demand(saved.Epoch >= _epochs.GetValueOrDefault(node.Disk.Key), node, "never to go back to an older epoch");
        Demand(saved.Epoch >= machine.Log.End.Epoch, node, "to have no record of a later epoch than its own");
        _epochs[node.Disk.Key] = saved.Epoch;
        NoteSaved(node, saved);
        if (saved.LeaderId >= 0)
            NoteLeader(node, saved.Epoch, saved.LeaderId);
        if (machine.Role is RaftRole.Prospective or RaftRole.Candidate)
            Demand(MayStand(node), node, "to be a voter by its own log, as it stands for election"); // Q10
        if (machine.Role == RaftRole.Leader)
            NoteLeading(node);
    }

    public void NoteAppend(SimulatedReplica node, LoggedBatch batch)
    {
        // Q5: the same batch always follows the same one, so equal batches mean equal logs before them.
        if (node.Disk.Log.Count > 0)
            Demand(
                _predecessors.GetValueOrDefault(batch.Id, node.Disk.Log[^1].Id) == node.Disk.Log[^1].Id, node,
                $"to have the same log before {batch} as others");
        if (node.Disk.Log.Count > 0)
            _predecessors[batch.Id] = node.Disk.Log[^1].Id;
    }

    public void NoteTruncation(SimulatedReplica node, long endOffset)
    {
        Truncations++;
        Demand(endOffset >= node.Machine!.HighWatermark, node, $"not to cut committed records at {endOffset}"); // Q8
        Demand(endOffset < node.Disk.EndOffset, node, $"to cut something at {endOffset}");
    }

    public void NoteHighWatermark(SimulatedReplica node)
    {
        var machine = node.Machine!;
        var highWatermark = machine.HighWatermark;
        var before = _highWatermarks.GetValueOrDefault(node);
        Demand(highWatermark >= before, node, $"not to lower its high watermark from {before}"); // Q6
        Demand(
            highWatermark <= node.Disk.EndOffset && highWatermark >= node.Disk.StartOffset, node,
            "to have a high watermark within its log");
        _highWatermarks[node] = highWatermark;
        if (machine.Role == RaftRole.Leader)
            DemandMajority(node, highWatermark);
        var log = node.Disk.Log;
        var first = log.Count;
        while (first > 0 && log[first - 1].EndOffset > before)
            first--;
        for (; first < log.Count && log[first].EndOffset <= highWatermark; first++)
            NoteCommitted(node, log[first]);
    }

    public void NoteSnapshot(SimulatedReplica node, SavedSnapshot snapshot)
    {
        // Q12
        Demand(snapshot.Id.Offset <= node.Machine!.HighWatermark, node, "to write snapshots of committed records only");
        Demand(
            _committed.Exists(batch => batch.EndOffset == snapshot.Id.Offset && batch.Epoch == snapshot.Id.Epoch), node,
            $"to end {snapshot.Id} with a batch");
        if (_snapshots.TryGetValue(snapshot.Id, out var known))
            Demand(
                known.KRaftVersion == snapshot.KRaftVersion && SameVoters(known.Voters, snapshot.Voters), node,
                $"to write the same snapshot {snapshot.Id} as others");
        _snapshots[snapshot.Id] = snapshot;
    }

    public void NoteInstall(SimulatedReplica node)
    {
        Installs++;
        Demand(node.Machine!.Role == RaftRole.Follower, node, "to take a snapshot only as a follower"); // Q11
    }

    public void NoteRequest(SimulatedReplica node, RaftRequest request)
    {
        if (request is FetchCall fetch && node.IsController)
            // Q8
            Demand(
                fetch.LogEnd.Offset <= node.Disk.FlushedOffset, node,
                $"to fetch only from what it has flushed, but it fetches from {fetch.LogEnd}");
        if (request is VoteCall { IsPreVote: false } vote)
            NoteVote(node, vote.Epoch, vote.Candidate);
    }

    public void NoteAnswer(SimulatedReplica node, RaftRequest request, RaftResponse response)
    {
        if (response.LeaderId >= 0)
            NoteLeader(node, response.Epoch, response.LeaderId);
        if (request is VoteCall { IsPreVote: false } vote && response is VoteReply { IsGranted: true })
        {
            // Q2: it is saved before the answer leaves. And who gets it has all that the voter has.
            Demand(
                node.Disk.Election.Voted is { } voted && voted.Names(vote.Candidate) && node.Disk.Election.Epoch == vote.Epoch, node,
                $"to have saved its {vote}");
            var isRepeated = _votes.ContainsKey((node.Disk.Key, vote.Epoch));
            Demand(isRepeated || vote.LogEnd >= node.Machine!.Log.End, node, $"to give no vote to a shorter log than its own: {vote}");
            NoteVote(node, vote.Epoch, vote.Candidate);
        }

        if (response is FetchReply { Error: ErrorCode.None, HighWatermark: >= 0 and var highWatermark }
            && node.Machine!.Role == RaftRole.Leader)
            // Q7
            Demand(
                highWatermark > node.Machine.EpochStartOffset, node,
                $"not to tell a high watermark of {highWatermark} before it has committed in its epoch");
    }

    /// <summary>Q9: a leader changes one voter at a time, and only after the change before is committed.</summary>
    public void NoteVoterChange(SimulatedReplica node, VoterSet voters)
    {
        var history = node.Machine!.History;
        var before = history.Voters.Voters.Select(voter => voter.Key.Id).ToHashSet();
        var after = voters.Voters.Select(voter => voter.Key.Id).ToHashSet();
        before.SymmetricExceptWith(after);
        Demand(before.Count <= 1, node, $"to change one voter at a time, not {string.Join(", ", before)}");
        Demand(
            history.KRaftVersion == 0 || history.VotersOffset < node.Machine.HighWatermark, node,
            $"to commit the voters at {history.VotersOffset} before it changes them again");
        Demand(node.Machine.HighWatermark > node.Machine.EpochStartOffset, node, "to commit in its epoch before it changes the voters");
    }

    public void Demand(bool condition, SimulatedReplica node, string what)
    {
        if (!condition)
            throw new InvalidOperationException($"wanted {node.Describe()} {what}");
    }

    private static bool IsMember(SimulatedReplica node) => node.IsController && node.Disk.History().Voters.Contains(node.Disk.Key);

    /// <summary>Whether a node may stand for election: it is a voter, or was one before records that may not be committed.</summary>
    private static bool MayStand(SimulatedReplica node) =>
        node.IsController && node.Disk.History().IsVoterFrom(node.Machine!.HighWatermark, node.Disk.Key);

    private static bool SameVoters(VoterSet one, VoterSet other) =>
        one.Voters.Count == other.Voters.Count && one.Voters.Zip(other.Voters).All(pair => !pair.First.DiffersFrom(pair.Second));

    /// <summary>Q1: of an epoch, at most one node was ever called the leader, by anybody.</summary>
    private void NoteLeader(SimulatedReplica node, int epoch, int leaderId)
    {
        if (_leaders.TryAdd(epoch, leaderId))
            world.Tell($"node {leaderId} leads epoch {epoch}");
        Demand(_leaders[epoch] == leaderId, node, $"to know the one leader of epoch {epoch}, {_leaders[epoch]}, and not {leaderId}");
    }

    /// <summary>Q2: what was saved of an epoch stays so over restarts: the leader, and the vote unless the replica leads by it.</summary>
    private void NoteSaved(SimulatedReplica node, ElectionState saved)
    {
        if (_saved.TryGetValue(node.Disk.Key, out var before) && before.Epoch == saved.Epoch)
        {
            Demand(
                before.LeaderId < 0 || before.LeaderId == saved.LeaderId, node,
                $"not to forget that {before.LeaderId} leads epoch {saved.Epoch}");
            Demand(
                before.Voted is not { } voted || saved.Voted?.Id == voted.Id || saved.LeaderId == node.Id, node,
                $"not to forget its vote for {before.Voted} in epoch {saved.Epoch}");
        }

        _saved[node.Disk.Key] = saved;
    }

    private void NoteVote(SimulatedReplica node, int epoch, ReplicaKey candidate)
    {
        if (_votes.TryGetValue((node.Disk.Key, epoch), out var before))
            Demand(before.Id == candidate.Id, node, $"to vote once in epoch {epoch}, not for {before} and {candidate}");
        _votes[(node.Disk.Key, epoch)] = candidate;
    }

    private void NoteLeading(SimulatedReplica node)
    {
        var machine = node.Machine!;
        Demand(_leaders.GetValueOrDefault(machine.Epoch, node.Id) == node.Id, node, "to be the only leader of its epoch");
        if (!IsMember(node))
            Demand(machine.History.VotersOffset >= machine.HighWatermark, node, "not to lead once its removal is committed"); // Q10
        if (machine.Log.EndOffset != machine.EpochStartOffset)
            return;
        world.NoteElected(node);
        // Q1: it has the votes of its own epoch, and of its own voters.
        var voters = machine.History.Voters;
        Demand(
            voters.Voters.Count(voter => HasVotedFor(node, voter.Key)) >= voters.Majority, node,
            "to lead with the votes of a majority in its epoch");
        // Q4: it has just been elected, and must have all that was ever committed.
        Demand(machine.Log.EndOffset >= _committedEnd, node, $"to have everything up to {_committedEnd} as it leads");
        var log = node.Disk.Log.ToDictionary(batch => batch.BaseOffset);
        foreach (var batch in _committed.Where(batch => batch.BaseOffset >= node.Disk.StartOffset))
            Demand(
                log.GetValueOrDefault(batch.BaseOffset) == batch, node,
                $"to have {batch} as it leads, not {log.GetValueOrDefault(batch.BaseOffset)}");
    }

    private bool HasVotedFor(SimulatedReplica leader, ReplicaKey voter) =>
        voter.Names(leader.Disk.Key)
        || _votes.Any(vote => vote.Key.Epoch == leader.Machine!.Epoch && voter.Names(vote.Key.Voter) && vote.Value.Id == leader.Id);

    /// <summary>Q6: what a leader commits is flushed by a majority of the voters in force.</summary>
    private void DemandMajority(SimulatedReplica node, long highWatermark)
    {
        var voters = node.Machine!.History.Voters;
        bool HasFlushed(ReplicaKey voter) =>
            world.Nodes.Any(other => voter.Names(other.Disk.Key) && other.Disk.FlushedOffset >= highWatermark)
            || _lostDisks.Any(lost => voter.Names(lost.Key) && lost.Value >= highWatermark);
        Demand(
            voters.Voters.Count(voter => HasFlushed(voter.Key)) >= voters.Majority, node,
            $"to commit up to {highWatermark} only what a majority has flushed: {world.Describe()}");
    }

    private void NoteCommitted(SimulatedReplica node, LoggedBatch batch)
    {
        if (batch.BaseOffset == _committedEnd)
        {
            _committed.Add(batch);
            _committedEnd = batch.EndOffset;
            return;
        }

        var index = FindCommitted(batch.BaseOffset);
        Demand(
            index >= 0 && _committed[index] == batch, node,
            $"to agree at {batch.BaseOffset}: it has {batch}, others {(index >= 0 ? _committed[index] : null)}");
    }

    private int FindCommitted(long baseOffset)
    {
        var (low, high) = (0, _committed.Count - 1);
        while (low <= high)
        {
            var middle = (low + high) / 2;
            if (_committed[middle].BaseOffset == baseOffset)
                return middle;
            if (_committed[middle].BaseOffset < baseOffset)
                low = middle + 1;
            else
                high = middle - 1;
        }

        return -1;
    }
}
