using Microsoft.Extensions.Logging;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Network.Transport;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Requests;

/// <summary>
/// The asking side of one peer: connects on first use, connects again after a break, sends requests and returns their answers.
/// </summary>
/// <remarks>
/// Thread-safe. It has no thread and no timer of its own but one for time-outs: whoever calls starts the work, and the connection's answers
/// go on with it. At most one connection at a time, and one attempt to make one. Lives until it is disposed, which fails what waits.
/// </remarks>
public sealed partial class RequestChannel : IAsyncDisposable
{
    private readonly Lock _lock = new();
    private readonly ITransport _transport;
    private readonly BufferPool _buffers;
    private readonly RequestChannelOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly ExponentialBackoff _backoff;
    private readonly ITimer _timer;
    private readonly CancellationTokenSource _closing = new();
    private readonly CancellationToken _closed;

    // Guarded by _lock.
    private readonly Queue<PendingRequest> _waiting = new();
    private ChannelConnection? _connection;
    private TaskCompletionSource? _serving;
    private bool _isClosed;
    private int _failures;
    private long _failedAt;
    private TimeSpan _retryAfter;
    private string _lastFailure = "it is still under way";
    private long _timerDueAt = long.MaxValue;
    private long _usedAt;

    /// <summary>Makes a channel; it connects when something is sent.</summary>
    /// <param name="transport">The network.</param>
    /// <param name="buffers">Where the memory of frames comes from.</param>
    /// <param name="address">The peer.</param>
    /// <param name="options">Time-outs, bounds, versions.</param>
    /// <param name="random">The random part of waits; the channel is its only user from now on.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">The log for people.</param>
    public RequestChannel(
        ITransport transport,
        BufferPool buffers,
        NodeAddress address,
        RequestChannelOptions options,
        Prng random,
        TimeProvider time,
        ILogger logger)
    {
        _transport = transport;
        _buffers = buffers;
        Address = address;
        _options = options;
        _time = time;
        _logger = logger;
        _closed = _closing.Token;
        _backoff = new ExponentialBackoff(options.ReconnectBackoff, options.ReconnectBackoffMax, jitter: 0.2, random);
        _timer = time.CreateTimer(_ => OnTimer(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>The peer.</summary>
    public NodeAddress Address { get; }

    /// <summary>What the peer said to support on the present connection; null while there is none, or without negotiation.</summary>
    public PeerVersions? PeerVersions
    {
        get
        {
            lock (_lock)
                return _connection?.Versions;
        }
    }

    /// <summary>Whether there is a connection that requests go over.</summary>
    public bool IsConnected
    {
        get
        {
            lock (_lock)
                return _connection is not null;
        }
    }

    /// <summary>How many connections were made so far: who sees another number than before knows that one has ended.</summary>
    public int ConnectionsMade => Volatile.Read(ref _connectionsMade);

    /// <summary>Requests that have no answer yet, sent or not.</summary>
    public int PendingCount
    {
        get
        {
            lock (_lock)
                return _waiting.Count + (_connection?.InFlightCount ?? 0);
        }
    }

    /// <summary>Whether the last connection failed or broke and the next attempt is not due yet.</summary>
    public bool IsBackingOff
    {
        get
        {
            lock (_lock)
                return _connection is null && BackoffLeft() > TimeSpan.Zero;
        }
    }

    /// <summary>The version in which a request of an API would be sent now; null when the peer lacks it, or is not known yet.</summary>
    public short? VersionOf(ApiKey key)
    {
        var versions = PeerVersions;
        if (versions is null && _options.Versions.Negotiates)
            return null;
        try
        {
            return _options.Versions.Choose(key, short.MaxValue, versions);
        }
        catch (UnsupportedVersionException)
        {
            return null;
        }
    }

    /// <summary>Sends a request and returns its answer.</summary>
    /// <param name="request">The request. It is encoded when there is a connection: do not change it until then.</param>
    /// <param name="timeout">How long it may take; null for <see cref="RequestChannelOptions.RequestTimeout"/>.</param>
    /// <param name="versionMax">The newest version to send it in.</param>
    /// <param name="cancellation">Ends the wait; what was sent is not taken back, and its answer is dropped.</param>
    /// <exception cref="RequestFailedException">
    /// There is no answer; it says why, and whether the request may have been executed.
    /// </exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public Task<TResponse> SendAsync<TRequest, TResponse>(
        TRequest request, TimeSpan? timeout = null, short versionMax = short.MaxValue, CancellationToken cancellation = default)
        where TRequest : IRequestMessage<TRequest>
        where TResponse : IResponseMessage<TResponse> =>
        SendAsync<TRequest, TResponse>(_ => request, timeout, versionMax, cancellation);

    /// <summary>Sends a request whose content depends on its version, and returns its answer.</summary>
    /// <param name="makeRequest">Makes the request for the version that was chosen; it does not wait.</param>
    /// <param name="timeout">How long it may take; null for <see cref="RequestChannelOptions.RequestTimeout"/>.</param>
    /// <param name="versionMax">The newest version to send it in.</param>
    /// <param name="cancellation">Ends the wait; what was sent is not taken back, and its answer is dropped.</param>
    /// <exception cref="RequestFailedException">
    /// There is no answer; it says why, and whether the request may have been executed.
    /// </exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public async Task<TResponse> SendAsync<TRequest, TResponse>(
        Func<short, TRequest> makeRequest,
        TimeSpan? timeout = null,
        short versionMax = short.MaxValue,
        CancellationToken cancellation = default)
        where TRequest : IRequestMessage<TRequest>
        where TResponse : IResponseMessage<TResponse>
    {
        var pending = NewPending<TRequest, TResponse>(makeRequest, timeout, versionMax, keepsFrame: false, cancellation);
        using (cancellation.UnsafeRegister(
            static (pending, token) => ((PendingRequest<TRequest, TResponse>)pending!).Cancel(token), pending))
            return await pending.Answer;
    }

    /// <summary>
    /// As <see cref="SendAsync{TRequest, TResponse}(Func{short, TRequest}, TimeSpan?, short, CancellationToken)"/>, for an answer with
    /// records: they are windows of memory that the caller takes over, and are not copied when the answer is large.
    /// </summary>
    /// <param name="makeRequest">Makes the request for the version that was chosen; it does not wait.</param>
    /// <param name="timeout">How long it may take; null for <see cref="RequestChannelOptions.RequestTimeout"/>.</param>
    /// <param name="versionMax">The newest version to send it in.</param>
    /// <param name="cancellation">Ends the wait; what was sent is not taken back, and its answer is dropped.</param>
    /// <returns>The answer, and its memory: when the caller disposes that, the records are gone.</returns>
    /// <exception cref="RequestFailedException">
    /// There is no answer; it says why, and whether the request may have been executed.
    /// </exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public async Task<(TResponse Answer, PooledBuffer Memory)> SendForRecordsAsync<TRequest, TResponse>(
        Func<short, TRequest> makeRequest, TimeSpan? timeout, short versionMax, CancellationToken cancellation)
        where TRequest : IRequestMessage<TRequest>
        where TResponse : IResponseMessage<TResponse>
    {
        var pending = NewPending<TRequest, TResponse>(makeRequest, timeout, versionMax, keepsFrame: true, cancellation);
        using (cancellation.UnsafeRegister(
            static (pending, token) => ((PendingRequest<TRequest, TResponse>)pending!).Cancel(token), pending))
        {
            var answer = await pending.Answer;
            return (answer, pending.Frame);
        }
    }

