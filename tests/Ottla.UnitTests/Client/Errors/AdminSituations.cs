using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Testing;

namespace Ottla.UnitTests.Client.Errors;

/// <summary>Situations of the admin client: one call each.</summary>
internal static class AdminSituations
{
    private const string Topic = "t";
    private static readonly TopicPartition s_partition = new(Topic, 0);

    public static IEnumerable<ErrorSituation> All =>
    [
        Of("createTopics", ApiKey.CreateTopics, ErrorLevel.Items, async (admin, number) =>
            (await admin.CreateTopicsAsync([new NewTopic($"new{number}") { Partitions = 1 }])).ThrowIfFailed()),
        Of("deleteTopics", ApiKey.DeleteTopics, ErrorLevel.Items, async (admin, number) =>
            (await admin.DeleteTopicsAsync([$"old{number}"])).ThrowIfFailed(), isAbout: true),
        Of("createPartitions", ApiKey.CreatePartitions, ErrorLevel.Items, async (admin, number) =>
            (await admin.CreatePartitionsAsync(new Dictionary<string, NewPartitions> { [$"old{number}"] = new(2) })).ThrowIfFailed(),
            isAbout: true),
        Of("deleteRecords", ApiKey.DeleteRecords, ErrorLevel.Items, async (admin, _) =>
            (await admin.DeleteRecordsAsync(new Dictionary<TopicPartition, long> { [s_partition] = 0 })).ThrowIfFailed()),
        Of("listOffsets", ApiKey.ListOffsets, ErrorLevel.Items, async (admin, _) =>
            (await admin.ListOffsetsAsync(new Dictionary<TopicPartition, OffsetSpec> { [s_partition] = OffsetSpec.Latest }))
            .ThrowIfFailed(), isAfter: true),
        Of("describeTopics", ApiKey.DescribeTopicPartitions, ErrorLevel.Items, async (admin, _) =>
            (await admin.DescribeTopicsAsync([Topic])).ThrowIfFailed()),
        Of("describeConfigs", ApiKey.DescribeConfigs, ErrorLevel.Items, async (admin, _) =>
            (await admin.DescribeConfigsAsync([new ConfigResource(ConfigResourceType.Topic, Topic)])).ThrowIfFailed()),
        Of("describeCluster", ApiKey.DescribeCluster, ErrorLevel.Top, (admin, _) => admin.DescribeClusterAsync()),
        Of("describeMetadataQuorum", ApiKey.DescribeQuorum, ErrorLevel.Top, (admin, _) => admin.DescribeMetadataQuorumAsync()),
        Of("listConfigResources", ApiKey.ListConfigResources, ErrorLevel.Top, (admin, _) => admin.ListConfigResourcesAsync()),
        Of("listGroups", ApiKey.ListGroups, ErrorLevel.Top, async (admin, _) => (await admin.ListGroupsAsync()).ThrowIfFailed()),
        Of("listTransactions", ApiKey.ListTransactions, ErrorLevel.Top, async (admin, _) =>
            (await admin.ListTransactionsAsync()).ThrowIfFailed()),
        Of("listPartitionReassignments", ApiKey.ListPartitionReassignments, ErrorLevel.Top,
            (admin, _) => admin.ListPartitionReassignmentsAsync()),
        Of("describeProducers", ApiKey.DescribeProducers, ErrorLevel.Items, async (admin, _) =>
            (await admin.DescribeProducersAsync([s_partition])).ThrowIfFailed()),
        Of("listConsumerGroupOffsets", ApiKey.OffsetFetch, ErrorLevel.All, async (admin, _) =>
            (await admin.ListConsumerGroupOffsetsAsync(
                new Dictionary<string, IReadOnlyCollection<TopicPartition>?> { ["admin"] = [s_partition] })).ThrowIfFailed()),
        Of("alterConsumerGroupOffsets", ApiKey.OffsetCommit, ErrorLevel.Items, async (admin, _) =>
            (await admin.AlterConsumerGroupOffsetsAsync("admin", [new PartitionOffset(Topic, 0, 1)])).ThrowIfFailed()),
        .. Topics, .. Groups, .. Transactions, .. Cluster,
    ];

