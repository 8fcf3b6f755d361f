using System.Globalization;
using Microsoft.Extensions.Logging;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Requests;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Replication;

namespace Ottla.Broker.Replicas.Fetching;

/// <summary>
/// Fetches from one leader for some of the partitions that it leads: one loop, one connection, one request at a time, as Kafka's fetcher
/// threads.
/// </summary>
/// <remarks>
/// The loop owns connection and messages. The machine is guarded by a lock that is held for moments, never while a log is worked on: who
/// adds or removes partitions does not wait for an append. What comes too late is refused by the log, which knows its role, its epoch and
/// its end. Lives while it has partitions; <see cref="ReplicaFetchers"/> makes and ends it.
/// </remarks>
internal sealed partial class ReplicaFetcher
{
    /// <summary>How often it looks whether retention has moved the start of a log, which the leader is told.</summary>
    private const long LogStartIntervalMs = 5000;

    private readonly FetcherHost _host;
    private readonly ILogger _logger;
    private readonly RequestChannelOptions _connectionOptions;
    private readonly LoopSignal _news;
    private readonly CancellationTokenSource _stopping = new();
    private readonly CancellationToken _stopped;
    private readonly FetchRequest _request = new();
    private readonly FetchResponse _response = new();
    private Task? _running;
    private Instant _lookAtLogStarts;
    private volatile RequestConnection? _connection;
    private string? _loggedFailure;

    // Guarded by _lock.
    private readonly Lock _lock = new();
    private readonly FetcherMachine<PartitionReplica> _machine;

    public ReplicaFetcher(FetcherHost host, int leaderId, int index)
    {
        _host = host;
        _logger = host.Logger;
        LeaderId = leaderId;
        Index = index;
        _connectionOptions = host.Connection with
        {
            ClientId = string.Create(CultureInfo.InvariantCulture, $"broker-{host.BrokerId}-fetcher-{index}"),
        };
        _machine = new FetcherMachine<PartitionReplica>(host.Options);
        _news = new LoopSignal(host.Time);
        _stopped = _stopping.Token;
    }

    /// <summary>The leader that it fetches from.</summary>
    public int LeaderId { get; }

    /// <summary>Which of the fetchers for this leader it is (<c>num.replica.fetchers</c>).</summary>
    public int Index { get; }

