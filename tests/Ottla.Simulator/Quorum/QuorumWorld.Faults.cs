using Ottla.StateMachines.Raft;

namespace Ottla.Simulator.Quorum;

/// <content>What happens to the nodes: faults, clients and operators; and the quiet in which they have to recover.</content>
internal sealed partial class QuorumWorld
{
    /// <summary>A change of the voters may be under way for so long after it was asked for.</summary>
    private const long ChangeMs = 9000;

    /// <summary>A healed node has no reason to send more requests than these in a second.</summary>
    private const int SendsPerSecondMax = 100;

    /// <summary>The least election time-out with which candidates do not meet again and again.</summary>
    private const int ElectionTimeoutMsOfSuccession = 300;

    private long _lastChangeMs;

    /// <summary>
    /// Now and then a leader dies as soon as it is one, and is back before anybody has noticed; or the voters are to change before it has
    /// committed anything.
    /// </summary>
    public void NoteElected(SimulatedReplica node)
    {
        if (!_isFaulty)
            return;
        var life = node.Life;
        if (Prng.NextChance(30))
            Schedule(Prng.NextInt(1, 60), () => OperateAtOnce(node, life));
        if (!Prng.NextChance(15))
            return;
        Schedule(Prng.NextInt(1, 30), () =>
        {
            if (!_isFaulty || node.Life != life || !node.IsUp)
                return;
            Crash(node);
            Schedule(Prng.NextInt(1, 50), () =>
            {
                if (!node.IsUp && node.Life == life)
                    Restart(node);
            });
        });
    }

    private IEnumerable<SimulatedReplica> Controllers => Nodes.Where(node => node.IsController);

    private SimulatedReplica? Leader => Nodes.Where(node => node.Machine?.Role == RaftRole.Leader).MaxBy(node => node.Machine!.Epoch);

    /// <summary>Ends the faults. A random minority of the voters stays dead for ever, if there is enough without it.</summary>
    public void Heal(long settleMs)
    {
        _isFaulty = false;
        _cuts.Clear();
        Run(LateMsMax); // what is under way arrives
        var dead = new List<SimulatedReplica>();
        foreach (var node in Nodes.OrderBy(_ => Prng.NextUInt64()).ToArray())
        {
            dead.Add(node);
            if (!Prng.NextChance(40) || !HaveMajorityWithout(dead))
                dead.Remove(node);
        }

        foreach (var node in Nodes)
        {
            node.IsDead = dead.Contains(node);
            node.Resume();
            if (node.IsDead && node.IsUp)
                node.Crash();
            if (!node.IsDead && !node.IsUp)
                node.Start();
        }

        Tell($"healed, but for {string.Join(", ", dead.Select(node => node.Id))}");
        Run(settleMs);
    }

    /// <summary>Demands that the nodes have one leader, keep it, commit, and all follow.</summary>
    public void DemandProgress(long durationMs)
    {
        var living = Nodes.Where(node => !node.IsDead).ToArray();
        var leader = Leader;
        if (leader is null)
            throw new InvalidOperationException($"wanted a leader after healing: {Describe()}");
        var (epoch, before) = (leader.Machine!.Epoch, Invariants.CommittedEnd);
        var sent = living.ToDictionary(node => node, node => node.Sent);
        var lost = living.Except(NodesThatFind(leader)).ToHashSet();
        Run(durationMs);
        Invariants.Demand(Leader == leader && leader.Machine!.Epoch == epoch, leader, $"to lead on after healing: {Describe()}");
        Invariants.Demand(Invariants.CommittedEnd > before, leader, $"to commit after healing: {Describe()}");
        foreach (var node in living)
        {
            if (lost.Contains(node) && node.Machine!.LeaderId != leader.Id)
                continue;
            Invariants.Demand(node.Machine!.HighWatermark > before, node, $"to follow to {before}: {Describe()}");
            Invariants.Demand(
                node.Machine.LeaderId == leader.Id && node.Machine.Epoch == epoch, node,
                $"to know the leader {leader.Id} of epoch {epoch}");
            var perSecond = (node.Sent - sent[node]) * 1000 / durationMs;
            Invariants.Demand(perSecond <= SendsPerSecondMax, node, $"to be calm, but it sends {perSecond} requests in a second");
        }
    }

