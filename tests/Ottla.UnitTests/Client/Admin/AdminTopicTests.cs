using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.UnitTests.Broker;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Client.Admin;

/// <summary>Admin calls about topics, at a whole node.</summary>
public sealed class AdminTopicTests
{
    [Fact]
    public async Task Creates_topics_and_tells_which_ones_failed()
    {
        await using var bed = await ClientBed.StartAsync("old");
        var admin = bed.Client.CreateAdmin();
        var results = await bed.RunAsync(admin.CreateTopicsAsync(
        [
            new NewTopic("new")
            {
                Partitions = 3,
                ReplicationFactor = 1,
                Configs = new Dictionary<string, string?> { ["retention.ms"] = "1000" },
            },
            new NewTopic("placed") { ReplicaAssignments = new Dictionary<int, IReadOnlyList<int>> { [0] = [0], [1] = [0] } },
            new NewTopic("old"),
            new NewTopic("bad") { Partitions = -5 },
        ]));
        var created = results["new"].Value;
        Assert.Equal((3, (short)1), (created.Partitions, created.ReplicationFactor));
        Assert.NotEqual(Uuid.Zero, created.Id);
        var retention = Assert.Single(created.Configs!, config => config.Name == "retention.ms");
        Assert.Equal(("1000", ConfigSource.DynamicTopic), (retention.Value, retention.Source));
        Assert.Equal(2, results["placed"].Value.Partitions);
        Assert.Equal(ErrorCode.TopicAlreadyExists, results["old"].Error);
        Assert.Equal(ErrorCode.InvalidPartitions, results["bad"].Error);
        Assert.Equal(
            ErrorCode.TopicAlreadyExists, Assert.Throws<KafkaException>(() => results["old"].Value).ErrorCode);
        var failure = Assert.Throws<KafkaException>(results.ThrowIfFailed);
        Assert.Equal(ErrorCode.TopicAlreadyExists, failure.ErrorCode);
        Assert.StartsWith("old: ", failure.Message);
        Assert.Contains("1 more of 4", failure.Message);
        Assert.Throws<KafkaException>(() => results.GetValues());
    }

    [Fact]
    public async Task Only_validates()
    {
        await using var bed = await ClientBed.StartAsync();
        var admin = bed.Client.CreateAdmin();
        var results = await bed.RunAsync(admin.CreateTopicsAsync([new NewTopic("t") { Partitions = 2 }], validateOnly: true));
        Assert.Equal(2, results.GetValues()["t"].Partitions);
        Assert.Empty(await bed.RunAsync(admin.ListTopicsAsync()));
    }

    [Fact]
    public async Task Refuses_assignments_together_with_counts()
    {
        await using var bed = await ClientBed.StartAsync();
        var topic = new NewTopic("t") { Partitions = 1, ReplicaAssignments = new Dictionary<int, IReadOnlyList<int>> { [0] = [0] } };
        await Assert.ThrowsAsync<ArgumentException>(() => bed.Client.CreateAdmin().CreateTopicsAsync([topic]));
    }

    [Fact]
    public async Task Lists_and_deletes_topics_by_name_and_id()
    {
        await using var bed = await ClientBed.StartAsync("b", "a", "c");
        var admin = bed.Client.CreateAdmin();
        var listed = await bed.RunAsync(admin.ListTopicsAsync());
        Assert.Equal(["a", "b", "c"], listed.Select(topic => topic.Name));
        var byName = await bed.RunAsync(admin.DeleteTopicsAsync(["a", "nowhere"]));
        Assert.True(byName["a"].IsSuccess);
        Assert.Equal(ErrorCode.UnknownTopicOrPartition, byName["nowhere"].Error);
        var unknown = new Uuid(7, 7);
        var byId = await bed.RunAsync(admin.DeleteTopicsAsync([listed[1].Id, unknown]));
        Assert.True(byId[listed[1].Id].IsSuccess);
        Assert.Equal(ErrorCode.UnknownTopicId, byId[unknown].Error);
        Assert.Equal(["c"], (await bed.RunAsync(admin.ListTopicsAsync())).Select(topic => topic.Name));
    }

    [Fact]
    public async Task Describes_topics_by_name_and_id()
    {
        await using var bed = await ClientBed.StartAsync("a");
        var admin = bed.Client.CreateAdmin();
        var byName = await bed.RunAsync(admin.DescribeTopicsAsync(["a", "nowhere"], includeAuthorizedOperations: true));
        var described = byName["a"].Value;
        var partition = Assert.Single(described.Partitions);
        Assert.Equal((0, 0, 0), (partition.Index, partition.LeaderId, partition.LeaderEpoch));
        Assert.Equal([0], partition.Replicas);
        Assert.Equal([0], partition.InSyncReplicas);
        Assert.Contains(AclOperation.Write, described.AuthorizedOperations!);
        Assert.Equal(ErrorCode.UnknownTopicOrPartition, byName["nowhere"].Error);
        var unknown = new Uuid(7, 7);
        var byId = await bed.RunAsync(admin.DescribeTopicsAsync([described.Id, unknown]));
        Assert.Equal("a", byId[described.Id].Value.Name);
        Assert.Null(byId[described.Id].Value.AuthorizedOperations);
        Assert.Equal(ErrorCode.UnknownTopicId, byId[unknown].Error);
        Assert.Empty(await bed.RunAsync(admin.DescribeTopicsAsync(Array.Empty<string>())));
    }

