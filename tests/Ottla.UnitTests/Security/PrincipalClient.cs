using System.Buffers.Binary;
using System.Net;
using Ottla.Broker.Server;
using Ottla.Network.Buffers;
using Ottla.Network.Framing;
using Ottla.Network.Transport;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Ottla.Simulator.Clients;
using Ottla.UnitTests.Broker;

namespace Ottla.UnitTests.Security;

/// <summary>
/// A client that is logged in as a principal: its requests go through a node's table as those of a connection do. Used by one test, one
/// request at a time.
/// </summary>
internal sealed class PrincipalClient : IAsyncDisposable, IResponseFailures
{
    private readonly ApiTable _apis;
    private readonly ConnectionInfo _info;
    private readonly ResponseQueue _responses;
    private readonly HeavyRequests _heavy = new(static () => 2, TimeProvider.System);
    private readonly ITransportConnection _server;
    private readonly TestConnection _client;
    private readonly TaskCompletionSource<string> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _closing = new();
    private int _correlationId;

    private PrincipalClient(
        ApiTable apis, ClientPrincipal principal, string listener, ClientQuotas? quotas, ITransportConnection server, TestConnection client)
    {
        _apis = apis;
        _server = server;
        _client = client;
        var pool = new BufferPool();
        _responses = new ResponseQueue(
            new FrameSender(server, pool), pool, 100, this, TimeProvider.System, _closing.Token)
        {
            Quotas = quotas,
        };
        _info = new ConnectionInfo(listener, IPAddress.Loopback, reason => _ended.TrySetResult(reason), default, _closing.Token)
        {
            Principal = principal,
        };
    }

    /// <summary>What failed in the broker without an error of Kafka's.</summary>
    public List<Exception> Failures { get; } = [];

    void IResponseFailures.OnSendFailure(Exception exception) => _ended.TrySetResult(exception.Message);

    void IResponseFailures.OnRequestFailure(RequestContext context, Exception exception) => Failures.Add(exception);

    /// <summary>Whether the broker has closed the connection.</summary>
    public bool IsClosed => _ended.Task.IsCompleted;

    /// <summary>How long the broker would read no more.</summary>
    public TimeSpan MutedFor => _responses.MutedFor;

    public static async Task<PrincipalClient> ConnectAsync(
        ApiTable apis, ClientPrincipal principal, string listener = "PLAINTEXT", ClientQuotas? quotas = null)
    {
        var network = new InMemoryTransport();
        await using var listening = network.Listen(
            new IPEndPoint(IPAddress.Loopback, 0), 1, SocketBufferSizes.OperatingSystemDefaults);
        var client = await network.ConnectAsync(listening.LocalEndPoint, default);
        return new PrincipalClient(apis, principal, listener, quotas, await listening.AcceptAsync(default), new TestConnection(client));
    }

    /// <summary>Sends a request; null when the broker closes the connection instead of an answer.</summary>
    public async Task<byte[]?> SendFrameAsync(byte[] frame)
    {
        if (_apis.Find(BinaryPrimitives.ReadInt16BigEndian(frame)) is not { } api)
            return null;
        var reader = new WireReader(frame);
        var peek = reader;
        peek.ReadInt16();
        var version = peek.ReadInt16();
        if (!api.Supports(version))
            return null;
        var header = RequestHeader.Read(ref reader, api.RequestHeaderVersion(version));
        var context = new RequestContext(api.Key, version, header.CorrelationId, header.ClientId, _info)
        {
            ArrivedAt = TimeProvider.System.GetTimestamp(),
            SizeBytes = frame.Length,
        };
        await api.Start(context, frame.AsMemory(reader.Position), _responses, _heavy).AsTask().WaitAsync(TestNode.Patience);
        await _responses.FlushAsync();
        var answer = _client.ReceiveFrameAsync();
        return await Task.WhenAny(answer, _ended.Task).WaitAsync(TestNode.Patience) == answer ? await answer : null;
    }

    public async Task<TResponse> CallAsync<TRequest, TResponse>(TRequest request, short? version = null, string clientId = "test")
        where TRequest : IRequestMessage<TRequest>
        where TResponse : IResponseMessage<TResponse>
    {
        var used = version ?? ClientFrames.SchemaOf(TRequest.ApiKey).HighestStableVersion;
        var frame = await SendFrameAsync(ClientFrames.Encode(TRequest.ApiKey, used, ++_correlationId, request, clientId))
            ?? throw new EndOfStreamException($"{TRequest.ApiKey} v{used} was answered by closing the connection");
        return ClientFrames.Decode<TResponse>(frame, used, _correlationId);
    }

    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync();
        _responses.Close();
        await _server.DisposeAsync();
        await _client.DisposeAsync();
        _heavy.Dispose();
        _closing.Dispose();
    }
}
