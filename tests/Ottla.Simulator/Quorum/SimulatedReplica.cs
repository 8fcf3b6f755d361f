using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Raft;

namespace Ottla.Simulator.Quorum;

/// <summary>A node of the simulated quorum: its disk, and the machine of its present life, hosted as <c>RaftHost</c> does it.</summary>
internal sealed class SimulatedReplica(QuorumWorld world, int id, bool isController, ReplicaDisk disk)
{
    private const int FlushMsMax = 15;
    private const int SnapshotPieceBytes = 3;

    private readonly Dictionary<long, (RaftRequest Request, Action<RaftResponse> Answer)> _requests = [];
    private long _nextRequestId;
    private long _pausedUntilMs;
    private bool _isFlushing;

    public int Id => id;

    public bool IsController => isController;

    public ReplicaDisk Disk { get; private set; } = disk;

    public RaftMachine? Machine { get; private set; }

    public int Life { get; private set; }

    /// <summary>The port that it listens on; another one after some restarts.</summary>
    public ushort Port { get; set; } = QuorumWorld.FirstPort;

    public bool IsUp => Machine is not null;

    public bool IsStopping { get; private set; }

    /// <summary>Whether it will never start again.</summary>
    public bool IsDead { get; set; }

    /// <summary>Requests that it has sent.</summary>
    public long Sent { get; private set; }

    public IReadOnlyList<RaftEndpoint> Endpoints =>
        isController ? [new RaftEndpoint(QuorumWorld.ListenerName, world.HostOf(id), Port)] : [];

    public string Describe() => Machine is not { } machine
        ? $"{Disk.Key} (down, log {Disk.StartOffset}-{Disk.EndOffset})"
        : $"{Disk.Key} ({machine.Role}, epoch {machine.Epoch}, leader {machine.LeaderId}, log {Disk.StartOffset}-{Disk.EndOffset}, "
            + $"flushed {Disk.FlushedOffset}, high watermark {machine.HighWatermark}, voters "
                + $"{string.Join("+", machine.History.Voters.Voters.Select(voter => voter.Key))})";

    public void Start()
    {
        Life++;
        IsStopping = false;
        _isFlushing = false;
        _pausedUntilMs = 0;
        _requests.Clear();
        var options = new RaftOptions
        {
            Local = Disk.Key,
            Endpoints = Endpoints,
            ListenerName = QuorumWorld.ListenerName,
            CanBecomeVoter = isController,
            AutoJoin = isController && world.Conditions.AutoJoin,
            BootstrapServers = world.BootstrapServers,
            ElectionTimeoutMs = world.Conditions.ElectionTimeoutMs,
            FetchTimeoutMs = world.Conditions.FetchTimeoutMs,
            FetchSnapshotBytesMax = SnapshotPieceBytes,
        };
        Machine = new RaftMachine(options, new Prng(world.Prng.NextUInt64()));
        world.Invariants.NoteStart(this);
        world.Tell($"{Disk.Key} has {string.Join(" ", Disk.Snapshots.Select(snapshot => snapshot.Id))} and the log "
            + $"{Disk.StartOffset}-{Disk.EndOffset}");
        Step(Disk.Open());
    }

    /// <summary>The process dies and the power fails.</summary>
    public void Crash()
    {
        Machine = null;
        Disk.LosePower(world.Prng);
    }

    /// <summary>The disk is replaced by an empty one, and formatted to join the quorum.</summary>
    public void Wipe(ReplicaDisk fresh)
    {
        Machine = null;
        Disk = fresh;
    }

    public void Stop()
    {
        IsStopping = true;
        Step(new RaftEvent.Shutdown());
    }

    public void Pause(long durationMs) => _pausedUntilMs = world.NowMs + durationMs;

    public void Resume() => _pausedUntilMs = 0;

    public void TryAppend()
    {
        if (Machine is { Role: RaftRole.Leader } machine && machine.Log.EndOffset > machine.EpochStartOffset && !IsPaused)
            Append(world.NewBatch(Disk.EndOffset, machine.Epoch, world.Prng.NextInt(1, 4), null, null));
    }