    /// <summary>Sends a request that the peer does not answer, as Produce with acks=0.</summary>
    /// <param name="makeRequest">Makes the request for the version that was chosen; it does not wait.</param>
    /// <param name="versionMax">The newest version to send it in.</param>
    /// <returns>A task that ends when the bytes are with the operating system; nothing says whether the peer has them.</returns>
    /// <exception cref="RequestFailedException">It was not sent.</exception>
    public Task SendUnansweredAsync<TRequest, TResponse>(Func<short, TRequest> makeRequest, short versionMax)
        where TRequest : IRequestMessage<TRequest>
        where TResponse : IResponseMessage<TResponse>
    {
        var pending = new PendingRequest<TRequest, TResponse>(
            makeRequest, versionMax, _time.GetTimestamp(), _options.RequestTimeout, keepsFrame: false, isOneWay: true);
        Enqueue(pending);
        Advance();
        return pending.Answer;
    }

    private PendingRequest<TRequest, TResponse> NewPending<TRequest, TResponse>(
        Func<short, TRequest> makeRequest, TimeSpan? timeout, short versionMax, bool keepsFrame, CancellationToken cancellation)
        where TRequest : IRequestMessage<TRequest>
        where TResponse : IResponseMessage<TResponse>
    {
        cancellation.ThrowIfCancellationRequested();
        var pending = new PendingRequest<TRequest, TResponse>(
            makeRequest, versionMax, _time.GetTimestamp(), timeout ?? _options.RequestTimeout, keepsFrame);
        Enqueue(pending);
        Advance();
        return pending;
    }

    /// <summary>Closes the connection if nothing is under way and nothing was sent for a time; the next request makes another.</summary>
    /// <param name="idle">The time.</param>
    public void CloseIfIdle(TimeSpan idle)
    {
        ChannelConnection? connection;
        lock (_lock)
        {
            connection = _connection;
            if (connection is null || connection.IsSending || connection.InFlightCount > 0 || _waiting.Count > 0
                || _time.GetElapsedTime(_usedAt) < idle)
                return;
            connection.IsRetired = true;
            _connection = null;
        }

        connection.Break("it was not used");
    }

