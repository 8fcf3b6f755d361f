using Ottla.Kernel;
using Ottla.StateMachines.Raft;

namespace Ottla.UnitTests.Raft;

/// <summary>A quorum of pure machines in one thread: its network loses, delays, repeats and reorders, its nodes crash and lose what was not flushed.</summary>
/// <remarks>Everything follows from the seed. What must never happen is checked at every step.</remarks>
internal sealed class RaftSimulation
{
    private readonly PriorityQueue<Action, (long AtMs, long Sequence)> _events = new();
    private readonly Prng _prng;
    private readonly ulong _seed;
    private readonly SimulatedNode[] _nodes;
    private readonly List<Entry> _committed = [];
    private readonly Dictionary<int, int> _leaders = [];
    private long _nowMs = 1_000_000;
    private long _sequence;
    private int _nextValue;
    private bool _isFaulty = true;

    public RaftSimulation(int nodeCount, ulong seed)
    {
        _seed = seed;
        _prng = new Prng(seed);
        var voters = new VoterSet(Enumerable.Range(1, nodeCount).Select(id => new Voter(KeyOf(id), [new RaftEndpoint("CONTROLLER", $"node{id}", 9093)])));
        _nodes = [.. voters.Voters.Select(voter => new SimulatedNode(this, voter.Key, voters))];
        foreach (var node in _nodes)
            node.Start();
        ScheduleFault();
        ScheduleClient();
    }

    public int CommittedCount => _committed.Count;

    public int LeaderCount => _leaders.Count;

    public int SnapshotsFetched { get; private set; }

    private Instant Now => new(_nowMs);

    /// <summary>Runs for a while with faults.</summary>
    public void RunFaulty(long durationMs) => Run(durationMs);

    /// <summary>Heals everything, and demands that the quorum commits new records on every node within the time.</summary>
    public void HealAndDemandProgress(long durationMs)
    {
        _isFaulty = false;
        foreach (var node in _nodes.Where(node => !node.IsUp))
            node.Start();
        Run(durationMs / 2);
        var before = _committed.Count;
        Run(durationMs / 2);
        Demand(_committed.Count > before, $"progress after healing, but {before} records stay {_committed.Count}: {string.Join(", ", _nodes.Select(node => node.Describe()))}");
        foreach (var node in _nodes)
            Demand(node.HighWatermark > before, $"every node to follow, but {node.Describe()} does not reach {before}");
    }

    private static ReplicaKey KeyOf(int id) => new(id, new Uuid(7, (ulong)id));

    private void Demand(bool condition, string what)
    {
        if (!condition)
            throw new InvalidOperationException($"seed {_seed}, {_nodes.Length} nodes, at {_nowMs}: wanted {what}");
    }

    private void Run(long durationMs)
    {
        var endMs = _nowMs + durationMs;
        while (_events.TryPeek(out _, out var at) && at.AtMs <= endMs)
        {
            var action = _events.Dequeue();
            _nowMs = Math.Max(_nowMs, at.AtMs);
            action();
        }

        _nowMs = endMs;
    }

    private void Schedule(long delayMs, Action action) => _events.Enqueue(action, (_nowMs + delayMs, _sequence++));

    private void ScheduleClient() => Schedule(_prng.NextInt(5, 60), () =>
    {
        _nodes[_prng.NextInt(_nodes.Length)].TryAppend(_nextValue++);
        foreach (var node in _nodes)
            node.TryAppend(_nextValue++);
        ScheduleClient();
    });

    private void ScheduleFault() => Schedule(_prng.NextInt(200, 3000), () =>
    {
        if (_isFaulty)
        {
            var node = _nodes[_prng.NextInt(_nodes.Length)];
            if (_prng.NextChance(20))
                node.TrySnapshot();
            else if (_prng.NextChance(40))
                node.Isolate(_prng.NextInt(500, 6000));
            else if (node.IsUp)
                node.Crash();
            else
                node.Start();
        }

        ScheduleFault();
    });

    private void Deliver(SimulatedNode from, SimulatedNode to, Action action)
    {
        if (_isFaulty && (from.IsIsolated || to.IsIsolated || _prng.NextChance(5)))
            return;
        var copies = _isFaulty && _prng.NextChance(5) ? 2 : 1;
        for (var i = 0; i < copies; i++)
            Schedule(_isFaulty && _prng.NextChance(5) ? _prng.NextInt(1, 3000) : _prng.NextInt(1, 20), action);
    }

