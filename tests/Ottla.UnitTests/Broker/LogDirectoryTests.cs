using System.Text;
using Ottla.Broker;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Storage.Files;
using Ottla.Storage.Log;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Broker;

/// <summary>A node with several log directories.</summary>
public sealed class LogDirectoryTests
{
    private const int Partitions = 4;

    [Fact]
    public async Task Replicas_of_a_directory_that_is_lost_at_start_are_neither_led_nor_made_anew_and_return_with_it()
    {
        await using var node = await StartWithTopicAsync();
        var lost = PartitionsIn(node, "/two");
        Assert.InRange(lost.Count, 1, Partitions - 1);

        await node.RestartAsync(
            disk => disk.Fault = (_, path) =>
            path.StartsWith("/two", StringComparison.Ordinal) ? new IOException("The disk is gone.") : null);
        await using (var client = await node.ConnectAsync())
        {
            for (var second = 0; second < 5; second++) // as upkeep would report what was made in the wrong place
            {
                node.Clock.AdvanceMs(1_000);
                await client.CallAsync<MetadataRequest, MetadataResponse>(new MetadataRequest { Topics = null });
            }

            var partitions = (await client.CallAsync<MetadataRequest, MetadataResponse>(new MetadataRequest { Topics = null }))
                .Topics.Single(topic => topic.Name == "t").Partitions;
            foreach (var partition in partitions)
            {
                Assert.Equal(lost.Contains(partition.PartitionIndex) ? -1 : 0, partition.LeaderId);
                var produced = await client.ProduceAsync("t", Batch(), partition: partition.PartitionIndex);
                AssertError(lost.Contains(partition.PartitionIndex) ? ErrorCode.KafkaStorageError : ErrorCode.None, produced.ErrorCode);
            }

            Assert.Equal(Partitions - lost.Count, PartitionsIn(node, "/one").Count);
            await client.CreateTopicAsync("new"); // what is new finds a place
            AssertError(ErrorCode.None, (await client.ProduceAsync("new", Batch())).ErrorCode);
        }

        await node.RestartAsync(disk => disk.Fault = null);
        await using var after = await node.ConnectAsync();
        for (var partition = 0; partition < Partitions; partition++)
        {
            var index = partition;
            var fetched = await after.FetchAsync("t", 0, change: asked => asked.Partition = index);
            AssertError(ErrorCode.None, fetched.ErrorCode);
            Assert.Equal(lost.Contains(partition) ? 1 : 2, fetched.HighWatermark);
        }
    }