    private static IEnumerable<ErrorSituation> Topics =>
    [
        Of("listTopics, topic error", ApiKey.Metadata, ErrorLevel.Items, (admin, _) => admin.ListTopicsAsync(), isAfter: true),
        Of("describeTopics by id (Metadata)", ApiKey.Metadata, ErrorLevel.Items, async (admin, _) =>
            (await admin.DescribeTopicsAsync([(await admin.ListTopicsAsync()).Single(topic => topic.Name == Topic).Id])).ThrowIfFailed(),
            isAfter: true, skipped: 1),
        Of("deleteRecords: Metadata of the topic", ApiKey.Metadata, ErrorLevel.Items, async (admin, _) =>
            (await admin.DeleteRecordsAsync(new Dictionary<TopicPartition, long> { [s_partition] = 0 })).ThrowIfFailed(), isAfter: true),
        Of("incrementalAlterConfigs", ApiKey.IncrementalAlterConfigs, ErrorLevel.Items, async (admin, _) =>
            (await admin.IncrementalAlterConfigsAsync(new Dictionary<ConfigResource, IReadOnlyList<ConfigChange>>
            {
                [ConfigResource.Topic(Topic)] = [new ConfigChange("retention.ms", "1000000000")],
            })).ThrowIfFailed()),
        Of("alterPartitionReassignments", ApiKey.AlterPartitionReassignments, ErrorLevel.Top, ReassignAsync),
        Of("alterPartitionReassignments, partition error", ApiKey.AlterPartitionReassignments, ErrorLevel.Items, ReassignAsync),
        Of("electLeaders", ApiKey.ElectLeaders, ErrorLevel.Top, ElectAsync),
        Of("electLeaders, partition error", ApiKey.ElectLeaders, ErrorLevel.Items, ElectAsync, isAfter: true),
        Of("describeLogDirs", ApiKey.DescribeLogDirs, ErrorLevel.Top, async (admin, _) =>
            (await admin.DescribeLogDirsAsync([1])).ThrowIfFailed()),
    ];

    private static IEnumerable<ErrorSituation> Groups =>
    [
        OfGroup("describeConsumerGroups: coordinator", ApiKey.FindCoordinator, ErrorLevel.Items, DescribeAsync),
        OfGroup("describeConsumerGroups (ConsumerGroupDescribe)", ApiKey.ConsumerGroupDescribe, ErrorLevel.Items, DescribeAsync),
        OfGroup("describeConsumerGroups (DescribeGroups)", ApiKey.DescribeGroups, ErrorLevel.Items, DescribeAsync),
        OfGroup("deleteConsumerGroups", ApiKey.DeleteGroups, ErrorLevel.Items, async (admin, group) =>
            (await admin.DeleteConsumerGroupsAsync([group])).ThrowIfFailed()),
        OfGroup("deleteConsumerGroupOffsets", ApiKey.OffsetDelete, ErrorLevel.Top, async (admin, group) =>
            (await admin.DeleteConsumerGroupOffsetsAsync(group, [s_partition])).ThrowIfFailed()),
        OfGroup("removeMembersFromConsumerGroup", ApiKey.LeaveGroup, ErrorLevel.Top, async (admin, group) =>
            (await admin.RemoveMembersFromConsumerGroupAsync(group, [GroupMemberIdentity.Static("i")])).ThrowIfFailed()),
    ];

    private static IEnumerable<ErrorSituation> Transactions =>
    [
        Of("describeTransactions", ApiKey.DescribeTransactions, ErrorLevel.Items, async (admin, _) =>
            (await admin.DescribeTransactionsAsync(["first"])).ThrowIfFailed()),
        Of("abortTransaction", ApiKey.WriteTxnMarkers, ErrorLevel.Items, (admin, _) =>
            admin.AbortTransactionAsync(new HangingTransaction(s_partition, 1, 0, 0))),
        Of("fenceProducers", ApiKey.InitProducerId, ErrorLevel.Top, FenceAsync),
        Of("fenceProducers: coordinator", ApiKey.FindCoordinator, ErrorLevel.Items, FenceAsync),
    ];

