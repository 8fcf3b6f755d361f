using Microsoft.Extensions.Logging;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Hosts;

/// <summary>
/// The shell of the controller: decides commands one at a time, writes what was decided to the metadata log, and answers once it is
/// committed. A timer has it do what is due without a command.
/// </summary>
/// <remarks>
/// Lives as long as the node. Commands may come from any thread: a lock puts them in a row, and is held while one is decided and appended,
/// never while waiting. The metadata loader tells it who leads. Only while this node leads the metadata quorum are commands decided; they
/// see everything that was appended before them, committed or not. When leadership is lost, what was not committed is forgotten.
/// </remarks>
public sealed partial class ControllerHost : IController, ILeadershipFollower, IDisposable
{
    /// <summary>Records in one batch; a decision that need not be atomic is split there.</summary>
    private const int RecordsPerBatchMax = 10_000;

    private readonly Lock _lock = new();
    private readonly QuorumController _controller;
    private readonly IMetadataLog _log;
    private readonly Func<ControllerQuorum> _quorum;
    private readonly int _nodeId;
    private readonly TimeProvider _time;
    private readonly Instant _startedAt;
    private readonly long _startedAtTimestamp;
    private readonly ILogger _logger;
    private readonly IReadOnlyList<MetadataRecord> _bootstrap;
    private readonly ITimer _timer;
    private readonly HeartbeatIntake _heartbeats;
    private readonly CancellationTokenSource _closing = new();
    private readonly CancellationToken _closed;
    private TaskCompletionSource _active = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private MetadataReplayer? _speculative;
    private int _activeEpoch = -1;
    private LeaderAndEpoch _leader = new(-1, -1);
    private long _lastOffset = -1;
    private Task _lastAppend = Task.CompletedTask;

