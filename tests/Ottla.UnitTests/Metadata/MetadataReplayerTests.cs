using System.Text.Json;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.Protocol.Wire;
using Ottla.StateMachines.Metadata;

namespace Ottla.UnitTests.Metadata;

public sealed class MetadataReplayerTests
{
    private static readonly Uuid TopicId = new(1, 1);

    [Fact]
    public void Transaction_counts_when_it_ends()
    {
        var replayer = new MetadataReplayer(MetadataImage.Empty);
        Apply(replayer, 0, new BeginTransactionRecord(), Feature(33));
        Assert.Null(replayer.Image.Features.MetadataVersion);
        Assert.Equal(0, replayer.TransactionStartOffset);
        Apply(replayer, 2, new TopicRecord { Name = "a", TopicId = TopicId });
        Assert.Null(replayer.Image.Topics.Find("a"));
        Apply(replayer, 3, Partition(0), new EndTransactionRecord(),
            new ConfigRecord { ResourceType = 2, ResourceName = "a", Name = "k", Value = "v" });
        Assert.NotNull(replayer.Image.Topics.Find("a"));
        Assert.Equal(-1, replayer.TransactionStartOffset);
        Assert.Equal("v", replayer.Image.Configs.Value(ConfigResource.Topic("a"), "k"));
    }

    [Fact]
    public void Aborted_transaction_leaves_nothing()
    {
        var replayer = new MetadataReplayer(MetadataImage.Empty);
        Apply(replayer, 0, Feature(33), new BeginTransactionRecord(), new TopicRecord { Name = "a", TopicId = TopicId });
        var copy = replayer.Copy();
        Apply(replayer, 3, new AbortTransactionRecord());
        Assert.Null(replayer.Image.Topics.Find("a"));
        Assert.Equal(33, replayer.Image.Features.LevelOf(MetadataVersion.FeatureName));
        Apply(copy, 3, new EndTransactionRecord());
        Assert.NotNull(copy.Image.Topics.Find("a"));
    }

    [Fact]
    public void Markers_out_of_place_are_errors()
    {
        Assert.Throws<MetadataException>(() => Apply(new MetadataReplayer(MetadataImage.Empty), 0, new EndTransactionRecord()));
        Assert.Throws<MetadataException>(() => Apply(new MetadataReplayer(MetadataImage.Empty), 0, new AbortTransactionRecord()));
        Assert.Throws<MetadataException>(
            () => Apply(new MetadataReplayer(MetadataImage.Empty), 0, new BeginTransactionRecord(), new BeginTransactionRecord()));
    }

    [Fact]
    public void Records_about_what_is_not_there_are_errors()
    {
        AssertRefused(Feature(34));
        AssertRefused(Feature(6));
        AssertRefused(Partition(0));
        AssertRefused(new PartitionChangeRecord { TopicId = TopicId, PartitionId = 0 });
        AssertRefused(new RemoveTopicRecord { TopicId = TopicId });
        AssertRefused(new ClearElrRecord { TopicName = "a" });
        AssertRefused(new UnregisterBrokerRecord { BrokerId = 1 });
        AssertRefused(new BrokerRegistrationChangeRecord { BrokerId = 1 });
        AssertRefused(new FenceBrokerRecord { Id = 1 });
        AssertRefused(new UnregisterControllerRecord { ControllerId = 1 });
        AssertRefused(new RemoveAccessControlEntryRecord { Id = TopicId });
        AssertRefused(new TopicRecord { Name = "a", TopicId = TopicId }, Partition(1));
        AssertRefused(new TopicRecord { Name = "a", TopicId = TopicId }, new TopicRecord { Name = "a", TopicId = new Uuid(2, 2) });
        AssertRefused(new TopicRecord { Name = "a", TopicId = TopicId }, new TopicRecord { Name = "b", TopicId = TopicId });
        AssertRefused(new RegisterBrokerRecord { BrokerId = 1, BrokerEpoch = 5 }, new UnfenceBrokerRecord { Id = 1, Epoch = 4 });
        AssertRefused(new LeaderChangeLike());
    }

