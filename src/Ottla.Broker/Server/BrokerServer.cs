using System.Net;
using Microsoft.Extensions.Logging;
using Ottla.Broker.Security;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Network.Transport;

namespace Ottla.Broker.Server;

/// <summary>A name and an address to listen on.</summary>
/// <param name="Name">The listener's name, as in <c>listeners</c>.</param>
/// <param name="EndPoint">Where it listens; port 0 takes a free one.</param>
public sealed record ServerListener(string Name, IPEndPoint EndPoint);

/// <summary>Accepts connections on every listener, enforces the limits of connections, and closes them in order.</summary>
/// <remarks>One for each role of a node, from start to stop.</remarks>
public sealed class BrokerServer : IAsyncDisposable
{
    private static readonly TimeSpan IdleSweepIntervalMax = TimeSpan.FromSeconds(30);

    private readonly ITransport _transport;
    private readonly Func<ServerSettings> _settings;
    private readonly BufferPool _pool;
    private readonly HeavyRequests _heavy;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly LimitedLogger _clientLog;
    private readonly NodeSecurity? _security;
    private readonly Action<IThreadPoolWorkItem>? _handshakes;
    private readonly ConnectionRates _rates = new();
    private readonly long _startedAt;
    private readonly ConnectionRegistry _connections = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly List<ITransportListener> _listeners = [];
    private readonly List<ListenerCounters> _counters = [];
    private readonly List<Func<ApiTable, Task>> _pendingLoops = [];
    private readonly List<Task> _acceptLoops = [];
    private ITimer? _idleSweep;

    /// <summary>Creates a server that does not listen yet.</summary>
    /// <param name="transport">The network.</param>
    /// <param name="settings">The limits. Read at each use, because some change while the server runs.</param>
    /// <param name="pool">The buffers of all connections.</param>
    /// <param name="heavy">Runs the requests that take long.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">The log.</param>
    public BrokerServer(
        ITransport transport, Func<ServerSettings> settings, BufferPool pool, HeavyRequests heavy, TimeProvider time, ILogger logger)
        : this(transport, settings, pool, heavy, time, logger, null)
    {
    }

    /// <summary>Creates a server with TLS and logins.</summary>
    internal BrokerServer(
        ITransport transport, Func<ServerSettings> settings, BufferPool pool, HeavyRequests heavy, TimeProvider time, ILogger logger,
        NodeSecurity? security)
    {
        _security = security;
        _handshakes = security is null ? null : security.Handshakes.Queue;
        _transport = transport;
        _settings = settings;
        _pool = pool;
        _heavy = heavy;
        _time = time;
        _logger = logger;
        _clientLog = new LimitedLogger(logger, time);
        _startedAt = time.GetTimestamp();
    }

    /// <summary>The counters of the listeners; complete once all were begun.</summary>
    internal IReadOnlyList<ListenerCounters> Counters => _counters;

    /// <summary>Starts to listen. Connections wait in the backlog until <see cref="StartAccepting"/>.</summary>
    /// <returns>The address, with the actual port.</returns>
    /// <exception cref="System.Net.Sockets.SocketException">The address is in use, or not an address of this machine.</exception>
    public IPEndPoint Listen(ServerListener listener, int backlog, SocketBufferSizes bufferSizes)
    {
        var listening = _transport.Listen(listener.EndPoint, backlog, bufferSizes);
        _listeners.Add(listening);
        var counters = new ListenerCounters(listener.Name);
        _counters.Add(counters);
        _pendingLoops.Add(apis => AcceptLoopAsync(listening, counters, apis));
        return listening.LocalEndPoint;
    }

    /// <summary>Starts to accept connections on every listener.</summary>
    /// <param name="apis">The APIs to serve.</param>
    public void StartAccepting(ApiTable apis)
    {
        foreach (var start in _pendingLoops)
            _acceptLoops.Add(start(apis));
        _pendingLoops.Clear();
        if (_settings().ConnectionIdleMsMax is > 0 and var idleMs)
        {
            var interval = TimeSpan.FromMilliseconds(Math.Clamp(idleMs / 2, 1, (long)IdleSweepIntervalMax.TotalMilliseconds));
            _idleSweep = _time.CreateTimer(_ => CloseIdle(), null, interval, interval);
        }
    }

