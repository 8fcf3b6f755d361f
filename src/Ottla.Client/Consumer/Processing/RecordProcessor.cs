using Ottla.Kernel;

namespace Ottla.Client.Consumers.Processing;

/// <summary>
/// Processes the records of a consumer side by side, keeps the order that is asked for, and stores the offset up to which each partition is
/// processed without a gap.
/// </summary>
/// <remarks>
/// One loop takes records and gives them to lanes; a lane processes one record after another, and is a task while it has some. What is
/// shared is guarded by one lock; the engine's may be taken inside of it, and never the other way round. Lives as long as one call of
/// ProcessAsync.
/// </remarks>
#pragma warning disable CA1001 // Lanes may still let go of _free when everything has ended; it holds nothing of the system.
internal sealed class RecordProcessor<TKey, TValue> : IAssignmentGuard
#pragma warning restore CA1001
{
    private const long NotBusy = long.MinValue;

    private readonly Lock _lock = new();
    private readonly ConsumerEngine _engine;
    private readonly TryTake<ConsumeResult<TKey, TValue>> _tryTake;
    private readonly Func<ConsumeResult<TKey, TValue>, CancellationToken, ValueTask> _handler;
    private readonly ProcessingOptions _options;
    private readonly OttlaClientOptions _client;
    private readonly TimeProvider _time;
    private readonly string? _group;
    private readonly SemaphoreSlim _free;
    private readonly CancellationTokenSource _ending;

    // Guarded by _lock.
    private readonly Dictionary<TopicPartition, PartitionWork<TKey, TValue>> _work = [];
    private readonly LinkedList<WorkItem<TKey, TValue>> _running = [];
    private Exception? _failure;
    private int _nextLane;

    /// <summary>When the oldest record that is processed was begun. Written under _lock, read by the engine without it.</summary>
    private long _busySinceMs = NotBusy;

    /// <param name="engine">The consumer's engine.</param>
    /// <param name="tryTake">Takes a record.</param>
    /// <param name="handler">Processes a record.</param>
    /// <param name="options">How.</param>
    /// <param name="client">The client's options.</param>
    /// <param name="group">The consumer's group; null for none.</param>
    /// <param name="cancellation">Ends it.</param>
    public RecordProcessor(
        ConsumerEngine engine, TryTake<ConsumeResult<TKey, TValue>> tryTake,
        Func<ConsumeResult<TKey, TValue>, CancellationToken, ValueTask> handler, ProcessingOptions options, OttlaClientOptions client,
        string? group, CancellationToken cancellation)
    {
        _engine = engine;
        _tryTake = tryTake;
        _handler = handler;
        _options = options;
        _client = client;
        _time = client.TimeProvider;
        _group = group;
        _free = new SemaphoreSlim(options.ParallelismMax);
        _ending = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
    }

    /// <inheritdoc/>
    public Instant? BusySince => Volatile.Read(ref _busySinceMs) is var since and not NotBusy ? new Instant(since) : null;

    /// <summary>Processes records until the token is cancelled or a handler throws; waits for the handlers that run.</summary>
    public async Task RunAsync()
    {
        _engine.SetGuard(this);
        try
        {
            while (!_ending.IsCancellationRequested)
            {
                if (_tryTake(out var result))
                    Add(result);
                else
                    await _engine.WaitAsync(_ending.Token, _ending.Token);
            }
        }
        catch (OperationCanceledException) when (_ending.IsCancellationRequested)
        {
            // A handler has thrown, or the caller wants it to end.
        }
        finally
        {
            var work = Snapshot();
            await DrainAsync(work, CancellationToken.None);
            _engine.SetGuard(null);
            GiveBack(work);
        }

        if (_failure is { } failure)
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
        _ending.Token.ThrowIfCancellationRequested();
    }

    /// <inheritdoc/>
    public async ValueTask OnRevokingAsync(IReadOnlyList<TopicPartition> partitions, CancellationToken cancellation) =>
        await DrainAsync([.. Snapshot().Where(work => partitions.Contains(work.Partition))], cancellation);

    /// <inheritdoc/>
    public void OnLost(IReadOnlyList<TopicPartition> partitions)
    {
        foreach (var work in Snapshot().Where(work => partitions.Contains(work.Partition)))
        {
            lock (_lock)
            {
                Forget(work);
                foreach (var running in work.RunningItems)
                    _running.Remove(running); // whatever it does, it does not keep the partition any more
                work.RunningItems.Clear();
                NoteBusy();
            }

            work.Lost.Cancel();
        }
    }

    private List<PartitionWork<TKey, TValue>> Snapshot()
    {
        lock (_lock)
            return [.. _work.Values];
    }

    private void Add(in ConsumeResult<TKey, TValue> result)
    {
        PartitionWork<TKey, TValue> work;
        int lane;
        bool isFirst, isFull;
        lock (_lock)
        {
            if (!_work.TryGetValue(result.TopicPartition, out work!))
                _work.Add(result.TopicPartition, work = new PartitionWork<TKey, TValue>(result.TopicPartition));
            var item = new WorkItem<TKey, TValue>(result);
            work.Add(item);
            lane = _options.Order switch
            {
                ProcessingOrder.Partition => 0,
                ProcessingOrder.Key => (int)((uint)result.KeyHash % (uint)_options.ParallelismMax),
                _ => _nextLane++,
            };
            isFirst = !work.Lanes.TryGetValue(lane, out var queue);
            if (isFirst)
                work.Lanes.Add(lane, queue = new Queue<WorkItem<TKey, TValue>>());
            queue!.Enqueue(item);
            isFull = !work.IsHeld && work.Count >= _options.BufferedRecordsMax;
            work.IsHeld |= isFull;
        }

        if (isFull)
            _engine.SetHeld(work.Partition, isHeld: true);
        if (isFirst)
            _ = Detached.Start(_client, () => RunLaneAsync(work, lane));
    }

    private async Task RunLaneAsync(PartitionWork<TKey, TValue> work, int lane)
    {
        await Task.Yield(); // so that handlers run beside each other, and beside the loop
        while (true)
        {
            await _free.WaitAsync(CancellationToken.None);
            try
            {
                if (!TryBegin(work, lane, out var item, out var running))
                    return;
                await ProcessAsync(work, item, running);
            }
            finally
            {
                _free.Release();
            }
        }
    }

    private bool TryBegin(
        PartitionWork<TKey, TValue> work, int lane, out WorkItem<TKey, TValue> item, out LinkedListNode<WorkItem<TKey, TValue>> running)
    {
        lock (_lock)
        {
            item = null!;
            running = null!;
            if (!work.Lanes.TryGetValue(lane, out var queue))
                return false;
            if (work.IsGone || _ending.IsCancellationRequested || !queue.TryDequeue(out item!))
            {
                work.Lanes.Remove(lane); // the next record begins it anew
                return false;
            }

            item.StartedAt = Instant.Now(_time);
            running = _running.AddLast(item);
            NoteBusy();
            work.RunningItems.Add(running);
            work.Running++;
            return true;
        }
    }

    private async Task ProcessAsync(
        PartitionWork<TKey, TValue> work, WorkItem<TKey, TValue> item, LinkedListNode<WorkItem<TKey, TValue>> running)
    {
        Exception? failure = null;
        var startedAt = _time.GetTimestamp();
        using var activity = ClientTelemetry.StartProcessing(item.Result, _group);
        try
        {
            await _handler(item.Result, work.Lost.Token);
        }
        catch (Exception e)
        {
            failure = e;
            activity?.SetTag("error.type", e.GetType().FullName).SetStatus(System.Diagnostics.ActivityStatusCode.Error, e.Message);
        }

        ClientTelemetry.NoteProcessing(work.Partition, _group, _time.GetElapsedTime(startedAt), failure);
        TaskCompletionSource? idle = null;
        var isRoomAgain = false;
        lock (_lock)
        {
            if (work.RunningItems.Remove(running))
                _running.Remove(running);
            NoteBusy();
            work.Running--;
            item.IsDone = failure is null;
            if (failure is not null && !work.Lost.IsCancellationRequested)
                _failure ??= failure; // what was told to end, because its partition is lost, may throw
            if (work.TakePrefix() is { } prefix && !work.Lost.IsCancellationRequested)
                _engine.TryStore(prefix);
            if (work.Running == 0)
                idle = work.Idle;
            isRoomAgain = work.IsHeld && !work.IsGone && work.Count <= _options.BufferedRecordsMax / 2;
            work.IsHeld &= !isRoomAgain;
        }

        idle?.TrySetResult();
        if (isRoomAgain)
            _engine.SetHeld(work.Partition, isHeld: false);
        if (_failure is not null)
            _ending.Cancel();
    }

    /// <summary>Begins nothing more of some partitions, and waits for what runs.</summary>
    private async Task DrainAsync(IReadOnlyList<PartitionWork<TKey, TValue>> ending, CancellationToken cancellation)
    {
        foreach (var work in ending)
        {
            Task idle;
            lock (_lock)
            {
                Forget(work);
                work.Idle ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                idle = work.Running == 0 ? Task.CompletedTask : work.Idle.Task;
            }

            await idle.UntilCanceled(cancellation);
        }
    }

    /// <summary>Has the consumer go on at the first records that were taken and not processed.</summary>
    private void GiveBack(List<PartitionWork<TKey, TValue>> ended)
    {
        lock (_lock)
        {
            foreach (var work in ended)
            {
                if (work.IsHeld)
                    _engine.SetHeld(work.Partition, isHeld: false);
                if (work.FirstOpen is { } offset)
                    _engine.TrySeek(work.Partition, offset);
            }
        }
    }

    private void NoteBusy() => Volatile.Write(ref _busySinceMs, _running.First?.Value.StartedAt?.UnixMilliseconds ?? NotBusy);

    private void Forget(PartitionWork<TKey, TValue> work)
    {
        work.IsGone = true;
        if (_work.TryGetValue(work.Partition, out var known) && known == work)
            _work.Remove(work.Partition);
    }
}
