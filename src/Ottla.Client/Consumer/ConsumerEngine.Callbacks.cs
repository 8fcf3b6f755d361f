using Microsoft.Extensions.Logging;
using Ottla.Client.Calls;
using Ottla.Client.Consumers.Fetching;
using Ottla.Client.Consumers.Membership;
using Ottla.Kernel;

namespace Ottla.Client.Consumers;

/// <summary>What happens when partitions come and go, and the end of a consumer.</summary>
internal sealed partial class ConsumerEngine
{
    /// <summary>Assigns partitions by hand, instead of those that are assigned. Positions of those that stay are kept.</summary>
    public void Assign(IReadOnlyCollection<TopicPartition> partitions)
    {
        lock (_lock)
        {
            ThrowIfClosed();
            if (_membership is not null)
                throw new InvalidOperationException("The group assigns partitions. Unsubscribe before assigning some by hand.");
            _isManual = true;
            SetAssignment(partitions);
            EndCallback(partitions);
            WantTopics();
            Wake();
        }
    }

    /// <summary>Leaves the group, and takes all partitions away.</summary>
    public async Task UnsubscribeAsync(CancellationToken cancellation)
    {
        using var deadline = new CallDeadline(_options.CloseTimeout, _time, cancellation);
        try
        {
            await LeaveAsync(null, deadline);
        }
        catch (OperationCanceledException) when (deadline.IsOver)
        {
            throw deadline.TimedOut("Leaving the group", null, null);
        }
    }

    /// <summary>Gives partitions up, leaves the group and ends everything, within a time. A second call waits for the first.</summary>
    /// <param name="timeout">The time; null for the options'.</param>
    /// <param name="tellGroup">Whether the group is told; null for the protocol's default.</param>
    public Task CloseAsync(TimeSpan? timeout, bool? tellGroup)
    {
        var turn = NewWaiter();
        Task close;
        lock (_lock)
        {
            if (_close is not null)
                return _close;
            _isClosing = true;
            WakeApplication();
            close = _close = EndAsync(turn.Task, timeout ?? _options.CloseTimeout, tellGroup);
        }

        turn.SetResult();
        return close;
    }

    private async Task EndAsync(Task turn, TimeSpan timeout, bool? tellGroup)
    {
        await turn; // not under the lock
        Exception? failure = null;
        using (var deadline = new CallDeadline(timeout, _time, CancellationToken.None))
        {
            try
            {
                if (_isManual && _options.EnableAutoCommit)
                    await CommitStoredAsync(null, deadline.Token);
                await LeaveAsync(tellGroup, deadline);
            }
            catch (OperationCanceledException) when (deadline.IsOver)
            {
                LogCloseTimedOut(_logger, (long)timeout.TotalMilliseconds);
            }
            catch (Exception e)
            {
                failure = e; // what a listener threw is thrown once everything is closed
            }
        }

        _client.Metadata.Changed -= OnMetadataChanged;
        if (_reporter is not null)
            await _reporter.DisposeAsync();
        _closing.Cancel();
        await _fetchConnections.DisposeAsync();
        await _groupConnections.DisposeAsync();
        _interest.Dispose();
        Task idle;
        lock (_lock)
        {
            _idle = NewWaiter();
            idle = _operations == 0 ? Task.CompletedTask : _idle.Task;
        }

        if (_loop is { } loop)
            await loop;
        await idle;
        _closing.Dispose();
        if (failure is not null)
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
    }

    private async Task LeaveAsync(bool? tellGroup, CallDeadline deadline)
    {
        IMembershipMachine? membership;
        lock (_lock)
        {
            membership = _membership;
            membership?.OnLeave(tellGroup);
            _signal.Set();
        }

        Exception? failure = null;
        try
        {
            while (membership is not null)
            {
                deadline.Token.ThrowIfCancellationRequested();
                Task waiting;
                MembershipAction? callback = null;
                lock (_lock)
                {
                    if (membership.IsOver || membership != _membership)
                        break;
                    if (_callback is not null && !_isCalledBack)
                    {
                        callback = _callback;
                        _isCalledBack = true;
                    }

                    waiting = (_waiter ??= NewWaiter()).Task;
                }

                try
                {
                    if (callback is null)
                        await waiting.UntilCanceled(deadline.Token);
                    else
                        await CallBackAsync(callback, deadline.Token);
                }
                catch (Exception e) when (e is not OperationCanceledException)
                {
                    failure ??= e;
                }
            }
        }
        finally
        {
            lock (_lock)
                ForgetAssignment();
        }

        if (failure is not null)
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
    }

