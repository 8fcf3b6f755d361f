using Microsoft.Extensions.Logging;
using Ottla.Broker.Metadata;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Hosts;

/// <summary>The shell of the controller: decides commands one at a time, writes what was decided to the metadata log, and answers once it is committed.</summary>
/// <remarks>
/// Lives as long as the node. Commands may come from any thread: a lock puts them in a row, and is held while one is decided and appended, never
/// while waiting. The metadata loader tells it who leads. Only while this node leads the metadata quorum are commands decided; they see everything that was appended before them, committed or not. When leadership is lost, what was not committed is forgotten.
/// </remarks>
public sealed partial class ControllerHost : ILeadershipFollower
{
    /// <summary>Records in one batch; a decision that need not be atomic is split there.</summary>
    private const int RecordsPerBatchMax = 10_000;

    private readonly Lock _lock = new();
    private readonly QuorumController _controller;
    private readonly IMetadataLog _log;
    private readonly int _nodeId;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly IReadOnlyList<MetadataRecord> _bootstrap;
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
    /// <param name="time">The clock.</param>
    /// <param name="logger">Where to log.</param>
    public ControllerHost(ControllerSettings settings, IMetadataLog log, IReadOnlyList<MetadataRecord> bootstrap, TimeProvider time, ILogger logger)
    {
        _controller = new QuorumController(settings);
        _log = log;
        _bootstrap = bootstrap;
        _nodeId = settings.NodeId;
        _time = time;
        _logger = logger;
    }

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

    /// <summary>Completes when this node is the active controller. Once it is not any more, there is a new task to wait for.</summary>
    public Task WhenActive
    {
        get
        {
            lock (_lock)
                return _active.Task;
        }
    }

    /// <summary>Decides a command and writes what was decided.</summary>
    /// <returns>Completes with the answer when the records are committed.</returns>
    /// <exception cref="ApiException">The command fails: NOT_CONTROLLER when this node is not (or no longer) the active controller.</exception>
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

    /// <inheritdoc/>
    public void HandleLeaderChange(LeaderAndEpoch leader, MetadataReplayer committed)
    {
        lock (_lock)
        {
            _leader = leader;
            _speculative = null;
            _activeEpoch = -1;
            _lastAppend = Task.CompletedTask;
            if (_active.Task.IsCompleted)
                _active = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            if (leader.LeaderId == _nodeId)
                Activate(leader.Epoch, committed);
            else
                LogInactive(_logger, leader.LeaderId, leader.Epoch);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "This node is the active controller at epoch {Epoch}, metadata offset {Offset}.")]
    private static partial void LogActive(ILogger logger, int epoch, long offset);

    [LoggerMessage(Level = LogLevel.Information, Message = "The active controller is node {LeaderId} at epoch {Epoch}.")]
    private static partial void LogInactive(ILogger logger, int leaderId, int epoch);

    [LoggerMessage(Level = LogLevel.Error, Message =
        "The metadata log failed before it was known whether the controller command {Command} is committed: its client is told "
        + "NOT_CONTROLLER and asks again")]
    private static partial void LogNotCommitted(ILogger logger, string command, Exception failure);

    [LoggerMessage(Level = LogLevel.Error, Message = "The controller failed to decide {Command}; nothing of it was written")]
    private static partial void LogNotDecided(ILogger logger, string command, Exception failure);

    private static ApiException NotController() => new(ErrorCode.NotController, "This node is not the active controller.");

    private void Activate(int epoch, MetadataReplayer committed)
    {
        _speculative = committed.Copy();
        _activeEpoch = epoch;
        _lastOffset = committed.Image.Provenance.LastOffset;
        try
        {
            Decide(new ActivateCommand(_bootstrap, _speculative.TransactionStartOffset));
        }
        catch (ApiException e) when (e.Error.Code == ErrorCode.NotController)
        {
            _speculative = null; // the leadership ended before this was told of it: the next change of the leader is on its way
            return;
        }

        LogActive(_logger, epoch, _log.EndOffset);
        _active.TrySetResult();
    }

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
        var speculative = _speculative ?? throw NotController();
        var now = Instant.Now(_time);
        var decision = _controller.Decide(command, new ControllerState(speculative.Image, _log.EndOffset, now));

        // An answer may rest on what was appended before it: it is no better than that.
        if (decision.Records.Count == 0)
            return (decision.Reply, _lastOffset, _lastAppend);
        if (decision.IsAtomic || decision.Records.Count <= RecordsPerBatchMax)
            Append(decision.Records, now);
        else
            AppendInParts(decision.Records, now);
        return (decision.Reply, _lastOffset, _lastAppend);
    }

    private void AppendInParts(IReadOnlyList<MetadataRecord> records, Instant now)
    {
        foreach (var part in records.Chunk(RecordsPerBatchMax))
            Append(part, now);
    }

    private void Append(IReadOnlyList<MetadataRecord> records, Instant now)
    {
        // First where it cannot hurt: a decision that does not apply must not reach the log.
        var next = _speculative!.Copy();
        next.Apply(records, _log.EndOffset, new MetadataProvenance(_log.EndOffset + records.Count - 1, _activeEpoch, now.UnixMilliseconds));
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
    }
}