    [Fact]
    public void Every_record_type_is_applied_and_survives_a_snapshot()
    {
        var replayer = new MetadataReplayer(MetadataImage.Empty);
        Apply(
            replayer,
            0,
            Feature(33),
            new FeatureLevelRecord { Name = "group.version", FeatureLevel = 1 },
            new FeatureLevelRecord { Name = "kraft.version", FeatureLevel = 1 },
            new FeatureLevelRecord { Name = "eligible.leader.replicas.version", FeatureLevel = 1 },
            new RegisterBrokerRecord { BrokerId = 1, BrokerEpoch = 5, Rack = "r", LogDirs = [new Uuid(9, 200)] },
            new RegisterBrokerRecord { BrokerId = 2, BrokerEpoch = 6, Rack = null },
            new UnfenceBrokerRecord { Id = 1, Epoch = 5 },
            new BrokerRegistrationChangeRecord
            {
                BrokerId = 1,
                BrokerEpoch = 5,
                InControlledShutdown = 1,
                LogDirs = [new Uuid(9, 201)],
                CordonedLogDirs = []
            },
            new FenceBrokerRecord { Id = 2, Epoch = 6 },
            new UnregisterBrokerRecord { BrokerId = 2, BrokerEpoch = 6 },
            new RegisterControllerRecord { ControllerId = 3 },
            new RegisterControllerRecord { ControllerId = 4 },
            new UnregisterControllerRecord { ControllerId = 3 },
            new TopicRecord { Name = "a", TopicId = TopicId },
            Partition(1),
            Partition(0),
            new PartitionChangeRecord
            {
                TopicId = TopicId,
                PartitionId = 1,
                Isr = [],
                Leader = -1,
                EligibleLeaderReplicas = [1],
                LastKnownElr = [1]
            },
            new ConfigRecord { ResourceType = 2, ResourceName = "a", Name = "k", Value = "v" },
            new ConfigRecord { ResourceType = 2, ResourceName = "a", Name = "l", Value = "v" },
            new ConfigRecord { ResourceType = 2, ResourceName = "a", Name = "l", Value = null },
            new ClientQuotaRecord { Entity = [new() { EntityType = "user", EntityName = null }], Key = "x", Value = 1.5 },
            new ClientQuotaRecord { Entity = [new() { EntityType = "ip", EntityName = "h" }], Key = "x", Value = 1.5 },
            new ClientQuotaRecord { Entity = [new() { EntityType = "ip", EntityName = "h" }], Key = "x", Remove = true },
            new ProducerIdsRecord { BrokerId = 1, BrokerEpoch = 5, NextProducerId = 3000 },
            new AccessControlEntryRecord { Id = new Uuid(7, 7), ResourceName = "n", Principal = "User:a", Host = "*" },
            new AccessControlEntryRecord { Id = new Uuid(7, 8), ResourceName = "n", Principal = "User:a", Host = "*" },
            new RemoveAccessControlEntryRecord { Id = new Uuid(7, 8) },
            new UserScramCredentialRecord { Name = "u", Mechanism = 1, Salt = [1], StoredKey = [2], ServerKey = [3], Iterations = 4096 },
            new UserScramCredentialRecord { Name = "v", Mechanism = 2 },
            new RemoveUserScramCredentialRecord { Name = "v", Mechanism = 2 },
            new DelegationTokenRecord
            {
                TokenId = "t",
                Owner = "User:a",
                Requester = "User:a",
                Renewers = ["User:b"],
                ExpirationTimestamp = 3
            },
            new DelegationTokenRecord { TokenId = "s" },
            new RemoveDelegationTokenRecord { TokenId = "s" },
            new NoOpRecord(),
            new ZkMigrationStateRecord());
        var image = replayer.Image;
        var broker = Assert.Single(image.Cluster.Brokers).Value;
        Assert.True(broker is { Fenced: false, InControlledShutdown: true, Rack: "r" });
        Assert.Equal([new Uuid(9, 201)], broker.LogDirs.AsEnumerable());
        Assert.False(broker.CordonedLogDirs.IsDefault);
        Assert.Equal(4, Assert.Single(image.Cluster.Controllers).Key);
        Assert.Equal(2, image.Topics.Find("a")!.Partitions.Length);
        Assert.Equal(1, image.Topics.Find("a")!.Partition(1)!.LeaderEpoch);
        Assert.Equal("k", Assert.Single(image.Configs.Of(ConfigResource.Topic("a"))).Key);
        Assert.Single(image.ClientQuotas.ByEntity);
        Assert.Equal(3000, image.NextProducerId);
        Assert.Single(image.Acls.ById);
        Assert.Single(image.Scram.ByUser);
        Assert.Single(image.DelegationTokens.ById);
        Assert.Equal(0, image.Features.LevelOf(Ottla.StateMachines.Metadata.Feature.KRaftVersion));

        var again = new MetadataReplayer(MetadataImage.Empty);
        again.Load(image.ToRecords(), image.Provenance);
        Assert.True(again.Image.ContentEquals(image));

        Apply(replayer, 100, new ClearElrRecord { TopicName = "" });
        Assert.Empty(replayer.Image.Topics.Find("a")!.Partition(1)!.EligibleLeaderReplicas);
        Apply(replayer, 101, new RemoveTopicRecord { TopicId = TopicId });
        Assert.Empty(replayer.Image.Topics.ById);
        Assert.Empty(replayer.Image.Topics.ByName);
        Assert.Empty(replayer.Image.Configs.ByResource);
    }

