using Ottla.Kernel;
using Ottla.StateMachines.Raft;

namespace Ottla.Simulator.Quorum;

/// <summary>The nodes, their network and their clock: all on one thread, all from one seed.</summary>
internal sealed partial class QuorumWorld
{
    public const string ListenerName = "CONTROLLER";
    public const ushort FirstPort = 9093;
    private const int LateMsMax = 3000;
    private const int VotesKept = 20;

    private readonly PriorityQueue<Action, (long AtMs, long Sequence)> _events = new();
    private readonly Dictionary<(int From, int To), long> _cuts = [];
    private readonly Queue<(SimulatedReplica To, Action Arrive)> _votes = new();
    private readonly TextWriter? _log;
    private readonly VoterSet _staticVoters;
    private long _sequence;
    private bool _isFaulty = true;

    public QuorumWorld(ulong seed, TextWriter? log)
    {
        _log = log;
        Prng = new Prng(seed);
        Conditions = QuorumConditions.Draw(Prng);
        Invariants = new QuorumInvariants(this);
        Tell($"seed {seed}: {Conditions}");
        var voterIds = Enumerable.Range(1, Conditions.Voters).ToArray();
        // Static voters are known by their id, and found where their name is, whatever the port.
        _staticVoters = Conditions.IsDynamic
            ? VoterSet.Empty
            : new VoterSet(
                voterIds.Select(id => new Voter(new ReplicaKey(id, Uuid.Zero), [new RaftEndpoint(ListenerName, HostOf(id), AnyPort)])));
        BootstrapServers = Conditions.IsDynamic || Prng.NextChance(50)
            ? [.. voterIds.Select((id, index) => RaftNode.Bootstrap(index, HostOf(id), AnyPort))]
            : [];
        var bootstrap = QuorumHistory.Begin(VoterSet.Empty).WithKRaftVersion(QuorumHistory.BeforeLog, 1).WithVoters(
            QuorumHistory.BeforeLog,
            new VoterSet(voterIds.Select(id => new Voter(NewKey(id), [new RaftEndpoint(ListenerName, HostOf(id), FirstPort)]))));
        var count = Conditions.Voters + Conditions.Spares + Conditions.Brokers;
        for (var id = 1; id <= count; id++)
        {
            var key = id <= Conditions.Voters && Conditions.IsDynamic ? bootstrap.Voters.Find(id)!.Key : NewKey(id);
            var disk = new ReplicaDisk(key, _staticVoters);
            if (id <= Conditions.Voters && Conditions.IsDynamic)
                disk.Bootstrap = bootstrap;
            Nodes.Add(new SimulatedReplica(this, id, id <= Conditions.Voters + Conditions.Spares, disk));
        }

    }

    public Prng Prng { get; }

    public QuorumConditions Conditions { get; }

    public QuorumInvariants Invariants { get; }

    public List<SimulatedReplica> Nodes { get; } = [];

    public IReadOnlyList<RaftNode> BootstrapServers { get; }

    /// <summary>Every batch that was ever written, by its id.</summary>
    public List<LoggedBatch> Batches { get; } = [];

    public long NowMs { get; private set; } = 1_000_000;

    public Instant Now => new(NowMs);

    public QuorumRun Result => new(
        Invariants.CommittedCount, Invariants.LeaderCount, Invariants.Installs, Invariants.CommittedVoterChanges, Invariants.Truncations);

    private const ushort AnyPort = 1;

    private int _nextDirectory;

    public string HostOf(int id) => $"node{id}";

    public string Describe() => string.Join("; ", Nodes.Select(node => node.Describe()));

    public void Tell(string what) => _log?.WriteLine($"{NowMs} {what}");

    public LoggedBatch NewBatch(long baseOffset, int epoch, int count, short? kraftVersion, VoterSet? voters)
    {
        var batch = new LoggedBatch(Batches.Count, baseOffset, epoch, count, kraftVersion, voters);
        Batches.Add(batch);
        return batch;
    }

    public void Schedule(long delayMs, Action action) => _events.Enqueue(action, (NowMs + delayMs, _sequence++));

    /// <summary>Starts all nodes, and whatever befalls them.</summary>
    public void Start()
    {
        foreach (var node in Nodes)
            node.Start();
        ScheduleClient();
        ScheduleFault();
        ScheduleOperator();
    }

    public void RunFaulty(long durationMs) => Run(durationMs);

    /// <summary>
    /// Sends a request to whoever listens at the address. Who is not there refuses the connection, or the sender hears nothing.
    /// </summary>
    public void Send(SimulatedReplica from, int life, RaftSend send)
    {
        var to = FindAt(send.To);
        void Arrive()
        {
            if (to is not { IsUp: true })
            {
                Schedule(1, () => from.ReceiveAnswer(life, send.CorrelationId, null));
                if (to is not null && Prng.NextChance(Conditions.NoticePercent))
                    Schedule(1, () => from.ReceiveProcessEnd(to.Id));
                return;
            }

            to.Receive(send.Request, response => Deliver(to, from, () => from.ReceiveAnswer(life, send.CorrelationId, response)));
        }

        if (to is not null && send.Request is VoteCall)
            Remember(to, Arrive);
        Deliver(from, to, Arrive);
    }

    /// <summary>Asks a node by ApiVersions. The caller waits for an answer no longer than for a request.</summary>
    public void Probe(SimulatedReplica from, RaftNode node, Action<(short Min, short Max)?> answer)
    {
        var to = FindAt(node);
        Deliver(from, to, () => Deliver(to, from, () => answer(to is { IsUp: true } ? ((short)0, Voter.KRaftVersionSupported) : null)));
    }

    /// <summary>Keeps the last requests for votes: some come again after a restart, when they do most harm.</summary>
    private void Remember(SimulatedReplica to, Action arrive)
    {
        _votes.Enqueue((to, arrive));
        if (_votes.Count > VotesKept)
            _votes.Dequeue();
    }

    private ReplicaKey NewKey(int id) => new(id, new Uuid(7, (ulong)++_nextDirectory));

    private SimulatedReplica? FindAt(RaftNode node) =>
        Nodes.Find(other => HostOf(other.Id) == node.Host && (node.Port == AnyPort || node.Port == other.Port));

    private void Deliver(SimulatedReplica? from, SimulatedReplica? to, Action action)
    {
        if (IsCut(from, to) || (_isFaulty && Prng.NextChance(Conditions.LossPercent)))
            return;
        var copies = _isFaulty && Prng.NextChance(5) ? 2 : 1;
        for (var i = 0; i < copies; i++)
            Schedule(_isFaulty && Prng.NextChance(Conditions.DelayPercent) ? Prng.NextInt(1, LateMsMax) : Prng.NextInt(1, 20), action);
    }

    private bool IsCut(SimulatedReplica? from, SimulatedReplica? to) =>
        _isFaulty && from is not null && to is not null && _cuts.TryGetValue((from.Id, to.Id), out var untilMs) && NowMs < untilMs;

    private void Run(long durationMs)
    {
        var endMs = NowMs + durationMs;
        while (_events.TryPeek(out _, out var at) && at.AtMs <= endMs)
        {
            var action = _events.Dequeue();
            NowMs = Math.Max(NowMs, at.AtMs);
            action();
        }

        NowMs = endMs;
    }
}
