using Microsoft.Extensions.Logging;
using Ottla.Broker.Replicas;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Metadata;
using Ottla.Storage.Producers;

namespace Ottla.Broker.Hosts.Coordinators;

/// <summary>The coordinator of one partition of the internal topic: its machine, and the loop that drives it.</summary>
/// <remarks>
/// Lives for one leadership: from <see cref="Start"/>, which loads the log, to <see cref="Close"/>. Everything that happens to it is work in a
/// queue; whoever finds the queue idle does the work, on its own task, until there is none. So the machine is touched by one at a time, and no lock
/// is held while it is. The queue is bounded by the requests that connections may have in flight. A thread of the network
/// does a bounded part of it (<see cref="NetworkStepsMax"/>, and nothing costly) before its loop goes to another thread.
/// One round of the loop: take all that is queued, step by step; write what it made as one batch; send the replies that are committed.
/// </remarks>
internal sealed partial class CoordinatorShard<TCommand> : IDisposable
{
    /// <summary>The work that is done by a thread before it may no longer be one that others depend on.</summary>
    private const int NetworkStepsMax = 256;

    /// <summary>The work between two writes: those that wait for its answers do not wait for all that is queued.</summary>
    private const int RoundStepsMax = 256;

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
    private Task _loading = Task.CompletedTask;
    private int _loadNumber;
    private bool _isStarted;
    private bool _isLoading;
    private bool _isBroken;
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
    public void Start(Task predecessor) => Enqueue(() =>
    {
        _isStarted = true;
        BeginLoad(predecessor);
    });

    /// <summary>Has a command decided. Completes when its answer is committed.</summary>
    /// <param name="command">The command.</param>
    /// <param name="guard">What the verification of its transaction gave, when what it writes is part of one.</param>
    /// <exception cref="ApiException">It fails, or this node is not the coordinator (any more).</exception>
    public ValueTask<TReply> SubmitAsync<TReply>(ICoordinatorCommand<TCommand, TReply> command, VerificationGuard guard)
    {
        var waiter = new ReplyWaiter<TReply>(wakesInline: false); // the loop has other things to do than to go on with a request
        Enqueue(() => Decide(command.Command, guard, waiter));
        return waiter.Reply;
    }

    /// <summary>Tells the machine something, where nobody goes on with the answer: what awaits this runs in the midst of the loop.</summary>
    /// <inheritdoc cref="SubmitAsync"/>
    public ValueTask<TReply> TellAsync<TReply>(ICoordinatorCommand<TCommand, TReply> command)
    {
        var waiter = new ReplyWaiter<TReply>(wakesInline: true); // no thread of the pool is woken for nothing
        Enqueue(() => Decide(command.Command, default, waiter));
        return waiter.Reply;
    }