    /// <summary>
    /// Demands that the end of the leader's process is noticed: another one leads long before a fetch time-out. Where there are enough
    /// voters for it, and candidates that do not meet for ever.
    /// </summary>
    public void DemandSuccession(long durationMs)
    {
        var leader = Leader!;
        var without = Nodes.Where(node => node.IsDead || node == leader).ToArray();
        if (Conditions.ElectionTimeoutMs < ElectionTimeoutMsOfSuccession || Conditions.NoticePercent < 100 || !HaveMajorityWithout(without))
            return;
        leader.IsDead = true;
        Crash(leader);
        Run(durationMs);
        if (Leader is null)
            throw new InvalidOperationException($"wanted a leader {durationMs} ms after the end of {leader.Id}: {Describe()}");
    }

    /// <summary>
    /// The nodes that hear of the leader: its voters, and those that know the address of one that does. A node whose only acquaintances are
    /// dead, or have moved, never finds the quorum.
    /// </summary>
    private HashSet<SimulatedReplica> NodesThatFind(SimulatedReplica leader)
    {
        var found = Nodes.Where(node => leader.Machine!.History.Voters.Voters.Any(voter => IsAt(voter, node))).Append(leader).ToHashSet();
        while (Nodes.Find(node => !node.IsDead && !found.Contains(node) && Acquaintances(node).Any(found.Contains)) is { } next)
            found.Add(next);
        return found;
    }

    private IEnumerable<SimulatedReplica> Acquaintances(SimulatedReplica node)
    {
        var voters = node.Machine!.History.Voters.Voters.Select(voter => voter.NodeOn(ListenerName)).OfType<RaftNode>();
        return BootstrapServers.Concat(voters).Select(FindAt).OfType<SimulatedReplica>().Where(other => !other.IsDead && other != node);
    }

    private bool IsAt(Voter voter, SimulatedReplica node) =>
        !node.IsDead && voter.Key.Names(node.Disk.Key) && voter.NodeOn(ListenerName) is { } at && FindAt(at) == node;

    private void ScheduleClient() => Schedule(Prng.NextInt(5, 60), () =>
    {
        foreach (var node in Nodes)
            node.TryAppend();
        ScheduleClient();
    });

    private void ScheduleFault() => Schedule(Prng.NextInt(200, 2500), () =>
    {
        if (!_isFaulty)
            return;
        Fault(Nodes[Prng.NextInt(Nodes.Count)]);
        ScheduleFault();
    });

    private void Fault(SimulatedReplica node)
    {
        switch (Prng.NextInt(100))
        {
            case < 20:
                node.TrySnapshot();
                break;
            case < 35:
                Cut(node, Nodes[Prng.NextInt(Nodes.Count)], Prng.NextInt(500, 6000));
                break;
            case < 50:
                foreach (var other in Nodes)
                {
                    Cut(node, other, Prng.NextInt(500, 6000));
                    Cut(other, node, Prng.NextInt(500, 6000));
                }

                break;
            case < 58 when node.IsUp:
                Tell($"pauses {node.Id}");
                node.Pause(Prng.NextInt(500, 5000));
                break;
            case < 66 when node is { IsUp: true, IsStopping: false }:
                Tell($"stops {node.Id}");
                node.Stop();
                break;
            case < 70:
                var believer = Nodes[Prng.NextInt(Nodes.Count)];
                Tell($"{believer.Id} believes that the process of {node.Id} has ended");
                believer.ReceiveProcessEnd(node.Id);
                break;
            case < 77 when CanLoseDisk(node):
                Tell($"replaces the disk of {node.Id}");
                if (node.IsController)
                    Invariants.NoteLostDisk(node.Disk);
                node.Wipe(new ReplicaDisk(NewKey(node.Id), _staticVoters));
                break;
            default:
                if (node.IsUp)
                    Crash(node);
                else
                    Restart(node);
                break;
        }
    }

    private void Crash(SimulatedReplica node)
    {
        Tell($"crashes {node.Id}");
        node.Crash();
        NoteProcessEnd(node);
    }

    /// <summary>A process has ended: the others may see its connections closed and its listener refuse new ones.</summary>
    private void NoteProcessEnd(SimulatedReplica node)
    {
        foreach (var other in Nodes.Where(other => other != node && other.IsUp && !IsCut(node, other)))
        {
            if (Prng.NextChance(Conditions.NoticePercent))
                Schedule(Prng.NextInt(1, 40), () => other.ReceiveProcessEnd(node.Id));
        }
    }

