using Microsoft.Extensions.Logging;
using Ottla.Broker.Replicas;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Metadata;
using Ottla.Storage.Producers;

namespace Ottla.Broker.Hosts.Coordinators;

/// <summary>The coordinator of one partition of an internal topic: its state machine, and the loop that runs it.</summary>
/// <remarks>
/// Lives for one leadership: from <see cref="Start"/>, which loads the log, to <see cref="Close"/>. All work goes through a queue. A caller
/// that finds the queue idle runs the work on its own task until the queue is empty. So one task at a time uses the machine, without a
/// lock. The requests that connections may have in flight bound the queue. A network thread does a bounded part of the work
/// (<see cref="NetworkStepsMax"/> cheap steps) before another thread takes its loop over. One round of the loop takes the queued work step
/// by step, writes the records of all steps as one batch, and sends the replies whose records are committed.
/// </remarks>
internal sealed partial class CoordinatorShard<TCommand> : IDisposable
{
    /// <summary>How many steps a network thread does before another thread takes its loop over.</summary>
    private const int NetworkStepsMax = 256;

    /// <summary>How many steps one write covers, so that the first replies do not wait for the whole queue.</summary>
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
    private volatile bool _hasFailed;

    // The fields below belong to the task that runs the loop.
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
        CoordinatorDefinition<TCommand> definition, CoordinatorPartition partition, PartitionReplica replica, Func<BrokerConfig> config,
        TimeProvider time, ILogger logger)
    {
        _definition = definition;
        _partition = partition;
        _replica = replica;
        _config = config;
        _time = time;
        _logger = logger;
        _batch = new CoordinatorBatch(definition.BaseSequence);
        _settle = Settle;
        _timer = time.CreateTimer(
            static shard => ((CoordinatorShard<TCommand>)shard!).OnTimer(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>The id of the topic. A new topic of the same name has another id.</summary>
    public Uuid TopicId => _replica.TopicId;

    /// <summary>The leader epoch in which this coordinator began.</summary>
    public int LeaderEpoch => _partition.LeaderEpoch;

    /// <summary>
    /// Whether it goes on in a later leader epoch: this broker has led without a pause, and the coordinator works or is being loaded.
    /// </summary>
    public bool OutlivesLeaderEpoch(PartitionReplica? replica) =>
        _definition.OutlivesLeaderEpoch && !_hasFailed && ReferenceEquals(replica, _replica)
        && _replica.Leadership.HasLedSince(_partition.LeaderEpoch);

    /// <summary>Whether the log is loaded, and requests are served. Slightly old.</summary>
    public bool IsLoaded => Volatile.Read(ref _machine) is not null;

    /// <summary>How much work waits for its turn.</summary>
    public int QueueLength
    {
        get
        {
            lock (_lock)
                return _queue.Count;
        }
    }

    /// <summary>Completes when the coordinator is closed and no longer uses the log.</summary>
    public Task Ended => _ended.Task;

    /// <summary>
    /// Loads the log, once <paramref name="predecessor"/> is done with it. Until then requests are answered with
    /// COORDINATOR_LOAD_IN_PROGRESS.
    /// </summary>
    public void Start(Task predecessor) => Enqueue(() =>
    {
        _isStarted = true;
        BeginLoad(predecessor);
    });

    /// <summary>Submits a command. Completes when the records behind the answer are committed.</summary>
    /// <param name="command">The command.</param>
    /// <param name="guard">The guard from the verification of the transaction, if the command writes in one.</param>
    /// <exception cref="ApiException">The command fails, or this node is not the coordinator.</exception>
    public ValueTask<TReply> SubmitAsync<TReply>(ICoordinatorCommand<TCommand, TReply> command, VerificationGuard guard)
    {
        var waiter = new ReplyWaiter<TReply>(wakesInline: false); // the loop must not run the continuation of a request
        Enqueue(() => Decide(command.Command, guard, waiter));
        return waiter.Reply;
    }

    /// <summary>Submits a command whose answer is not used. The awaiting code runs inside the loop, so it must be short.</summary>
    /// <inheritdoc cref="SubmitAsync"/>
    public ValueTask<TReply> NotifyAsync<TReply>(ICoordinatorCommand<TCommand, TReply> command)
    {
        var waiter = new ReplyWaiter<TReply>(wakesInline: true); // a change of threads would be wasted on an answer that is not used
        Enqueue(() => Decide(command.Command, default, waiter));
        return waiter.Reply;
    }

    /// <summary>Writes the marker that ends a transaction in this partition. Completes when the marker is committed.</summary>
    /// <exception cref="ApiException">The log refuses the marker, or this node is not the coordinator.</exception>
    public ValueTask<ProducerIdAndEpoch> CompleteTransactionAsync(
        ProducerIdAndEpoch producer, int coordinatorEpoch, bool isCommit, short transactionVersion)
    {
        var waiter = new ReplyWaiter<ProducerIdAndEpoch>(wakesInline: false);
        Enqueue(() => WriteMarker(producer, coordinatorEpoch, isCommit, transactionVersion, waiter));
        return waiter.Reply;
    }

    /// <summary>Passes a change of the metadata to the machine.</summary>
    public void Publish(MetadataDelta delta) => Enqueue(() => TakeOver(delta));

    /// <summary>Ends the leadership: all waiting requests get NOT_COORDINATOR.</summary>
    public void Close()
    {
        _isClosing = true;
        Enqueue(End);
    }

    void IDisposable.Dispose() => Close();

    /// <summary>Queues work, and runs the queue if no other task does.</summary>
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
                    HandlerThread.AboutToBlock(); // the queue may never become empty
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
        catch (Exception e) // a bug: nothing awaits the loop, and the state of the machine cannot be trusted
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
        catch (Exception e) // another bug: if the loop ended, no request would get an answer
        {
            LogGivenUp(_replica.Partition, e);
            (_machine, _isLoading, _isBroken, _hasFailed) = (null, false, true, true);
            _loadNumber++;
            foreach (var waiter in _waiting.Values)
                waiter.Fail(new ApiError(ErrorCode.NotCoordinator));
            _waiting.Clear();
            _replies.Clear();
            _outputs.Clear();
        }
    }

    /// <summary>The leader epoch that it writes in while a leadership is in force.</summary>
    private int EpochIn(PartitionLeadership leadership) =>
        _definition.OutlivesLeaderEpoch && leadership.HasLedSince(_partition.LeaderEpoch) ? leadership.LeaderEpoch : _partition.LeaderEpoch;

    /// <summary>Starts to load the log. Only one load runs at a time: a running one is abandoned first.</summary>
    private void BeginLoad(Task predecessor)
    {
        if (!_isStarted || _isClosing || _isBroken)
            return;
        _isLoading = true;
        _loading = LoadAsync(++_loadNumber, predecessor, _loading);
    }

    /// <summary>Loads the log. Never throws: a failure is logged, and the partition has no coordinator then.</summary>
    private async Task LoadAsync(int number, Task predecessor, Task loadBefore)
    {
        try
        {
            await predecessor;
            await loadBefore;
            await Task.Yield(); // the metadata publisher must not wait for the disk
            var machine = _definition.CreateMachine(_partition);
            var loader = new CoordinatorLoader(_replica, _definition.Serde, MayGoOn, _logger);
            var end = await loader.LoadAsync(machine, _definition.Settings(_config()).LoadBufferBytes);
            Enqueue(() => EndLoad(number, machine, end));
        }
        catch (Exception e) // the log may hold anything
        {
            LogLoadFailed(_replica.Partition, e);
            Enqueue(() => EndLoad(number, machine: null, end: null));
        }

        bool MayGoOn() => !_isClosing
            && number == Volatile.Read(ref _loadNumber)
            && _replica.Leadership is { IsLeaderHere: true } leadership
            && leadership.LeaderEpoch == EpochIn(leadership);
    }

    private void EndLoad(int number, ICoordinatorMachine<TCommand>? machine, long? end)
    {
        if (number != _loadNumber)
            return; // a newer load has started
        _isLoading = false;
        _hasFailed = machine is null || end is null;
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
            Step(static (machine, it, now, effects) => machine.OnMetadata(it.delta, it.shard._config(), now, effects),
                (delta, shard: this));
    }

    private void Decide(TCommand command, VerificationGuard guard, ReplyReceiver waiter)
    {
        var now = Instant.Now(_time);
        StepDeadlines(now);
        if (Admit(waiter) is not { } replyTo)
            return;
        if (_machine!.IsCostly(command, now))
            HandlerThread.AboutToBlock();
        _guard = guard; // a transactional step is written at once, in a batch of its own
        Step(static (machine, it, now, effects) => machine.Decide(it.command, it.replyTo, now, effects), (command, replyTo), replyTo);
    }

    /// <summary>Registers a waiting request and returns its number; null when no machine is loaded.</summary>
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

    /// <summary>Drops the machine and loads the log again, because the state of the machine may differ from the log.</summary>
    /// <remarks>Requests whose records are written are answered when these are committed; the other clients retry.</remarks>
    private void Reload(ErrorCode unwritten)
    {
        Abandon(unwritten, isEnd: false);
        BeginLoad(Task.CompletedTask);
    }

    /// <summary>Drops the machine, and fails the waiting requests.</summary>
    /// <param name="unwritten">The error for requests whose records were not written yet; the others get NOT_COORDINATOR.</param>
    /// <param name="isEnd">Whether requests whose records are written but not committed fail too.</param>
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
        catch (Exception e) // a bug in a machine that is dropped anyway
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

    [LoggerMessage(
        Level = LogLevel.Error,
            Message = "Failed to load {Partition}: its groups or transactions have no coordinator until the partition gets another leader")]
    private partial void LogLoadFailed(TopicPartition partition, Exception e);

    [LoggerMessage(Level = LogLevel.Error, Message = "The coordinator of {Partition} failed while it was shut down")]
    private partial void LogUnloadFailed(TopicPartition partition, Exception e);

    [LoggerMessage(Level = LogLevel.Critical,
        Message = "The coordinator of {Partition} is broken, and cannot be loaded again. Restart the node, or move the "
            + "partition's leadership")]
    private partial void LogGivenUp(TopicPartition partition, Exception e);

    [LoggerMessage(Level = LogLevel.Error, Message = "The coordinator of {Partition} failed; loading the partition again")]
    private partial void LogBroken(TopicPartition partition, Exception e);
}
