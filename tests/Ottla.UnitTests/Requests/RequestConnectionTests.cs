using System.Buffers.Binary;
using System.Net;
using Microsoft.Extensions.Time.Testing;
using Microsoft.Win32.SafeHandles;
using Ottla.Network.Buffers;
using Ottla.Network.Transport;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Ottla.Requests;
using Ottla.UnitTests.Network;

namespace Ottla.UnitTests.Requests;

/// <summary>The connection of who asks one peer all the time: reused messages, records that are not copied, time-outs.</summary>
public sealed class RequestConnectionTests : IAsyncDisposable
{
    private const short Version = 18;

    private readonly InMemoryTransport _transport = new();
    private readonly BufferPool _buffers = new();
    private readonly MemoryBudget _budget = new(1024 * 1024);
    private readonly FakeTimeProvider _time = new();
    private readonly ScriptedPeer _peer;
    private readonly FetchRequest _request = new();
    private readonly FetchResponse _response = new();

    public RequestConnectionTests() => _peer = new ScriptedPeer(_transport);

    public async ValueTask DisposeAsync()
    {
        await _peer.CloseAsync();
        Assert.Equal(0, _buffers.RentedBytes);
        Assert.Equal(0, _budget.TakenBytes);
    }

    [Fact]
    public async Task Records_are_windows_of_the_frame_until_the_next_call()
    {
        await using var connection = await OpenAsync();
        var side = await _peer.AcceptAsync();
        var records = Frames.Random(1, 200_000); // longer than a slab
        var exchange = connection.ExchangeAsync(_request, _response, Version).AsTask();
        var request = await side.ReceiveAsync<FetchRequest>();
        Assert.Equal((Version, 0, "me"), (request.Version, request.CorrelationId, request.ClientId));
        await side.AnswerAsync(request, Answer(records));
        await exchange.WaitAsync(Frames.Patience);
        Assert.Equal(records, _response.Responses[0].Partitions[0].Records.Memory.ToArray());
        Assert.True(_budget.TakenBytes > 200_000);

        connection.Release();
        Assert.Equal(0, _budget.TakenBytes);
        Assert.Equal(0, _buffers.RentedBytes);
        exchange = connection.ExchangeAsync(_request, _response, Version).AsTask();
        request = await side.ReceiveAsync<FetchRequest>();
        Assert.Equal(1, request.CorrelationId);
        await side.AnswerAsync(request, new FetchResponse { SessionId = 3 });
        await exchange.WaitAsync(Frames.Patience);
        Assert.Equal((3, 0), (_response.SessionId, _response.Responses.Length));
    }

    [Fact]
    public async Task Another_kind_of_request_may_come_in_between()
    {
        await using var connection = await OpenAsync();
        var side = await _peer.AcceptAsync();
        var asking = connection.AskAsync<ListOffsetsRequest, ListOffsetsResponse>(new ListOffsetsRequest { ReplicaId = 3 }, 11);
        var request = await side.ReceiveAsync<ListOffsetsRequest>();
        Assert.Equal(3, request.Body.ReplicaId);
        await side.AnswerAsync(request, new ListOffsetsResponse { Topics = [new() { Name = "t" }] });
        Assert.Equal("t", (await asking.WaitAsync(Frames.Patience)).Topics[0].Name);
    }

    [Fact]
    public async Task An_answer_to_another_request_ends_the_connection()
    {
        await using var connection = await OpenAsync();
        var side = await _peer.AcceptAsync();
        var exchange = connection.ExchangeAsync(_request, _response, Version).AsTask();
        var request = await side.ReceiveAsync<FetchRequest>();
        await side.AnswerAsync(request.CorrelationId + 1, Version, new FetchResponse());
        var failure = await Assert.ThrowsAsync<RequestFailedException>(() => exchange.WaitAsync(Frames.Patience));
        Assert.Equal(RequestFailureKind.Malformed, failure.Kind);
        Assert.Null(await side.ReceiveFrameAsync());
    }

    [Fact]
    public async Task A_malformed_answer_ends_the_connection()
    {
        await using var connection = await OpenAsync();
        var side = await _peer.AcceptAsync();
        var exchange = connection.ExchangeAsync(_request, _response, Version).AsTask();
        var request = await side.ReceiveAsync<FetchRequest>();
        await side.SendAsync(Frames.Prefixed([.. PeerSide.Encode(request.CorrelationId, Version, new FetchResponse()), 1, 2, 3]));
        var failure = await Assert.ThrowsAsync<RequestFailedException>(() => exchange.WaitAsync(Frames.Patience));
        Assert.Equal(RequestFailureKind.Malformed, failure.Kind);
    }

    [Fact]
    public async Task A_peer_that_closes_or_breaks_off_fails_the_call()
    {
        await using var connection = await OpenAsync();
        var side = await _peer.AcceptAsync();
        var exchange = connection.ExchangeAsync(_request, _response, Version).AsTask();
        await side.ReceiveAsync<FetchRequest>();
        await side.CloseAsync();
        var failure = await Assert.ThrowsAsync<RequestFailedException>(() => exchange.WaitAsync(Frames.Patience));
        Assert.Equal((RequestFailureKind.Disconnected, true), (failure.Kind, failure.MayHaveBeenExecuted));
    }

    [Fact]
    public async Task Nobody_listens()
    {
        var failure = await Assert.ThrowsAsync<RequestFailedException>(() => OpenAsync(port: 1));
        Assert.Equal((RequestFailureKind.Disconnected, false), (failure.Kind, failure.MayHaveBeenExecuted));
    }