    [Fact]
    public async Task A_partition_whose_log_cannot_be_made_says_so_instead_of_naming_this_broker_as_leader()
    {
        await using var node = await StartWithTopicAsync();
        await using var client = await node.ConnectAsync();
        node.Disk.Fault = (_, path) => path.StartsWith("/two/bad", StringComparison.Ordinal) ? new IOException("The disk is gone.") : null;
        await client.CreateTopicAsync("bad", Partitions);
        var errors = new List<ErrorCode>();
        for (var partition = 0; partition < Partitions; partition++)
        {
            var index = partition;
            var produced = (ErrorCode)(await client.ProduceAsync("bad", Batch(), partition: partition)).ErrorCode;
            var fetched = await client.FetchAsync("bad", 0, change: asked => asked.Partition = index);
            var listed = await client.CallAsync<ListOffsetsRequest, ListOffsetsResponse>(
                new ListOffsetsRequest
                {
                    ReplicaId = -1,
                    Topics = [new() { Name = "bad", Partitions = [new() { PartitionIndex = partition, Timestamp = -1 }] }]
                });
            AssertError(produced, fetched.ErrorCode);
            AssertError(produced, listed.Topics[0].Partitions[0].ErrorCode);
            errors.Add(produced);
        }

        Assert.Contains(ErrorCode.KafkaStorageError, errors);
        Assert.All(errors, error => Assert.True(error is ErrorCode.None or ErrorCode.KafkaStorageError, $"{error}"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_node_stops_when_the_controller_does_not_hear_of_a_failed_directory_in_time(bool isMetadataStuck)
    {
        await using var node = await StartWithTopicAsync(("log.dir.failure.timeout.ms", "20000"));
        node.Disk.Fault = (operation, path) =>
            path.StartsWith("/two/t-", StringComparison.Ordinal)
            ? new IOException("The disk is gone.")
            : isMetadataStuck && operation == FileOperation.Write
            && path.Contains("/__cluster_metadata-0/", StringComparison.Ordinal) ? new DiskFullException("full")
            : null;
        await using var client = await node.ConnectAsync();
        var lost = PartitionsIn(node, "/two")[0];
        AssertError(ErrorCode.KafkaStorageError, (await client.ProduceAsync("t", Batch(), partition: lost)).ErrorCode);
        if (isMetadataStuck)
        {
            for (var second = 0; second < 15; second++)
                await AdvanceASecondAsync();
            Assert.False(node.Node.Failure.IsCompleted);
            await node.Clock.AdvanceUntilAsync(node.Node.Failure, stepMs: 1_000);
            Assert.Contains("log directories have failed", (await node.Node.Failure).Message, StringComparison.Ordinal);
        }
        else
        {
            await node.Clock.AdvanceUntilAsync(IsNotedAsync(), stepMs: 100);
            for (var second = 0; second < 60; second++)
                await AdvanceASecondAsync();
            Assert.False(node.Node.Failure.IsCompleted);
            AssertError(ErrorCode.None, (await client.ProduceAsync("t", Batch(), partition: PartitionsIn(node, "/one")[0])).ErrorCode);
        }

        async Task IsNotedAsync()
        {
            while ((await MetadataAsync()).Topics.Single(topic => topic.Name == "t")
                .Partitions.Single(partition => partition.PartitionIndex == lost).LeaderId != -1)
                await Task.Yield();
        }

        Task<MetadataResponse> MetadataAsync() =>
            client.CallAsync<MetadataRequest, MetadataResponse>(new MetadataRequest { Topics = null });

        async Task AdvanceASecondAsync()
        {
            node.Clock.AdvanceMs(1_000);
            await MetadataAsync();
        }
    }

    [Fact]
    public async Task A_replica_that_is_not_here_yet_is_made_in_the_directory_that_was_asked_for()
    {
        await using var node = await StartWithTopicAsync();
        await using var client = await node.ConnectAsync();
        Assert.All(await MoveAsync("/two"), error => Assert.Equal(ErrorCode.UnknownTopicOrPartition, error));
        Assert.All(await MoveAsync("/three"), error => Assert.Equal(ErrorCode.LogDirNotFound, error)); // and is forgotten
        await client.CreateTopicAsync("later", 3);
        Assert.Equal((0, 3), (CountIn("/one"), CountIn("/two")));
        await client.CreateTopicAsync("other", 2);
        Assert.Contains("other-0", node.Disk.ListDirectories("/one"));

        int CountIn(string directory) =>
            node.Disk.ListDirectories(directory).Count(name => name.StartsWith("later-", StringComparison.Ordinal));

        async Task<List<ErrorCode>> MoveAsync(string path)
        {
            var topic = new AlterReplicaLogDirsRequest.AlterReplicaLogDirTopic { Name = "later", Partitions = [0, 1, 2] };
            var request =
                new AlterReplicaLogDirsRequest
                {
                    Dirs = [
                    new AlterReplicaLogDirsRequest.AlterReplicaLogDir { Path = path, Topics = [topic] }]
                };
            var response = await client.CallAsync<AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse>(request);
            return [.. response.Results[0].Partitions.Select(partition => (ErrorCode)partition.ErrorCode)];
        }
    }

    [Fact]
    public async Task The_node_stops_when_the_directory_of_its_metadata_fails_in_whatever_file()
    {
        await using var node = await StartWithTopicAsync();
        node.Disk.Fault = (_, path) => path.StartsWith("/one/t-", StringComparison.Ordinal) ? new IOException("The disk is gone.") : null;
        await using var client = await node.ConnectAsync();
        AssertError(
            ErrorCode.KafkaStorageError, (await client.ProduceAsync("t", Batch(), partition: PartitionsIn(node, "/one")[0])).ErrorCode);
        Assert.Contains("metadata", (await node.Node.Failure.WaitAsync(TestNode.Patience)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Directories_are_known_by_one_spelling()
    {
        await using var node = await TestNode.StartAsync(("log.dirs", "/one/,/two/"), ("cordoned.log.dirs", "/one/"));
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t", Partitions);
        Assert.Equal(Partitions, PartitionsIn(node, "/two").Count);
        var described = await client.CallAsync<DescribeLogDirsRequest, DescribeLogDirsResponse>(
            new DescribeLogDirsRequest { Topics = null });
        Assert.Equal(
            [("/one", true, 0), ("/two", false, 1)], described.Results.Select(each => (each.LogDir, each.IsCordoned, each.Topics.Length)));
    }

    [Fact]
    public async Task A_directory_of_the_metadata_log_alone_gets_no_partitions()
    {
        await using var node = await TestNode.StartAsync(("log.dirs", "/one"), ("metadata.log.dir", "/meta"));
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t", Partitions);
        Assert.Equal(["__cluster_metadata-0"], node.Disk.ListDirectories("/meta"));
        var described = await client.CallAsync<DescribeLogDirsRequest, DescribeLogDirsResponse>(
            new DescribeLogDirsRequest { Topics = null });
        Assert.Equal("/one", Assert.Single(described.Results).LogDir);
        await node.RestartAsync();
        Assert.Equal(Partitions, PartitionsIn(node, "/one").Count);
    }

    [Fact]
    public async Task Directories_without_an_id_get_one_at_start()
    {
        await using var node = await StartWithTopicAsync();
        await node.RestartAsync(disk =>
        {
            var properties = MetaProperties.Read(disk, "/two")!;
            (properties with { DirectoryId = null }).Write(disk, "/two");
        });
        var id = MetaProperties.Read(node.Disk, "/two")!.DirectoryId;
        Assert.NotNull(id);
        Assert.NotEqual(MetaProperties.Read(node.Disk, "/one")!.DirectoryId, id);
        await node.RestartAsync();
        Assert.Equal(id, MetaProperties.Read(node.Disk, "/two")!.DirectoryId);
    }

    [Fact]
    public async Task A_directory_that_is_a_copy_of_another_is_refused()
    {
        await using var node = await StartWithTopicAsync();
        var failure = await Assert.ThrowsAsync<NodeStartException>(
            () => node.RestartAsync(disk => MetaProperties.Read(disk, "/one")!.Write(disk, "/two")));
        Assert.Contains("/two has the directory.id", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_directory_without_meta_properties_is_refused_and_nothing_is_written(bool isGone)
    {
        await using var node = await StartWithTopicAsync();
        List<string> left = [];
        var refused = await Assert.ThrowsAsync<NodeStartException>(() => node.RestartAsync(disk =>
        {
            if (isGone)
                disk.DeleteDirectory("/two");
            else
                disk.Delete($"/two/{MetaProperties.Name}");
            left = [.. disk.ListFiles("/one")];
        }));
        Assert.Contains("No meta.properties found in /two", refused.Message, StringComparison.Ordinal);
        Assert.Equal(left, node.Disk.ListFiles("/one")); // the mark of the clean stop, too
        Assert.Contains(CleanShutdownFile.Name, left);
        Assert.Equal(!isGone, node.Disk.DirectoryExists("/two"));
    }

    [Theory]
    [InlineData("version=7\ncluster.id=a\nnode.id=1\n")]
    [InlineData("version=x\n")]
    [InlineData("version=1\ncluster.id=a\n")]
    public async Task A_directory_whose_meta_properties_cannot_be_read_is_offline_or_refused_when_it_has_the_metadata(string properties)
    {
        await using var node = await StartWithTopicAsync();
        var lost = PartitionsIn(node, "/two");
        byte[] good = [];
        await node.RestartAsync(disk =>
        {
            good = disk.ReadAllBytes($"/two/{MetaProperties.Name}", 1 << 16);
            Replace(disk, "/two", Encoding.UTF8.GetBytes(properties));
        });
        await using (var client = await node.ConnectAsync())
        {
            foreach (var partition in Enumerable.Range(0, Partitions))
            {
                var expected = lost.Contains(partition) ? ErrorCode.KafkaStorageError : ErrorCode.None;
                AssertError(expected, (await client.ProduceAsync("t", Batch(), partition: partition)).ErrorCode);
                AssertError(expected, (await client.FetchAsync("t", 0, change: asked => asked.Partition = partition)).ErrorCode);
                var listed = new ListOffsetsRequest
                {
                    ReplicaId = -1,
                    Topics =
                    [
                        new ListOffsetsRequest.ListOffsetsTopic
                        {
                            Name = "t",
                            Partitions = [
                                new ListOffsetsRequest.ListOffsetsPartition { PartitionIndex = partition, CurrentLeaderEpoch = -1,
                                    Timestamp = -2 }],
                        },
                    ],
                };
                AssertError(expected, (await client.CallAsync<ListOffsetsRequest, ListOffsetsResponse>(listed))
                    .Topics[0].Partitions[0].ErrorCode);
            }
        }

        var refused = await Assert.ThrowsAsync<NodeStartException>(() => node.RestartAsync(disk =>
        {
            Replace(disk, "/two", good);
            Replace(disk, "/one", Encoding.UTF8.GetBytes(properties));
        }));
        Assert.Contains("/one/meta.properties", refused.Message, StringComparison.Ordinal);

        static void Replace(InMemoryFileSystem disk, string directory, byte[] bytes)
        {
            using var file = disk.Open($"{directory}/{MetaProperties.Name}", FileOpenMode.CreateOrTruncate);
            file.Write(0, bytes);
        }
    }

    [Fact]
    public async Task Development_never_formats_over_logs_but_ends_a_formatting_that_was_interrupted()
    {
        await using var node = await TestNode.StartAsync();
        await using (var client = await node.ConnectAsync())
            await client.CreateTopicAsync("t");
        var refused = await Assert.ThrowsAsync<NodeStartException>(() =>
            node.RestartAsync(disk => disk.Delete($"/data/{MetaProperties.Name}")));
        Assert.Contains("/data has logs, but no meta.properties", refused.Message, StringComparison.Ordinal);
        Assert.False(node.Disk.FileExists($"/data/{MetaProperties.Name}"));

        var interrupted = new InMemoryFileSystem();
        interrupted.CreateDirectory("/data/__cluster_metadata-0");
        await using var another = await TestNode.StartOnAsync(interrupted);
        Assert.NotNull(MetaProperties.Read(interrupted, "/data"));
    }

    [Fact]
    public async Task A_metadata_log_in_another_directory_than_that_of_the_metadata_is_refused()
    {
        await using var node = await StartWithTopicAsync();
        var refused = await Assert.ThrowsAsync<NodeStartException>(() =>
            node.RestartAsync(disk => disk.CreateDirectory("/two/__cluster_metadata-0")));
        Assert.Contains("There is a metadata log in /two", refused.Message, StringComparison.Ordinal);
    }

    private static async Task<TestNode> StartWithTopicAsync(params (string Name, string Value)[] configs)
    {
        var node = await TestNode.StartAsync([("log.dirs", "/one,/two"), .. configs]);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t", Partitions);
        for (var partition = 0; partition < Partitions; partition++)
            await client.ProduceAsync("t", Batch(), partition: partition);
        var recordsBefore = await MetadataRecordsAsync();
        await node.Clock.AdvanceUntilAsync(ArePlacesReportedAsync(), stepMs: 100);
        return node;

        async Task ArePlacesReportedAsync()
        {
            while (await MetadataRecordsAsync() < recordsBefore + Partitions)
                await Task.Yield();
        }

        async Task<long> MetadataRecordsAsync()
        {
            var partition = new DescribeQuorumRequest.PartitionData { PartitionIndex = 0 };
            var request =
                new DescribeQuorumRequest
                {
                    Topics = [
                    new DescribeQuorumRequest.TopicData { TopicName = "__cluster_metadata", Partitions = [partition] }]
                };
            return (await client.CallAsync<DescribeQuorumRequest, DescribeQuorumResponse>(request)).Topics[0].Partitions[0].HighWatermark;
        }
    }

    private static List<int> PartitionsIn(TestNode node, string directory) =>
        [.. Enumerable.Range(0, Partitions).Where(partition => node.Disk.DirectoryExists($"{directory}/t-{partition}"))];
}
