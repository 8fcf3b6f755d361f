using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Broker;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Network.Transport;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.UnitTests.Network;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Broker;

/// <summary>Order of replies, bounds and the ends of connections.</summary>
public sealed class ServerTests
{
    private const short FetchVersion = 12;
    private const int LongWaitMs = 12_345;

    [Fact]
    public async Task Replies_keep_the_order_of_requests_when_a_later_one_is_ready_first()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await using var producer = await node.ConnectAsync();
        var waiting = node.Clock.NextTimerAsync(LongWaitMs);
        await client.SendAsync(LongPoll(), FetchVersion);
        await client.SendAsync(new ApiVersionsRequest(), 0);
        await client.SendAsync(new MetadataRequest { Topics = null }, 1);
        await waiting;
        await producer.ProduceAsync("t", Batch());
        Assert.Equal([0L], BaseOffsets((await client.ReceiveAsync<FetchResponse>()).Responses[0].Partitions[0].Records));
        Assert.NotEmpty((await client.ReceiveAsync<ApiVersionsResponse>()).ApiKeys);
        Assert.NotEmpty((await client.ReceiveAsync<MetadataResponse>()).Brokers);
    }

    [Fact]
    public async Task Many_requests_in_one_stream_are_answered_in_order()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        const int count = 500;
        for (var i = 0; i < count; i++)
            await client.SendAsync(Produce("t", Uuid.Zero, Batch(), 9), 9);
        for (var i = 0; i < count; i++)
            Assert.Equal(i, (await client.ReceiveAsync<ProduceResponse>()).Responses[0].PartitionResponses[0].BaseOffset);
    }

    [Fact]
    public async Task Produce_without_acks_has_no_reply()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await client.SendAsync(Produce("t", Uuid.Zero, Batch(3), 9, acks: 0), 9, expectsReply: false);
        Assert.Equal(3, (await client.ProduceAsync("t", Batch())).BaseOffset);
    }

    [Fact]
    public async Task A_failed_produce_without_acks_ends_the_connection_once_what_came_before_is_answered()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await using var other = await node.ConnectAsync();
        var waiting = node.Clock.NextTimerAsync(LongWaitMs);
        await client.SendAsync(LongPoll(), FetchVersion);
        await client.SendAsync(Produce("nowhere", Uuid.Zero, Batch(3), 9, acks: 0), 9, expectsReply: false);
        await waiting;
        await other.ProduceAsync("t", Batch());
        Assert.Equal([0L], BaseOffsets((await client.ReceiveAsync<FetchResponse>()).Responses[0].Partitions[0].Records));
        await client.AssertClosedAsync();
        Assert.Equal(1, (await other.ProduceAsync("t", Batch())).BaseOffset);
    }

    [Fact]
    public async Task A_request_waits_until_the_one_before_it_is_answered()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await using var other = await node.ConnectAsync();
        var waiting = node.Clock.NextTimerAsync(LongWaitMs);
        await client.SendAsync(LongPoll(), FetchVersion);
        // It would be appended at once, and so end the poll, were it not held back.
        await client.SendAsync(Produce("t", Uuid.Zero, Batch(), 9), 9);
        await waiting;
        Assert.Equal(0, (await other.FetchAsync("t", 0)).HighWatermark);
        node.Clock.AdvanceMs(LongWaitMs);
        Assert.Equal(0, (await client.ReceiveAsync<FetchResponse>()).Responses[0].Partitions[0].Records.Length);
        Assert.Equal(0, (await client.ReceiveAsync<ProduceResponse>()).Responses[0].PartitionResponses[0].BaseOffset);
    }

    [Fact]
    public async Task Requests_over_the_size_limit_close_the_connection()
    {
        await using var node = await TestNode.StartAsync(("socket.request.max.bytes", "1000"));
        await using var client = await node.ConnectAsync();
        await client.SendAsync(new ApiVersionsRequest(), 0);
        await client.SendRawAsync([0, 0, 0x03, 0xE9]); // 1001
        Assert.NotEmpty((await client.ReceiveAsync<ApiVersionsResponse>()).ApiKeys);
        await client.AssertClosedAsync();

        await using var exact = await node.ConnectAsync();
        var request = TestConnection.Encode(ApiKey.ApiVersions, 0, 5, new ApiVersionsRequest(), new string('c', 1000 - 10));
        Assert.Equal(1000, request.Length);
        await exact.SendFrameAsync(request);
        Assert.NotNull(await exact.ReceiveFrameAsync());
    }

    public static TheoryData<string, byte[]> MalformedFrames => new()
    {
        { "no header", [] },
        { "half a header", [0, 18, 0] },
        { "an API that is not served", TestConnection.Encode(ApiKey.ApiVersions, 0, 1, new ApiVersionsRequest()) is var frame
            ? [0x03, 0xE7, .. frame[2..]] : [] },
        { "a negative API", [0xFF, 0xFF, 0, 0, 0, 0, 0, 1, 0xFF, 0xFF] },
        { "a version that is not served", [0, 3, 0, 99, 0, 0, 0, 1, 0xFF, 0xFF] },
        { "a version that is gone", [0, 0, 0, 2, 0, 0, 0, 1, 0xFF, 0xFF] },
        { "a truncated body", TestConnection.Encode(ApiKey.Metadata, 1, 1, new MetadataRequest { Topics = null })[..^2] },
        { "an array longer than the frame", [0, 3, 0, 1, 0, 0, 0, 1, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF] },
    };

    [Theory]
    [MemberData(nameof(MalformedFrames))]
    public async Task A_malformed_request_closes_its_connection_only(string what, byte[] malformed)
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        await using var bystander = await node.ConnectAsync();
        await client.SendAsync(new ApiVersionsRequest(), 0);
        await client.SendFrameAsync(malformed);
        Assert.True((await client.ReceiveAsync<ApiVersionsResponse>()).ApiKeys.Length > 0, what);
        await client.AssertClosedAsync();
        await bystander.AssertAliveAsync();
        await node.StopAsync();
    }

    [Fact]
    public async Task A_negative_length_closes_the_connection()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        await client.SendRawAsync([0xFF, 0xFF, 0xFF, 0xFF]);
        await client.AssertClosedAsync();
    }

    [Fact]
    public async Task Requests_before_a_malformed_one_are_answered_even_when_they_take_long()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        var waiting = node.Clock.NextTimerAsync(LongWaitMs);
        await client.SendAsync(LongPoll(), FetchVersion);
        await client.SendFrameAsync([1, 2, 3]);
        await waiting;
        node.Clock.AdvanceMs(LongWaitMs);
        Assert.Single((await client.ReceiveAsync<FetchResponse>()).Responses);
        await client.AssertClosedAsync();
    }

    [Fact]
    public async Task An_unknown_version_of_ApiVersions_is_answered_in_version_0()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        // As a newer client sends it: a flexible header, and a body that nobody here can read.
        await client.SendFrameAsync([0, 18, 0, 99, 0, 0, 0, 77, 0, 1, (byte)'c', 0, 0xAB, 0xCD]);
        var response = TestConnection.Decode<ApiVersionsResponse>((await client.ReceiveFrameAsync())!, version: 0, correlationId: 77);
        AssertError(ErrorCode.UnsupportedVersion, response.ErrorCode);
        var own = Assert.Single(response.ApiKeys);
        Assert.Equal((short)ApiKey.ApiVersions, own.ApiKey);
        Assert.Equal((0, 5), (own.MinVersion, own.MaxVersion));
        await client.AssertAliveAsync();
    }

    [Fact]
    public async Task Clients_have_as_many_connections_as_their_address_may()
    {
        await using var node = await TestNode.StartAsync(
            ("max.connections.per.ip", "2"), ("max.connections.per.ip.overrides", "10.0.0.9:1"));
        await using var first = await node.ConnectAsync();
        await using var second = await node.ConnectAsync();
        await first.AssertAliveAsync();
        await second.AssertAliveAsync();
        await using var third = await node.ConnectAsync();
        await third.AssertClosedAsync();

        await using var elsewhere = await node.ConnectAsync(from: IPAddress.Parse("10.0.0.9"));
        await elsewhere.AssertAliveAsync();
        await using var refused = await node.ConnectAsync(from: IPAddress.Parse("10.0.0.9"));
        await refused.AssertClosedAsync();
    }

    [Fact]
    public async Task Connections_over_the_limit_wait_until_one_closes()
    {
        await using var node = await TestNode.StartAsync(("max.connections", "1"));
        var first = await node.ConnectAsync();
        await first.AssertAliveAsync();
        await using var second = await node.ConnectAsync();
        await second.SendAsync(new ApiVersionsRequest(), 0);
        await first.AssertAliveAsync();
        await first.DisposeAsync();
        Assert.NotEmpty((await second.ReceiveAsync<ApiVersionsResponse>()).ApiKeys);
    }

    [Fact]
    public async Task Idle_connections_are_closed()
    {
        await using var node = await TestNode.StartAsync(("connections.max.idle.ms", "10000"));
        await using var client = await node.ConnectAsync();
        await client.AssertAliveAsync();
        var before = node.Clock.NowMs;
        var closed = client.AssertClosedAsync();
        await node.Clock.AdvanceUntilAsync(closed, stepMs: 1000);
        Assert.True(node.Clock.NowMs - before > 10_000);
    }

    [Fact]
    public async Task A_connection_with_a_request_under_way_is_not_idle()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t", ("connections.max.idle.ms", "1000"));
        await using var _1 = node;
        var waiting = node.Clock.NextTimerAsync(LongWaitMs);
        await client.SendAsync(LongPoll(), FetchVersion);
        await waiting;
        node.Clock.AdvanceMs(LongWaitMs);
        Assert.Single((await client.ReceiveAsync<FetchResponse>()).Responses);
    }

    [Fact]
    public async Task Stopping_answers_a_long_poll_at_once()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        var waiting = node.Clock.NextTimerAsync(LongWaitMs);
        await client.SendAsync(LongPoll(), FetchVersion);
        await waiting;
        var stopping = node.StopAsync(); // the clock stands still
        Assert.Single((await client.ReceiveAsync<FetchResponse>()).Responses);
        await client.AssertClosedAsync();
        await stopping;
    }

    [Fact]
    public async Task Stopping_cuts_off_a_client_that_does_not_read()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await client.CreateTopicAsync("large", partitions: 1000);
        // More replies than fit between broker and client, and a sign that some are being sent.
        await client.SendRawAsync(
            Frames.Prefixed(Enumerable.Repeat(TestConnection.Encode(ApiKey.Metadata, 1, 7, new MetadataRequest { Topics = null }), 1000)));
        Assert.NotNull(await client.ReceiveFrameAsync());
        var draining = node.Clock.NextTimerAsync(10_000);
        var stopping = node.StopAsync();
        await draining;
        node.Clock.AdvanceMs(10_000);
        await stopping;
    }

    [Fact]
    public async Task A_start_that_is_not_wanted_any_more_ends_and_the_next_one_finds_everything()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await client.ProduceAsync("t", Batch(3));
        var crashed = node.Disk.Clone();
        var platform = new NodePlatform(crashed, new InMemoryTransport(), node.Clock, NullLoggerFactory.Instance, Seed: 1);
        var config = BrokerConfig.LoadDevMode([], new Dictionary<string, string> { ["log.dirs"] = "/data" });
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => BrokerNode.StartAsync(config, mayFormat: true, platform, new CancellationToken(canceled: true)));
        await using var again = await TestNode.StartOnAsync(crashed);
        await using var reader = await again.ConnectAsync();
        Assert.Equal(3, (await reader.FetchAsync("t", 0)).HighWatermark);
    }

    [Fact]
    public async Task Each_listener_advertises_its_own_address()
    {
        await using var node = await TestNode.StartAsync(
            ("listeners", "INSIDE://127.0.0.1:9092,OUTSIDE://127.0.0.1:0,CONTROLLER://127.0.0.1:9093"),
            ("advertised.listeners", "INSIDE://inside.example:9092,OUTSIDE://outside.example:0"),
            ("listener.security.protocol.map", "INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT"),
            ("inter.broker.listener.name", "INSIDE"));
        foreach (var (index, host) in new[] { (0, "inside.example"), (1, "outside.example") })
        {
            await using var client = await node.ConnectAsync(index);
            var broker = Assert.Single(
                (await client.CallAsync<MetadataRequest, MetadataResponse>(new MetadataRequest { Topics = null })).Brokers);
            Assert.Equal((host, node.Node.EndPoints[index].Port), (broker.Host, broker.Port));
        }
    }

    private static FetchRequest LongPoll(int waitMs = LongWaitMs)
    {
        var request = Fetch("t", Uuid.Zero, 0, FetchVersion);
        request.MaxWaitMs = waitMs;
        return request;
    }
}
