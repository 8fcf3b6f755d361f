using System.Runtime.CompilerServices;
using System.Security.Authentication;
using Ottla.Network.Buffers;
using Ottla.Network.Framing;
using Ottla.Network.Transport;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Ottla.Requests.Security;

namespace Ottla.Requests;

/// <summary>
/// A connection to one peer for one request at a time, whose messages are used again and whose records are not copied: for who asks the
/// same peer all the time, as a follower asks its leader.
/// </summary>
/// <remarks>
/// It sends the version that it is told, without asking the peer. Its owner makes one call at a time; <see cref="Break"/> may come from any
/// thread. A connection that failed stays failed: the owner disposes it and opens another. <see cref="RequestChannel"/> is for all else.
/// </remarks>
public sealed class RequestConnection : IAsyncDisposable
{
    private readonly ITransportConnection _transport;
    private readonly RequestChannelOptions _options;
    private readonly FrameReader _reader;
    private readonly FrameSender _sender;
    private readonly FrameBuffer _frame;
    private readonly RequestHeader _header = new();
    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private readonly long? _renewAt;
    private int _correlationId = -1;
    private string? _brokenBecause;

    // Guarded by _timerLock.
    private readonly Lock _timerLock = new();
    private bool _isAsking;
    private bool _isTimerSet;
    private bool _isSilent;
    private long _quietSince;
    private long _receivedBefore;

