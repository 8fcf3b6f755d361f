using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Raft;

namespace Ottla.UnitTests.Raft;

/// <summary>
/// A machine with a clock and a log of its own; its appends are written and flushed at once, unless <see cref="Flushes"/> is false.
/// </summary>
internal sealed class MachineUnderTest
{
    public const string Listener = "CONTROLLER";
    private readonly RaftEffects _effects = new();
    private long _nextRequestId = 1;
    private Instant _now = new(1_000_000);

    public MachineUnderTest(RaftOptions options, ElectionState election, RaftLogState log, QuorumHistory history, ulong seed = 1)
    {
        Machine = new RaftMachine(options, new Prng(seed));
        Step(new RaftEvent.Started(election, log, history));
    }

    public RaftMachine Machine { get; }

    public bool Flushes { get; set; } = true;

    public ElectionState? Saved { get; private set; }

    public List<RaftSend> Sends { get; } = [];

    public List<RaftReply> Replies { get; } = [];

    public List<RaftProbe> Probes { get; } = [];

    public List<RaftLogEffect> LogEffects { get; } = [];

    public static ReplicaKey Key(int id) => new(id, new Uuid(1, (ulong)id));

    public static IReadOnlyList<RaftEndpoint> EndpointsOf(int id) => [new RaftEndpoint(Listener, $"node{id}", 9093)];

    public static Voter VoterOf(int id) => new(Key(id), EndpointsOf(id));

    public static RaftOptions Options(int id) => new() { Local = Key(id), Endpoints = EndpointsOf(id), ListenerName = Listener };

    public static RaftLogState EmptyLog() => RaftLogState.Open(0, 0, [], null, null);

    public static RaftLogState Log(params (int Epoch, long Start)[] epochs) =>
        RaftLogState.Open(0, epochs[^1].Start, epochs[..^1], null, null);

    public static QuorumHistory Static(params int[] ids) =>
        QuorumHistory.Begin(new VoterSet(ids.Select(id => new Voter(new ReplicaKey(id, Uuid.Zero), EndpointsOf(id)))));

    public static QuorumHistory Dynamic(params int[] ids) =>
        QuorumHistory.Begin(VoterSet.Empty).WithKRaftVersion(-1, 1).WithVoters(-1, new VoterSet(ids.Select(VoterOf)));

    /// <summary>
    /// Node 1 of some voters, elected to epoch 1 with its LeaderChange (and its voters) flushed, but not committed unless it is alone.
    /// </summary>
    public static MachineUnderTest Leader(QuorumHistory history, RaftOptions? options = null)
    {
        var node = new MachineUnderTest(options ?? Options(1), ElectionState.None, EmptyLog(), history);
        if (history.Voters.Voters.Count > 1)
        {
            node.Advance(5000);
            node.Elect();
        }

        Assert.Equal((RaftRole.Leader, 1), (node.Machine.Role, node.Machine.Epoch));
        return node;
    }

    /// <summary>Wins the pre-vote and the vote.</summary>
    public void Elect()
    {
        for (var round = 0; round < 2; round++)
        {
            foreach (var send in Sends.Where(send => send.Request is VoteCall).ToArray())
                Answer(send, new VoteReply(ErrorCode.None, -1, Machine.Epoch, true));
        }
    }

    public void Advance(long milliseconds)
    {
        _now = _now.AddMilliseconds(milliseconds);
        Step(new RaftEvent.Timer());
    }

    public void Step(RaftEvent raftEvent)
    {
        _effects.Clear();
        Machine.Step(raftEvent, _now, _effects);
        Saved = _effects.Save ?? Saved;
        Replies.AddRange(_effects.Replies);
        Probes.AddRange(_effects.Probes);
        Sends.AddRange(_effects.Sends);
        RaftLogEffect[] log = [.. _effects.Log];
        var flush = _effects.Flush;
        foreach (var effect in log)
            Write(effect);
        if (flush && Flushes)
            Step(new RaftEvent.Flushed(Machine.Log.EndOffset));
    }

    public RaftSend LastSend<T>()
        where T : RaftRequest => Sends.Last(send => send.Request is T);

    public T LastCall<T>()
        where T : RaftRequest => (T)LastSend<T>().Request;

    public void Answer(RaftSend send, RaftResponse response) => Step(new RaftEvent.ResponseReceived(send.CorrelationId, response));

    public void Fail(RaftSend send) => Step(new RaftEvent.RequestFailed(send.CorrelationId));

    /// <summary>Sends a request; the answer may come later, see <see cref="AnswerTo"/>.</summary>
    public long Ask(RaftRequest request)
    {
        Step(new RaftEvent.RequestReceived(_nextRequestId, request));
        return _nextRequestId++;
    }

    public T Ask<T>(RaftRequest request)
        where T : RaftResponse => Assert.IsType<T>(AnswerTo(Ask(request)));

    public RaftResponse? AnswerTo(long requestId) => Replies.LastOrDefault(reply => reply.RequestId == requestId).Response;

    /// <summary>A replica fetches from the end of its log; without a wait.</summary>
    public FetchReply FetchFrom(int id, long offset, int lastEpoch) => Ask<FetchReply>(FetchOf(Key(id), offset, lastEpoch));

    public FetchCall FetchOf(ReplicaKey key, long offset, int lastEpoch) =>
        new(Machine.Epoch, key, new LogPosition(offset, lastEpoch), long.MaxValue, 0);

    /// <summary>The leader's controller appends a record.</summary>
    public void AppendRecord() =>
        Step(new RaftEvent.Appended([new AppendedBatch(Machine.Log.EndOffset, Machine.Log.EndOffset + 1, Machine.Epoch, [])]));

    private void Write(RaftLogEffect effect)
    {
        LogEffects.Add(effect);
        var end = Machine.Log.EndOffset;
        if (effect is RaftLogEffect.AppendEpochStart { Voters: var first, KRaftVersion: var version } start)
        {
            QuorumChange[] changes = first is null ? []
                : [new QuorumChange(end + 1, null, version), new QuorumChange(end + 2, first, null)];
            Step(new RaftEvent.Appended([new AppendedBatch(end, end + 1 + changes.Length, start.Epoch, changes)]));
        }
        else if (effect is RaftLogEffect.AppendQuorumChange change)
        {
            QuorumChange[] changes = change.KRaftVersion is { } level
                ? [new QuorumChange(end, null, level), new QuorumChange(end + 1, change.Voters, null)]
                : [new QuorumChange(end, change.Voters, null)];
            Step(new RaftEvent.Appended([new AppendedBatch(end, end + changes.Length, change.Epoch, changes)]));
        }
    }
}
