using System.Buffers.Binary;
using System.Net.Sockets;
using Ottla.Network.Transport;
using Ottla.Protocol.Messages;
using Ottla.Simulator.Clients;
using Ottla.UnitTests.Network;

namespace Ottla.UnitTests.Broker;

/// <summary>
/// A client that speaks the protocol and nothing more: requests may be pipelined, broken, or mere bytes. Used by one test, one call at a
/// time.
/// </summary>
internal sealed class TestConnection(ITransportConnection transport) : IAsyncDisposable
{
    private readonly Queue<(int CorrelationId, ApiKey Key, short Version)> _pending = new();
    private int _lastCorrelationId = 1000;

    /// <summary>The versions that a client may use of an API.</summary>
    public static IEnumerable<short> VersionsOf<TResponse>()
        where TResponse : IResponseMessage<TResponse>
    {
        var schema = ClientFrames.SchemaOf(TResponse.ApiKey);
        return Enumerable.Range(schema.LowestVersion, schema.HighestStableVersion - schema.LowestVersion + 1)
            .Select(version => (short)version);
    }

    /// <summary>A request as it goes over the wire, without its length.</summary>
    public static byte[] Encode(ApiKey key, short version, int correlationId, IMessage request, string? clientId = "test") =>
        ClientFrames.Encode(key, version, correlationId, request, clientId);

    /// <summary>Sends a request; its reply is to be received later.</summary>
    public async Task SendAsync<TRequest>(TRequest request, short version, bool expectsReply = true)
        where TRequest : IRequestMessage<TRequest>
    {
        var correlationId = ++_lastCorrelationId;
        if (expectsReply)
            _pending.Enqueue((correlationId, TRequest.ApiKey, version));
        await SendFrameAsync(Encode(TRequest.ApiKey, version, correlationId, request));
    }

    /// <summary>Sends two requests at once, as a client does that does not wait for the first reply.</summary>
    public async Task SendTogetherAsync<TFirst, TSecond>(TFirst first, TSecond second)
        where TFirst : IRequestMessage<TFirst>
        where TSecond : IRequestMessage<TSecond>
    {
        await SendRawAsync(Frames.Prefixed([Next(first), Next(second)]));

        byte[] Next<TRequest>(TRequest request)
            where TRequest : IRequestMessage<TRequest>
        {
            var version = ClientFrames.SchemaOf(TRequest.ApiKey).HighestStableVersion;
            _pending.Enqueue((++_lastCorrelationId, TRequest.ApiKey, version));
            return Encode(TRequest.ApiKey, version, _lastCorrelationId, request);
        }
    }

    /// <summary>Sends bytes behind their length.</summary>
    public Task SendFrameAsync(byte[] frame)
    {
        var bytes = new byte[4 + frame.Length];
        BinaryPrimitives.WriteInt32BigEndian(bytes, frame.Length);
        frame.CopyTo(bytes, 4);
        return SendRawAsync(bytes);
    }

    /// <summary>Sends bytes as they are.</summary>
    public Task SendRawAsync(byte[] bytes) => transport.SendAsync(bytes, default).AsTask().WaitAsync(TestNode.Patience);

    /// <summary>Receives the reply to the oldest request that has none yet.</summary>
    public async Task<TResponse> ReceiveAsync<TResponse>()
        where TResponse : IResponseMessage<TResponse>
    {
        var (correlationId, key, version) = _pending.Dequeue();
        Assert.Equal(TResponse.ApiKey, key);
        var frame = await ReceiveFrameAsync() ?? throw new EndOfStreamException($"{key} v{version} was answered by closing the connection");
        return Decode<TResponse>(frame, version, correlationId);
    }

    /// <summary>Sends a request and receives its reply.</summary>
    public async Task<TResponse> CallAsync<TRequest, TResponse>(TRequest request, short? version = null)
        where TRequest : IRequestMessage<TRequest>
        where TResponse : IResponseMessage<TResponse>
    {
        await SendAsync(request, version ?? ClientFrames.SchemaOf(TRequest.ApiKey).HighestStableVersion);
        return await ReceiveAsync<TResponse>();
    }

    /// <summary>The next frame, without its length; null when the broker closed the connection.</summary>
    public async Task<byte[]?> ReceiveFrameAsync()
    {
        var prefix = new byte[4];
        if (!await FillAsync(prefix))
            return null;
        var frame = new byte[BinaryPrimitives.ReadInt32BigEndian(prefix)];
        Assert.True(await FillAsync(frame), "the connection was closed within a reply");
        return frame;
    }

    /// <summary>Waits until the broker closes the connection, which it must without another reply.</summary>
    public async Task AssertClosedAsync() => Assert.Null(await ReceiveFrameAsync());

    /// <summary>Whether the broker answers on this connection.</summary>
    public async Task AssertAliveAsync() =>
        Assert.Equal(0, (await CallAsync<ApiVersionsRequest, ApiVersionsResponse>(new ApiVersionsRequest(), 0)).ErrorCode);

    /// <summary>Decodes a reply, all of it.</summary>
    public static TResponse Decode<TResponse>(byte[] frame, short version, int correlationId)
        where TResponse : IResponseMessage<TResponse> => ClientFrames.Decode<TResponse>(frame, version, correlationId);

    public ValueTask DisposeAsync() => transport.DisposeAsync();

    /// <returns>False when the stream ended before the first byte.</returns>
    private async Task<bool> FillAsync(byte[] buffer)
    {
        for (var filled = 0; filled < buffer.Length;)
        {
            int count;
            try
            {
                count = await transport.ReceiveAsync(buffer.AsMemory(filled), default).AsTask().WaitAsync(TestNode.Patience);
            }
            catch (SocketException)
            {
                return false; // broken off instead of ended
            }

            if (count == 0)
                return false;
            filled += count;
        }

        return true;
    }
}
