using System.Buffers.Binary;
using System.Net;
using Ottla.Network.Transport;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Ottla.UnitTests.Network;

namespace Ottla.UnitTests.Requests;

/// <summary>
/// The other side of a channel: accepts connections, shows each request to the test, and sends the bytes that it is told to.
/// </summary>
internal sealed class ScriptedPeer
{
    private readonly ITransportListener _listener;

    public ScriptedPeer(InMemoryTransport transport) =>
        _listener = transport.Listen(new IPEndPoint(IPAddress.Loopback, 0), 16, SocketBufferSizes.OperatingSystemDefaults);

    public int Port => _listener.LocalEndPoint.Port;

    /// <summary>Waits for the next connection.</summary>
    public async Task<PeerSide> AcceptAsync() => new(await _listener.AcceptAsync(default).AsTask().WaitAsync(Frames.Patience));

    /// <summary>Waits for the next connection and answers its ApiVersions.</summary>
    public async Task<PeerSide> AcceptAsync(params (ApiKey Key, short Min, short Max)[] apis)
    {
        var side = await AcceptAsync();
        var request = await side.ReceiveAsync<ApiVersionsRequest>();
        await side.AnswerAsync(request, Versions(apis));
        return side;
    }

    public static ApiVersionsResponse Versions(params (ApiKey Key, short Min, short Max)[] apis) => new()
    {
        ApiKeys = [.. apis.Select(api =>
            new ApiVersionsResponse.ApiVersion { ApiKey = (short)api.Key, MinVersion = api.Min, MaxVersion = api.Max })],
    };

    public ValueTask CloseAsync() => _listener.DisposeAsync();
}

/// <summary>A request as the peer received it.</summary>
internal sealed record ReceivedRequest<TRequest>(short Version, int CorrelationId, string? ClientId, TRequest Body);

/// <summary>One accepted connection.</summary>
internal sealed class PeerSide(ITransportConnection transport)
{
    public ITransportConnection Transport => transport;

    public async Task<ReceivedRequest<TRequest>> ReceiveAsync<TRequest>()
        where TRequest : IRequestMessage<TRequest>
    {
        var frame = await ReceiveFrameAsync() ?? throw new EndOfStreamException("the channel closed the connection");
        var reader = new WireReader(frame);
        var peek = reader;
        Assert.Equal(TRequest.ApiKey, (ApiKey)peek.ReadInt16());
        var version = peek.ReadInt16();
        var header = RequestHeader.Read(ref reader, version >= TRequest.LowestFlexibleVersion ? (short)2 : (short)1);
        var body = TRequest.Read(ref reader, version);
        Assert.Equal(0, reader.Remaining);
        return new ReceivedRequest<TRequest>(version, header.CorrelationId, header.ClientId, body);
    }

    public Task AnswerAsync<TRequest, TResponse>(ReceivedRequest<TRequest> request, TResponse response)
        where TResponse : IResponseMessage<TResponse> => AnswerAsync(request.CorrelationId, request.Version, response);

    public Task AnswerAsync<TResponse>(int correlationId, short version, TResponse response)
        where TResponse : IResponseMessage<TResponse> => SendAsync(Frames.Prefixed(Encode(correlationId, version, response)));

    public static byte[] Encode<TResponse>(int correlationId, short version, TResponse response)
        where TResponse : IResponseMessage<TResponse>
    {
        var header = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(header, correlationId);
        var hasTags = version >= TResponse.LowestFlexibleVersion && TResponse.ApiKey != ApiKey.ApiVersions;
        return [.. header, .. hasTags ? new byte[1] : [], .. WireBuffer.Encode(response, version)];
    }

    public Task SendAsync(byte[] bytes) => transport.SendAsync(bytes, default).AsTask().WaitAsync(Frames.Patience);

    public Task CloseAsync() => transport.DisposeAsync().AsTask();

    /// <summary>The next frame; null when the channel closed the connection.</summary>
    public async Task<byte[]?> ReceiveFrameAsync()
    {
        var prefix = new byte[4];
        if (!await FillAsync(prefix))
            return null;
        var frame = new byte[BinaryPrimitives.ReadInt32BigEndian(prefix)];
        Assert.True(await FillAsync(frame));
        return frame;
    }

    private async Task<bool> FillAsync(byte[] buffer)
    {
        for (var filled = 0; filled < buffer.Length;)
        {
            int count;
            try
            {
                count = await transport.ReceiveAsync(buffer.AsMemory(filled), default).AsTask().WaitAsync(Frames.Patience);
            }
            catch (System.Net.Sockets.SocketException)
            {
                return false;
            }

            if (count == 0)
                return false;
            filled += count;
        }

        return true;
    }
}
