using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Ottla.Client.Cluster;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Requests;

namespace Ottla.Client.Producing;

/// <summary>
/// The loop that sends a producer's batches: it takes what is due from the queues, groups it by leader, and deals with the answers.
/// </summary>
/// <remarks>
/// One loop per producer; all that is not said to be otherwise is owned by it. Answers come to it through a queue, so nothing here needs a
/// lock. Lives from the first record until the producer is closed.
/// </remarks>
internal sealed partial class ProducerSender
{
    private readonly OttlaClient _client;
    private readonly TransactionManager? _transactions;
    private readonly ProducerContext _context;
    private readonly RecordAccumulator _accumulator;
    private readonly ConnectionGroup _connections;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly SenderSignal _signal;
    private readonly ExponentialBackoff _backoff;
    private readonly ConcurrentQueue<Action> _events = new();
    private readonly List<PartitionQueue> _active = [];
    private readonly Dictionary<int, SenderNode> _nodes = [];
    private readonly Lock _lock = new();

    // Any thread.
    private volatile FatalProducerException? _fatal;
    private int _flushes;
    private volatile bool _isStopping;

    // Guarded by _lock.
    private Task? _loop;

    private int _start;
    private bool _hasSent;
    private Instant _loadsAt;

    /// <param name="client">The client.</param>
    /// <param name="context">The producer.</param>
    /// <param name="accumulator">Where the batches are.</param>
    /// <param name="connections">The producer's connections.</param>
    /// <param name="signal">Is set when there is something to send; the sender disposes it.</param>
    /// <param name="transactions">The transactions; null without.</param>
    public ProducerSender(
        OttlaClient client, ProducerContext context, RecordAccumulator accumulator, ConnectionGroup connections, SenderSignal signal,
        TransactionManager? transactions)
    {
        _transactions = transactions;
        _client = client;
        _context = context;
        _accumulator = accumulator;
        _connections = connections;
        _time = context.Time;
        _logger = context.Logger;
        _signal = signal;
        _backoff = client.Options.NewRetryBackoff(client.NewRandom());
        _identity = new ProducerIdentity(client, context.Options);
        _requestBytesMax = context.Options.IsSequenced ? context.Options.RequestBytesMax : context.Options.RequestBytesMax / 2;
        _client.Metadata.Changed += OnMetadataChanged;
    }

    /// <summary>Why the producer cannot go on; null while it can. Any thread may read it.</summary>
    public FatalProducerException? Fatal => _fatal;

    /// <summary>Called when the loop starts; null for nothing.</summary>
    public Action? OnStarted { get; init; }

    /// <summary>Ends the producer. Any thread may call it.</summary>
    public void Fail(FatalProducerException error) => Post(() => BecomeFatal(error));

    /// <summary>Starts the loop, once. Any thread may call it.</summary>
    public void EnsureStarted()
    {
        if (Volatile.Read(ref _loop) is not null)
            return;
        lock (_lock)
        {
            if (_loop is null && !_isStopping)
                _loop = Detached.Start(_client.Options, RunAsync);
        }
    }

    /// <summary>Sends everything without lingering until <see cref="EndFlush"/>. Any thread may call it.</summary>
    public void BeginFlush()
    {
        Interlocked.Increment(ref _flushes);
        _signal.Set();
    }

    /// <summary>Ends what <see cref="BeginFlush"/> began.</summary>
    public void EndFlush() => Interlocked.Decrement(ref _flushes);

    /// <summary>Ends the loop; what was not written fails with the given error. Any thread may call it, once.</summary>
    public async ValueTask StopAsync(KafkaException error)
    {
        Task? loop;
        lock (_lock)
        {
            _isStopping = true;
            loop = _loop;
        }

        _client.Metadata.Changed -= OnMetadataChanged;
        _signal.Set();
        if (loop is not null)
            await loop;
        _signal.Dispose();
        foreach (var batch in _accumulator.Incomplete())
        {
            batch.MayBeRead |= batch.IsInFlight;
            Finish(batch, error);
        }
    }

    private async Task RunAsync()
    {
        OnStarted?.Invoke();
        while (!_isStopping)
        {
            Instant? due;
            try
            {
                while (_events.TryDequeue(out var happened))
                    happened();
                due = Step(Instant.Now(_time));
            }
            catch (Exception e)
            {
                LogFailed(_logger, e);
                BecomeFatal(new FatalProducerException(ErrorCode.UnknownServerError, $"The producer's loop has failed: {e.Message}", e));
                due = null;
            }

            await _signal.WaitAsync(due);
        }
    }

    /// <summary>Has the loop do something. Any thread may call it.</summary>
    private void Post(Action happened)
    {
        _events.Enqueue(happened);
        _signal.Set();
    }