    private static IEnumerable<ErrorSituation> Cluster =>
    [
        Of("describeFeatures", ApiKey.ApiVersions, ErrorLevel.Top, (admin, _) => admin.DescribeFeaturesAsync()),
        Of("updateFeatures", ApiKey.UpdateFeatures, ErrorLevel.Top, async (admin, _) =>
            (await admin.UpdateFeaturesAsync(
                new Dictionary<string, FeatureUpdate> { ["transaction.version"] = new(2) }, validateOnly: true)).ThrowIfFailed()),
        Of("unregisterBroker", ApiKey.UnregisterBroker, ErrorLevel.Top, (admin, _) => admin.UnregisterBrokerAsync(9)),
        Of("addRaftVoter", ApiKey.AddRaftVoter, ErrorLevel.Top, (admin, _) =>
            admin.AddRaftVoterAsync(9, new Uuid(1, 1), [new RaftVoterEndpoint("CONTROLLER", "10.0.0.9", 9093)])),
        Of("alterClientQuotas", ApiKey.AlterClientQuotas, ErrorLevel.Items, async (admin, _) =>
            (await admin.AlterClientQuotasAsync(new Dictionary<ClientQuotaEntity, IReadOnlyDictionary<string, double?>>
            {
                [ClientQuotaEntity.ForUser("u")] = new Dictionary<string, double?> { ["producer_byte_rate"] = 1_000_000 },
            })).ThrowIfFailed()),
        Of("describeClientQuotas", ApiKey.DescribeClientQuotas, ErrorLevel.Top, (admin, _) => admin.DescribeClientQuotasAsync()),
        Of("alterUserScramCredentials", ApiKey.AlterUserScramCredentials, ErrorLevel.Items, async (admin, _) =>
            (await admin.AlterUserScramCredentialsAsync([new ScramUpsertion("u", ScramType.Sha256, "secret") { Iterations = 4096 }]))
            .ThrowIfFailed()),
        Of("describeUserScramCredentials", ApiKey.DescribeUserScramCredentials, ErrorLevel.Top, (admin, _) =>
            admin.DescribeUserScramCredentialsAsync()),
        Of("describeAcls", ApiKey.DescribeAcls, ErrorLevel.Top, (admin, _) => admin.DescribeAclsAsync(new AclFilter())),
    ];

    private static async Task ReassignAsync(IAdmin admin, int number) => (await admin.AlterPartitionReassignmentsAsync(
        new Dictionary<TopicPartition, IReadOnlyList<int>?> { [s_partition] = [1] })).ThrowIfFailed();

    private static async Task ElectAsync(IAdmin admin, int number) =>
        (await admin.ElectLeadersAsync(ElectionType.Preferred, [s_partition])).ThrowIfFailed();

    private static async Task DescribeAsync(IAdmin admin, string group) =>
        (await admin.DescribeConsumerGroupsAsync([group])).ThrowIfFailed();

    private static async Task FenceAsync(IAdmin admin, int number) =>
        (await admin.FenceProducersAsync([$"fenced{number}"])).ThrowIfFailed();

    /// <summary>A call about a group that exists: without members, and with an offset.</summary>
    private static ErrorSituation OfGroup(string name, ApiKey api, ErrorLevel level, Func<IAdmin, string, Task> callAsync) =>
        new("admin", name, api, level, false, async probe =>
        {
            var group = $"about{probe.Number}";
            await using (var other = probe.NewClient()) // which finds the coordinator, so that this one has to find it too
            {
                (await other.CreateAdmin().AlterConsumerGroupOffsetsAsync(group, [new PartitionOffset(Topic, 0, 1)])).ThrowIfFailed();
            }

            probe.Arm();
            return await OutcomeAsync(probe, callAsync(probe.Client.CreateAdmin(), group));
        });

    private static ErrorSituation Of(
        string name, ApiKey api, ErrorLevel level, Func<IAdmin, int, Task> callAsync, bool isAfter = false, bool isAbout = false,
        int skipped = 0) => new("admin", name, api, level, isAfter, async probe =>
        {
            var admin = probe.Client.CreateAdmin();
            if (isAbout)
                await admin.CreateTopicsAsync([new NewTopic($"old{probe.Number}") { Partitions = 1 }]);
            probe.Arm(skipped);
            return await OutcomeAsync(probe, callAsync(admin, probe.Number));
        });

    private static async Task<string> OutcomeAsync(ErrorProbe probe, Task call)
    {
        var failure = await ClientRun.TryAsync(call);
        Assert.True(probe.WasRefused);
        return failure is null ? probe.RetriesOrEnds() : "throws";
    }
}