    /// <summary>
    /// Stops accepting connections, lets running requests finish, and closes the connections that are left after
    /// <paramref name="timeout"/>.
    /// </summary>
    public async Task StopAsync(TimeSpan timeout)
    {
        _stopping.Cancel();
        if (_idleSweep is not null)
            await _idleSweep.DisposeAsync();
        foreach (var listener in _listeners)
            await listener.DisposeAsync();
        await Task.WhenAll(_acceptLoops);

        foreach (var connection in _connections.Snapshot())
            connection.StopReading();
        using var deadline = new CancellationTokenSource(timeout, _time);
        try
        {
            await _connections.WaitUntilBelowAsync(1, deadline.Token);
        }
        catch (OperationCanceledException)
        {
            foreach (var connection in _connections.Snapshot())
                connection.Abort();
            await _connections.WaitUntilBelowAsync(1, CancellationToken.None);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (!_stopping.IsCancellationRequested)
            await StopAsync(TimeSpan.Zero);
        _stopping.Dispose();
        _clientLog.Dispose();
    }

    private async Task AcceptLoopAsync(ITransportListener listening, ListenerCounters counters, ApiTable apis)
    {
        var listener = counters.Listener;
        ServerLog.Listening(_logger, listener, listening.LocalEndPoint);
        try
        {
            while (!_stopping.IsCancellationRequested)
            {
                await _connections.WaitUntilBelowAsync(_settings().ConnectionsMax, _stopping.Token);
                var accepted = await listening.AcceptAsync(_stopping.Token);
                counters.CountOpened();
                var settings = _settings();
                if (settings.Quotas?.RecordConnection(accepted.RemoteEndPoint?.Address ?? IPAddress.None) is > 0 and var waitMs)
                {
                    _ = RefuseLaterAsync(accepted, counters, waitMs);
                    continue;
                }

                await KeepToRateAsync(accepted, listener);
                _ = ServeAsync(new Connection(
                    accepted, listener, apis, _heavy, _settings(), _pool, _time, _clientLog, _security?.Of(listener),
                    _handshakes)
                {
                    OnLoggedIn = connection =>
                    {
                        counters.CountLogin();
                        _connections.NoteLogin(connection);
                    },
                }, counters);
            }
        }
        catch (Exception) when (_stopping.IsCancellationRequested)
        {
            // The listener was closed: the server is stopping.
        }
        catch (Exception e)
        {
            ServerLog.ListenerFailed(_logger, listener, e);
        }
    }

    /// <summary>
    /// Counts a new connection. If too many were accepted recently, waits before the listener accepts the next one.
    /// </summary>
    private async ValueTask KeepToRateAsync(ITransportConnection accepted, string listener)
    {
        var waitMs = _rates.Record(listener, _settings().ConnectionRates, (long)_time.GetElapsedTime(_startedAt).TotalMilliseconds);
        if (waitMs == 0)
            return;
        try
        {
            await Task.Delay(TimeSpan.FromMilliseconds(waitMs), _time, _stopping.Token);
        }
        catch (OperationCanceledException)
        {
            await accepted.DisposeAsync();
            throw; // the server stops: nobody counts any more
        }
    }

    /// <summary>
    /// Closes the connection of an address that makes too many, after a while: a client that is refused at once tries again at once.
    /// </summary>
    private async Task RefuseLaterAsync(ITransportConnection accepted, ListenerCounters counters, long waitMs)
    {
        try
        {
            ServerLog.ConnectionsTooFast(_clientLog, accepted.RemoteEndPoint?.Address ?? IPAddress.None);
            await Task.Delay(TimeSpan.FromMilliseconds(waitMs), _time, _stopping.Token);
        }
        catch (OperationCanceledException)
        {
            // The server is stopping: it is closed all the same.
        }
        finally
        {
            accepted.Abort();
            await accepted.DisposeAsync();
            counters.CountClosed(isLoginMissing: false);
        }
    }

    private async Task ServeAsync(Connection connection, ListenerCounters counters)
    {
        var limit = _settings().ConnectionsMaxOf(connection.Info.ClientAddress);
        if (!_connections.TryAdd(connection, limit, out var oldestLogin))
        {
            ServerLog.TooManyConnectionsOfClient(_clientLog, connection.Info.ClientAddress, limit);
            await connection.DisposeAsync();
            counters.CountClosed(isLoginMissing: false);
            return;
        }

        if (oldestLogin is not null)
        {
            ServerLog.TooManyLogins(
                _clientLog, oldestLogin.Info.ClientAddress, oldestLogin.Info.ListenerName, connection.LoginsPerAddressMax!.Value);
            oldestLogin.Abort();
        }

        try
        {
            await connection.RunAsync();
        }
        finally
        {
            await connection.DisposeAsync();
            _connections.Remove(connection);
            counters.CountClosed(connection.IsLoginMissing);
        }
    }

    private void CloseIdle()
    {
        var now = Instant.Now(_time);
        var idleMs = _settings().ConnectionIdleMsMax;
        foreach (var connection in _connections.Snapshot())
        {
            if (!connection.CheckIdle(now, idleMs))
                continue;
            _counters.Find(counters => counters.Listener == connection.Info.ListenerName)?.CountIdle();
            connection.Abort();
        }
    }
}