    [Fact]
    public async Task A_silent_peer_is_left_after_the_time_out_and_one_that_sends_slowly_is_not()
    {
        await using var connection = await OpenAsync();
        var side = await _peer.AcceptAsync();
        var exchange = connection.ExchangeAsync(_request, _response, Version).AsTask();
        var request = await side.ReceiveAsync<FetchRequest>();
        var bytes = Frames.Prefixed(PeerSide.Encode(request.CorrelationId, Version, Answer(Frames.Random(1, 1000))));
        for (var i = 0; i < 10; i++)
        {
            await side.SendAsync(bytes[(i * 50)..((i + 1) * 50)]);
            await Waiting.UntilAsync(() => connection.ReceivedBytes == (i + 1) * 50);
            _time.Advance(TimeSpan.FromSeconds(20));
            Assert.False(exchange.IsCompleted);
        }

        _time.Advance(TimeSpan.FromSeconds(31));
        var failure = await Assert.ThrowsAsync<RequestFailedException>(() => exchange.WaitAsync(Frames.Patience));
        Assert.Equal(RequestFailureKind.TimedOut, failure.Kind);
    }

    [Fact]
    public async Task A_call_that_is_over_has_no_time_out()
    {
        await using var connection = await OpenAsync();
        var side = await _peer.AcceptAsync();
        for (var i = 0; i < 3; i++)
        {
            var exchange = connection.ExchangeAsync(_request, _response, Version).AsTask();
            await side.AnswerAsync(await side.ReceiveAsync<FetchRequest>(), new FetchResponse());
            await exchange.WaitAsync(Frames.Patience);
            _time.Advance(TimeSpan.FromMinutes(10));
        }
    }

    [Fact]
    public async Task Who_finds_the_budget_used_up_waits_with_a_slab()
    {
        await _budget.TakeAsync(900_000);
        await using var connection = await OpenAsync();
        var side = await _peer.AcceptAsync();
        var exchange = connection.ExchangeAsync(_request, _response, Version).AsTask();
        var request = await side.ReceiveAsync<FetchRequest>();
        var sending = side.AnswerAsync(request, Answer(new byte[300_000]));
        await Waiting.UntilAsync(() => connection.ReceivedBytes > 0);
        Assert.InRange(_buffers.RentedBytes, 1, 100_000);
        Assert.False(exchange.IsCompleted);
        _budget.Return(900_000);
        await exchange.WaitAsync(Frames.Patience);
        await sending;
        Assert.Equal(300_000, _response.Responses[0].Partitions[0].Records.Length);
    }

    [Fact]
    public async Task An_exchange_allocates_nothing()
    {
        var peer = new CountingPeer(PeerSide.Encode(0, Version, Answer(new byte[5000], new byte[7000])));
        await using var connection = await RequestConnection.OpenAsync(
            peer, _buffers, new NodeAddress(2, "127.0.0.1", 1), new RequestChannelOptions { ClientId = "me" }, null, TimeProvider.System,
            default);
        for (var i = 0; i < CountingPeer.Rounds; i++)
        {
            _request.Reset();
            (_request.TakeReplicaState().ReplicaId, _request.SessionId) = (3, i);
            if (i % 3 != 0)
                _request.TakeTopics(1)[0].TakePartitions(1 + (i % 2))[0].FetchOffset = i;
            await connection.ExchangeAsync(_request, _response, Version);
        }

        Assert.Equal(0, peer.MedianBytes);
    }

    private static FetchResponse Answer(params byte[][] records) => new()
    {
        Responses =
        [
            new()
            {
                TopicId = new(1, 1),
                Partitions = [.. records.Select((each, i) =>
                    new FetchResponse.PartitionData { PartitionIndex = i, Records = new Records(each), AbortedTransactions = null })],
            },
        ],
    };

    private Task<RequestConnection> OpenAsync(int? port = null) => RequestConnection.OpenAsync(
        _transport, _buffers, new NodeAddress(2, "127.0.0.1", port ?? _peer.Port),
        new RequestChannelOptions { ClientId = "me", ExpectedAnswerBytes = 512 * 1024 }, _budget, _time, default);

    /// <summary>A peer whose answer is there at once, so that all runs on one thread, which counts what it allocates.</summary>
    private sealed class CountingPeer(byte[] answer) : ITransport, ITransportConnection
    {
        public const int Rounds = 2500;
        private const int WarmUp = 500;

        private readonly List<long> _bytes = new(Rounds);
        private int _correlationId = -1;
        private long _before;

        public long MedianBytes => _bytes.Order().ElementAt(_bytes.Count / 2);

        public IPEndPoint? RemoteEndPoint => null;

        public IPEndPoint? LocalEndPoint => null;

        public bool CanSendFile => false;

        public long SentBytes => 0;

        public ITransportListener Listen(IPEndPoint endpoint, int backlog, SocketBufferSizes sizes) => throw new NotSupportedException();

        public ValueTask<ITransportConnection> ConnectAsync(EndPoint endpoint, CancellationToken cancellationToken) => new(this);

        public ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken)
        {
            if (buffer.IsEmpty)
                return ValueTask.FromResult(0);
            BinaryPrimitives.WriteInt32BigEndian(buffer.Span, answer.Length);
            answer.CopyTo(buffer[4..]);
            BinaryPrimitives.WriteInt32BigEndian(buffer.Span[4..], _correlationId);
            return ValueTask.FromResult(4 + answer.Length);
        }

        public ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
        {
            if (++_correlationId > WarmUp)
                _bytes.Add(GC.GetAllocatedBytesForCurrentThread() - _before);
            _before = GC.GetAllocatedBytesForCurrentThread();
            return ValueTask.CompletedTask;
        }

        public ValueTask SendFileAsync(
            ReadOnlyMemory<byte> header, SafeFileHandle source, long position, int length, CancellationToken cancellationToken) =>
            throw new NotSupportedException();

        public void Abort()
        {
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