    /// <summary>Writes a snapshot of what is committed, at the end of a batch.</summary>
    public void TrySnapshot()
    {
        if (Machine is not { } machine || IsPaused)
            return;
        var last = Disk.Log.LastOrDefault(batch => batch.EndOffset <= machine.HighWatermark);
        if (last is null || (Disk.Snapshots.Count > 0 && Disk.Snapshots[^1].Id.Offset >= last.EndOffset))
            return;
        var snapshot = new SavedSnapshot(
            new LogPosition(last.EndOffset, last.Epoch), machine.History.KRaftVersionAt(last.EndOffset),
            machine.History.VotersAt(last.EndOffset));
        world.Invariants.NoteSnapshot(this, snapshot);
        Disk.Save(snapshot, keepsLog: world.Prng.NextChance(30));
        Step(new RaftEvent.SnapshotWritten(Disk.Snapshots[0].Id, snapshot.Id, Disk.StartOffset));
    }

    /// <summary>Takes a request of a node or of an operator.</summary>
    public void Receive(RaftRequest request, Action<RaftResponse> answer) => WhenRunning(() =>
    {
        _requests.Add(_nextRequestId, (request, answer));
        Step(new RaftEvent.RequestReceived(_nextRequestId++, request));
    })();

    public void ReceiveAnswer(int life, long correlationId, RaftResponse? response) => WhenRunning(() =>
    {
        if (life == Life)
            Step(response is null ? new RaftEvent.RequestFailed(correlationId) : new RaftEvent.ResponseReceived(correlationId, response));
    })();

    /// <summary>Learns that the process of another node has ended, which need not be so.</summary>
    public void ReceiveProcessEnd(int nodeId) => WhenRunning(() => Step(new RaftEvent.ProcessEnded(nodeId)))();

    private bool IsPaused => world.NowMs < _pausedUntilMs;

    private void Step(RaftEvent raftEvent)
    {
        var effects = new RaftEffects();
        var machine = Machine!;
        machine.Step(raftEvent, world.Now, effects);
        if (effects.Save is { } state)
            Disk.Save(state, machine.History.KRaftVersion);
        foreach (var note in effects.Notes)
            world.Tell($"{Disk.Key}: {note}");
        world.Invariants.NoteStep(this);
        foreach (var effect in effects.Log)
            Apply(effect);
        if (effects.Flush)
            Flush();
        foreach (var reply in effects.Replies)
            Reply(reply);
        foreach (var send in effects.Sends)
            Send(send);
        foreach (var probe in effects.Probes)
            world.Probe(this, probe.To, range => WhenRunning(() => Step(new RaftEvent.Probed(probe.ProbeId, range)))());
        if (effects.HighWatermarkAdvanced)
            world.Invariants.NoteHighWatermark(this);
        if (Machine != machine)
            return;
        if (machine.NextDeadline is { } deadline)
            world.Schedule(Math.Max(1, deadline.UnixMilliseconds - world.NowMs), WhenRunning(() => Tick(deadline)));
        if (IsStopping && machine.IsShutdownComplete)
            Machine = null; // a clean stop: Close flushes, and here it does not matter
    }

    private void Tick(Instant deadline)
    {
        // Each step sets a timer of its own: only the one that is due now counts.
        if (Machine!.NextDeadline is { } next && next <= deadline)
            Step(new RaftEvent.Timer());
    }

    /// <summary>Does something in this life, but not while the process is paused.</summary>
    private Action WhenRunning(Action action)
    {
        var life = Life;
        void Run()
        {
            if (Machine is null || life != Life)
                return;
            if (IsPaused)
                world.Schedule(_pausedUntilMs - world.NowMs, Run);
            else
                action();
        }

        return Run;
    }

    private void Apply(RaftLogEffect effect)
    {
        switch (effect)
        {
            case RaftLogEffect.Truncate truncate:
                world.Invariants.NoteTruncation(this, truncate.EndOffset);
                Disk.TruncateTo(truncate.EndOffset);
                break;
            case RaftLogEffect.AppendEpochStart start:
                var count = start.Voters is null ? 1 : 3;
                Append(world.NewBatch(start.BaseOffset, start.Epoch, count, start.KRaftVersion, start.Voters));
                break;
            case RaftLogEffect.AppendQuorumChange change:
                world.Schedule(world.Prng.NextInt(1, 5), WhenRunning(() => AppendChange(change)));
                break;
            case RaftLogEffect.AppendFetched fetched:
                Step(new RaftEvent.Appended(AppendFetched(fetched.Records.Span)));
                break;
            case RaftLogEffect.WriteSnapshot piece:
                WriteSnapshot(piece);
                break;
        }
    }

