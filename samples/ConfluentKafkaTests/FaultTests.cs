using Confluent.Kafka;
using Ottla.Protocol.Messages;
using Ottla.Testing;
using ErrorCode = Ottla.Protocol.ErrorCode;

namespace Ottla.Samples.ConfluentKafkaTests;

/// <summary>What an application does when its broker misbehaves: each fault, and what librdkafka makes of it.</summary>
public sealed class FaultTests(BrokerFixture fixture) : IClassFixture<BrokerFixture>
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private OttlaTestBroker Broker => fixture.Broker;

    [Fact]
    public async Task Producer_sends_again_after_an_error_that_passes()
    {
        var topic = await Broker.Topic("errors-that-pass").CreateAsync();
        Broker.Faults.FailNext(ApiKey.Produce, ErrorCode.NotLeaderOrFollower, times: 3);
        using var producer = fixture.NewProducer();
        var result = await producer.ProduceAsync(topic.Name, new Message<Null, string> { Value = "once" });
        Assert.Equal(0, result.Offset.Value);
        Assert.Equal(0, Broker.Faults.Pending);
        await topic.ShouldContainAsync("once");
    }

    [Fact]
    public async Task Producer_is_told_of_an_error_that_does_not_pass()
    {
        var topic = await Broker.Topic("errors-that-stay").CreateAsync();
        Broker.Faults.FailNext(ApiKey.Produce, ErrorCode.TopicAuthorizationFailed);
        using var producer = fixture.NewProducer();
        var failure = await Assert.ThrowsAsync<ProduceException<Null, string>>(
            () => producer.ProduceAsync(topic.Name, new Message<Null, string> { Value = "refused" }));
        Assert.Equal(Confluent.Kafka.ErrorCode.TopicAuthorizationFailed, failure.Error.Code);
        await topic.ShouldBeEmptyAsync();
    }

    [Theory]
    [InlineData(FaultTiming.BeforeHandling)]
    [InlineData(FaultTiming.AfterHandling)]
    public async Task Idempotent_producer_writes_once_though_the_connection_breaks(FaultTiming timing)
    {
        var topic = await Broker.Topic($"reset-{timing}").CreateAsync();
        Broker.Faults.DisconnectNext(ApiKey.Produce, times: 2, timing);
        using var producer = fixture.NewProducer(config => config.EnableIdempotence = true);
        await producer.ProduceAsync(topic.Name, new Message<Null, string> { Value = "once" });
        await topic.ShouldHaveCountAsync(1);
    }

    [Fact]
    public async Task Producer_without_idempotence_writes_twice_when_an_answer_is_lost()
    {
        var topic = await Broker.Topic("lost-answer").CreateAsync();
        Broker.Faults.DropNext(ApiKey.Produce, timing: FaultTiming.AfterHandling);
        using var producer = fixture.NewProducer(config => (config.SocketTimeoutMs, config.EnableIdempotence) = (1000, false));
        await producer.ProduceAsync(topic.Name, new Message<Null, string> { Value = "twice" });
        await topic.ShouldContainAsync("twice", "twice");
    }

    [Fact]
    public async Task Consumer_waits_for_an_answer_that_is_late()
    {
        var topic = await Broker.Topic("late").CreateAsync();
        await topic.ProduceAsync("patience");
        Broker.Faults.DelayNext(ApiKey.Fetch, TimeSpan.FromMilliseconds(300), times: 2);
        using var consumer = fixture.NewConsumer(topic.Name, "patient");
        Assert.Equal("patience", consumer.Consume(Patience)?.Message.Value);
        consumer.Close();
    }

    [Fact]
    public async Task Consumer_goes_on_with_another_coordinator()
    {
        var topic = await Broker.Topic("moved").CreateAsync();
        await topic.ProduceAsync("before");
        using var consumer = fixture.NewConsumer(topic.Name, "movers");
        Assert.Equal("before", consumer.Consume(Patience)?.Message.Value);
        consumer.Commit();
        Broker.Faults.FailNext(ApiKey.Heartbeat, ErrorCode.NotCoordinator);
        Broker.Faults.FailNext(ApiKey.FindCoordinator, ErrorCode.CoordinatorNotAvailable, times: 2);
        await Broker.Faults.WaitUntilUsedUpAsync();
        await topic.ProduceAsync("after");
        Assert.Equal("after", consumer.Consume(Patience)?.Message.Value);
        consumer.Commit();
        consumer.Close();
    }
}
