using Microsoft.Extensions.Logging;
using Ottla.Broker.Replicas;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Metadata;
using Ottla.Storage.Producers;

namespace Ottla.Broker.Hosts.Coordinators;

/// <summary>The coordinator of one partition of the internal topic: its machine, and the loop that drives it.</summary>
/// <remarks>
/// Lives for one leadership: from <see cref="Start"/>, which loads the log, to <see cref="Close"/>. Everything that happens to it is work in a
/// queue; whoever finds the queue idle does the work, on its own task, until there is none. So the machine is touched by one at a time, and no lock
/// is held while it is. The queue is bounded by the requests that connections may have in flight.
/// One round of the loop: take all that is queued, step by step; write what it made as one batch; send the replies that are committed.
/// </remarks>
internal sealed partial class CoordinatorShard<TCommand> : IDisposable
{
    private readonly CoordinatorDefinition<TCommand> _definition;
    private readonly CoordinatorPartition _partition;
    private readonly PartitionReplica _replica;
    private readonly Func<BrokerConfig> _config;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _lock = new();
    private readonly CancellationTokenSource _closing = new();
    private readonly Action _settle;
    private Queue<Action> _queue = new();
    private Queue<Action> _taken = new();
    private bool _isDraining;
    private volatile bool _isClosing;

    // The rest belongs to whoever drains the queue.
    private ICoordinatorMachine<TCommand>? _machine;
    private MetadataImage _image = MetadataImage.Empty;
    private bool _isLoading;
    private long _lastReplyTo;
    private VerificationGuard _guard;

