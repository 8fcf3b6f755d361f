using Microsoft.Extensions.Logging;
using Ottla.Broker.Peers;
using Ottla.Broker.Shared;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Requests;
using Ottla.StateMachines.Brokers;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Metadata;

/// <summary>The life of a broker in its cluster: it registers, sends heartbeats, is unfenced, and leaves in order.</summary>
/// <remarks>
/// The shell of <see cref="BrokerLifecycleMachine"/>: one loop asks it what to send, sends it to the active controller, and tells it the
/// answers. Lives as long as the broker; its methods may be called from anywhere.
/// </remarks>
public sealed partial class BrokerLifecycle
{
    /// <summary>How often a node that waits says what for.</summary>
    private static readonly TimeSpan ReminderInterval = TimeSpan.FromSeconds(5);

    private readonly int _nodeId;
    private readonly BrokerLifecycleMachine _machine;
    private readonly BrokerEpoch _epoch;
    private readonly ControllerChannel _channel;
    private readonly IControllerLocator _locator;
    private readonly MetadataCache _metadata;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly LoopSignal _signal;
    private readonly Lock _lock = new();
    private readonly TaskCompletionSource _caughtUp = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _unfenced = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private ErrorCode _loggedError;

    /// <summary>A broker that has not begun to register.</summary>
    /// <param name="node">What it says of itself.</param>
    /// <param name="options">The configs.</param>
    /// <param name="epoch">Told the epoch of the registration.</param>
    /// <param name="channel">The way to the active controller.</param>
    /// <param name="locator">Who that is.</param>
    /// <param name="metadata">The metadata as this broker has published it.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">The log for people.</param>
    public BrokerLifecycle(
        NodeIdentity node, BrokerLifecycleOptions options, BrokerEpoch epoch, ControllerChannel channel, IControllerLocator locator,
        MetadataCache metadata,
        TimeProvider time, ILogger logger)
    {
        _nodeId = node.NodeId;
        _machine = new BrokerLifecycleMachine(options, node.ToBrokerRegistration(), node.CordonedLogDirs, Instant.Now(time));
        _epoch = epoch;
        _channel = channel;
        _locator = locator;
        _metadata = metadata;
        _time = time;
        _logger = logger;
        _signal = new LoopSignal(time);
    }

    /// <summary>How far it is.</summary>
    public BrokerState State
    {
        get
        {
            lock (_lock)
                return _machine.State;
        }
    }

    /// <summary>Completes when the broker has read the metadata up to its registration.</summary>
    public Task CaughtUp => _caughtUp.Task;

    /// <summary>Registers and sends heartbeats until the broker has left, or cannot go on.</summary>
    /// <exception cref="NodeStartException">It could not register in time.</exception>
    /// <exception cref="IOException">The controller does not hear of a failed directory.</exception>
    public async Task RunAsync(CancellationToken stopping)
    {
        _ = WatchControllerAsync(stopping);
        using var reminder = _time.CreateTimer(_ => Remind(), null, ReminderInterval, ReminderInterval);
        var hasReminder = true;
        while (true)
        {
            Instant? deadline;
            IMessage? request;
            lock (_lock)
            {
                var now = Instant.Now(_time);
                _machine.Advance(now);
                request = _machine.TakeRequest(now, _metadata.PublishedOffset, SupportsCordonedDirectories);
                deadline = _machine.NextDeadline;
                Announce();
            }

            if (hasReminder == _machine.State is BrokerState.Running)
            {
                hasReminder = !hasReminder; // it waits for nothing while it runs
                var interval = hasReminder ? ReminderInterval : Timeout.InfiniteTimeSpan;
                reminder.Change(interval, interval);
            }

            if (_machine.Failure is { } failure)
                throw _unfenced.Task.IsCompleted ? new IOException(failure) : new NodeStartException(failure);
            if (_ended.Task.IsCompleted)
            {
                await Task.Delay(Timeout.InfiniteTimeSpan, _time, stopping); // the node is stopping: it has sent its last heartbeat
                return;
            }

            if (request is not null)
                _ = ExchangeAsync(request, stopping);
            await _signal.WaitAsync(deadline, stopping);
        }
    }

    /// <summary>The replicas are ready: has the broker unfenced, and waits until the controller says so.</summary>
    public Task UnfenceAsync()
    {
        InformMachine((machine, now) => machine.SetReadyToUnfence(now));
        return _unfenced.Task;
    }

    /// <summary>
    /// Leaves the cluster under control: leaderships are moved, then the broker is fenced. Ends also when the controller cannot be asked.
    /// </summary>
    public async Task ShutDownAsync()
    {
        InformMachine((machine, now) => machine.BeginControlledShutdown(now));
        await _ended.Task;
        if (_machine.ShutdownProblem is { } problem)
            LogLeftAlone(problem, _locator.Describe());
    }

    /// <summary>A log directory has failed: the controller is told at once, and again with every heartbeat.</summary>
    public void OnDirectoryFailure(Uuid directory) => InformMachine((machine, now) => machine.OnDirectoryFailure(directory, now));

    /// <summary>Other log directories take no new replicas.</summary>
    public void SetCordonedDirectories(IReadOnlyCollection<Uuid> directories) =>
        InformMachine((machine, now) => machine.SetCordonedDirectories(directories, now));

    /// <summary>This broker has taken over newer metadata.</summary>
    public void OnMetadata(MetadataImage image)
    {
        var needsDirectories = image.Features.MetadataVersion is { SupportsDirectoryAssignment: true };
        InformMachine((machine, now) => machine.OnMetadata(image.Cluster.Broker(_nodeId), needsDirectories, now));
    }

    private bool SupportsCordonedDirectories => _metadata.Current.Features.MetadataVersion is { SupportsCordonedLogDirs: true };

