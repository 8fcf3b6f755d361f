using Confluent.Kafka;
using Ottla.Testing;

namespace Ottla.Samples.ConfluentKafkaTests;

/// <summary>An application that logs in, over TLS.</summary>
public sealed class SecurityTests
{
    [Theory]
    [InlineData(SaslMechanism.Plain)]
    [InlineData(SaslMechanism.ScramSha512)]
    public async Task Producer_logs_in(SaslMechanism mechanism)
    {
        await using var broker = await OttlaTestBroker.StartAsync(new OttlaTestBrokerOptions
        {
            UseTls = true,
            Users = new Dictionary<string, string> { ["alice"] = "a \"secret\"" },
        });
        var topic = await broker.Topic("secrets").CreateAsync();
        using var producer = new ProducerBuilder<Null, string>(new ProducerConfig
        {
            BootstrapServers = broker.BootstrapServers,
            SecurityProtocol = SecurityProtocol.SaslSsl,
            SslCaPem = broker.CertificateAuthorityPem,
            SaslMechanism = mechanism,
            SaslUsername = "alice",
            SaslPassword = "a \"secret\"",
        }).Build();
        await producer.ProduceAsync(topic.Name, new Message<Null, string> { Value = "whispered" });
        await topic.ShouldContainAsync("whispered");
    }
}