    /// <summary>Sends what is due.</summary>
    /// <returns>When something is due by time alone; null for not before something happens.</returns>
    private Instant? Step(Instant now)
    {
        _accumulator.TakeActivated(_active);
        if (_fatal is { } fatal)
        {
            FailAll(fatal);
            return null;
        }

        if (_transactions?.Discards is { } discarded)
            FailAll(discarded); // what is under way ends by itself

        Instant? due;
        do
        {
            due = null;
            _hasSent = false;
            foreach (var node in _nodes.Values)
                node.BeginRound();
            _start++; // so that no partition is always the first
            for (var i = 0; i < _active.Count; i++)
            {
                var index = (int)((uint)(_start + i) % (uint)_active.Count);
                if (!Consider(_active[index], now, ref due))
                    _active[index] = null!;
            }

            _active.RemoveAll(static queue => queue is null);
            SendPlanned();
        }
        while (_hasSent);
        UpdateLoads(now);
        return due;
    }

    /// <summary>Looks at one partition: what is due goes into its leader's next request.</summary>
    /// <returns>False when it has nothing to send and nothing under way: it need not be looked at until a record comes.</returns>
    private bool Consider(PartitionQueue queue, Instant now, ref Instant? due)
    {
        var sequences = queue.Sequences;
        queue.WaitsForAnswer = false;
        ExpireUnresolved(queue, now, ref due);
        var waitsForRenewal = sequences.NeedsRenewal && sequences.InFlightCount == 0 && !TryRenew(queue);
        var retry = sequences.NextRetry(); // after the renewal, since nothing else may wake this loop for what has waited for it
        var head = retry is null ? queue.Head() : null;
        if (head is { } waiting && IsExpired(waiting.CreatedAt, now, ref due))
        {
            Expire(queue.Take()!);
            _signal.Set(); // there may be more
            return true;
        }

        if (waitsForRenewal)
            return true;
        if (retry is null && head is null)
        {
            if (sequences.IsEmpty && queue.TryDeactivate())
                return false;
            if (sequences.IsEmpty)
                _signal.Set(); // a record has come since the look at the head; it found the queue active, and woke nobody
            return true;
        }

        if (_client.Metadata.Current.LeaderOf(queue.Id) is not { } leader)
        {
            _client.Metadata.RequestUpdate(); // it asks with pauses, and wakes this loop when it knows more
            return true;
        }

        var node = NodeOf(leader);
        if (node.InFlight >= _context.Options.InFlightMax || sequences.IsFullyInFlight)
        {
            queue.WaitsForAnswer = true;
            return true;
        }

        if (node.BlockedUntil is { } until && until > now)
        {
            due = Earlier(due, until);
            return true;
        }

        if (retry is not null ? !MayRetry(retry, now, ref due) : !MaySendNew(queue, head!.Value, node, now, ref due))
            return true;
        if (!MayWrite(queue))
            return true;
        if (node.HasPlanned(queue))
            return true;
        Plan(node, queue, retry ?? queue.Take()!, retry is not null);
        return true;
    }

    private bool MaySendNew(
        PartitionQueue queue, (Instant CreatedAt, bool IsClosed) head, SenderNode node, Instant now, ref Instant? due)
    {
        if (!queue.Sequences.MaySendNew)
            return false;
        var isDue = head.IsClosed || node.InFlight == 0 || Volatile.Read(ref _flushes) > 0 || _context.Memory.IsWaitedFor;
        if (isDue)
            return true;
        var lingersUntil = head.CreatedAt.AddMilliseconds((long)_context.Options.Linger.TotalMilliseconds);
        if (lingersUntil <= now)
            return true;
        due = Earlier(due, lingersUntil);
        return false;
    }

    private static bool MayRetry(ProducerBatch batch, Instant now, ref Instant? due)
    {
        if (batch.RetryAt is not { } at || at <= now)
            return true;
        due = Earlier(due, at);
        return false;
    }

    private SenderNode NodeOf(NodeAddress address)
    {
        if (!_nodes.TryGetValue(address.Id, out var node))
            _nodes[address.Id] = node = new SenderNode();
        node.Address = address;
        return node;
    }

    private void OnMetadataChanged(ClusterImage before, ClusterImage after)
    {
        foreach (var topic in _accumulator.Topics)
        {
            if (after.Topic(topic.Name) is { } image
                && (!ReferenceEquals(image, before.Topic(topic.Name)) || _context.Rack is not null))
                topic.Update(image, after.RackOf);
        }

        _signal.Set();
    }

    private void UpdateLoads(Instant now)
    {
        const int intervalMs = 5;
        if (now.MillisecondsSince(_loadsAt) < intervalMs)
            return;
        _loadsAt = now;
        foreach (var topic in _accumulator.Topics)
            topic.UpdateLoads();
    }

    private static Instant? Earlier(Instant? one, Instant other) => one is { } known && known < other ? known : other;

    [LoggerMessage(EventId = 110, Level = LogLevel.Error, Message = "The producer cannot go on")]
    private static partial void LogFailed(ILogger logger, Exception exception);
}
