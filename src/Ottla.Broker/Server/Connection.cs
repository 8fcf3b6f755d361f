using System.Buffers.Binary;
using System.Net.Sockets;
using System.Security.Authentication;
using Microsoft.Extensions.Logging;
using Ottla.Broker.Security;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Network.Framing;
using Ottla.Network.Transport;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;

namespace Ottla.Broker.Server;

/// <summary>One client connection: reads frames, starts their handlers in order, and sends the replies in order.</summary>
/// <remarks>
/// One request at a time: the next one starts when the one before is answered, except where an API overlaps itself. Everything before a
/// handler's first await runs on this connection's own task, or elsewhere while that waits. A malformed frame ends this connection and no
/// other.
/// </remarks>
internal sealed class Connection : IAsyncDisposable, IResponseFailures
{
    /// <summary>
    /// How long a connection may be served before the others of its network loop get their turn: a client that sends many small requests at
    /// once holds nobody up for longer.
    /// </summary>
    private static readonly TimeSpan s_turnMax = TimeSpan.FromMicroseconds(200);

    private readonly ITransportConnection _transport;
    private readonly ApiTable _apis;
    private readonly HeavyRequests _heavy;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly FrameReader _reader;
    private readonly ResponseQueue _responses;
    private readonly CancellationTokenSource _closing = new();
    private readonly CancellationTokenSource _stopReading = new();
    private readonly ConnectionInfo _info;
    private readonly ConnectionLogin? _login;
    private readonly int _requestBytesMax;
    private readonly RequestHeader _header = new();
    private long _lastActiveMs;
    private long _movedBytes;
    private long _arrivedAt;
    private long _turnBeganAt;

    public Connection(
        ITransportConnection accepted, string listenerName, ApiTable apis, HeavyRequests heavy, ServerSettings settings, BufferPool pool,
        TimeProvider time, ILogger logger, ListenerSecurity? security = null, Action<IThreadPoolWorkItem>? handshakes = null)
    {
        var (transport, tls) = ConnectionLogin.Wrap(accepted, security, pool);
        _transport = transport;
        _requestBytesMax = settings.RequestBytesMax;
        _apis = apis;
        _heavy = heavy;
        _time = time;
        _logger = logger;
        _reader = new FrameReader(transport, pool, settings.RequestBytesMax);
        _responses = new ResponseQueue(
            new FrameSender(transport, pool), pool, settings.InFlightRequestsMax, this, time, _closing.Token)
        {
            Quotas = settings.Quotas,
        };
        _info = new ConnectionInfo(
            listenerName, transport.RemoteEndPoint?.Address ?? System.Net.IPAddress.None, End, _stopReading.Token, _closing.Token)
        {
            ClientPort = transport.RemoteEndPoint?.Port ?? 0,
        };
        if (security is { IsNeeded: true })
        {
            _login = new ConnectionLogin(security, handshakes, tls, _info, apis, _responses, time, logger);
            _reader.FrameBytesMax = _login.BytesMax;
            _reader.Budget = security.LoginFrames;
        }

        _lastActiveMs = Instant.Now(time).UnixMilliseconds;
    }

    /// <summary>The client.</summary>
    public ConnectionInfo Info => _info;

    /// <summary>
    /// How many connections like this one an address may have that are not logged in; null when there is nothing to prove.
    /// </summary>
    public int? LoginsPerAddressMax => _login?.PerAddressMax;

    /// <summary>Whether the client should have proved who it is, and has not.</summary>
    public bool IsLoginMissing => _login is { IsComplete: false };

    /// <summary>Called once when the client has proved who it is.</summary>
    public Action<Connection>? OnLoggedIn { get; set; }

    /// <summary>
    /// Whether no byte was received or sent for longer than <paramref name="idleMs"/>, and no handler works on a reply. A client that does
    /// not read its replies is idle too. Called periodically: bytes since the last call count as moved now.
    /// </summary>
    public bool CheckIdle(Instant now, long idleMs)
    {
        var movedBytes = _reader.ReceivedBytes + _transport.SentBytes;
        if (Interlocked.Exchange(ref _movedBytes, movedBytes) != movedBytes)
            _lastActiveMs = now.UnixMilliseconds;
        return now.UnixMilliseconds - _lastActiveMs > idleMs && !_responses.AwaitsHandler;
    }

