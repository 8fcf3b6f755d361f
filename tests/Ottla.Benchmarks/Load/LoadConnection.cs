using System.Buffers.Binary;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Numerics;
using System.Security.Authentication;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;

namespace Ottla.Benchmarks.Load;

/// <summary>A blocking connection to a target. Owned by one thread; its buffer holds whole responses and grows to the largest.</summary>
internal sealed class LoadConnection : IDisposable
{
    private const int InitialBufferBytes = 64 * 1024;
    private const int ResponseBytesMax = 64 * 1024 * 1024;
    private const int TimeoutMs = 30_000;

    private readonly Socket _socket;
    private readonly SslStream? _tls;
    private byte[] _buffer;
    private int _consumed;
    private int _received;

    /// <param name="host">The host.</param>
    /// <param name="port">The port.</param>
    /// <param name="bufferBytes">The buffer's size at first.</param>
    /// <param name="tls">How to speak TLS; null for clear text.</param>
    public LoadConnection(string host, int port, int bufferBytes = InitialBufferBytes, SslClientAuthenticationOptions? tls = null)
    {
        _buffer = new byte[bufferBytes];
        _socket = new Socket(
            AddressFamily.InterNetwork, SocketType.Stream,
            ProtocolType.Tcp)
        { NoDelay = true, ReceiveTimeout = TimeoutMs, SendTimeout = TimeoutMs };
        try
        {
            _socket.Connect(Resolve(host), port);
            if (tls is null)
                return;
            _tls = new SslStream(new NetworkStream(_socket, ownsSocket: false));
            _tls.AuthenticateAsClient(tls);
        }
        catch (Exception e)
        {
            _socket.Dispose();
            if (e is AuthenticationException or IOException)
                throw new BenchException($"No TLS: {e.Message}", e);
            throw;
        }
    }

    /// <summary>Whether <see cref="Receive"/> would return without asking the kernel.</summary>
    public bool HasResponse => _received - _consumed >= RequestFrame.LengthBytes && _received - _consumed >= FrameBytes;

    private int FrameBytes => RequestFrame.LengthBytes + BinaryPrimitives.ReadInt32BigEndian(_buffer.AsSpan(_consumed));

    public void Send(ReadOnlySpan<byte> frame)
    {
        if (_tls is not null)
        {
            _tls.Write(frame);
            return;
        }

        while (frame.Length > 0)
            frame = frame[_socket.Send(frame)..];
    }

    /// <summary>The next response, from its correlation id on; valid until the next call.</summary>
    /// <exception cref="BenchException">The target closed the connection, was silent for too long, or sent nonsense.</exception>
    public Memory<byte> Receive(int correlationId)
    {
        while (!HasResponse)
            ReceiveMore();
        var response = _buffer.AsMemory(_consumed + RequestFrame.LengthBytes, FrameBytes - RequestFrame.LengthBytes);
        _consumed += FrameBytes;
        var answered = BinaryPrimitives.ReadInt32BigEndian(response.Span);
        return answered == correlationId ? response
            : throw new BenchException($"The response to request {answered} came in place of that to {correlationId}.");
    }

    /// <summary>Sends one request and waits for its response: for set-up, not for measuring.</summary>
    public TResponse Ask<TRequest, TResponse>(TRequest request, short version)
        where TRequest : IRequestMessage<TRequest>
        where TResponse : IResponseMessage<TResponse>
    {
        const int correlationId = 1;
        Send(RequestFrame.Encode(request, version, correlationId));
        return Receive<TResponse>(correlationId, version);
    }

    /// <summary>The next response, decoded: for what is not measured, or measured by what comes of it.</summary>
    public TResponse Receive<TResponse>(int correlationId, short version)
        where TResponse : IResponseMessage<TResponse>
    {
        const int tagsBytes = 1; // of a response header, which has none
        var body = Receive(correlationId)[(sizeof(int) + (version >= TResponse.LowestFlexibleVersion ? tagsBytes : 0))..];
        var reader = new WireReader(body);
        return TResponse.Read(ref reader, version);
    }

    public void Dispose()
    {
        _tls?.Dispose();
        _socket.Dispose();
    }

    private static IPAddress Resolve(string host) =>
        IPAddress.TryParse(host, out var address) ? address : Dns.GetHostAddresses(host, AddressFamily.InterNetwork)[0];

    private void ReceiveMore()
    {
        if (_consumed == _received)
        {
            _consumed = _received = 0;
        }
        else if (_consumed > 0)
        {
            _buffer.AsSpan(_consumed, _received - _consumed).CopyTo(_buffer);
            (_consumed, _received) = (0, _received - _consumed);
        }

        if (_received >= RequestFrame.LengthBytes && FrameBytes > _buffer.Length)
        {
            if (FrameBytes is < 0 or > ResponseBytesMax)
                throw new BenchException($"A response announces {FrameBytes} bytes.");
            Array.Resize(ref _buffer, (int)BitOperations.RoundUpToPowerOf2((uint)FrameBytes));
        }

        try
        {
            var count = _tls is null ? _socket.Receive(_buffer.AsSpan(_received)) : _tls.Read(_buffer.AsSpan(_received));
            if (count == 0)
                throw new BenchException("The target closed the connection.");
            _received += count;
        }
        catch (Exception e) when (e is SocketException or IOException)
        {
            throw new BenchException($"No response: {e.Message}", e);
        }
    }
}
