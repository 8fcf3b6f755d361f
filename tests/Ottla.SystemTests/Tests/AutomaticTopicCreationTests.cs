using System.Text;
using Ottla.SystemTests.Clients;
using Ottla.SystemTests.Harness;

namespace Ottla.SystemTests.Tests;

/// <summary>
/// A topic that nobody created comes into being when a client produces to it (auto.create.topics.enable, num.partitions).
/// </summary>
[Trait(Categories.Trait, Categories.Clients)]
public sealed class AutomaticTopicCreationTests(BrokerFixture fixture) : IClassFixture<BrokerFixture>
{
    [ClientFact("kcat")]
    public async Task ProducingCreatesTheTopic()
    {
        var topic = BrokerFixture.NewTopicName("automatic");
        var lines = Encoding.ASCII.GetBytes("one\ntwo\nthree\n");
        await ClientCatalog.Kcat.ProduceLinesAsync(fixture.Bootstrap, topic, "none", lines);
        Assert.Equal(lines, await ClientCatalog.Kcat.ConsumeLinesAsync(fixture.Bootstrap, topic));
    }
}