    private void AppendChange(RaftLogEffect.AppendQuorumChange change)
    {
        if (Machine is not { Role: RaftRole.Leader } machine || machine.Epoch != change.Epoch)
            return;
        world.Invariants.NoteVoterChange(this, change.Voters);
        Append(world.NewBatch(Disk.EndOffset, change.Epoch, change.KRaftVersion is null ? 1 : 2, change.KRaftVersion, change.Voters));
    }

    private void Append(LoggedBatch batch)
    {
        AddToLog(batch);
        Step(new RaftEvent.Appended([batch.ToAppended()]));
    }

    private void AddToLog(LoggedBatch batch)
    {
        world.Invariants.NoteAppend(this, batch);
        Disk.Append(batch);
    }

    private List<AppendedBatch> AppendFetched(ReadOnlySpan<byte> records)
    {
        var batches = new List<LoggedBatch>();
        var expected = Disk.EndOffset;
        var epoch = Machine!.Log.End.Epoch;
        for (; !records.IsEmpty; records = records[sizeof(int)..])
        {
            var batch = world.Batches[BitConverter.ToInt32(records)];
            if (batch.BaseOffset != expected || batch.Epoch > Machine.Epoch || batch.Epoch < epoch)
                return []; // as the host does: it does not fit
            (expected, epoch) = (batch.EndOffset, batch.Epoch);
            batches.Add(batch);
        }

        foreach (var batch in batches)
            AddToLog(batch);
        return [.. batches.Select(batch => batch.ToAppended())];
    }

    private void WriteSnapshot(RaftLogEffect.WriteSnapshot piece)
    {
        if (piece.Position == 0)
            Disk.Part.Clear();
        if (piece.Position != Disk.Part.Count)
            throw new InvalidOperationException(
                $"{Describe()} got the piece at {piece.Position} of {piece.Id} after {Disk.Part.Count} bytes");
        Disk.Part.AddRange(piece.Bytes.Span);
        if (!piece.IsLast)
            return;
        var snapshot = world.Invariants.SnapshotOf(piece.Id);
        if (!Disk.Part.SequenceEqual(snapshot.Bytes))
            throw new InvalidOperationException($"{Describe()} fetched another snapshot {piece.Id} than there is");
        world.Invariants.NoteInstall(this);
        Disk.Install(snapshot);
        Step(new RaftEvent.SnapshotInstalled(piece.Id, Disk.HistoryOf(snapshot)));
    }

    private void Flush()
    {
        if (_isFlushing)
            return;
        _isFlushing = true;
        world.Schedule(world.Prng.NextInt(1, FlushMsMax), WhenRunning(() =>
        {
            _isFlushing = false;
            Disk.Flush();
            Step(new RaftEvent.Flushed(Disk.EndOffset));
        }));
    }

    private void Send(RaftSend send)
    {
        Sent++;
        world.Invariants.NoteRequest(this, send.Request);
        world.Send(this, Life, send);
    }

    private void Reply(RaftReply reply)
    {
        if (!_requests.Remove(reply.RequestId, out var asked))
            throw new InvalidOperationException($"{Describe()} answers twice: {reply.Response}");
        var response = reply.Response switch
        {
            FetchReply { ReadFrom: { } offset } fetch => fetch with { Records = Read(offset) },
            FetchSnapshotReply { Error: ErrorCode.None } piece => ReadSnapshot(piece),
            _ => reply.Response,
        };
        world.Invariants.NoteAnswer(this, asked.Request, response);
        asked.Answer(response);
    }

    private byte[] Read(long offset)
    {
        const int batchesMax = 12;
        var batches = Disk.Log.Where(batch => batch.EndOffset > offset).Take(world.Prng.NextInt(1, batchesMax));
        return [.. batches.SelectMany(batch => BitConverter.GetBytes(batch.Id))];
    }

    private FetchSnapshotReply ReadSnapshot(FetchSnapshotReply piece)
    {
        if (Disk.Snapshots.FirstOrDefault(snapshot => snapshot.Id == piece.Snapshot) is not { } snapshot)
            return piece with { Error = ErrorCode.SnapshotNotFound };
        var bytes = snapshot.Bytes;
        if (piece.Position < 0 || piece.Position >= bytes.Length)
            return piece with { Error = ErrorCode.PositionOutOfRange };
        return piece with { Size = bytes.Length, Bytes = bytes.Skip((int)piece.Position).Take(piece.MaxBytes).ToArray() };
    }
}