    private RequestConnection(
        SecuredConnection secured, BufferPool buffers, NodeAddress address, RequestChannelOptions options, MemoryBudget? budget,
        TimeProvider time)
    {
        var transport = secured.Connection;
        _transport = transport;
        _renewAt = secured.RenewAt(time);
        _options = options;
        _time = time;
        Address = address;
        _reader = new FrameReader(transport, buffers, options.AnswerBytesMax, options.ExpectedAnswerBytes, budget);
        _sender = new FrameSender(transport, buffers);
        _frame = new FrameBuffer(buffers);
        _timer = time.CreateTimer(
            static connection => ((RequestConnection)connection!).OnTimer(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>The peer.</summary>
    public NodeAddress Address { get; }

    /// <summary>Whether its session ends soon, so that another connection should take its place.</summary>
    public bool IsSessionOver => _renewAt is { } renewAt && _time.GetTimestamp() >= renewAt;

    /// <summary>Bytes received so far. Any thread may read it.</summary>
    public long ReceivedBytes => _reader.ReceivedBytes;

    /// <summary>Connects.</summary>
    /// <param name="transport">The network.</param>
    /// <param name="buffers">Where the memory of frames comes from.</param>
    /// <param name="address">The peer.</param>
    /// <param name="options">
    /// Time-outs, bounds, the client id, TLS and SASL. What is said there of versions and of back-off does not apply.
    /// </param>
    /// <param name="budget">Bounds the memory of long answers together with other connections'; null for no common bound.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellation">Ends the attempt.</param>
    /// <exception cref="RequestFailedException">The peer cannot be reached, or refuses this node.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static async Task<RequestConnection> OpenAsync(
        ITransport transport, BufferPool buffers, NodeAddress address, RequestChannelOptions options, MemoryBudget? budget,
        TimeProvider time, CancellationToken cancellation)
    {
        using var tooLong = new CancellationTokenSource(options.ConnectTimeout, time);
        using var setup = CancellationTokenSource.CreateLinkedTokenSource(tooLong.Token, cancellation);
        try
        {
            var connection = await ConnectionSetup.ConnectAsync(transport, address, options, setup.Token);
            return new RequestConnection(connection, buffers, address, options, budget, time);
        }
        catch (Exception e) when (e is AuthenticationException || ChannelConnection.IsConnectionFailure(e))
        {
            cancellation.ThrowIfCancellationRequested();
            var (kind, reason) = ConnectionSetup.Describe(e, tooLong.IsCancellationRequested, options);
            throw new RequestFailedException(kind, mayHaveBeenExecuted: false, $"No connection to {address}: {reason}", e);
        }
    }

    /// <summary>Sends a request and fills a message with its answer. Allocates nothing in steady state.</summary>
    /// <param name="request">The request.</param>
    /// <param name="response">
    /// Receives the answer. Its records are windows of the connection's memory: they are valid until the next call or
    /// <see cref="Release"/>.
    /// </param>
    /// <param name="version">The version of both.</param>
    /// <exception cref="RequestFailedException">There is no answer; the connection is of no more use.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask ExchangeAsync<TRequest, TResponse>(TRequest request, TResponse response, short version)
        where TRequest : IRequestMessage<TRequest>
        where TResponse : IResponseMessage<TResponse>, IReusableMessage
    {
        BeginAsking();
        try
        {
            Encode(request, version);
            await _sender.SendAsync(_frame, CancellationToken.None);
            var hasArrived = await _reader.ReceiveAsync(CancellationToken.None);
            Read(hasArrived, response, version);
        }
        catch (Exception e)
        {
            throw Failed(e);
        }
        finally
        {
            EndAsking();
        }
    }

    /// <summary>Sends a request and returns its answer, which has no records.</summary>
    /// <exception cref="RequestFailedException">There is no answer; the connection is of no more use.</exception>
    public async Task<TResponse> AskAsync<TRequest, TResponse>(TRequest request, short version)
        where TRequest : IRequestMessage<TRequest>
        where TResponse : IResponseMessage<TResponse>
    {
        BeginAsking();
        try
        {
            Encode(request, version);
            await _sender.SendAsync(_frame, CancellationToken.None);
            var hasArrived = await _reader.ReceiveAsync(CancellationToken.None);
            var reader = OpenAnswer(hasArrived, version >= TResponse.LowestFlexibleVersion);
            var response = TResponse.Read(ref reader, version);
            ThrowIfMore(reader);
            return response;
        }
        catch (Exception e)
        {
            throw Failed(e);
        }
        finally
        {
            EndAsking();
        }
    }

    /// <summary>Gives back the memory of the last answer, whose records are gone then: before a pause.</summary>
    public void Release() => _reader.ReleaseProcessed();

    /// <summary>Breaks the connection off: a call under way fails.</summary>
    public void Break(string reason)
    {
        Interlocked.CompareExchange(ref _brokenBecause, reason, null);
        _transport.Abort();
    }

    /// <summary>Closes the connection. No call may be under way.</summary>
    public async ValueTask DisposeAsync()
    {
        await _timer.DisposeAsync();
        await _transport.DisposeAsync();
        _reader.Dispose();
        _frame.Dispose();
    }

    private void Encode<TRequest>(TRequest request, short version)
        where TRequest : IRequestMessage<TRequest>
    {
        _correlationId = (_correlationId + 1) & int.MaxValue;
        _header.RequestApiKey = (short)TRequest.ApiKey;
        _header.RequestApiVersion = version;
        _header.CorrelationId = _correlationId;
        _header.ClientId = _options.ClientId;
        var writer = new WireWriter(_frame);
        _header.Write(ref writer, version >= TRequest.LowestFlexibleVersion ? (short)2 : (short)1);
        request.Write(ref writer, version);
        writer.Flush();
    }

    private void Read<TResponse>(bool hasArrived, TResponse response, short version)
        where TResponse : IResponseMessage<TResponse>, IReusableMessage
    {
        var reader = OpenAnswer(hasArrived, version >= TResponse.LowestFlexibleVersion);
        response.ReadAgain(ref reader, version);
        ThrowIfMore(reader);
    }

    private WireReader OpenAnswer(bool hasArrived, bool isFlexible)
    {
        if (!hasArrived || !_reader.TryReadFrame(out var frame))
            throw new IOException("the peer closed the connection");
        var reader = new WireReader(frame);
        var correlationId = reader.ReadInt32();
        if (correlationId != _correlationId)
            throw new MalformedMessageException($"It answers request {correlationId}, and {_correlationId} is under way.");
        if (isFlexible)
            PendingRequest.SkipTaggedFields(ref reader);
        return reader;
    }

    private static void ThrowIfMore(in WireReader reader)
    {
        if (reader.Remaining > 0)
            throw new MalformedMessageException($"{reader.Remaining} bytes follow the answer.");
    }

    private RequestFailedException Failed(Exception cause)
    {
        var isMalformed = cause is ProtocolException or InvalidFrameException;
        var reason = cause is InvalidFrameException frame
            ? $"it announced an answer of {frame.AnnouncedBytes} bytes, and {_options.AnswerBytesMax} is the most that is taken"
            : isMalformed ? $"it sent a malformed answer: {cause.Message}" : _brokenBecause ?? cause.Message;
        Break(reason);
        bool isSilent;
        lock (_timerLock)
            isSilent = _isSilent;
        return new RequestFailedException(
            isSilent ? RequestFailureKind.TimedOut : isMalformed ? RequestFailureKind.Malformed : RequestFailureKind.Disconnected,
            mayHaveBeenExecuted: true, $"The connection to {Address} ended: {reason}", cause);
    }

    /// <summary>Begins to watch over a call. The timer goes on by itself between calls that follow each other.</summary>
    private void BeginAsking()
    {
        lock (_timerLock)
        {
            _isAsking = true;
            _quietSince = _time.GetTimestamp();
            _receivedBefore = _reader.ReceivedBytes;
            if (_isTimerSet)
                return;
            _isTimerSet = true;
            _timer.Change(_options.RequestTimeout, Timeout.InfiniteTimeSpan);
        }
    }

    private void EndAsking()
    {
        lock (_timerLock)
            _isAsking = false;
    }

    /// <summary>
    /// Breaks the connection off when nothing has arrived for the time-out: a long answer over a slow line may take longer.
    /// </summary>
    private void OnTimer()
    {
        lock (_timerLock)
        {
            _isTimerSet = false;
            if (!_isAsking)
                return;
            var received = _reader.ReceivedBytes;
            if (received != _receivedBefore)
                (_receivedBefore, _quietSince) = (received, _time.GetTimestamp());
            var left = _options.RequestTimeout - _time.GetElapsedTime(_quietSince);
            if (left > TimeSpan.Zero)
            {
                _isTimerSet = true;
                _timer.Change(TimeSpan.FromMilliseconds(Math.Ceiling(left.TotalMilliseconds)), Timeout.InfiniteTimeSpan);
                return;
            }

            _isSilent = true;
        }

        Break($"nothing arrived for {_options.RequestTimeout.TotalMilliseconds} ms");
    }
}