    private void Restart(SimulatedReplica node)
    {
        if (Conditions.IsDynamic && Prng.NextChance(20) && NowMs - _lastChangeMs > ChangeMs && HaveMajorityWithout([node]))
            node.Port++;
        Tell($"starts {node.Id}");
        node.Start();
        foreach (var (to, arrive) in _votes)
        {
            if (to == node && _isFaulty && Prng.NextChance(30))
                Schedule(Prng.NextInt(1, 50), arrive);
        }
    }

    private void Cut(SimulatedReplica from, SimulatedReplica to, long durationMs) => _cuts[(from.Id, to.Id)] = NowMs + durationMs;

    /// <summary>
    /// A controller of a dynamic quorum may lose its disk as long as the voters that are left make a majority in everybody's eyes, and no
    /// change of the voters is under way. A static voter would come back under its old name and have forgotten what it promised.
    /// </summary>
    private bool CanLoseDisk(SimulatedReplica node)
    {
        if (!node.IsController)
            return true;
        return Conditions.IsDynamic && !Conditions.AutoJoin && NowMs - _lastChangeMs > ChangeMs && HaveMajorityWithout([node]);
    }

    /// <summary>Whether the voters that every single disk names could make a majority without some nodes.</summary>
    private bool HaveMajorityWithout(IReadOnlyCollection<SimulatedReplica> without) => Nodes.TrueForAll(node =>
    {
        var voters = node.Disk.History().Voters;
        return voters.Voters.Count == 0 || voters.Voters.Count(voter => IsThere(voter, without)) >= voters.Majority;
    });

    /// <summary>
    /// Whether a voter can do its part: it has its disk, is where the voter set says (if most have moved, they do not find each other any
    /// more), and is a voter by its own log too: a leader that has removed itself, but has not told the others, has the longest log and
    /// does not stand for election, as in Kafka.
    /// </summary>
    private bool IsThere(Voter voter, IReadOnlyCollection<SimulatedReplica> without) => Nodes.Exists(node =>
        !without.Contains(node) && voter.Key.Names(node.Disk.Key)
            && voter.Endpoints.All(endpoint => endpoint.Port == AnyPort || endpoint.Port == node.Port)
            && (node.Disk.EndOffset == 0 || node.Disk.History().Voters.Contains(node.Disk.Key)));

    private void ScheduleOperator() => Schedule(Prng.NextInt(500, 4000), () =>
    {
        if (!_isFaulty)
            return;
        if (Leader is { } leader)
            Operate(leader);
        ScheduleOperator();
    });

    private void OperateAtOnce(SimulatedReplica leader, int life)
    {
        if (_isFaulty && leader.Life == life && leader.Machine?.Role == RaftRole.Leader)
            Operate(leader);
    }

    private void Operate(SimulatedReplica leader)
    {
        var voters = leader.Machine!.History.Voters;
        var node = Controllers.ElementAt(Prng.NextInt(Controllers.Count()));
        RaftRequest request;
        if (voters.Find(node.Id) is not { } voter)
            request = new AddVoterCall(node.Disk.Key, node.Endpoints, 1000, Prng.NextChance(50));
        else if (voter.Key.Names(node.Disk.Key) && !Conditions.IsDynamic && Prng.NextChance(20))
            request = new UpgradeVersionCall(leader.Machine.Epoch, 1, Prng.NextChance(20));
        else if (CanRemove(voter, voters, leader))
            request = new RemoveVoterCall(voter.Key);
        else
            return;
        _lastChangeMs = NowMs;
        Tell($"asks {leader.Id}: {request}");
        Deliver(null, leader, () =>
        {
            if (leader.IsUp)
                leader.Receive(request, response => Tell($"{leader.Id} answers {response}"));
        });
    }

    /// <summary>
    /// A voter may go as long as there is a majority with it and without it: an operator must not make the quorum lose itself. Of two, the
    /// leader must not go: if it dies before the other knows, neither can be elected.
    /// </summary>
    private bool CanRemove(Voter voter, VoterSet voters, SimulatedReplica leader)
    {
        var rest = voters.Voters.Where(other => other != voter).ToArray();
        var there = rest.Count(other => IsThere(other, []));
        return rest.Length == 1
            ? there == 1 && voter.Key.Id != leader.Id
            : rest.Length > 1 && there >= rest.Length / 2 + 1 && there >= voters.Majority;
    }
}
