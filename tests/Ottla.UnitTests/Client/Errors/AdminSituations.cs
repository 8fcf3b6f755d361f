using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Simulator.Faults;

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
    ];

    private static ErrorSituation Of(
        string name, ApiKey api, ErrorLevel level, Func<IAdmin, int, Task> callAsync, bool isAfter = false, bool isAbout = false) =>
        new("admin", name, api, level, isAfter, async probe =>
        {
            var admin = probe.Client.CreateAdmin();
            if (isAbout)
                await admin.CreateTopicsAsync([new NewTopic($"old{probe.Number}") { Partitions = 1 }]);
            probe.Arm();
            var failure = await ClientRun.TryAsync(callAsync(admin, probe.Number));
            Assert.True(probe.WasRefused);
            return failure is null ? probe.RetriesOrEnds() : "throws";
        });
}