    public CoordinatorShard(
        CoordinatorDefinition<TCommand> definition, CoordinatorPartition partition, PartitionReplica replica, Func<BrokerConfig> config, TimeProvider time, ILogger logger)
    {
        _definition = definition;
        _partition = partition;
        _replica = replica;
        _config = config;
        _time = time;
        _logger = logger;
        _batch = new CoordinatorBatch(definition.BaseSequence);
        _settle = Settle;
        _timer = time.CreateTimer(static shard => ((CoordinatorShard<TCommand>)shard!).OnTimer(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>The topic that the partition is of: another of the same name has another.</summary>
    public Uuid TopicId => _replica.TopicId;

    /// <summary>The epoch of the leadership it lives for.</summary>
    public int LeaderEpoch => _partition.LeaderEpoch;

    /// <summary>Completes once it is closed and touches the log no more.</summary>
    public Task Ended => _ended.Task;

    /// <summary>Loads the log, once <paramref name="predecessor"/> is done with it. Until then requests are answered with COORDINATOR_LOAD_IN_PROGRESS.</summary>
    public void Start(Task predecessor) => Enqueue(() => BeginLoad(predecessor));

    /// <summary>Has a command decided. Completes when its answer is committed.</summary>
    /// <param name="command">The command.</param>
    /// <param name="guard">What the verification of its transaction gave, when what it writes is part of one.</param>
    /// <exception cref="ApiException">It fails, or this node is not the coordinator (any more).</exception>
    public Task<object?> SubmitAsync(TCommand command, VerificationGuard guard)
    {
        var waiter = NewWaiter();
        Enqueue(() => Decide(command, guard, waiter));
        return waiter.Task;
    }

    /// <summary>Tells the machine something, where nobody goes on with the answer: what awaits this runs in the midst of the loop.</summary>
    /// <inheritdoc cref="SubmitAsync"/>
    public Task TellAsync(TCommand command)
    {
        var waiter = new TaskCompletionSource<object?>(); // no thread of the pool is woken for nothing
        Enqueue(() => Decide(command, default, waiter));
        return waiter.Task;
    }

    /// <summary>Writes the marker that ends a transaction in this partition. Completes when it is committed.</summary>
    /// <exception cref="ApiException">The log refuses it, or this node is not the coordinator (any more).</exception>
    public Task CompleteTransactionAsync(ProducerIdAndEpoch producer, int coordinatorEpoch, bool isCommit, short transactionVersion)
    {
        var waiter = NewWaiter();
        Enqueue(() => WriteMarker(producer, coordinatorEpoch, isCommit, transactionVersion, waiter));
        return waiter.Task;
    }

    /// <summary>Takes over a change of the metadata.</summary>
    public void Publish(MetadataDelta delta) => Enqueue(() => TakeOver(delta));

    /// <summary>This node is not the coordinator any more: whoever waits is told so.</summary>
    public void Close()
    {
        _isClosing = true;
        Enqueue(End);
    }

    void IDisposable.Dispose() => Close();

    private static TaskCompletionSource<object?> NewWaiter() =>
        new(TaskCreationOptions.RunContinuationsAsynchronously); // who drains has other things to do than to go on with somebody's request

    /// <summary>Queues work, and does it when nobody else is at it.</summary>
    private void Enqueue(Action work)
    {
        lock (_lock)
        {
            _queue.Enqueue(work);
            if (_isDraining)
                return;
            _isDraining = true;
        }

        Drain();
    }

    private void Drain()
    {
        while (true)
        {
            lock (_lock)
            {
                if (_queue.Count == 0)
                {
                    _isDraining = false;
                    return;
                }

                (_queue, _taken) = (_taken, _queue);
            }

            while (_taken.TryDequeue(out var work))
                Run(work);
            Run(_settle);
        }
    }

    private void Run(Action work)
    {
        try
        {
            work();
        }
        catch (Exception e) // a bug, but nobody awaits the loop: what the machine made of it is not to be trusted
        {
            LogBroken(_replica.Partition, e);
            Reload(ErrorCode.UnknownServerError);
        }
    }

    private void BeginLoad(Task predecessor)
    {
        if (_isClosing)
            return;
        _isLoading = true;
        _ = LoadAsync(predecessor);
    }

    private async Task LoadAsync(Task predecessor)
    {
        try
        {
            await predecessor;
            await Task.Yield(); // whoever published the leadership does not wait for the disk
            var machine = _definition.CreateMachine(_partition);
            var loader = new CoordinatorLoader(_replica, _definition.Serde, MayGoOn, _logger);
            var end = await loader.LoadAsync(machine, _definition.Settings(_config()).LoadBufferBytes);
            Enqueue(() => EndLoad(machine, end));
        }
        catch (Exception e) // whatever the log has in it: nobody awaits this
        {
            LogLoadFailed(_replica.Partition, e);
            Enqueue(() => _isLoading = false);
        }

        bool MayGoOn() => !_isClosing && _replica.Leadership is { IsLeaderHere: true } leadership && leadership.LeaderEpoch == _partition.LeaderEpoch;
    }

    private void EndLoad(ICoordinatorMachine<TCommand> machine, long? end)
    {
        _isLoading = false;
        if (end is null || _isClosing)
            return;
        _machine = machine;
        _endOffset = _writtenOffset = end.Value;
        LogLoaded(_definition.Name, _replica.Partition, end.Value);
        Step(static (machine, shard, now, effects) => machine.OnLoaded(shard._image, shard._config(), now, effects), this);
    }

    private void TakeOver(MetadataDelta delta)
    {
        _image = delta.New;
        if (_machine is not null)
            Step(static (machine, it, now, effects) => machine.OnMetadata(it.delta, it.shard._config(), now, effects), (delta, shard: this));
    }

    private void Decide(TCommand command, VerificationGuard guard, TaskCompletionSource<object?> waiter)
    {
        if (Admit(waiter) is not { } replyTo)
            return;
        _guard = guard; // a step that is part of a transaction is written by itself, at once
        Step(static (machine, it, now, effects) => machine.Decide(it.command, it.replyTo, now, effects), (command, replyTo), replyTo);
    }

    /// <summary>Gives a request its number; null when there is no machine that could answer it.</summary>
    private ReplyTo? Admit(TaskCompletionSource<object?> waiter)
    {
        if (_machine is null)
        {
            waiter.SetException(new ApiException(_isLoading ? ErrorCode.CoordinatorLoadInProgress : ErrorCode.NotCoordinator));
            return null;
        }

        var replyTo = new ReplyTo(++_lastReplyTo);
        _waiting.Add(replyTo.Number, waiter);
        return replyTo;
    }

    /// <summary>Drops the machine and makes another from what is in the log: what this one knows may not be there.</summary>
    private void Reload(ErrorCode unwritten)
    {
        Abandon(unwritten);
        BeginLoad(Task.CompletedTask);
    }

    /// <summary>Drops the machine, and fails all that waits.</summary>
    /// <param name="unwritten">What those are told whose records were about to be written; the others get NOT_COORDINATOR.</param>
    private void Abandon(ErrorCode unwritten)
    {
        _machine?.OnUnloading();
        _machine = null;
        ForgetSteps(unwritten);
        foreach (var waiter in _waiting.Values)
            waiter.SetException(new ApiException(ErrorCode.NotCoordinator));
        _waiting.Clear();
    }

    private void End()
    {
        Abandon(ErrorCode.NotCoordinator);
        _isLoading = false;
        _closing.Cancel();
        _closing.Dispose();
        _timer.Dispose();
        _batch.Dispose();
        _ended.TrySetResult();
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "This node is the {Name} of {Partition}, loaded up to offset {Offset}")]
    private partial void LogLoaded(string name, TopicPartition partition, long offset);

    [LoggerMessage(Level = LogLevel.Error, Message = "Loading {Partition} failed: this node cannot be its coordinator")]
    private partial void LogLoadFailed(TopicPartition partition, Exception e);

    [LoggerMessage(Level = LogLevel.Error, Message = "The coordinator of {Partition} is broken, and loaded again")]
    private partial void LogBroken(TopicPartition partition, Exception e);
}