    /// <summary>Makes the host. It is active once the metadata loader says that this node leads.</summary>
    /// <param name="settings">What the controller must know.</param>
    /// <param name="log">The metadata log.</param>
    /// <param name="bootstrap">The records that an empty log begins with.</param>
    /// <param name="quorum">The quorum as it is now.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">Where to log.</param>
    public ControllerHost(
        ControllerSettings settings,
        IMetadataLog log,
        IReadOnlyList<MetadataRecord> bootstrap,
        Func<ControllerQuorum> quorum,
        TimeProvider time,
        ILogger logger)
    {
        _controller = new QuorumController(settings);
        _log = log;
        _bootstrap = bootstrap;
        _quorum = quorum;
        _nodeId = settings.NodeId;
        _time = time;
        _startedAt = Instant.Now(time);
        _startedAtTimestamp = time.GetTimestamp();
        _logger = logger;
        _heartbeats = new HeartbeatIntake(_controller, () => SetTimer(TimeSpan.Zero));
        _closed = _closing.Token;
        _timer = time.CreateTimer(_ => DoWhatIsDue(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>
    /// Has the quorum raise <c>kraft.version</c>, asked by the leader of an epoch to raise it to a level, or only to check that it could.
    /// </summary>
    public Func<int, short, bool, Task<(ErrorCode Error, string? Message)>>? UpgradeKRaftVersion { get; init; }

    /// <summary>
    /// Finds out whether the process of a broker has ended; null leaves it to the session time-out. It never throws, and takes no longer
    /// than a broker is suspected again.
    /// </summary>
    public Func<BrokerRegistration, CancellationToken, Task<bool>>? HasProcessEnded { get; init; }

    /// <summary>Whether this node is the active controller.</summary>
    public bool IsActive
    {
        get
        {
            lock (_lock)
                return _speculative is not null;
        }
    }

    /// <summary>The active controller's node id; -1 when nobody is known to be it.</summary>
    public int ActiveControllerId
    {
        get
        {
            lock (_lock)
                return _leader.LeaderId;
        }
    }

    /// <summary>The last offset that is committed: what an answer rests on is there or before.</summary>
    public long CommittedOffset => _log.HighWatermark - 1;

    /// <summary>Completes when this node is the active controller. Once it is not any more, there is a new task to wait for.</summary>
    public Task WhenActive
    {
        get
        {
            lock (_lock)
                return _active.Task;
        }
    }

    /// <inheritdoc/>
    public async Task<TReply> SubmitAsync<TReply>(ControllerCommand<TReply> command) => (await SubmitWithOffsetAsync(command)).Reply;

    /// <summary>As <see cref="SubmitAsync"/>, and says up to which offset the metadata must be read to see the effect.</summary>
    public async Task<(TReply Reply, long Offset)> SubmitWithOffsetAsync<TReply>(ControllerCommand<TReply> command)
    {
        var (reply, offset, committed) = Decide(command);
        try
        {
            await committed;
        }
        catch (MetadataLogException)
        {
            throw NotController(); // the log gives up what is not committed when leadership is lost
        }
        catch (Exception e) when (e is not (ApiException or OperationCanceledException))
        {
            LogNotCommitted(_logger, command.GetType().Name, e);
            throw NotController();
        }

        return (reply, offset);
    }

    /// <summary>
    /// Decides what a heartbeat asks for. The broker counts as alive from now on, also when commands before this one take long.
    /// </summary>
    /// <param name="request">The heartbeat.</param>
    /// <param name="connection">The connection that it came over.</param>
    public Task<BrokerHeartbeatReply> HeartbeatAsync(BrokerHeartbeatRequest request, ConnectionInfo connection)
    {
        _heartbeats.Add(request, Now(), connection);
        return SubmitAsync(new BrokerHeartbeatCommand(request));
    }

    /// <summary>Ends the timer and the search for processes that have ended. The node stops: the log takes no more records.</summary>
    public void Dispose()
    {
        _closing.Cancel();
        _timer.Dispose();
        _closing.Dispose();
    }

    [LoggerMessage(Level = LogLevel.Error, Message =
        "The metadata log failed before it was known whether the controller command {Command} is committed: its client is told "
        + "NOT_CONTROLLER and asks again")]
    private static partial void LogNotCommitted(ILogger logger, string command, Exception failure);

    [LoggerMessage(Level = LogLevel.Error, Message = "The controller failed to process {Command} because of a bug; it wrote no records")]
    private static partial void LogNotDecided(ILogger logger, string command, Exception failure);

    private static ApiException NotController() => new(ErrorCode.NotController, "This node is not the active controller.");

    /// <summary>The time, by a clock that does not jump: sessions must not end because somebody sets the clock.</summary>
    private Instant Now() => _startedAt.AddMilliseconds((long)_time.GetElapsedTime(_startedAtTimestamp).TotalMilliseconds);

    private (TReply Reply, long Offset, Task Committed) Decide<TReply>(ControllerCommand<TReply> command)
    {
        if (!_lock.TryEnter())
        {
            HandlerThread.AboutToBlock(); // a command before this one may take long: the clients of this network loop need not wait for it
            _lock.Enter();
        }

        try
        {
            return DecideLocked(command);
        }
        catch (Exception e) when (e is not ApiException)
        {
            LogNotDecided(_logger, command.GetType().Name, e);
            throw;
        }
        finally
        {
            _lock.Exit();
        }
    }

    private (TReply Reply, long Offset, Task Committed) DecideLocked<TReply>(ControllerCommand<TReply> command)
    {
        _heartbeats.Drain();
        var decision = _controller.Decide(command, State());
        if (decision.Records.Count > 0)
            Append(decision);
        else if (_log.Leader != new LeaderAndEpoch(_nodeId, _activeEpoch))
            throw NotController(); // it has lost the lead and is about to be told: what it knows may be outdated

        // An answer may rest on what was appended before it: it is no better than that.
        return (decision.Reply, _lastOffset, _lastAppend);
    }

    private ControllerState State() => new((_speculative ?? throw NotController()).Image, _log.EndOffset, Now(), _quorum());

    private void Append<TReply>(in Decision<MetadataRecord, TReply> decision)
    {
        if (decision.IsAtomic || decision.Records.Count <= RecordsPerBatchMax)
        {
            Append(decision.Records);
            return;
        }

        foreach (var part in decision.Records.Chunk(RecordsPerBatchMax))
            Append(part);
    }

    private void Append(IReadOnlyList<MetadataRecord> records)
    {
        // First where it cannot hurt: a decision that does not apply must not reach the log.
        var next = _speculative!.Copy();
        var provenance = new MetadataProvenance(_log.EndOffset + records.Count - 1, _activeEpoch, Instant.Now(_time).UnixMilliseconds);
        next.Apply(records, _log.EndOffset, provenance);
        long lastOffset;
        Task committed;
        try
        {
            (lastOffset, committed) = _log.Append(_activeEpoch, records);
        }
        catch (Exception e) when (_log.Leader != new LeaderAndEpoch(_nodeId, _activeEpoch))
        {
            throw new ApiException(ErrorCode.NotController, $"This node is not the active controller any more: {e.Message}");
        }

        _speculative = next;
        _lastOffset = lastOffset;
        _lastAppend = committed;
        _controller.Apply(records, lastOffset);
        ControllerLog.LogAppended(_logger, records);
    }
}