    /// <summary>Serves the client until either side ends the connection.</summary>
    public async Task RunAsync()
    {
        ITimer? deadline = null;
        try
        {
            if (_login is not null)
            {
                deadline = _time.CreateTimer(
                    static connection => ((Connection)connection!).OnLoginTimeout(), this, _login.Timeout, Timeout.InfiniteTimeSpan);
                await _login.HandshakeAsync();
                NoteLogin(ref deadline);
            }
            else
            {
                _transport.Admit();
            }

            while (!_stopReading.IsCancellationRequested && await _reader.ReceiveAsync(_stopReading.Token))
            {
                _arrivedAt = _responses.Now;
                _turnBeganAt = 0;
                while (!_stopReading.IsCancellationRequested && _reader.TryReadFrame(out var frame))
                {
                    if (IsTurnOver())
                        await YieldAsync();
                    if (_login is not null && _login.Intercepts(frame.Span))
                    {
                        await _responses.WaitToStartAsync(overlaps: false);
                        var outcome = await _login.TakeAsync(frame);
                        NoteLogin(ref deadline);
                        if (outcome == LoginOutcome.End)
                            _stopReading.Cancel();
                        if (outcome != LoginOutcome.Serve)
                            continue;
                    }

                    var api = Identify(frame.Span);
                    if (!_responses.MayStart(api.OverlapsItself))
                    {
                        await _responses.WaitToStartAsync(api.OverlapsItself);
                        if (_stopReading.IsCancellationRequested)
                            break;
                        _arrivedAt = _responses.Now;
                    }

                    if (_responses.IsMuted)
                        await WaitMutedAsync();
                    var started = Start(api, frame);
                    if (!started.IsCompletedSuccessfully)
                        await FinishStartAsync(started);
                }

                _reader.ReleaseProcessed();
                await _responses.FlushAsync();
            }

            await _responses.DrainAsync();
        }
        catch (OperationCanceledException) when (_stopReading.IsCancellationRequested)
        {
            await DrainQuietlyAsync();
        }
        catch (AuthenticationException e)
        {
            ServerLog.HandshakeFailed(_logger, _info.ClientAddress, _info.ListenerName, e.Message);
        }
        catch (Exception e) when (e is ProtocolException or InvalidFrameException)
        {
            ServerLog.MalformedRequest(_logger, _info.ClientAddress, _info.ListenerName, e.Message);
            if (e is InvalidFrameException && _login is { IsComplete: false })
                await DelayQuietlyAsync(_login);
            await DrainQuietlyAsync(); // requests before the malformed frame still get their replies
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException or ObjectDisposedException)
        {
            ServerLog.ConnectionLost(_logger, _info.ClientAddress, e.Message);
        }
        catch (Exception e)
        {
            ServerLog.ConnectionFailed(_logger, _info.ClientAddress, e);
        }
        finally
        {
            deadline?.Dispose();
        }
    }

    /// <summary>
    /// Reads no more requests. Running requests are answered, then <see cref="RunAsync"/> ends. A login under way is broken off.
    /// </summary>
    public void StopReading()
    {
        _stopReading.Cancel();
        if (_login is { IsComplete: false })
            Abort();
    }

    /// <summary>Closes the connection at once.</summary>
    public void Abort()
    {
        _closing.Cancel();
        _transport.Abort();
        _stopReading.Cancel();
        _responses.Close();
    }

    public async ValueTask DisposeAsync()
    {
        _closing.Cancel();
        _responses.Close();
        await _transport.DisposeAsync();
        _reader.Dispose();
    }

    private void End(string reason)
    {
        ServerLog.Ended(_logger, _info.ClientAddress, _info.ListenerName, reason);
        StopReading();
    }

    /// <summary>Lets a client that has proved who it is have longer frames and more time.</summary>
    private void NoteLogin(ref ITimer? deadline)
    {
        if (deadline is null || !_login!.IsComplete)
            return;
        deadline.Dispose();
        deadline = null;
        _reader.FrameBytesMax = _requestBytesMax;
        _reader.Budget = null;
        _transport.Admit();
        OnLoggedIn?.Invoke(this);
    }

