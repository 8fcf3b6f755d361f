using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using static Ottla.UnitTests.Broker.Requests;
using OffsetAnswer = Ottla.Protocol.Messages.ListOffsetsResponse.ListOffsetsPartitionResponse;

namespace Ottla.UnitTests.Broker;

/// <summary>What clients ask of the log of a partition besides its records.</summary>
public sealed class LogApiTests
{
    [Fact]
    public async Task ListOffsets_in_every_version()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await client.ProduceAsync("t", Batch(3, timestampMs: StartMs + 1000)); // 0 to 2, at 1000 to 1002
        await client.ProduceAsync("t", Batch(2, timestampMs: StartMs)); // 3 and 4, at 0 and 1
        await DeleteAsync(client, "t", 1);
        foreach (var version in TestConnection.VersionsOf<ListOffsetsResponse>())
        {
            var epoch = version >= 4 ? 0 : -1;
            await Check(-1, -1, 5, epoch); // latest
            await Check(-2, -1, 1, epoch); // earliest
            await Check(StartMs + 1001, StartMs + 1001, 1, epoch);
            await Check(StartMs + 1002, StartMs + 1002, 2, epoch);
            await Check(StartMs + 1003, -1, -1, -1);
            await CheckFrom(7, -3, StartMs + 1002, 2, epoch); // the record with the greatest timestamp
            await CheckFrom(8, -4, -1, 1, epoch); // earliest that is local
            await CheckFrom(9, -5, -1, -1, -1); // latest in tiered storage
            await CheckFrom(11, -6, -1, -1, -1); // earliest to be tiered
            AssertError(ErrorCode.UnsupportedVersion, (await AskAsync(-7)).ErrorCode);

            async Task CheckFrom(short firstVersion, long asked, long timestamp, long offset, int leaderEpoch)
            {
                if (version >= firstVersion)
                    await Check(asked, timestamp, offset, leaderEpoch);
                else
                    AssertError(ErrorCode.UnsupportedVersion, (await AskAsync(asked)).ErrorCode);
            }

            async Task Check(long asked, long timestamp, long offset, int leaderEpoch)
            {
                var answer = await AskAsync(asked);
                AssertError(ErrorCode.None, answer.ErrorCode);
                Assert.Equal(
                    (version, asked, timestamp, offset, leaderEpoch),
                    (version, asked, answer.Timestamp, answer.Offset, answer.LeaderEpoch));
            }

            async Task<OffsetAnswer> AskAsync(long timestamp) => await ListAsync(client, "t", 0, timestamp, version);
        }
    }

    [Fact]
    public async Task ListOffsets_errors()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        AssertError(ErrorCode.UnknownTopicOrPartition, (await ListAsync(client, "nowhere", 0, -1, 9)).ErrorCode);
        AssertError(ErrorCode.UnknownTopicOrPartition, (await ListAsync(client, "t", 7, -1, 9)).ErrorCode);
        AssertError(ErrorCode.UnknownLeaderEpoch, (await ListAsync(client, "t", 0, -1, 9, leaderEpoch: 5)).ErrorCode);
        var empty = await ListAsync(client, "t", 0, -3, 9);
        Assert.Equal((0, -1L, -1L), (empty.ErrorCode, empty.Timestamp, empty.Offset));

        var twice = ListRequest("t", 0, -1);
        twice.Topics[0].Partitions = [twice.Topics[0].Partitions[0], twice.Topics[0].Partitions[0]];
        await AssertRefusedOnceAsync();
        twice.Topics = [ListRequest("t", 0, -1).Topics[0], ListRequest("t", 0, -2).Topics[0]]; // in two entries of the topic
        await AssertRefusedOnceAsync();

        async Task AssertRefusedOnceAsync()
        {
            var answers = Assert.Single((await client.CallAsync<ListOffsetsRequest, ListOffsetsResponse>(twice)).Topics).Partitions;
            Assert.Equal((ErrorCode.InvalidRequest, -1L), answers.Select(answer => ((ErrorCode)answer.ErrorCode, answer.Offset)).Single());
        }
    }

    [Fact]
    public async Task The_greatest_timestamp_is_told_also_where_its_record_was_deleted()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await client.ProduceAsync("t", Batch(timestampMs: StartMs + 1000));
        await client.ProduceAsync("t", Batch(timestampMs: StartMs));
        await DeleteAsync(client, "t", 1);
        var found = await ListAsync(client, "t", 0, -3, 9);
        Assert.Equal((0, 0L, StartMs + 1000), (found.ErrorCode, found.Offset, found.Timestamp));
        Assert.Equal(1, (await ListAsync(client, "t", 0, 0, 9)).Offset); // by time: only what is there
    }

    [Fact]
    public async Task OffsetForLeaderEpoch_in_every_version()
    {
        var (node, first, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await first.ProduceAsync("t", Batch(3));
        await node.RestartAsync();
        await using var client = await node.ConnectAsync();
        await client.ProduceAsync("t", Batch(2));
        var epoch = (await client.CallAsync<MetadataRequest, MetadataResponse>(new MetadataRequest { Topics = null })).Topics[0]
            .Partitions[0].LeaderEpoch;
        foreach (var version in TestConnection.VersionsOf<OffsetForLeaderEpochResponse>())
        {
            Assert.Equal((0, 0, 3L), await AskAsync("t", 0));
            Assert.Equal((0, epoch, 5L), await AskAsync("t", epoch));
            Assert.Equal((0, -1, -1L), await AskAsync("t", epoch + 1));
            Assert.Equal(((int)ErrorCode.FencedLeaderEpoch, -1, -1L), await AskAsync("t", 0, currentEpoch: epoch - 1));
            Assert.Equal(((int)ErrorCode.UnknownLeaderEpoch, -1, -1L), await AskAsync("t", 0, currentEpoch: epoch + 1));
            Assert.Equal(((int)ErrorCode.UnknownTopicOrPartition, -1, -1L), await AskAsync("nowhere", 0));

            async Task<(int Error, int Epoch, long EndOffset)> AskAsync(string topic, int leaderEpoch, int currentEpoch = -1)
            {
                var partition =
                    new OffsetForLeaderEpochRequest.OffsetForLeaderPartition
                    {
                        CurrentLeaderEpoch = currentEpoch,
                        LeaderEpoch = leaderEpoch
                    };
                var request =
                    new OffsetForLeaderEpochRequest
                    {
                        ReplicaId = -1,
                        Topics = [new OffsetForLeaderEpochRequest.OffsetForLeaderTopic { Topic = topic, Partitions = [partition] }]
                    };
                var answer = (await client.CallAsync<OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse>(request, version)).Topics[0]
                    .Partitions[0];
                return (answer.ErrorCode, answer.LeaderEpoch, answer.EndOffset);
            }
        }
    }

    [Fact]
    public async Task DeleteRecords_in_every_version()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await client.CreateTopicAsync("compacted", 1, ("cleanup.policy", "compact"));
        await client.CreateTopicAsync("both", 1, ("cleanup.policy", "compact,delete"));
        await client.CreateTopicAsync("neither", 1, ("cleanup.policy", ""));
        await client.CreateTopicAsync("__consumer_offsets");
        await client.ProduceAsync("t", Batch(10));
        foreach (var version in TestConnection.VersionsOf<DeleteRecordsResponse>())
        {
            Assert.Equal((ErrorCode.None, version + 1L), await DeleteAsync(client, "t", version + 1, version));
            Assert.Equal((ErrorCode.OffsetOutOfRange, -1L), await DeleteAsync(client, "t", 11, version));
            Assert.Equal((ErrorCode.OffsetOutOfRange, -1L), await DeleteAsync(client, "t", -2, version));
            Assert.Equal((ErrorCode.PolicyViolation, -1L), await DeleteAsync(client, "compacted", 0, version));
            Assert.Equal((ErrorCode.None, 0L), await DeleteAsync(client, "both", -1, version));
            // an empty policy keeps records from retention only
            Assert.Equal((ErrorCode.None, 0L), await DeleteAsync(client, "neither", -1, version));
            Assert.Equal((ErrorCode.InvalidTopicException, -1L), await DeleteAsync(client, "__consumer_offsets", 0, version));
            Assert.Equal((ErrorCode.UnknownTopicOrPartition, -1L), await DeleteAsync(client, "nowhere", 0, version));
        }

        AssertError(ErrorCode.OffsetOutOfRange, (await client.FetchAsync("t", 2)).ErrorCode);
        Assert.Equal(3, (await client.FetchAsync("t", 3)).LogStartOffset);
        Assert.Equal((ErrorCode.None, 3L), await DeleteAsync(client, "t", 1)); // never back
        Assert.Equal((ErrorCode.None, 10L), await DeleteAsync(client, "t", -1));
        Assert.Equal(10, (await ListAsync(client, "t", 0, -2, 9)).Offset);
    }

    [Fact]
    public async Task Records_of_internal_topics_are_not_deleted()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        Assert.Equal((ErrorCode.UnknownTopicOrPartition, -1L), await DeleteAsync(client, "__consumer_offsets", 0));
        await client.FindCoordinatorAsync("any");
        Assert.Equal((ErrorCode.InvalidTopicException, -1L), await DeleteAsync(client, "__consumer_offsets", 0));
    }

    [Fact]
    public async Task DescribeProducers_in_every_version()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await client.ProduceAsync("t", Batch(3, new RecordBatchOptions { ProducerId = 7, ProducerEpoch = 2, BaseSequence = 0 }));
        foreach (var version in TestConnection.VersionsOf<DescribeProducersResponse>())
        {
            var request =
                new DescribeProducersRequest
                {
                    Topics = [
                    new DescribeProducersRequest.TopicRequest { Name = "t", PartitionIndexes = [0, 9] }]
                };
            var partitions = (await client.CallAsync<DescribeProducersRequest, DescribeProducersResponse>(request, version)).Topics[0]
                .Partitions;
            var producer = Assert.Single(partitions[0].ActiveProducers);
            Assert.Equal(
                (7L, 2, 2, StartMs + 2, -1L), (
                    producer.ProducerId, producer.ProducerEpoch, producer.LastSequence, producer.LastTimestamp,
                    producer.CurrentTxnStartOffset));
            AssertError(ErrorCode.UnknownTopicOrPartition, partitions[1].ErrorCode);
        }
    }

    [Fact]
    public async Task DescribeLogDirs_in_every_version()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await client.ProduceAsync("t", Batch());
        foreach (var version in TestConnection.VersionsOf<DescribeLogDirsResponse>())
        {
            var all = Assert.Single(
                (await client.CallAsync<DescribeLogDirsRequest, DescribeLogDirsResponse>(
                    new DescribeLogDirsRequest { Topics = null }, version)).Results);
            AssertError(ErrorCode.None, all.ErrorCode);
            Assert.Equal("/data", all.LogDir);
            Assert.Equal(version >= 4 ? node.Disk.Space.TotalBytes : -1, all.TotalBytes);
            var partition = Assert.Single(all.Topics.Single(topic => topic.Name == "t").Partitions);
            Assert.Equal(
                (0, (long)Batch().Length, 0L, false),
                (partition.PartitionIndex, partition.PartitionSize, partition.OffsetLag, partition.IsFutureKey));

            var other =
                new DescribeLogDirsRequest
                {
                    Topics = [
                    new DescribeLogDirsRequest.DescribableLogDirTopic { Topic = "other", Partitions = [0] }]
                };
            Assert.Empty(
                Assert.Single((await client.CallAsync<DescribeLogDirsRequest, DescribeLogDirsResponse>(other, version)).Results).Topics);
        }
    }

    [Fact]
    public async Task AlterReplicaLogDirs_moves_a_replica_in_every_version()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t", ("log.dirs", "/one,/two"));
        await using var _1 = node;
        await client.ProduceAsync("t", Batch());
        foreach (var version in TestConnection.VersionsOf<AlterReplicaLogDirsResponse>())
        {
            Assert.Equal(ErrorCode.LogDirNotFound, await MoveAsync("/three", "t", version));
            Assert.Equal(ErrorCode.UnknownTopicOrPartition, await MoveAsync("/one", "none", version));
            var target = await DirectoryAsync() == "/one" ? "/two" : "/one";
            Assert.Equal(ErrorCode.None, await MoveAsync(target, "t", version));
            await node.Clock.AdvanceUntilAsync(MovedAsync(target), stepMs: 100);
            await client.ProduceAsync("t", Batch());
        }

        Assert.Equal(3, (await client.FetchAsync("t", 0)).HighWatermark); // everything is there, and new records go on behind it

        async Task<ErrorCode> MoveAsync(string path, string topic, short version)
        {
            var request = new AlterReplicaLogDirsRequest
            {
                Dirs = [new AlterReplicaLogDirsRequest.AlterReplicaLogDir { Path = path,
                    Topics = [new AlterReplicaLogDirsRequest.AlterReplicaLogDirTopic { Name = topic, Partitions = [0] }] }],
            };
            var response = await client.CallAsync<AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse>(request, version);
            return (ErrorCode)Assert.Single(Assert.Single(response.Results).Partitions).ErrorCode;
        }

        async Task<string> DirectoryAsync()
        {
            var directories = (
                await client.CallAsync<DescribeLogDirsRequest, DescribeLogDirsResponse>(new DescribeLogDirsRequest { Topics = null }))
                    .Results;
            return directories.Single(
                directory => directory.Topics.Any(topic => topic.Name == "t" && topic.Partitions.Any(partition => !partition.IsFutureKey)))
                    .LogDir;
        }

        async Task MovedAsync(string target)
        {
            while (await DirectoryAsync() != target)
                await Task.Yield();
        }
    }

    private static ListOffsetsRequest ListRequest(string topic, int partition, long timestamp, int leaderEpoch = -1) => new()
    {
        ReplicaId = -1,
        Topics =
        [
            new ListOffsetsRequest.ListOffsetsTopic
            {
                Name = topic,
                Partitions = [
                    new ListOffsetsRequest.ListOffsetsPartition { PartitionIndex = partition, Timestamp = timestamp,
                        CurrentLeaderEpoch = leaderEpoch }],
            },
        ],
    };

    private static async Task<OffsetAnswer> ListAsync(
        TestConnection client, string topic, int partition, long timestamp, short version, int leaderEpoch = -1)
    {
        var response = await client.CallAsync<ListOffsetsRequest, ListOffsetsResponse>(
            ListRequest(topic, partition, timestamp, leaderEpoch), version);
        return Assert.Single(Assert.Single(response.Topics).Partitions);
    }

    private static async Task<(ErrorCode Error, long LowWatermark)> DeleteAsync(
        TestConnection client, string topic, long offset, short version = 2)
    {
        var partition = new DeleteRecordsRequest.DeleteRecordsPartition { Offset = offset };
        var request =
            new DeleteRecordsRequest
            {
                Topics = [new DeleteRecordsRequest.DeleteRecordsTopic { Name = topic, Partitions = [partition] }],
                TimeoutMs = 1000
            };
        var answer = (await client.CallAsync<DeleteRecordsRequest, DeleteRecordsResponse>(request, version)).Topics[0].Partitions[0];
        return ((ErrorCode)answer.ErrorCode, answer.LowWatermark);
    }
}