    /// <summary>Closes the connection and fails what waits for an answer.</summary>
    public async ValueTask DisposeAsync()
    {
        List<PendingRequest> waiting;
        ChannelConnection? connection;
        Task serving;
        lock (_lock)
        {
            if (_isClosed)
                return;
            _isClosed = true;
            waiting = [.. _waiting];
            _waiting.Clear();
            connection = _connection;
            _connection = null;
            serving = _serving?.Task ?? Task.CompletedTask;
        }

        foreach (var request in waiting)
            request.Fail(NotSent(RequestFailureKind.Closed, "the channel was closed"));
        connection?.FailAll(RequestFailureKind.Closed, $"The channel to {Address} was closed.", null);
        connection?.Break("the channel was closed");
        _closing.Cancel();
        await serving;
        await _timer.DisposeAsync();
        _closing.Dispose();
    }

    private void Enqueue(PendingRequest request)
    {
        lock (_lock)
        {
            if (_isClosed)
                throw NotSent(RequestFailureKind.Closed, "the channel is closed");
            if (_waiting.Count >= _options.WaitingMax)
                throw NotSent(RequestFailureKind.Overloaded, $"{_waiting.Count} requests wait already");
            if (_options.FailsWhileDisconnected && _connection is null && BackoffLeft() > TimeSpan.Zero)
                throw NotSent(RequestFailureKind.Disconnected, _lastFailure);
            _waiting.Enqueue(request);
            _usedAt = _time.GetTimestamp();
            SetTimer(DeadlineOf(request));
        }
    }

    /// <summary>Does what is next: makes a connection, or sends what waits. Called whenever something changed.</summary>
    private void Advance()
    {
        ChannelConnection? connection;
        TaskCompletionSource? serving = null;
        lock (_lock)
        {
            if (_isClosed || _waiting.Count == 0)
                return;
            connection = _connection;
            if (connection is not null)
            {
                if (connection.IsSending || connection.InFlightCount >= _options.InFlightMax)
                    return;
                connection.IsSending = true;
            }
            else if (_serving is null)
            {
                _serving = serving = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }
        }

        if (connection is not null)
            _ = SendWaitingAsync(connection);
        else if (serving is not null)
            _ = ServeAsync(serving);
    }

    private async Task SendWaitingAsync(ChannelConnection connection)
    {
        while (TryTakeNext(connection, out var request, out var correlationId))
        {
            try
            {
                await connection.SendAsync(request, correlationId, _closed);
            }
            catch (ProtocolException e)
            {
                var kind = e is MalformedMessageException ? RequestFailureKind.Malformed : RequestFailureKind.UnsupportedVersion;
                request.Fail(NotSent(kind, e.Message, e));
            }
            catch (Exception e) when (ChannelConnection.IsConnectionFailure(e))
            {
                Break(connection, e.Message);
                return;
            }
        }

        if (connection.IsRetired)
            connection.Break("its session ends soon"); // the next connection follows at once, if something waits
    }

    /// <summary>Takes the next request in flight. When there is none, the caller has ended to be the sender.</summary>
    private bool TryTakeNext(ChannelConnection connection, out PendingRequest request, out int correlationId)
    {
        lock (_lock)
        {
            if (RetireIfOver(connection))
            {
                request = null!;
                correlationId = 0;
                return false;
            }

            while (connection == _connection && connection.InFlightCount < _options.InFlightMax && _waiting.TryDequeue(out request!))
            {
                if (request.IsOver)
                    continue;
                try
                {
                    request.Version = _options.Versions.Choose(request.Key, request.VersionMax, connection.Versions);
                }
                catch (UnsupportedVersionException e)
                {
                    request.Fail(NotSent(RequestFailureKind.UnsupportedVersion, e.Message, e));
                    continue;
                }

                correlationId = connection.Register(request);
                return true;
            }

            connection.IsSending = false;
            request = null!;
            correlationId = 0;
            return false;
        }
    }

    /// <summary>
    /// Sends nothing more over a connection whose session ends soon, and retires it once nothing is in flight. Called under the lock by the
    /// sender, who has ended to be it when this returns true.
    /// </summary>
    private bool RetireIfOver(ChannelConnection connection)
    {
        if (connection != _connection || connection.RenewAt is not { } renewAt || _time.GetTimestamp() < renewAt)
            return false;
        connection.IsSending = false;
        if (connection.InFlightCount > 0)
            return true;
        connection.IsRetired = true;
        _connection = null;
        return true;
    }

    /// <summary>Gives a connection up: nothing more is sent over it. Its receiving task sees to the rest.</summary>
    private void Break(ChannelConnection connection, string reason)
    {
        lock (_lock)
        {
            if (_connection == connection)
                _connection = null;
        }

        connection.Break(reason);
    }

    private RequestFailedException NotSent(RequestFailureKind kind, string reason, Exception? cause = null) =>
        new(kind, mayHaveBeenExecuted: false, $"A request to {Address} was not sent: {reason}", cause);
}