    private void OnLoginTimeout()
    {
        ServerLog.LoginBroken(
            _logger, _info.ClientAddress, _info.ListenerName, $"it did not log in within {_login!.Timeout.TotalMilliseconds} ms");
        Abort();
    }

    /// <exception cref="ProtocolException">This listener does not serve the API or the version.</exception>
    private ApiEntry Identify(ReadOnlySpan<byte> frame)
    {
        if (!BinaryPrimitives.TryReadInt16BigEndian(frame, out var key))
            throw new MalformedMessageException($"A request of {frame.Length} bytes has no header.");
        return _apis.Find(key) ?? throw new MalformedMessageException($"API key {key} is not served here.");
    }

    /// <returns>Completes when the frame is no longer in use.</returns>
    private ValueTask Start(ApiEntry api, Memory<byte> frame)
    {
        var reader = new WireReader(frame);
        var peek = reader;
        peek.ReadInt16();
        var version = peek.ReadInt16();
        if (!api.Supports(version) && api.Key != ApiKey.ApiVersions)
            throw new UnsupportedVersionException(
                $"{api.Key} is served in versions {api.LowestVersion} to {api.HighestVersion}, not {version}.");
        _header.ReadAgain(ref reader, api.RequestHeaderVersion(version));
        var context = new RequestContext(api.Key, version, _header.CorrelationId, _header.ClientId, _info)
        {
            ArrivedAt = _arrivedAt,
            SizeBytes = frame.Length,
        };
        if (api.Supports(version))
            return api.Start(context, frame[reader.Position..], _responses, _heavy);

        // The client is newer than this broker. Version 0 of the reply, which every client can read, has our versions (KIP-511).
        var response = Api.ApiVersionsHandler.UnsupportedVersion(_apis);
        var slot = _responses.Open(overlaps: false);
        api.Encode(context, response, version: 0, slot.Frame);
        api.Metrics.Count(response, version: 0, _responses.TimeSince(context));
        slot.Complete();
        return default;
    }

    /// <summary>
    /// Whether this connection has been served for long. Asked before each request; the first of a turn costs no look at the clock.
    /// </summary>
    private bool IsTurnOver()
    {
        if (_turnBeganAt != 0)
            return _time.GetElapsedTime(_turnBeganAt) > s_turnMax;
        _turnBeganAt = _arrivedAt;
        return false;
    }

    /// <summary>Sends the earlier replies, and lets the others of the network loop have their turn.</summary>
    private async ValueTask YieldAsync()
    {
        await _responses.FlushAsync();
        await _transport.YieldAsync();
        _turnBeganAt = _responses.Now;
    }

    /// <summary>Sends the earlier replies, and starts no request while the client is held back.</summary>
    /// <exception cref="OperationCanceledException">The connection reads no more.</exception>
    private async Task WaitMutedAsync()
    {
        await _responses.FlushAsync();
        while (_responses.MutedFor is { Ticks: > 0 } rest)
            await Task.Delay(rest, _time, _stopReading.Token);
        _arrivedAt = _responses.Now;
    }

    /// <summary>Sends the earlier replies before a request that takes long.</summary>
    private async ValueTask FinishStartAsync(ValueTask started)
    {
        try
        {
            await _responses.FlushAsync();
        }
        finally
        {
            await started; // also after a failure: the frame is in use until then
        }
    }

    private async ValueTask DrainQuietlyAsync()
    {
        try
        {
            await _responses.DrainAsync();
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException or ObjectDisposedException)
        {
            ServerLog.ConnectionLost(_logger, _info.ClientAddress, e.Message);
        }
    }

    private static async ValueTask DelayQuietlyAsync(ConnectionLogin login)
    {
        try
        {
            await login.DelayAsync();
        }
        catch (OperationCanceledException)
        {
            // The connection is closed already.
        }
    }

    public void OnSendFailure(Exception exception)
    {
        if (exception is IOException or SocketException or OperationCanceledException or ObjectDisposedException)
            ServerLog.ConnectionLost(_logger, _info.ClientAddress, exception.Message);
        else
            ServerLog.ConnectionFailed(_logger, _info.ClientAddress, exception);
        Abort();
    }

    public void OnRequestFailure(RequestContext context, Exception exception) =>
        ServerLog.RequestFailed(_logger, context.ApiKey, context.CorrelationId, _info.ClientAddress, exception);
}
