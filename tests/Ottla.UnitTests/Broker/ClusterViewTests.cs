using Ottla.Broker.Metadata;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;

namespace Ottla.UnitTests.Broker;

/// <summary>Which brokers clients are told of.</summary>
public sealed class ClusterViewTests
{
    [Theory]
    [InlineData(false, false, "1 2")]
    [InlineData(true, false, "2")]
    [InlineData(true, true, "1")] // the one that answers: an answer without brokers has librdkafka forget all of them
    public void Fenced_brokers_are_not_named_unless_no_other_is_left(bool isFirstFenced, bool isSecondFenced, string named)
    {
        var image = ImageOf(Registration(1, isFirstFenced), Registration(2, isSecondFenced));
        Assert.Equal(named, string.Join(' ', ClusterView.BrokersToName(image, "CLIENTS", answering: 1).Select(broker => broker.Id)));
        Assert.Empty(ClusterView.BrokersToName(image, "OTHERS", answering: 1));
    }

    private static MetadataImage ImageOf(params RegisterBrokerRecord[] records)
    {
        var replayer = new MetadataReplayer(MetadataImage.Empty);
        replayer.Apply(
            [.. records.Select(record => new MetadataRecord(record, 0))], 0, new MetadataProvenance(records.Length - 1, 1, 0));
        return replayer.Image;
    }

    private static RegisterBrokerRecord Registration(int id, bool isFenced) => new()
    {
        BrokerId = id,
        BrokerEpoch = id,
        IncarnationId = new Uuid(1, (ulong)id),
        Fenced = isFenced,
        EndPoints = [new RegisterBrokerRecord.BrokerEndpoint { Name = "CLIENTS", Host = "host", Port = 9092 }],
    };
}