    private void ForgetAssignment()
    {
        _membership = null;
        _callback = null;
        _isManual = false;
        _subscribed = [];
        _groupTopics = new HashSet<string>();
        (_pattern, _patternText) = (null, null);
        _failure = null;
        SetAssignment([]);
        WantTopics();
    }

    /// <summary>
    /// Carries a change of the assignment out and calls the application back. What it throws is thrown once that is done.
    /// </summary>
    private async Task CallBackAsync(MembershipAction action, CancellationToken cancellation)
    {
        IMembershipMachine? membership;
        IRebalanceListener? listener;
        IAssignmentGuard? guard;
        _metrics?.OnCallback(Instant.Now(_time), action);
        lock (_lock)
        {
            membership = _membership;
            listener = _listener;
            guard = _guard;
            if (action is MembershipAction.Assign assign)
                SetAssignment(assign.All);
        }

        using var deadline = new CallDeadline(_options.MaxPollInterval, _time, cancellation);
        try
        {
            switch (action)
            {
                case MembershipAction.Assign assigned when listener is not null:
                    await listener.OnAssignedAsync(assigned.Added, deadline.Token);
                    break;
                case MembershipAction.Revoke revoke:
                    if (guard is not null)
                        await guard.OnRevokingAsync(revoke.Partitions, deadline.Token);
                    if (_options.EnableAutoCommit)
                        await CommitStoredAsync(revoke.Partitions, deadline.Token);
                    if (listener is not null)
                        await listener.OnRevokedAsync(revoke.Partitions, deadline.Token);
                    break;
                case MembershipAction.Lose lose:
                    guard?.OnLost(lose.Partitions);
                    if (listener is not null)
                        await listener.OnLostAsync(lose.Partitions, deadline.Token);
                    break;
            }
        }
        finally
        {
            lock (_lock)
            {
                if (action is MembershipAction.Assign assigned)
                {
                    EndCallback(assigned.All);
                    _metrics?.OnAssigned(Instant.Now(_time));
                }
                else
                {
                    Remove(action is MembershipAction.Revoke revoke ? revoke.Partitions : ((MembershipAction.Lose)action).Partitions);
                }

                WantTopics();
                _callback = null;
                _isCalledBack = false;
                membership?.OnCallbackDone(Instant.Now(_time));
                _signal.Set();
                WakeApplication();
            }
        }

        cancellation.ThrowIfCancellationRequested();
    }

    private void SetAssignment(IReadOnlyCollection<TopicPartition> partitions)
    {
        var wanted = partitions.ToHashSet();
        Remove([.. _partitions.Keys.Where(partition => !wanted.Contains(partition))]);
        foreach (var partition in wanted)
        {
            if (!_partitions.ContainsKey(partition))
                _partitions.Add(partition, new ConsumedPartition(partition));
        }
    }

    /// <summary>The application has had its chance to seek.</summary>
    private void EndCallback(IEnumerable<TopicPartition> partitions)
    {
        foreach (var partition in partitions)
        {
            if (_partitions.TryGetValue(partition, out var known) && known.Need == PositionNeed.Callback)
                known.Need = PositionNeed.Committed;
        }
    }

    private void Remove(IReadOnlyCollection<TopicPartition> partitions)
    {
        foreach (var partition in partitions)
        {
            if (!_partitions.Remove(partition, out var removed))
                continue;
            TellTaken(removed);
            removed.Remove();
            if (_current == removed)
                _current = null;
            if (_taken == removed)
                _taken = null;
        }
    }

    [LoggerMessage(EventId = 123, Level = LogLevel.Warning,
        Message = "The consumer was closed after {TimeoutMs} ms, before its group had answered: its partitions stay with it until its "
            + "session ends")]
    private static partial void LogCloseTimedOut(ILogger logger, long timeoutMs);
}
