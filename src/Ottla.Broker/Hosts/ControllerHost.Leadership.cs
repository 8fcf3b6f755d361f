using Microsoft.Extensions.Logging;
using Ottla.Protocol;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Hosts;

/// <content>Becoming the active controller, ceasing to be it, and what an active controller does by itself.</content>
public sealed partial class ControllerHost
{
    /// <inheritdoc/>
    public void HandleLeaderChange(LeaderAndEpoch leader, MetadataReplayer committed)
    {
        lock (_lock)
        {
            _leader = leader;
            Resign();
            if (leader.LeaderId == _nodeId)
                Activate(leader.Epoch, committed);
            else if (leader.LeaderId < 0)
                LogNobody(_logger, leader.Epoch);
            else
                LogInactive(_logger, leader.LeaderId, leader.Epoch);
        }
    }

    /// <summary>Has the quorum raise <c>kraft.version</c>, which is none of the controller's records.</summary>
    /// <returns>No error once that is committed.</returns>
    /// <exception cref="ApiException">NOT_CONTROLLER.</exception>
    public async Task<ApiError> RaiseKRaftVersionAsync(short level, bool validateOnly)
    {
        int epoch;
        lock (_lock)
            epoch = _speculative is null ? throw NotController() : _activeEpoch;
        if (UpgradeKRaftVersion is null)
            return new ApiError(ErrorCode.InvalidUpdateVersion, "The quorum of this node cannot raise kraft.version.");
        var (error, message) = await UpgradeKRaftVersion(epoch, level, validateOnly);
        if (error == ErrorCode.NotLeaderOrFollower)
            throw NotController();
        return new ApiError(error, message);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "This node is the active controller at epoch {Epoch}, metadata offset {Offset}")]
    private static partial void LogActive(ILogger logger, int epoch, long offset);

    [LoggerMessage(Level = LogLevel.Information, Message = "The active controller is node {LeaderId} at epoch {Epoch}")]
    private static partial void LogInactive(ILogger logger, int leaderId, int epoch);

    [LoggerMessage(Level = LogLevel.Information, Message = "No controller is active at epoch {Epoch}: the quorum is to elect one")]
    private static partial void LogNobody(ILogger logger, int epoch);

    [LoggerMessage(Level = LogLevel.Information, Message = "{What}")]
    private static partial void LogDone(ILogger logger, string what);

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "The active controller could not write what was due (fencing silent brokers, no-op records, elections): {Reason}. It tries again.")]
    private static partial void LogNotWritten(ILogger logger, string reason);

    /// <summary>Everything that is not committed is forgotten, and what brokers were heard of too.</summary>
    private void Resign()
    {
        _heartbeats.Drain();
        _controller.Resign();
        _speculative = null;
        _activeEpoch = -1;
        _lastAppend = Task.CompletedTask;
        if (_active.Task.IsCompleted)
            _active = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    private void Activate(int epoch, MetadataReplayer committed)
    {
        _speculative = committed.Copy();
        _activeEpoch = epoch;
        _lastOffset = committed.Image.Provenance.LastOffset;
        try
        {
            DecideLocked(new ActivateCommand(_bootstrap, _speculative.TransactionStartOffset));
        }
        catch (ApiException e) when (e.Error.Code == ErrorCode.NotController)
        {
            Resign(); // the leadership ended before this was told of it: the next change of the leader is on its way
            return;
        }

        LogActive(_logger, epoch, _log.EndOffset);
        LookForEndedProcesses();
        SetTimer();
        _active.TrySetResult();
    }

    /// <summary>Called by the timer.</summary>
    private void DoWhatIsDue()
    {
        lock (_lock)
        {
            if (_speculative is null)
                return;
            _heartbeats.Drain();
            LookForEndedProcesses();
            while (_controller.NextDeadline is { } deadline && deadline <= Now())
                DoOneThing();
            SetTimer();
        }
    }

    private void DoOneThing()
    {
        try
        {
            var decision = _controller.OnDeadline(State());
            if (decision.Records.Count > 0)
                Append(decision);
            if (decision.Reply is { } what)
                LogDone(_logger, what);
        }
        catch (ApiException e) when (e.Error.Code == ErrorCode.NotController)
        {
            // The next controller does it.
        }
        catch (Exception e) when (e is ApiException or MetadataLogException)
        {
            LogNotWritten(_logger, e.Message);
        }
        catch (Exception e)
        {
            LogNotDecided(_logger, nameof(QuorumController.OnDeadline), e);
        }
    }

    /// <summary>
    /// Looks after the brokers that no connection is left of: of one whose process has ended there is nothing to wait for (docs/adr/0017).
    /// </summary>
    private void LookForEndedProcesses()
    {
        if (HasProcessEnded is null)
            return;
        foreach (var broker in _controller.SuspectBrokers(_speculative!.Image, Now()))
            _ = LookForEndAsync(broker);
    }

    private async Task LookForEndAsync(BrokerRegistration broker)
    {
        if (!await HasProcessEnded!(broker, _closed))
            return;
        lock (_lock)
        {
            _heartbeats.Drain(); // it may have come back before
            _controller.EndSession(broker.Id, broker.Epoch, Now());
        }

        SetTimer(TimeSpan.Zero);
    }

    private void SetTimer()
    {
        if (_controller.NextDeadline is not { } deadline)
            return;
        SetTimer(TimeSpan.FromMilliseconds(Math.Clamp(deadline.MillisecondsSince(Now()), 1, int.MaxValue)));
        if (_heartbeats.HasNews)
            SetTimer(TimeSpan.Zero); // it came while this was at work, and its own call of the timer may be overwritten
    }

    private void SetTimer(TimeSpan due) => _timer.Change(due, Timeout.InfiniteTimeSpan);
}