    /// <summary>How many partitions it has.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
                return _machine.Count;
        }
    }

    /// <summary>Whether it has begun.</summary>
    public bool IsStarted => _running is not null;

    /// <summary>Begins. Called once.</summary>
    /// <returns>Ends when it is stopped; fails only by a bug.</returns>
    public Task Start() => _running = RunAsync();

    /// <summary>Fetches a partition from the next request on, or begins anew at a new leader epoch.</summary>
    public void Follow(PartitionReplica replica, int leaderEpoch, in FetcherPosition position)
    {
        var isThrottled = replica.IsThrottledAsFollower(_host.BrokerId);
        lock (_lock)
            _machine.Follow(replica.Id, replica, leaderEpoch, position, isThrottled);
    }

    /// <summary>Fetches a partition no more.</summary>
    public void Stop(PartitionReplica replica)
    {
        lock (_lock)
        {
            if (_machine.Find(replica.Id) is { } partition)
                _machine.Stop(partition);
        }
    }

    /// <inheritdoc cref="ReplicaFetchers.MaxLag"/>
    public long MaxLag
    {
        get
        {
            lock (_lock)
                return _machine.Partitions.Select(partition => partition.Lag ?? 0).DefaultIfEmpty().Max();
        }
    }

    /// <summary>What it fetches.</summary>
    public List<FollowedPartition> Followed
    {
        get
        {
            lock (_lock)
            {
                return
                [
                    .. _machine.Partitions.Select(
                        partition => new FollowedPartition(partition.Replica, LeaderId, partition.LeaderEpoch)),
                ];
            }
        }
    }

    /// <summary>Takes everything away from it.</summary>
    /// <returns>The replicas and the leader epochs in which they were fetched.</returns>
    public List<FollowedPartition> TakeAll()
    {
        lock (_lock)
        {
            List<FollowedPartition> taken = [];
            foreach (var partition in _machine.Partitions.ToList())
            {
                taken.Add(new FollowedPartition(partition.Replica, LeaderId, partition.LeaderEpoch));
                _machine.Stop(partition);
            }

            return taken;
        }
    }

    /// <summary>Looks again which partitions are throttled.</summary>
    public void UpdateThrottled()
    {
        lock (_lock)
        {
            foreach (var partition in _machine.Partitions)
                _machine.SetThrottled(partition, partition.Replica.IsThrottledAsFollower(_host.BrokerId));
        }
    }

    /// <summary>The metadata has changed: the leader may listen elsewhere, and there may be more to fetch.</summary>
    public void OnMetadata(bool hasNewPartitions)
    {
        if (hasNewPartitions)
            _news.Set();
        if (_connection is { } connection && Address() is { } address && connection.Address != address)
            connection.Break("the leader listens elsewhere now");
    }

    /// <summary>Ends it: the request under way is broken off.</summary>
    public async Task StopAsync()
    {
        _stopping.Cancel();
        _connection?.Break("the fetcher was stopped");
        _news.Set();
        if (_running is not null)
            await _running;
        _stopping.Dispose();
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"fetcher {Index} for broker {LeaderId}");

    private async Task RunAsync()
    {
        try
        {
            while (!_stopped.IsCancellationRequested)
            {
                if (TryFillRequest(out var version, out var wakeAt))
                {
                    await FetchAsync(version);
                }
                else
                {
                    _response.Reset();
                    _connection?.Release();
                    await _news.WaitAsync(wakeAt, _stopped);
                }
            }
        }
        catch (OperationCanceledException) when (_stopped.IsCancellationRequested)
        {
            // It is stopped.
        }
        finally
        {
            await DisconnectAsync();
        }
    }

    private bool TryFillRequest(out MetadataVersion version, out Instant? wakeAt)
    {
        var now = Instant.Now(_host.Time);
        version = _host.MetadataVersion;
        var isQuotaExceeded = _host.Throttle.IsExceeded;
        lock (_lock)
        {
            LookAtLogStarts(now);
            var isFilled = _machine.TryFillRequest(
                _request, version.ReplicaFetchVersion, _host.BrokerEpoch(), isQuotaExceeded, now);
            wakeAt = _machine.NextDeadline;
            if (!isFilled && isQuotaExceeded && _machine.Count > 0 && wakeAt is null)
                wakeAt = now.AddMilliseconds(_host.Options.BackoffMs);
            return isFilled;
        }
    }

    /// <summary>Retention moves the start of a log without telling: looked at now and then, since nobody waits for it.</summary>
    private void LookAtLogStarts(Instant now)
    {
        if (now < _lookAtLogStarts && _lookAtLogStarts.MillisecondsSince(now) <= LogStartIntervalMs)
            return;
        _lookAtLogStarts = now.AddMilliseconds(LogStartIntervalMs);
        foreach (var partition in _machine.Partitions)
            _machine.SetLogStartOffset(partition, partition.Replica.Log.LogStartOffset);
    }

    private async ValueTask FetchAsync(MetadataVersion version)
    {
        try
        {
            var connection = _connection is { IsSessionOver: false } open && open.Address == Address() ? open : await ConnectAsync();
            await connection.ExchangeAsync(_request, _response, version.ReplicaFetchVersion);
            _loggedFailure = null;
            if (Digest() is { } outOfRange)
                await ResolveOutOfRangeAsync(connection, outOfRange, version);
        }
        catch (RequestFailedException e)
        {
            _response.Reset();
            await DisconnectAsync();
            lock (_lock)
                _machine.OnRequestFailed(Instant.Now(_host.Time));
            LogFailureOnce(e);
        }
    }

    private NodeAddress? Address() =>
        _host.Image.Cluster.Broker(LeaderId)?.EndpointAt(_host.Listener) is { } endpoint
            ? new NodeAddress(LeaderId, endpoint.Host, endpoint.Port)
            : null;

    private async Task<RequestConnection> ConnectAsync()
    {
        await DisconnectAsync();
        var address = Address() ?? throw new RequestFailedException(
            RequestFailureKind.Disconnected, mayHaveBeenExecuted: false,
            $"The metadata does not say where broker {LeaderId} listens with {_host.Listener}");
        var connection = await RequestConnection.OpenAsync(
            _host.Transport, _host.Buffers, address, _connectionOptions, _host.Budget, _host.Time, _stopped);
        _connection = connection;
        if (_stopped.IsCancellationRequested)
            connection.Break("the fetcher was stopped"); // the stop may have come before it was there to be broken off
        return connection;
    }

    private async ValueTask DisconnectAsync()
    {
        if (_connection is not { } connection)
            return;
        _connection = null;
        await connection.DisposeAsync();
    }

    /// <summary>Logs a failure once, not every second while it lasts.</summary>
    private void LogFailureOnce(RequestFailedException e)
    {
        if (_stopped.IsCancellationRequested || _loggedFailure == e.Message)
            return;
        _loggedFailure = e.Message;
        LogRequestFailed(_logger, LeaderId, Index, e.Message, _host.Options.BackoffMs);
    }

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Cannot fetch from broker {Leader} (fetcher {Index}): {Reason}. Its partitions are tried again every {BackoffMs} ms, "
            + "until it answers or another broker leads")]
    private static partial void LogRequestFailed(ILogger logger, int leader, int index, string reason, long backoffMs);
}