    private void NoteLeader(int epoch, int node)
    {
        if (_leaders.TryAdd(epoch, node))
            return;
        Demand(_leaders[epoch] == node, $"one leader in epoch {epoch}, but there are {_leaders[epoch]} and {node}");
    }

    private void NoteCommitted(SimulatedNode node)
    {
        for (var offset = node.Checked; offset < node.HighWatermark; offset++)
        {
            var entry = node.At(offset);
            if (offset == _committed.Count)
                _committed.Add(entry);
            else
                Demand(_committed[(int)offset] == entry, $"{node.Describe()} to agree at {offset}: {entry} instead of {_committed[(int)offset]}");
        }

        node.Checked = Math.Max(node.Checked, node.HighWatermark);
    }

    /// <summary>A record.</summary>
    private readonly record struct Entry(int Epoch, int Value);

    /// <summary>A node: what is on its disk, and the machine of its present life.</summary>
    private sealed class SimulatedNode(RaftSimulation world, ReplicaKey key, VoterSet voters)
    {
        private readonly Dictionary<long, (SimulatedNode From, int Life, long CorrelationId)> _requests = [];
        private readonly List<Entry> _log = [];
        private readonly List<LogPosition> _snapshots = [];
        private ElectionState _election = ElectionState.None;
        private long _startOffset;
        private long _flushed;
        private RaftMachine? _machine;
        private long _isolatedUntilMs;
        private long _nextRequestId;
        private int _life;
        private bool _isFlushing;

        public bool IsUp => _machine is not null;

        public bool IsIsolated => world._nowMs < _isolatedUntilMs;

        public long HighWatermark => _machine?.HighWatermark ?? 0;

        public long Checked { get; set; }

        private long EndOffset => _startOffset + _log.Count;

        public Entry At(long offset) => _log[(int)(offset - _startOffset)];

        public string Describe() => $"node {key.Id} ({_machine?.Role}, epoch {_machine?.Epoch}, leader {_machine?.LeaderId}, log {_startOffset}-{EndOffset}, high watermark {_machine?.HighWatermark})";

        public void Isolate(long durationMs) => _isolatedUntilMs = world._nowMs + durationMs;

        public void Start()
        {
            _life++;
            _machine = new RaftMachine(new RaftOptions { Local = key }, new Prng(world._prng.NextUInt64()));
            _isFlushing = false;
            _requests.Clear();
            var epochs = new List<(int, long)>();
            for (var i = 0; i < _log.Count; i++)
            {
                if (i == 0 || _log[i].Epoch != _log[i - 1].Epoch)
                    epochs.Add((_log[i].Epoch, _startOffset + i));
            }

            _flushed = EndOffset;
            Checked = _snapshots.Count > 0 ? _snapshots[^1].Offset : 0;
            var shape = RaftLogState.Open(_startOffset, EndOffset, epochs, _snapshots.Count > 0 ? _snapshots[0] : null, _snapshots.Count > 0 ? _snapshots[^1] : null);
            Step(new RaftEvent.Started(_election, shape, QuorumHistory.Begin(voters)));
        }

        public void Crash()
        {
            _machine = null;
            var kept = _flushed + world._prng.NextInt((int)(EndOffset - _flushed) + 1);
            _log.RemoveRange((int)(kept - _startOffset), (int)(EndOffset - kept));
        }

        public void TryAppend(int value)
        {
            if (_machine is not { Role: RaftRole.Leader } machine || machine.Log.EndOffset <= machine.EpochStartOffset)
                return;
            Append(new Entry(machine.Epoch, value));
        }

        public void TrySnapshot()
        {
            if (_machine is not { } machine || machine.HighWatermark <= _startOffset || machine.HighWatermark <= (_snapshots.Count > 0 ? _snapshots[^1].Offset : 0))
                return;
            var id = new LogPosition(machine.HighWatermark, At(machine.HighWatermark - 1).Epoch);
            _snapshots.Clear();
            _snapshots.Add(id);
            _log.RemoveRange(0, (int)(id.Offset - _startOffset));
            _startOffset = id.Offset;
            Step(new RaftEvent.SnapshotWritten(id, id, id.Offset));
        }

        private void Append(Entry entry)
        {
            _log.Add(entry);
            Step(new RaftEvent.Appended([new AppendedBatch(EndOffset - 1, EndOffset, entry.Epoch, [])]));
        }

