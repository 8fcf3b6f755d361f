using Confluent.Kafka;
using Ottla.Testing;

namespace Ottla.Samples.ConfluentKafkaTests;

/// <summary>A broker that the tests of a class share.</summary>
public sealed class BrokerFixture : IAsyncLifetime
{
    /// <summary>The broker.</summary>
    public OttlaTestBroker Broker { get; private set; } = null!;

    /// <inheritdoc/>
    public async Task InitializeAsync() => Broker = await OttlaTestBroker.StartAsync();

    /// <inheritdoc/>
    public async Task DisposeAsync() => await Broker.DisposeAsync();

    /// <summary>A producer as applications have them.</summary>
    public IProducer<Null, string> NewProducer(Action<ProducerConfig>? change = null)
    {
        var config = new ProducerConfig { BootstrapServers = Broker.BootstrapServers, RetryBackoffMs = 10 };
        change?.Invoke(config);
        return new ProducerBuilder<Null, string>(config).SetLogHandler((_, _) => { }).Build();
    }

    /// <summary>A consumer as applications have them, which has subscribed to a topic.</summary>
    public IConsumer<Ignore, string> NewConsumer(string topic, string group, Action<ConsumerConfig>? change = null)
    {
        var config = new ConsumerConfig
        {
            BootstrapServers = Broker.BootstrapServers,
            GroupId = group,
            AutoOffsetReset = AutoOffsetReset.Earliest,
            SessionTimeoutMs = 6000,
            HeartbeatIntervalMs = 200,
        };
        change?.Invoke(config);
        var consumer = new ConsumerBuilder<Ignore, string>(config).SetLogHandler((_, _) => { }).Build();
        consumer.Subscribe(topic);
        return consumer;
    }
}
