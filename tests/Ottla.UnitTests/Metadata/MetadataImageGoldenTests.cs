using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.Protocol.Wire;
using Ottla.StateMachines.Metadata;

namespace Ottla.UnitTests.Metadata;

/// <summary>Images against the metadata log and the snapshots of a cluster that Kafka 4.3 ran.</summary>
public sealed class MetadataImageGoldenTests
{
    public static TheoryData<string, long> Snapshots()
    {
        var data = new TheoryData<string, long>();
        foreach (var (file, endOffset) in GoldenDump.Snapshots)
            data.Add(file, endOffset);
        return data;
    }

    [Theory]
    [MemberData(nameof(Snapshots))]
    public void Log_gives_the_image_of_each_snapshot(string file, long endOffset)
    {
        var image = GoldenDump.Replay(endOffset).Image;
        Assert.True(image.ContentEquals(GoldenDump.Snapshot(file)), file);
    }

    [Fact]
    public void Snapshot_and_the_log_after_it_give_the_next_snapshot()
    {
        for (var i = 1; i < GoldenDump.Snapshots.Length; i++)
        {
            var (before, from) = GoldenDump.Snapshots[i - 1];
            var (after, to) = GoldenDump.Snapshots[i];
            Assert.True(GoldenDump.Replay(to, GoldenDump.Snapshot(before), from).Image.ContentEquals(GoldenDump.Snapshot(after)), after);
            Assert.False(GoldenDump.Snapshot(before).ContentEquals(GoldenDump.Snapshot(after)), "Images that differ must not be equal.");
        }
    }

    [Theory]
    [MemberData(nameof(Snapshots))]
    public void Snapshot_is_written_with_the_records_that_Kafka_writes(string file, long endOffset)
    {
        var golden = GoldenDump.Read(file).SelectMany(batch => batch.Records).ToList();
        var written = GoldenDump.Replay(endOffset).Image.ToRecords().ToList();
        Assert.Equal(golden.Select(Comparable).Order(), written.Select(Comparable).Order());

        // The order of the sections, too.
        Assert.Equal(Sections(golden), Sections(written));
    }

    [Fact]
    public void Image_says_what_the_snapshot_says()
    {
        var image = GoldenDump.Snapshot(GoldenDump.Snapshots[^1].File);
        Assert.Equal(MetadataVersion.V4_3_IV0, image.Features.MetadataVersion);
        Assert.True(image.Features.IsElrEnabled);
        Assert.Equal(2, image.Features.LevelOf(Feature.TransactionVersion));
        var broker = image.Cluster.Broker(1)!;
        Assert.Equal(111, broker.Epoch);
        Assert.True(broker.InControlledShutdown);
        Assert.Equal(new Endpoint("PLAINTEXT", "127.0.0.1", 29092, 0), broker.EndpointAt("PLAINTEXT"));
        Assert.Equal(3, image.Topics.Find("partitions")!.Partitions.Length);
        Assert.Null(image.Topics.Find("gone"));
        var partition = image.Topics.Partition(new TopicPartition("plain", 0))!;
        Assert.Equal(PartitionRegistration.NoLeader, partition.Leader);
        Assert.Equal(3, partition.LeaderEpoch);
        Assert.Equal([1], partition.EligibleLeaderReplicas.AsEnumerable());
        Assert.Equal(LeaderRecoveryState.Recovering, partition.LeaderRecoveryState);
        Assert.Equal("compact", image.Configs.Value(ConfigResource.Topic("compacted"), "cleanup.policy"));
        Assert.Equal(
            "earliest", image.Configs.Value(new ConfigResource(ConfigResourceType.Group, "shared-group"), "share.auto.offset.reset"));
        Assert.Equal(1000, image.NextProducerId);
        Assert.Single(image.Acls.ById);
        Assert.Single(image.Scram.ByUser);
        Assert.Equal(1048576.0, image.ClientQuotas.ByEntity.Values.Single()["producer_byte_rate"]);
    }

    internal static string Comparable(MetadataRecord record)
    {
        // Kafka writes the features of a node in the order of its hash table.
        if (record.Message is RegisterBrokerRecord broker)
            broker.Features = [.. broker.Features.OrderBy(feature => feature.Name, StringComparer.Ordinal)];
        if (record.Message is RegisterControllerRecord controller)
            controller.Features = [.. controller.Features.OrderBy(feature => feature.Name, StringComparer.Ordinal)];
        return $"{record.Message.GetType().Name} v{record.Version} "
            + $"{Convert.ToHexString(WireBuffer.Encode(record.Message, record.Version))}";
    }

    private static List<string> Sections(List<MetadataRecord> records)
    {
        var sections = new List<string>();
        foreach (var record in records)
        {
            var name = record.Message is PartitionRecord ? nameof(TopicRecord) : record.Message.GetType().Name;
            if (sections.Count == 0 || sections[^1] != name)
                sections.Add(name);
        }

        return sections;
    }
}