        private void Step(RaftEvent raftEvent)
        {
            var effects = new RaftEffects();
            var machine = _machine!;
            machine.Step(raftEvent, world.Now, effects);
            if (effects.Save is { } state)
                _election = state;
            if (machine.Role == RaftRole.Leader)
                world.NoteLeader(machine.Epoch, key.Id);
            foreach (var effect in effects.Log)
                Apply(effect);
            if (effects.Flush)
                Flush();
            foreach (var reply in effects.Replies)
                Reply(reply);
            foreach (var send in effects.Sends)
                Send(send);
            if (effects.FetchSnapshot is { } fetch)
                Fetch(fetch);
            if (effects.HighWatermarkAdvanced)
                world.NoteCommitted(this);
            if (_machine == machine && machine.NextDeadline is { } deadline)
                world.Schedule(Math.Max(1, deadline.UnixMilliseconds - world._nowMs), InThisLife(() => Tick(deadline)));
        }

        private void Tick(Instant deadline)
        {
            // Each step sets a timer of its own: only the one that is due now counts.
            if (_machine!.NextDeadline is { } next && next <= deadline)
                Step(new RaftEvent.Timer());
        }

        private Action InThisLife(Action action)
        {
            var life = _life;
            return () =>
            {
                if (_machine is not null && life == _life)
                    action();
            };
        }

        private void Apply(RaftLogEffect effect)
        {
            switch (effect)
            {
                case RaftLogEffect.Truncate truncate:
                    _log.RemoveRange((int)(truncate.EndOffset - _startOffset), (int)(EndOffset - truncate.EndOffset));
                    _flushed = Math.Min(_flushed, truncate.EndOffset);
                    break;
                case RaftLogEffect.AppendEpochStart start:
                    world.Demand(start.BaseOffset == EndOffset, "the epoch to start at the log's end");
                    Append(new Entry(start.Epoch, -start.LeaderId));
                    break;
                case RaftLogEffect.AppendFetched fetched:
                    var batches = new List<AppendedBatch>();
                    for (var bytes = fetched.Records.Span; !bytes.IsEmpty; bytes = bytes[8..])
                    {
                        _log.Add(new Entry(BitConverter.ToInt32(bytes), BitConverter.ToInt32(bytes[4..])));
                        batches.Add(new AppendedBatch(EndOffset - 1, EndOffset, _log[^1].Epoch, []));
                    }

                    Step(new RaftEvent.Appended(batches));
                    break;
            }
        }

        private void Flush()
        {
            if (_isFlushing)
                return;
            _isFlushing = true;
            var life = _life;
            world.Schedule(world._prng.NextInt(1, 15), InThisLife(() =>
            {
                _isFlushing = false;
                _flushed = EndOffset;
                Step(new RaftEvent.Flushed(EndOffset));
            }));
        }

        private void Send(RaftSend send)
        {
            var to = world._nodes[send.To.Id - 1];
            var life = _life;
            world.Deliver(this, to, () =>
            {
                if (to._machine is null)
                    return;
                to._requests[to._nextRequestId] = (this, life, send.CorrelationId);
                to.Step(new RaftEvent.RequestReceived(to._nextRequestId++, send.Request));
            });
        }

        private void Reply(RaftReply reply)
        {
            var (to, life, correlationId) = _requests[reply.RequestId];
            _requests.Remove(reply.RequestId);
            var response = reply.Response is FetchReply { ReadFrom: { } offset } fetch ? fetch with { Records = Read(offset) } : reply.Response;
            world.Deliver(this, to, () =>
            {
                if (to._machine is not null && to._life == life)
                    to.Step(new RaftEvent.ResponseReceived(correlationId, response));
            });
        }

        private byte[] Read(long offset)
        {
            const int entriesMax = 20;
            var bytes = new List<byte>();
            for (; offset < EndOffset && bytes.Count < 8 * entriesMax; offset++)
            {
                bytes.AddRange(BitConverter.GetBytes(At(offset).Epoch));
                bytes.AddRange(BitConverter.GetBytes(At(offset).Value));
            }

            return [.. bytes];
        }

        private void Fetch(SnapshotFetch fetch)
        {
            var leader = world._nodes[fetch.LeaderId - 1];
            world.Schedule(world._prng.NextInt(10, 200), InThisLife(() =>
            {
                if (!leader.IsUp || leader.IsIsolated || IsIsolated || !leader._snapshots.Contains(fetch.Id))
                {
                    Step(new RaftEvent.SnapshotFailed());
                    return;
                }

                world.SnapshotsFetched++;
                _snapshots.Clear();
                _snapshots.Add(fetch.Id);
                _log.Clear();
                _startOffset = _flushed = fetch.Id.Offset;
                Checked = fetch.Id.Offset;
                Step(new RaftEvent.SnapshotInstalled(fetch.Id, QuorumHistory.Begin(voters)));
            }));
        }
    }
}