    private void InformMachine(Action<BrokerLifecycleMachine, Instant> input)
    {
        lock (_lock)
            input(_machine, Instant.Now(_time));
        _signal.Set();
    }

    private async Task WatchControllerAsync(CancellationToken stopping)
    {
        while (!stopping.IsCancellationRequested)
        {
            var current = _locator.Current;
            if (current is not null) // it is another than before
                InformMachine((machine, now) => machine.OnNewController(now));
            try
            {
                await _locator.WaitForChangeAsync(current, stopping);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    /// <summary>Sends a request and tells the machine what became of it. Never throws.</summary>
    private async Task ExchangeAsync(IMessage request, CancellationToken stopping)
    {
        try
        {
            if (request is BrokerRegistrationRequest registration)
            {
                var answer = await _channel.SendAsync<BrokerRegistrationRequest, BrokerRegistrationResponse>(
                    version => NodeIdentity.RegistrationFor(version, registration), stopping);
                InformMachine((machine, now) => machine.OnAnswer(answer, now));
                LogRegistrationAnswer((ErrorCode)answer.ErrorCode);
            }
            else
            {
                var answer = await _channel.SendAsync<BrokerHeartbeatRequest, BrokerHeartbeatResponse>(
                    (BrokerHeartbeatRequest)request, stopping);
                InformMachine((machine, now) => machine.OnAnswer(answer, now));
                LogHeartbeatAnswer((ErrorCode)answer.ErrorCode);
            }
        }
        catch (RequestFailedException e)
        {
            LogNotSent(request is BrokerRegistrationRequest ? "The registration" : "A heartbeat", _locator.Describe(), e.Message);
            InformMachine((machine, now) => machine.OnFailure(now));
        }
        catch (OperationCanceledException)
        {
            // The node stops.
        }
    }

    /// <summary>Lets go of who waits for a state of the machine.</summary>
    private void Announce()
    {
        if (_machine.Epoch >= 0)
            _epoch.Value = _machine.Epoch;
        if (_machine.State is not (BrokerState.Starting or BrokerState.ShuttingDown) && _caughtUp.TrySetResult())
            LogCaughtUp(_machine.Epoch);
        if (_machine.State is BrokerState.Running && _unfenced.TrySetResult())
            LogUnfenced();
        if (_machine.State == BrokerState.ShuttingDown)
            _ended.TrySetResult();
    }

    private void LogRegistrationAnswer(ErrorCode error)
    {
        if (error == ErrorCode.None)
            LogRegistered(_nodeId, _machine.Epoch);
        else
            LogRegistrationRefused(error, HintFor(error));
    }

    private static string HintFor(ErrorCode error) => error switch
    {
        ErrorCode.DuplicateBrokerRegistration =>
            "another process with this node.id was alive a moment ago; if it is gone, its session runs out soon",
        ErrorCode.UnsupportedVersion => "a feature level of the cluster is not supported by this version of the broker",
        ErrorCode.InconsistentClusterId => "the log directories belong to another cluster than the controller",
        _ => "see the controller's log",
    };

    /// <summary>Says once that the controller refuses heartbeats, and again when the reason is another.</summary>
    private void LogHeartbeatAnswer(ErrorCode error)
    {
        if (error == _loggedError)
            return;
        _loggedError = error;
        if (error == ErrorCode.StaleBrokerEpoch)
            LogStale();
        else if (error != ErrorCode.None)
            LogHeartbeatRefused(error);
    }

    private void Remind()
    {
        var state = _machine.State;
        if (state == BrokerState.Starting && _machine.Epoch < 0)
            LogWaiting($"a controller to register this broker ({_locator.Describe()}; last answer: {_machine.LastError})");
        else if (state == BrokerState.Starting)
            LogWaiting($"the metadata up to this broker's registration, epoch {_machine.Epoch}; it has come to offset "
                + $"{_metadata.PublishedOffset}");
        else if (state == BrokerState.Recovery)
            LogWaiting($"the controller to unfence this broker ({_locator.Describe()})");
        else if (state == BrokerState.PendingControlledShutdown)
            LogWaiting($"the controller to move this broker's leaderships to others ({_locator.Describe()})");
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Still waiting for {Event}")]
    private partial void LogWaiting(string @event);

    [LoggerMessage(Level = LogLevel.Information, Message = "Broker {Id} is registered with epoch {Epoch}")]
    private partial void LogRegistered(int id, long epoch);

    [LoggerMessage(
        Level = LogLevel.Warning, Message = "The controller does not register this broker: {Error} ({Hint}). The broker asks again")]
    private partial void LogRegistrationRefused(ErrorCode error, string hint);

    [LoggerMessage(Level = LogLevel.Information, Message = "The metadata is read up to this broker's registration, epoch {Epoch}")]
    private partial void LogCaughtUp(long epoch);

    [LoggerMessage(Level = LogLevel.Information, Message = "The controller has unfenced this broker")]
    private partial void LogUnfenced();

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Request} got no answer ({Controllers}): {Reason}. The broker asks again")]
    private partial void LogNotSent(string request, string controllers, string reason);

    [LoggerMessage(Level = LogLevel.Error,
        Message = "The controller does not know this broker any more: it was unregistered, or another process registered with its node.id. "
            + "Restart this broker to register it again, or stop it")]
    private partial void LogStale();

    [LoggerMessage(Level = LogLevel.Warning, Message = "The controller refuses the heartbeats of this broker: {Error}")]
    private partial void LogHeartbeatRefused(ErrorCode error);

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "This broker stops without a controlled shutdown: {Problem} ({Controllers}). Its partitions get other leaders when "
            + "its session ends")]
    private partial void LogLeftAlone(string problem, string controllers);
}
