using System.Buffers.Binary;
using System.Threading.Channels;
using Ottla.Kernel;
using Ottla.Network.Transport;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;

namespace Ottla.Testing;

/// <summary>
/// One connection of a client to a node. Requests go to the node in order, and answers come back in order, each as its fault has it.
/// </summary>
internal sealed class DoorConnection
{
    private const int LengthBytes = sizeof(int);
    private const int FrameBytesMax = 100 << 20; // socket.request.max.bytes; a longer frame ends the connection, as at the node

    private readonly Stream _client;
    private readonly ITransportConnection _node;
    private readonly DoorSettings _settings;
    private readonly CancellationTokenSource _ending;
    private readonly int _number;
    private readonly Channel<Exchange> _exchanges = Channel.CreateUnbounded<Exchange>();

    /// <summary>
    /// Whether frames are tokens of a login, which have no header: SaslHandshake v0 begins that, and nothing says where it ends.
    /// </summary>
    private bool _hasRawTokens;

    public DoorConnection(Stream client, ITransportConnection node, DoorSettings settings, CancellationToken closing)
    {
        (_client, _node, _settings) = (client, node, settings);
        _ending = CancellationTokenSource.CreateLinkedTokenSource(closing);
        _number = settings.NextConnection();
    }

    /// <summary>Completes when either side has ended the connection.</summary>
    /// <exception cref="IOException">It broke, perhaps because a fault wants it.</exception>
    public async Task RunAsync()
    {
        using (_ending)
        {
            var directions = new[] { CarryRequestsAsync(), CarryAnswersAsync() };
            await Task.WhenAny(directions);
            _ending.Cancel();
            _node.Abort();
            try
            {
                await Task.WhenAll(directions);
            }
            catch (OperationCanceledException)
            {
                // The other direction has ended.
            }
        }
    }

    private async Task CarryRequestsAsync()
    {
        while (await ReadFrameAsync(buffer => _client.ReadAsync(buffer, _ending.Token)) is { } frame)
        {
            var exchange = Take(frame);
            if (exchange.Fault is Fault.Disconnect { Timing: FaultTiming.BeforeHandling })
                throw new IOException("The test breaks the connection.");
            if (exchange.IsAnswered)
                _exchanges.Writer.TryWrite(exchange);
            if (exchange is { IsLostBefore: false, Answer: null })
                await _node.SendAsync(frame, _ending.Token);
        }
    }

    private async Task CarryAnswersAsync()
    {
        var isLost = false;
        while (await _exchanges.Reader.WaitToReadAsync(_ending.Token))
        {
            while (_exchanges.Reader.TryRead(out var exchange))
            {
                isLost |= exchange.Fault is Fault.Drop;
                if (exchange.IsLostBefore)
                    continue;
                var answer = exchange.Answer ?? await ReadFrameAsync(buffer => _node.ReceiveAsync(buffer, _ending.Token));
                if (answer is null)
                    return;
                switch (exchange.Fault)
                {
                    case Fault.Error { Timing: FaultTiming.AfterHandling } error:
                        answer = ErrorResponses.Change(
                            exchange.Api, exchange.Version, answer.AsMemory(LengthBytes), error.Code, error.Level);
                        break;
                    case Fault.Disconnect:
                        throw new IOException("The test breaks the connection.");
                    case Fault.Delay delay:
                        await Task.Delay(delay.By, _settings.Clock).UntilCanceled(_ending.Token);
                        break;
                }

                if (!isLost)
                    await _client.WriteAsync(answer, _ending.Token);
            }
        }
    }

    /// <summary>Sees a request of the client, and decides what becomes of it.</summary>
    private Exchange Take(byte[] frame)
    {
        if (_hasRawTokens || !TryReadHeader(frame, out var header))
            return new Exchange();
        var api = (ApiKey)header.RequestApiKey;
        var version = header.RequestApiVersion;
        var fault = _settings.Faults.Take(api);
        _settings.Wire.Add(new WireRequest(
            _settings.Clock.GetUtcNow(), _settings.NodeId, _number, header.ClientId, api, version, frame.Length - LengthBytes,
            fault?.ToString()));
        _hasRawTokens = api == ApiKey.SaslHandshake && version == 0;
        return new Exchange
        {
            Api = api,
            Version = version,
            Fault = fault,
            IsAnswered = api != ApiKey.Produce || WantsAnswer(frame.AsMemory(LengthBytes), version),
            Answer = fault is Fault.Error { Timing: FaultTiming.BeforeHandling } error
                ? ErrorResponses.Refuse(frame.AsSpan(LengthBytes), error.Code, error.Level) : null,
        };
    }

    /// <summary>Reads what all versions of the header begin with. What is no request is the node's to refuse.</summary>
    private static bool TryReadHeader(byte[] frame, out RequestHeader header)
    {
        try
        {
            var reader = new WireReader(frame.AsMemory(LengthBytes));
            header = RequestHeader.Read(ref reader, 1);
            return true;
        }
        catch (ProtocolException)
        {
            header = new RequestHeader();
            return false;
        }
    }

    /// <summary>Whether a Produce request is one that a broker answers: with acks=0 it is not.</summary>
    private static bool WantsAnswer(Memory<byte> request, short version)
    {
        var reader = new WireReader(request);
        var isFlexible = version >= ProduceRequest.LowestFlexibleVersion;
        RequestHeader.Read(ref reader, isFlexible ? (short)2 : (short)1);
        if (version >= 3)
            reader.ReadNullableString(isFlexible); // the transactional id
        return reader.ReadInt16() != 0;
    }

    /// <summary>Reads a frame; null when the other side has ended the connection.</summary>
    /// <returns>The frame with its length.</returns>
    private static async Task<byte[]?> ReadFrameAsync(Func<Memory<byte>, ValueTask<int>> receive)
    {
        var length = new byte[LengthBytes];
        if (!await FillAsync(length, receive))
            return null;
        var bytes = BinaryPrimitives.ReadInt32BigEndian(length);
        if (bytes is < 0 or > FrameBytesMax)
            throw new IOException("What arrives is no frame of Kafka's protocol.");
        var frame = new byte[LengthBytes + bytes];
        length.CopyTo(frame, 0);
        return await FillAsync(frame.AsMemory(LengthBytes), receive) ? frame : null;
    }

    private static async Task<bool> FillAsync(Memory<byte> rest, Func<Memory<byte>, ValueTask<int>> receive)
    {
        while (!rest.IsEmpty)
        {
            var count = await receive(rest);
            if (count == 0)
                return false;
            rest = rest[count..];
        }

        return true;
    }

    /// <summary>A request and what becomes of it.</summary>
    private sealed class Exchange
    {
        public ApiKey Api { get; init; }

        public short Version { get; init; }

        public Fault? Fault { get; init; }

        public bool IsAnswered { get; init; } = true;

        /// <summary>An answer that is not the node's, which does not see the request.</summary>
        public byte[]? Answer { get; init; }

        /// <summary>Whether the node does not see the request, and nobody answers it.</summary>
        public bool IsLostBefore => Fault is Fault.Drop { Timing: FaultTiming.BeforeHandling };
    }
}