    [Theory]
    [InlineData(7, 1, 0)]
    [InlineData(8, 2, 0)]
    [InlineData(17, 3, 1)]
    [InlineData(23, 3, 2)]
    [InlineData(33, 4, 2)]
    public void Records_have_the_version_of_the_metadata_version(short level, short broker, short partition)
    {
        var version = new MetadataVersion(level);
        Assert.Equal(broker, version.RegisterBrokerRecordVersion);
        Assert.Equal(partition, version.PartitionRecordVersion);
        Assert.True(MetadataVersion.TryParse(version.Name, out var parsed));
        Assert.Equal(version, parsed);
    }

    [Fact]
    public void Versions_are_named_as_Kafka_names_them()
    {
        Assert.Equal("4.4-IV2", MetadataVersion.Latest.Name);
        Assert.True(MetadataVersion.TryParse("4.4.0", out var release));
        Assert.Equal(33, release.Level);
        Assert.True(MetadataVersion.TryParse("3.7-IV2", out var exact));
        Assert.Equal(17, exact.Level);
        Assert.False(MetadataVersion.TryParse("5.0", out _));
        Assert.False(MetadataVersion.RecordsDiffer(new MetadataVersion(28), new MetadataVersion(29)));
        Assert.True(MetadataVersion.RecordsDiffer(new MetadataVersion(30), new MetadataVersion(29)));
    }

    [Fact]
    public void Delta_tells_what_a_broker_has_to_do()
    {
        var replayer = new MetadataReplayer(MetadataImage.Empty);
        Apply(replayer, 0, Feature(33), new TopicRecord { Name = "a", TopicId = TopicId }, Partition(0), Partition(1));
        var delta = Apply(replayer, 4, new PartitionChangeRecord { TopicId = TopicId, PartitionId = 1, Leader = 2 });
        var changed = Assert.Single(delta.Partitions());
        Assert.Equal(new TopicPartition("a", 1), changed.Partition);
        Assert.Empty(delta.LocalChanges(1).Leaders);
        Assert.Single(delta.LocalChanges(1).Followers);
        Assert.Single(delta.LocalChanges(2).Leaders);
        delta = Apply(replayer, 5, new RemoveTopicRecord { TopicId = TopicId });
        Assert.Equal(2, delta.LocalChanges(1).Deleted.Count);
        Assert.Empty(delta.LocalChanges(7).Deleted);
        var full = MetadataDelta.Between(delta.New, delta.Old);
        Assert.Equal(2, full.Partitions().Count());
    }

    private static FeatureLevelRecord Feature(short level) => new() { Name = MetadataVersion.FeatureName, FeatureLevel = level };

    private static PartitionRecord Partition(int index) => new()
    {
        TopicId = TopicId,
        PartitionId = index,
        Replicas = [1, 2],
        Isr = [1, 2],
        Leader = 1,
        LeaderEpoch = 0,
        PartitionEpoch = 0,
        Directories = [Uuid.One, Uuid.One],
    };

    private static MetadataDelta Apply(MetadataReplayer replayer, long offset, params IRecordMessage[] messages) =>
        replayer.Apply(
            [.. messages.Select(message => new MetadataRecord(message, 0))], offset,
            new MetadataProvenance(offset + messages.Length - 1, 1, 0));

    private static void AssertRefused(params IRecordMessage[] messages) =>
        Assert.Throws<MetadataException>(() => Apply(new MetadataReplayer(MetadataImage.Empty), 0, messages));

    /// <summary>A record of a type that metadata logs do not have.</summary>
    private sealed class LeaderChangeLike : IRecordMessage
    {
        public short RecordKey => 6;

        public void Write(ref WireWriter writer, short version) => throw new NotSupportedException();

        public void WriteJson(Utf8JsonWriter json, short version) => throw new NotSupportedException();
    }
}