    [Fact]
    public async Task Describes_more_partitions_than_a_page_has()
    {
        await using var bed = await ClientBed.StartAsync("a", "z");
        var admin = bed.Client.CreateAdmin();
        (await bed.RunAsync(admin.CreateTopicsAsync([new NewTopic("m") { Partitions = 2500 }]))).ThrowIfFailed();
        var described = (await bed.RunAsync(admin.DescribeTopicsAsync(["z", "m", "a"]))).GetValues();
        Assert.Equal(Enumerable.Range(0, 2500), described["m"].Partitions.Select(partition => partition.Index));
        Assert.Equal((1, 1), (described["a"].Partitions.Count, described["z"].Partitions.Count));
    }

    [Fact]
    public async Task Creates_partitions()
    {
        await using var bed = await ClientBed.StartAsync("a", "b", "c");
        var admin = bed.Client.CreateAdmin();
        var results = await bed.RunAsync(admin.CreatePartitionsAsync(new Dictionary<string, NewPartitions>
        {
            ["a"] = new(3),
            ["b"] = new(2, [[0]]),
            ["c"] = new(1),
        }));
        Assert.True(results["a"].IsSuccess && results["b"].IsSuccess);
        Assert.Equal(ErrorCode.InvalidPartitions, results["c"].Error);
        var described = (await bed.RunAsync(admin.DescribeTopicsAsync(["a", "b"]))).GetValues();
        Assert.Equal((3, 2), (described["a"].Partitions.Count, described["b"].Partitions.Count));
    }

    [Fact]
    public async Task Looks_offsets_up_and_deletes_records()
    {
        await using var bed = await ClientBed.StartAsync("a");
        await using (var connection = await bed.Node.ConnectAsync())
            await connection.ProduceAsync("a", Batch(5));
        var admin = bed.Client.CreateAdmin();
        var partition = new TopicPartition("a", 0);
        Assert.Equal(5, await OffsetAsync(OffsetSpec.Latest));
        Assert.Equal(0, await OffsetAsync(OffsetSpec.Earliest));
        Assert.Equal(0, await OffsetAsync(OffsetSpec.ForTimestamp(DateTimeOffset.UnixEpoch)));
        Assert.Equal(-1, await OffsetAsync(OffsetSpec.ForTimestamp(DateTimeOffset.UnixEpoch.AddYears(200))));
        Assert.Throws<ArgumentOutOfRangeException>(() => OffsetSpec.ForTimestamp(DateTimeOffset.UnixEpoch.AddMilliseconds(-1)));
        Assert.True(await OffsetAsync(OffsetSpec.MaxTimestamp) >= 0);
        var deleted = await bed.RunAsync(admin.DeleteRecordsAsync(new Dictionary<TopicPartition, long> { [partition] = 3 }));
        Assert.Equal(3, deleted[partition].Value);
        Assert.Equal(3, await OffsetAsync(OffsetSpec.Earliest));
        var beyond = await bed.RunAsync(admin.DeleteRecordsAsync(new Dictionary<TopicPartition, long> { [partition] = 99 }));
        Assert.Equal(ErrorCode.OffsetOutOfRange, beyond[partition].Error);

        async Task<long> OffsetAsync(OffsetSpec which)
        {
            var found = await bed.RunAsync(admin.ListOffsetsAsync(new Dictionary<TopicPartition, OffsetSpec> { [partition] = which }));
            return found[partition].Value.Offset;
        }
    }

    [Fact]
    public async Task A_partition_that_is_not_there_is_waited_for_and_the_others_are_answered()
    {
        await using var bed = await ClientBed.StartAsync("a");
        var asked = new Dictionary<TopicPartition, OffsetSpec>
        {
            [new TopicPartition("a", 0)] = OffsetSpec.Latest,
            [new TopicPartition("later", 0)] = OffsetSpec.Latest,
            [new TopicPartition("a", 9)] = OffsetSpec.Latest,
        };
        var looking = bed.Client.CreateAdmin().ListOffsetsAsync(asked);
        await using (var connection = await bed.Node.ConnectAsync())
            await connection.CreateTopicAsync("later");
        var found = await bed.RunAsync(looking, stepMs: 100);
        Assert.Equal((0, 0), (found[new TopicPartition("a", 0)].Value.Offset, found[new TopicPartition("later", 0)].Value.Offset));
        Assert.Equal(ErrorCode.RequestTimedOut, found[new TopicPartition("a", 9)].Error);
        Assert.Throws<KafkaTimeoutException>(found.ThrowIfFailed);
    }

    [Fact]
    public async Task Changes_go_on_after_the_node_was_away()
    {
        await using var bed = await ClientBed.StartAsync();
        var admin = bed.Client.CreateAdmin();
        await bed.RunAsync(admin.ListTopicsAsync());
        await bed.Node.RestartAsync();
        var created = await bed.RunAsync(admin.CreateTopicsAsync([new NewTopic("t")]), stepMs: 10);
        Assert.Equal(["t"], created.GetValues().Keys);
    }

    [Fact]
    public async Task A_caller_that_gives_up_gets_its_own_cancellation()
    {
        await using var bed = await ClientBed.StartAsync();
        using var giveUp = new CancellationTokenSource();
        var looking = bed.Client.CreateAdmin().ListOffsetsAsync(
            new Dictionary<TopicPartition, OffsetSpec> { [new TopicPartition("nowhere", 0)] = OffsetSpec.Latest },
            cancellation: giveUp.Token);
        await giveUp.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => bed.RunAsync(looking));
    }

    [Fact]
    public async Task A_closed_client_has_no_admin()
    {
        await using var bed = await ClientBed.StartAsync();
        await bed.RunAsync(bed.Client.DisposeAsync().AsTask());
        Assert.Throws<ObjectDisposedException>(bed.Client.CreateAdmin);
    }
}
