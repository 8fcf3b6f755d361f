using Ottla.Client;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Testing;

namespace Ottla.UnitTests.Testing;

/// <summary>What the samples do not show of the broker for tests: its words when a test fails, its limits, many of them at once.</summary>
public sealed class OttlaTestBrokerTests
{
    [Fact]
    public async Task Failure_says_what_is_there_and_what_was_sent()
    {
        await using var broker = await OttlaTestBroker.StartAsync();
        var topic = await broker.Topic("orders").CreateAsync();
        await using (var client = new OttlaClient(new OttlaClientOptions { BootstrapServers = broker.BootstrapServers, ClientId = "shop" }))
        await using (var producer = client.CreateProducer<string?, string>())
            await producer.ProduceAsync(topic.Name, "key", "value");
        var failure = await Assert.ThrowsAsync<TopicAssertionException>(
            () => topic.ShouldHaveCountAsync(2, TimeSpan.FromMilliseconds(200)));
        Assert.Contains("The topic orders does not have 2 records", failure.Message, StringComparison.Ordinal);
        Assert.Contains("0@0 key: value", failure.Message, StringComparison.Ordinal);
        Assert.Contains("(shop) Produce v", failure.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<TopicAssertionException>(topic.ShouldBeEmptyAsync);
    }

    [Fact]
    public async Task Topic_that_is_not_there_is_waited_for_and_missed()
    {
        await using var broker = await OttlaTestBroker.StartAsync();
        var failure = await Assert.ThrowsAsync<TopicAssertionException>(
            () => broker.Topic("nowhere").ShouldContainAsync(_ => true, TimeSpan.FromMilliseconds(200)));
        Assert.Contains("There is no topic nowhere", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Faults_are_used_up_in_order_and_say_what_is_left()
    {
        await using var broker = await OttlaTestBroker.StartAsync();
        var topic = await broker.Topic("faults").CreateAsync();
        broker.Faults.FailNext(ApiKey.Produce, ErrorCode.NotLeaderOrFollower);
        broker.Faults.FailNext(ApiKey.Produce, ErrorCode.InvalidRecord, timing: FaultTiming.AfterHandling);
        broker.Faults.FailNext(ApiKey.OffsetCommit, ErrorCode.NotCoordinator, times: 2);
        await using var client = new OttlaClient(broker.BootstrapServers);
        await using var producer = client.CreateProducer<string?, string>();
        var failure = await Assert.ThrowsAnyAsync<KafkaException>(() => producer.ProduceAsync(topic.Name, null, "written all the same"));
        Assert.Equal(ErrorCode.InvalidRecord, failure.ErrorCode);
        await topic.ShouldContainAsync("written all the same");
        Assert.Equal(2, broker.Faults.Pending);
        var left = await Assert.ThrowsAsync<TimeoutException>(() => broker.Faults.WaitUntilUsedUpAsync(TimeSpan.Zero));
        Assert.Contains("2 of OffsetCommit failed with NotCoordinator", left.Message, StringComparison.Ordinal);
        broker.Faults.Clear();
        await broker.Faults.WaitUntilUsedUpAsync();
        Assert.Equal(
            ["failed with NotLeaderOrFollower", "failed with InvalidRecord after it was carried out"],
            broker.Wire.Requests.Where(request => request.Api == ApiKey.Produce).Select(request => request.Fault));
    }

    [Fact]
    public async Task Killed_node_keeps_its_records_and_its_port()
    {
        await using var broker = await OttlaTestBroker.StartAsync();
        var topic = await broker.Topic("kept").CreateAsync();
        await topic.ProduceAsync("a", "b");
        var before = broker.BootstrapServers;
        await broker.KillNodeAsync(1);
        await Assert.ThrowsAsync<InvalidOperationException>(() => broker.StopNodeAsync(1));
        await broker.StartNodeAsync(1);
        Assert.Equal(before, broker.BootstrapServers);
        await topic.ShouldContainAsync("a", "b");
    }

    [Fact]
    public async Task Members_leave_when_their_session_is_over_by_the_tests_clock()
    {
        await using var broker = await OttlaTestBroker.StartAsync();
        var topic = await broker.Topic("sessions").CreateAsync();
        await topic.ProduceAsync("one");
        await using var client = new OttlaClient(broker.BootstrapServers);
        var consumer = new Consumer<byte[], string>(client, new ConsumerOptions
        {
            GroupId = "sleepers",
            GroupProtocol = GroupProtocol.Classic,
            OffsetReset = OffsetReset.Earliest,
            HeartbeatInterval = TimeSpan.FromSeconds(15),
            SessionTimeout = TimeSpan.FromSeconds(45),
        });
        consumer.Subscribe([topic.Name]);
        Assert.Equal("one", (await consumer.ConsumeOneAsync(Waiting.Patience))?.Value);
        broker.Faults.DropNext(ApiKey.Heartbeat, times: 1000);
        await broker.Clock.AdvanceAsync(TimeSpan.FromSeconds(46));
        var group = (await broker.Client.CreateAdmin().DescribeConsumerGroupsAsync(["sleepers"])).GetValues()["sleepers"];
        Assert.Empty(group.Members);
        await consumer.CloseAsync(TimeSpan.FromSeconds(1));
    }

    [Fact]
    public async Task Many_brokers_live_beside_each_other()
    {
        var brokers = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => OttlaTestBroker.StartAsync()));
        try
        {
            Assert.Equal(20, brokers.Select(broker => broker.BootstrapServers).Distinct().Count());
            await Task.WhenAll(brokers.Select(async (broker, i) =>
            {
                await broker.Topic("same-name").CreateAsync();
                await broker.Topic("same-name").ProduceAsync($"of {i}");
            }));
            for (var i = 0; i < brokers.Length; i++)
                Assert.Equal($"of {i}", Assert.Single(await brokers[i].Topic("same-name").ReadAsync()).Value);
        }
        finally
        {
            foreach (var broker in brokers)
                await broker.DisposeAsync();
        }
    }

    [Fact]
    public async Task Wrong_options_are_refused()
    {
        var nodes = await Assert.ThrowsAsync<ArgumentException>(() => OttlaTestBroker.StartAsync(new OttlaTestBrokerOptions { Nodes = 0 }));
        Assert.Contains("Nodes is 0", nodes.Message, StringComparison.Ordinal);
        var configs = new Dictionary<string, string> { ["num.partitions"] = "none" };
        await Assert.ThrowsAsync<Ottla.Configuration.ConfigException>(
            () => OttlaTestBroker.StartAsync(new OttlaTestBrokerOptions { Configs = configs }));
        await using var broker = await OttlaTestBroker.StartAsync();
        Assert.Throws<ArgumentOutOfRangeException>(() => broker.Faults.DropNext(ApiKey.Fetch, times: 0));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => broker.Clock.AdvanceAsync(TimeSpan.FromSeconds(-1)));
    }
}