    /// <summary>Writes the marker that ends a transaction in this partition. Completes when it is committed.</summary>
    /// <exception cref="ApiException">The log refuses it, or this node is not the coordinator (any more).</exception>
    public ValueTask<ProducerIdAndEpoch> CompleteTransactionAsync(
        ProducerIdAndEpoch producer, int coordinatorEpoch, bool isCommit, short transactionVersion)
    {
        var waiter = new ReplyWaiter<ProducerIdAndEpoch>(wakesInline: false);
        Enqueue(() => WriteMarker(producer, coordinatorEpoch, isCommit, transactionVersion, waiter));
        return waiter.Reply;
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
        var steps = 0;
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
            {
                Run(work);
                if (++steps == NetworkStepsMax)
                    HandlerThread.AboutToBlock(); // there may be no end to it
                if (steps % RoundStepsMax == 0)
                    Run(_settle);
            }

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
            Recover();
        }
    }

    private void Recover()
    {
        try
        {
            Reload(ErrorCode.UnknownServerError);
        }
        catch (Exception e) // another bug: it must not stop the loop, or nobody would get an answer any more
        {
            LogGivenUp(_replica.Partition, e);
            (_machine, _isLoading, _isBroken) = (null, false, true);
            _loadNumber++;
            foreach (var waiter in _waiting.Values)
                waiter.Fail(new ApiError(ErrorCode.NotCoordinator));
            _waiting.Clear();
            _replies.Clear();
            _outputs.Clear();
        }
    }

    /// <summary>Begins a load. One at a time: one under way is given up, and the next begins when it has ended.</summary>
    private void BeginLoad(Task predecessor)
    {
        if (!_isStarted || _isClosing || _isBroken)
            return;
        _isLoading = true;
        _loading = LoadAsync(++_loadNumber, predecessor, _loading);
    }

    /// <summary>Never fails: what goes wrong is logged, and nobody is the coordinator then.</summary>
    private async Task LoadAsync(int number, Task predecessor, Task loadBefore)
    {
        try
        {
            await predecessor;
            await loadBefore;
            await Task.Yield(); // whoever published the leadership does not wait for the disk
            var machine = _definition.CreateMachine(_partition);
            var loader = new CoordinatorLoader(_replica, _definition.Serde, MayGoOn, _logger);
            var end = await loader.LoadAsync(machine, _definition.Settings(_config()).LoadBufferBytes);
            Enqueue(() => EndLoad(number, machine, end));
        }
        catch (Exception e) // whatever the log has in it
        {
            LogLoadFailed(_replica.Partition, e);
            Enqueue(() => EndLoad(number, machine: null, end: null));
        }

        bool MayGoOn() => !_isClosing
            && number == Volatile.Read(ref _loadNumber)
            && _replica.Leadership is { IsLeaderHere: true } leadership
            && leadership.LeaderEpoch == _partition.LeaderEpoch;
    }

    private void EndLoad(int number, ICoordinatorMachine<TCommand>? machine, long? end)
    {
        if (number != _loadNumber)
            return; // another has begun, which knows more
        _isLoading = false;
        if (machine is null || end is null || _isClosing)
        {
            Abandon(ErrorCode.NotCoordinator, isEnd: true);
            return;
        }

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

    private void Decide(TCommand command, VerificationGuard guard, ReplyReceiver waiter)
    {
        var now = Instant.Now(_time);
        StepDeadlines(now);
        if (Admit(waiter) is not { } replyTo)
            return;
        if (_machine!.IsCostly(command, now))
            HandlerThread.AboutToBlock();
        _guard = guard; // a step that is part of a transaction is written by itself, at once
        Step(static (machine, it, now, effects) => machine.Decide(it.command, it.replyTo, now, effects), (command, replyTo), replyTo);
    }

    /// <summary>Gives a request its number; null when there is no machine that could answer it.</summary>
    private ReplyTo? Admit(ReplyReceiver waiter)
    {
        if (_machine is null)
        {
            waiter.Fail(new ApiError(_isLoading ? ErrorCode.CoordinatorLoadInProgress : ErrorCode.NotCoordinator));
            return null;
        }

        var replyTo = new ReplyTo(++_lastReplyTo);
        _waiting.Add(replyTo.Number, waiter);
        return replyTo;
    }

    /// <summary>Drops the machine and makes another from what is in the log: what this one knows may not be there.</summary>
    /// <remarks>Whose records are written is answered when they are committed; the others ask again.</remarks>
    private void Reload(ErrorCode unwritten)
    {
        Abandon(unwritten, isEnd: false);
        BeginLoad(Task.CompletedTask);
    }

    /// <summary>Drops the machine, and fails all that waits.</summary>
    /// <param name="unwritten">What those are told whose records were about to be written; the others get NOT_COORDINATOR.</param>
    /// <param name="isEnd">Whether that goes also for those whose records are written, and not committed yet.</param>
    private void Abandon(ErrorCode unwritten, bool isEnd)
    {
        var machine = _machine;
        _machine = null;
        ForgetSteps(unwritten, isEnd);
        var written = _replies.Select(due => due.Reply.To.Number).ToHashSet();
        foreach (var (number, waiter) in _waiting.ToArray())
        {
            if (written.Contains(number))
                continue;
            _waiting.Remove(number);
            waiter.Fail(new ApiError(ErrorCode.NotCoordinator));
        }

        try
        {
            machine?.OnUnloading();
        }
        catch (Exception e) // a bug of a machine that is dropped anyway
        {
            LogUnloadFailed(_replica.Partition, e);
        }
    }

    private void End()
    {
        Abandon(ErrorCode.NotCoordinator, isEnd: true);
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

    [LoggerMessage(Level = LogLevel.Error, Message = "The coordinator of {Partition} failed while it was dropped")]
    private partial void LogUnloadFailed(TopicPartition partition, Exception e);

    [LoggerMessage(Level = LogLevel.Critical,
        Message = "The coordinator of {Partition} is broken, and cannot be loaded again. Restart the node, or move the "
            + "partition's leadership")]
    private partial void LogGivenUp(TopicPartition partition, Exception e);

    [LoggerMessage(Level = LogLevel.Error, Message = "The coordinator of {Partition} is broken, and loaded again")]
    private partial void LogBroken(TopicPartition partition, Exception e);
}
