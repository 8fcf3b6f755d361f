using Microsoft.Extensions.Logging;
using Ottla.Client.Cluster;
using Ottla.Client.Consumers.Fetching;
using Ottla.Client.Push;
using Ottla.Kernel;
using Ottla.Network.Buffers;

namespace Ottla.Client.Consumers;

/// <summary>Everything of a consumer but the types of its keys and values.</summary>
/// <remarks>
/// One loop decides what is done: it is woken whenever something has changed, and starts requests, whose ends wake it again. The
/// application takes records, and is called back, on whatever thread it asks on; it asks one thing at a time. All state is guarded by one
/// lock, which is never held while something is waited for. Owned by the consumer; lives until <see cref="CloseAsync"/>.
/// </remarks>
internal sealed partial class ConsumerEngine : IAsyncDisposable
{
    private readonly Lock _lock = new();
    private readonly OttlaClient _client;
    private readonly ConsumerOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly MetadataInterest _interest;
    private readonly ConnectionGroup _fetchConnections;
    private readonly ConnectionGroup _groupConnections;
    private readonly LoopSignal _signal;
    private readonly CancellationTokenSource _closing = new();
    private readonly CancellationToken _closed;
    private readonly int _retryBackoffMs;
    private readonly bool _keepsBytes;
    private readonly ConsumerMetrics? _metrics;
    private readonly TelemetryReporter? _reporter;

    // Guarded by _lock.
    private readonly Dictionary<TopicPartition, ConsumedPartition> _partitions = [];
    private readonly List<Func<Task>> _toStart = [];
    private Exception? _failure;
    private TaskCompletionSource? _waiter;
    private TaskCompletionSource? _idle;
    private Task? _loop;
    private Task? _close;
    private int _operations;
    private bool _isClosing;

    /// <summary>Makes an engine; it does nothing until something is subscribed to or assigned.</summary>
    /// <param name="client">The client.</param>
    /// <param name="options">How the consumer reads.</param>
    /// <param name="keepsBytes">Whether the application may keep windows of what was fetched.</param>
    public ConsumerEngine(OttlaClient client, ConsumerOptions options, bool keepsBytes = true)
    {
        _keepsBytes = keepsBytes;
        _client = client;
        _options = options;
        _time = client.Options.TimeProvider;
        _logger = client.LoggerFor<ConsumerEngine>();
        _retryBackoffMs = (int)client.Options.RetryBackoff.TotalMilliseconds;
        _signal = new LoopSignal(_time);
        _closed = _closing.Token;
        _interest = client.Metadata.OpenInterest();
        if (TelemetryReporter.IsOn(client))
        {
            _metrics = new ConsumerMetrics(_time, options.GroupId is not null) { Collecting = MeasureNow };
            _reporter = new TelemetryReporter(client, _metrics, Labels);
        }

        // A node answers the requests of one connection in their order, and holds fetches and joins back.
        _fetchConnections = client.Connections.OpenGroup(channel => channel with
        {
            AnswerBytesMax = (int)Math.Min(int.MaxValue, Math.Max(channel.AnswerBytesMax, 2L * options.FetchMaxBytes)),
            ExpectedAnswerBytes = Math.Min(options.FetchMaxBytes, BufferPool.PooledBytesMax),
            Observer = _metrics,
        });
        _groupConnections = client.Connections.OpenGroup(channel => channel with { Observer = _metrics });
        _client.Metadata.Changed += OnMetadataChanged;
    }

    /// <summary>As <see cref="CloseAsync"/> with the defaults.</summary>
    public async ValueTask DisposeAsync() => await CloseAsync(null, null);

    /// <summary>Wakes the loop, which is started the first time. Called under the lock.</summary>
    private void Wake()
    {
        if (_loop is null && !_isClosing)
            _loop = Detached.Start(_client.Options, RunAsync);
        _signal.Set();
    }

    /// <summary>Has the application look again. Called under the lock.</summary>
    private void WakeApplication()
    {
        var waiter = _waiter;
        _waiter = null;
        waiter?.TrySetResult(); // what waits for it goes on elsewhere
    }

    private async Task RunAsync()
    {
        try
        {
            while (true)
            {
                await _signal.WaitAsync(Step(), _closed);
            }
        }
        catch (OperationCanceledException) when (_closed.IsCancellationRequested)
        {
            // The consumer is closed.
        }
    }

    /// <summary>Does what is due.</summary>
    /// <returns>When something is due again.</returns>
    private Instant? Step()
    {
        List<Func<Task>> start;
        Instant? deadline = null;
        lock (_lock)
        {
            var now = Instant.Now(_time);
            try
            {
                Consider(ref deadline, AdvanceGroup(now));
                Consider(ref deadline, StartLookups(now));
                Consider(ref deadline, StartFetches(now));
                Consider(ref deadline, StartAutoCommit(now));
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                Fail(e); // the application is told, and nothing goes on until something changes
            }

            start = [.. _toStart];
            _toStart.Clear();
            if (deadline is { } at && at <= now)
                deadline = now.AddMilliseconds(1);
        }

        foreach (var operation in start)
            _ = OperateAsync(operation);
        return deadline;
    }

    private static void Consider(ref Instant? deadline, Instant? other)
    {
        if (other is { } at && (deadline is null || at < deadline))
            deadline = at;
    }

    /// <summary>Has something done once the lock is free. Called under the lock.</summary>
    private void Start(Func<Task> operation)
    {
        _operations++;
        _toStart.Add(operation);
    }

    private async Task OperateAsync(Func<Task> operation)
    {
        try
        {
            await operation();
        }
        catch (Exception e) when (_closed.IsCancellationRequested && e is OperationCanceledException or ObjectDisposedException)
        {
            // The consumer is closed: nobody waits for this any more.
        }
        catch (Exception e)
        {
            lock (_lock)
                Fail(e);
        }
        finally
        {
            lock (_lock)
            {
                if (--_operations == 0)
                    _idle?.TrySetResult();
                _signal.Set();
            }
        }
    }

    /// <summary>Has the application's call throw, or its next one. The first failure counts. Called under the lock.</summary>
    private void Fail(Exception failure)
    {
        _failure ??= failure;
        WakeApplication();
    }

    private void ThrowIfClosed() => ObjectDisposedException.ThrowIf(_isClosing, typeof(ConsumerEngine));

    private void OnMetadataChanged(ClusterImage before, ClusterImage after)
    {
        lock (_lock)
        {
            if (_isClosing)
                return;
            OnTopicsChanged(after);
            if (_loop is not null)
                _signal.Set();
        }
    }
}
