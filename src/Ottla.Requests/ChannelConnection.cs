using System.Net.Sockets;
using System.Security.Authentication;
using Ottla.Network.Buffers;
using Ottla.Network.Framing;
using Ottla.Network.Transport;
using Ottla.Protocol;
using Ottla.Protocol.Wire;
using Ottla.Requests.Security;

namespace Ottla.Requests;

/// <summary>One connection of a channel: what is in flight on it, and the bytes in both directions.</summary>
/// <remarks>
/// One task sends and one receives at a time. The requests in flight are guarded by this object's lock, which is taken after the channel's.
/// Lives until either side ends the connection; the channel then makes another.
/// </remarks>
internal sealed class ChannelConnection : IAsyncDisposable
{
    private const int PrefixBytes = sizeof(int);

    private readonly Lock _lock = new();
    private readonly ITransportConnection _transport;
    private readonly BufferPool _buffers;
    private readonly FrameReader _reader;
    private readonly FrameSender _sender;
    private readonly FrameBuffer _frame;
    private readonly RequestChannelOptions _options;
    private readonly NodeAddress _address;
    private readonly TimeProvider _time;
    private readonly Dictionary<int, PendingRequest> _inFlight = [];
    private int _lastCorrelationId = -1;
    private string? _brokenBecause;

    public ChannelConnection(
        SecuredConnection secured, NodeAddress address, BufferPool buffers, RequestChannelOptions options, TimeProvider time)
    {
        _address = address;
        _time = time;
        var transport = secured.Connection;
        _transport = transport;
        RenewAt = secured.RenewAt(time);
        _options = options;
        _reader = new FrameReader(transport, buffers, options.AnswerBytesMax, options.ExpectedAnswerBytes);
        _buffers = buffers;
        _sender = new FrameSender(transport, buffers);
        _frame = new FrameBuffer(buffers);
    }

    /// <summary>What the peer offers; null before it said so, or without negotiation.</summary>
    public PeerVersions? Versions { get; set; }

    /// <summary>Whether a task sends what waits. Guarded by the channel's lock.</summary>
    public bool IsSending { get; set; }

    /// <summary>When another connection should take its place, as a timestamp of the clock; null for never.</summary>
    public long? RenewAt { get; }

    /// <summary>Whether the channel ended it because its session ends soon. Guarded by the channel's lock.</summary>
    public bool IsRetired { get; set; }

    /// <summary>Bytes received so far.</summary>
    public long ReceivedBytes => _reader.ReceivedBytes;

    /// <summary>Requests that are sent, or about to be, and not answered.</summary>
    public int InFlightCount
    {
        get
        {
            lock (_lock)
                return _inFlight.Count;
        }
    }

    /// <summary>Takes a request in flight.</summary>
    /// <returns>Its correlation id.</returns>
    public int Register(PendingRequest request)
    {
        lock (_lock)
        {
            request.ReceivedBefore = ReceivedBytes;
            request.WasSent = true;
            _lastCorrelationId = (_lastCorrelationId + 1) & int.MaxValue;
            _inFlight.Add(_lastCorrelationId, request);
            return _lastCorrelationId;
        }
    }

    /// <summary>Encodes and sends a registered request, which fails alone when its caller does not make it. One call at a time.</summary>
    /// <exception cref="ProtocolException">
    /// The request does not fit its version. It is not in flight any more, and nothing was sent.
    /// </exception>
    public async ValueTask SendAsync(PendingRequest request, int correlationId, CancellationToken cancellation)
    {
        try
        {
            request.Encode(_frame, correlationId, _options.ClientId);
        }
        catch (Exception e)
        {
            _frame.Dispose();
            request.WasSent = false;
            lock (_lock)
                _inFlight.Remove(correlationId);
            if (e is ProtocolException)
                throw;
            request.FailUnmade(e); // the others of the connection go on
            return;
        }

        if (_options.Observer is { } observer)
        {
            request.SentAt = _time.GetTimestamp();
            observer.OnSent(_address, PrefixBytes + _frame.TotalLength);
        }

        await _sender.SendAsync(_frame, cancellation);
        if (!request.IsOneWay)
            return;
        lock (_lock)
            _inFlight.Remove(correlationId);
        request.CompleteUnanswered();
    }

