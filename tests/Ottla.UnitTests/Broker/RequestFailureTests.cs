using System.Net;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Network.Transport;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Broker;

/// <summary>What clients see of exceptions in handlers, and where handlers run.</summary>
public sealed class RequestFailureTests
{
    private const short HeartbeatVersion = 4;

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public async Task An_exception_is_answered_logged_and_keeps_the_connection(bool afterAnAwait, bool isHeavy)
    {
        var log = new WarningLogger();
        await using var server = new TestServer(
            log, new StubHandler(afterAnAwait, new InvalidOperationException("a bug"), isHeavy ? HeavyRequests.Unbounded : 0));
        await using var client = await server.ConnectAsync();
        for (var i = 0; i < 2; i++)
            AssertError(ErrorCode.UnknownServerError, await BeatAsync(client));
        Assert.Equal(2, log.Warnings.Count(message => message.Contains("Heartbeat", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task An_error_of_Kafkas_is_answered_as_it_is()
    {
        var log = new WarningLogger();
        await using var server = new TestServer(log, new StubHandler(true, new ApiException(ErrorCode.NotCoordinator), 0));
        await using var client = await server.ConnectAsync();
        AssertError(ErrorCode.NotCoordinator, await BeatAsync(client));
        Assert.Empty(log.Warnings);
    }

    [Fact]
    public async Task An_error_is_told_in_the_words_of_the_clients_version()
    {
        await using var server = new TestServer(new WarningLogger(), new StubHandler(true, new ApiException(ErrorCode.ProducerFenced), 0));
        await using var client = await server.ConnectAsync();
        AssertError(ErrorCode.InvalidProducerEpoch, await BeatAsync(client, StubHandler.FirstVersionWithProducerFenced - 1));
        AssertError(ErrorCode.ProducerFenced, await BeatAsync(client, StubHandler.FirstVersionWithProducerFenced));
    }

    [Fact]
    public async Task Without_a_response_a_failure_closes_the_connection()
    {
        await using var server = new TestServer(new WarningLogger(), new StubHandler(false, new InvalidOperationException("a bug"), 0));
        await using var client = await server.ConnectAsync();
        await client.SendAsync(Produce("t", Uuid.Zero, Batch(), 9, acks: 0), 9, expectsReply: false);
        await client.AssertClosedAsync();
        await using var other = await server.ConnectAsync();
        var answer = await other.CallAsync<ProduceRequest, ProduceResponse>(Produce("t", Uuid.Zero, Batch(), 9, acks: 1, partition: 7), 9);
        var partition = Assert.Single(Assert.Single(answer.Responses).PartitionResponses);
        Assert.Equal(
            ("t", 7, -1L, (short)ErrorCode.UnknownServerError),
            (answer.Responses[0].Name, partition.Index, partition.BaseOffset, partition.ErrorCode));
    }

    [Fact]
    public async Task Requests_are_counted_with_their_errors()
    {
        await using var server = new TestServer(new WarningLogger(), new StubHandler(true, new ApiException(ErrorCode.NotCoordinator), 0));
        await using var client = await server.ConnectAsync();
        for (var i = 0; i < 3; i++)
            AssertError(ErrorCode.NotCoordinator, await BeatAsync(client));
        await client.CallAsync<ProduceRequest, ProduceResponse>(Produce("t", Uuid.Zero, Batch(), 9, acks: 1), 9);
        AssertUsage(ApiKey.Heartbeat, 3, 3);
        AssertUsage(ApiKey.Produce, 1, 1);
        await client.SendAsync(Produce("t", Uuid.Zero, Batch(), 9, acks: 0), 9, expectsReply: false);
        await client.AssertClosedAsync();
        AssertUsage(ApiKey.Produce, 2, 1); // nobody was told of the second error

        void AssertUsage(ApiKey key, long requests, long errors)
        {
            var usage = server.Apis.Find((short)key)!.Metrics.Read();
            Assert.Equal(requests, usage.RequestCount);
            Assert.Equal((ErrorCode.NotCoordinator, errors), Assert.Single(usage.Errors.Select(each => (each.Key, each.Value))));
            Assert.True(usage.TotalTime > TimeSpan.Zero);
        }
    }

    private static async Task<short> BeatAsync(TestConnection client, short version = HeartbeatVersion) =>
        (await client.CallAsync<HeartbeatRequest, HeartbeatResponse>(new HeartbeatRequest { GroupId = "g" }, version)).ErrorCode;

    /// <summary>Serves Heartbeat and Produce by a handler that throws.</summary>
    private sealed class TestServer : IAsyncDisposable
    {
        private readonly InMemoryTransport _network = new();
        private readonly HeavyRequests _heavy = new(static () => 1, TimeProvider.System);
        private readonly BrokerServer _server;
        private readonly IPEndPoint _address;

        public TestServer(WarningLogger log, StubHandler handler)
        {
            var settings = new ServerSettings(1 << 20, 100, 100, 100, new Dictionary<IPAddress, int>(), -1);
            Apis = new ApiTable(
                ApiListeners.Broker,
                [
                    new PlainApiEntry<HeartbeatRequest, HeartbeatResponse>(handler),
                    new ReusingApiEntry<ProduceRequest, ProduceResponse>(handler),
                ]);
            _server = new BrokerServer(_network, () => settings, new BufferPool(), _heavy, TimeProvider.System, log);
            _address = _server.Listen(new ServerListener("PLAINTEXT", new IPEndPoint(IPAddress.Loopback, 9092)), 10, default);
            _server.StartAccepting(Apis);
        }

        public ApiTable Apis { get; }

        public async Task<TestConnection> ConnectAsync() => new(await _network.ConnectAsync(_address, default));

        public async ValueTask DisposeAsync()
        {
            await _server.DisposeAsync();
            _heavy.Dispose();
        }
    }

    private sealed class StubHandler(bool afterAnAwait, Exception exception, int microseconds)
        : IApiHandler<HeartbeatRequest, HeartbeatResponse>, IReusingApiHandler<ProduceRequest, ProduceResponse>
    {
        public ValueTask<HeartbeatResponse?> HandleAsync(RequestContext context, HeartbeatRequest request) =>
            afterAnAwait ? ThrowLaterAsync() : throw exception;

        public ValueTask<ProduceResponse?> HandleAsync(RequestContext context, ProduceRequest request, ProduceResponse response) =>
            throw exception;

        public const short FirstVersionWithProducerFenced = 3;

        public ErrorCode ErrorFor(short version, ErrorCode error) =>
            version < FirstVersionWithProducerFenced && error == ErrorCode.ProducerFenced ? ErrorCode.InvalidProducerEpoch : error;

        public int EstimateMicroseconds(RequestContext context, HeartbeatRequest request) => microseconds;

        public bool WantsResponse(ProduceRequest request) => request.Acks != 0;

        private async ValueTask<HeartbeatResponse?> ThrowLaterAsync()
        {
            await Task.Yield();
            throw exception;
        }
    }
}