    /// <summary>Sends a request and receives its answer, before <see cref="ReceiveAsync"/> has begun.</summary>
    /// <exception cref="Exception">The connection failed, or what arrived is not the answer.</exception>
    public async ValueTask CallAsync(PendingRequest request, CancellationToken cancellation)
    {
        await SendAsync(request, Register(request), cancellation);
        if (!await _reader.ReceiveAsync(cancellation) || !_reader.TryReadFrame(out var frame))
            throw new IOException("the peer closed the connection");
        Answer(frame);
    }

    /// <summary>Completes requests with the answers that arrive, until the connection ends.</summary>
    /// <param name="onAnswer">Called after each answer: there is room in flight.</param>
    /// <returns>How it ended.</returns>
    public async Task<(RequestFailureKind Kind, string Reason, Exception? Cause)> ReceiveAsync(Action onAnswer)
    {
        try
        {
            while (await _reader.ReceiveAsync(CancellationToken.None))
            {
                while (_reader.TryReadFrame(out var frame))
                {
                    Answer(frame);
                    onAnswer();
                }
            }

            return (RequestFailureKind.Disconnected,
                _reader.EndedInsideFrame ? "the peer closed the connection within an answer" : "the peer closed the connection", null);
        }
        catch (Exception e) when (IsConnectionFailure(e) && _brokenBecause is not null)
        {
            return (RequestFailureKind.Disconnected, _brokenBecause, e);
        }
        catch (ProtocolException e)
        {
            return (RequestFailureKind.Malformed, $"the peer sent a malformed answer: {e.Message}", e);
        }
        catch (InvalidFrameException e)
        {
            return (RequestFailureKind.Malformed,
                $"the peer announced an answer of {e.AnnouncedBytes} bytes, and {_options.AnswerBytesMax} is the most that is taken", e);
        }
        catch (Exception e) when (IsConnectionFailure(e))
        {
            return (RequestFailureKind.Disconnected, e.Message, e);
        }
        catch (AuthenticationException e) // with TLS 1.3 a server may refuse this side when it has begun to ask
        {
            return (RequestFailureKind.AuthenticationFailed, e.Message, e);
        }
        catch (Exception e)
        {
            return (RequestFailureKind.Malformed, $"an answer cannot be handled: {e.Message}", e);
        }
    }

    /// <summary>Breaks the connection off; the receiving task then ends.</summary>
    public void Break(string reason)
    {
        Interlocked.CompareExchange(ref _brokenBecause, reason, null);
        _transport.Abort();
    }

    /// <summary>The requests in flight, for what has become late.</summary>
    public List<PendingRequest> InFlight()
    {
        lock (_lock)
            return [.. _inFlight.Values];
    }

    /// <summary>Ends every request in flight.</summary>
    public void FailAll(RequestFailureKind kind, string message, Exception? cause)
    {
        List<PendingRequest> requests;
        lock (_lock)
        {
            requests = [.. _inFlight.Values];
            _inFlight.Clear();
        }

        foreach (var request in requests)
            request.Fail(new RequestFailedException(kind, mayHaveBeenExecuted: true, message, cause));
    }

    /// <summary>Whether an exception says that a connection cannot be made or cannot go on.</summary>
    public static bool IsConnectionFailure(Exception e) =>
        e is IOException or SocketException or OperationCanceledException or ObjectDisposedException;

    public async ValueTask DisposeAsync()
    {
        await _transport.DisposeAsync();
        _reader.Dispose();
    }

    /// <summary>The memory of a frame for who keeps it: the frame's own if it is large, otherwise a copy.</summary>
    private PooledBuffer DetachFrame(Memory<byte> frame)
    {
        if (_reader.TryDetachFrame(out var owner))
            return owner;
        owner = _buffers.Rent(frame.Length);
        frame.CopyTo(owner.Memory);
        return owner;
    }

    private void Answer(Memory<byte> frame)
    {
        var reader = new WireReader(frame);
        var correlationId = reader.ReadInt32();
        PendingRequest? request;
        lock (_lock)
        {
            if (!_inFlight.TryGetValue(correlationId, out request))
                throw new MalformedMessageException($"It answers request {correlationId}, which was not asked.");
        }

        _options.Observer?.OnAnswered(_address, PrefixBytes + frame.Length, _time.GetElapsedTime(request.SentAt));
        if (request.WantsFrame)
            frame = request.KeepFrame(DetachFrame(frame))[..frame.Length];
        request.Complete(frame, reader.Position); // when it throws, the request is still in flight and fails with the connection
        lock (_lock)
            _inFlight.Remove(correlationId);
    }
}
