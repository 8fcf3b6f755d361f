using Ottla.Broker.Hosts.Coordinators;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using Ottla.Storage.Files;
using static Ottla.UnitTests.Broker.GroupCalls;

namespace Ottla.UnitTests.Broker;

/// <summary>Groups after the node stopped, or died, and started again; and those that Kafka has left.</summary>
public sealed class GroupRestartTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Groups_go_on_and_offsets_are_what_was_acknowledged(bool isCrash)
    {
        await using var node = await TestNode.StartAsync(QuickGroups);
        await using var before = await node.ConnectAsync();
        await before.CreateTopicAsync("t", 2);
        await before.FindCoordinatorAsync("g");
        var classic = await before.JoinAndSyncAsync("g");
        var consumer = await before.CallAsync<ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse>(
            ConsumerHeartbeat("c", "m", 0, "t"));
        Assert.Equal(ErrorCode.None, await before.CommitAsync("g", "t", 1, memberId: classic.MemberId, generationId: classic.GenerationId));
        Assert.Equal(ErrorCode.None, await before.CommitAsync("c", "t", 2, memberId: "m", generationId: consumer.MemberEpoch));
        for (var i = 0; i < 2; i++)
        {
            await (isCrash ? node.CrashAsync() : node.RestartAsync());
            await using var client = await node.ConnectAsync();
            await client.FindCoordinatorAsync("g");
            Assert.Equal(("t-0=1", "t-0=2"), (await client.FetchAllOffsetsAsync("g"), await client.FetchAllOffsetsAsync("c")));
            Assert.Equal(ErrorCode.None, await client.HeartbeatAsync("g", classic.MemberId, classic.GenerationId));
            var described = await client.DescribeGroupAsync("g");
            Assert.Equal(("Stable", classic.MemberId), (described.GroupState, Assert.Single(described.Members).MemberId));
            Assert.Equal(
                ErrorCode.None, await client.CommitAsync("g", "t", 1, memberId: classic.MemberId, generationId: classic.GenerationId));
            var heartbeat = await client.CallAsync<ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse>(
                ConsumerHeartbeat("c", "m", consumer.MemberEpoch, null));
            Assert.Equal((ErrorCode.None, consumer.MemberEpoch), ((ErrorCode)heartbeat.ErrorCode, heartbeat.MemberEpoch));
        }
    }

    [Fact]
    public async Task A_member_that_is_not_heard_of_goes_also_when_the_node_has_restarted()
    {
        await using var node = await TestNode.StartAsync(QuickGroups);
        await using var before = await node.ConnectAsync();
        await before.FindCoordinatorAsync("g");
        await before.JoinAndSyncAsync("g");
        await node.RestartAsync();
        await using var client = await node.ConnectAsync();
        await client.FindCoordinatorAsync("g");
        node.Clock.AdvanceMs(29_000);
        Assert.Single((await client.DescribeGroupAsync("g")).Members);
        node.Clock.AdvanceMs(1_001);
        Assert.Equal("Empty", (await client.DescribeGroupAsync("g")).GroupState);
    }

    [Fact]
    public async Task What_is_written_is_what_Kafka_writes()
    {
        await using var node = await TestNode.StartAsync(
            [("offsets.topic.num.partitions", "1"), .. QuickGroups.Where(config => config.Name != "offsets.topic.num.partitions")]);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        await client.FindCoordinatorAsync("g");
        var joined = await client.JoinAndSyncAsync("g");
        await client.CommitAsync("g", "t", 1, memberId: joined.MemberId, generationId: joined.GenerationId);
        var consumer = await client.CallAsync<ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse>(
            ConsumerHeartbeat("c", "m", 0, "t"));
        await client.CommitAsync("c", "t", 2, memberId: "m", generationId: consumer.MemberEpoch);

        var records = ReadRecords(node.Disk);
        // A member given an id, the generation; then the offset; then the consumer group's member, epoch, assignment; its offset.
        Assert.Equal(
            [(2, 3), (1, 4), (5, 0), (3, 0), (7, 0), (6, 0), (8, 0), (1, 4)],
            records.Select(record => ((int)record.Type, (int)record.Version)).SkipWhile(record => record == (2, 3)).Prepend((2, 3)));
        Assert.All(records, record => Assert.Equal((-1L, -1, 0), (record.ProducerId, (int)record.ProducerEpoch, record.BaseSequence)));
    }

    [Fact]
    public async Task Groups_that_Kafka_left_are_there_with_their_offsets()
    {
        var disk = new InMemoryFileSystem();
        CopyInto(disk, GoldenData.CleanDirectory, "/data");
        await using var node = await TestNode.StartOnAsync(
            disk, ("node.id", "1"), ("log.retention.ms", "-1"), ("offsets.retention.minutes", "2147483647"));
        await using var client = await node.ConnectAsync();
        var groups = (await client.AwaitCoordinatorsAsync()).Groups;
        Assert.Equal(
            [
                ("classic-group", "classic", "consumer", "Empty"),
                ("modern-group", "consumer", "consumer", "Empty"),
                ("shared-group", "share", "share", "Empty"),
            ],
            groups.OrderBy(group => group.GroupId).Select(group => (group.GroupId, group.GroupType, group.ProtocolType, group.GroupState)));
        Assert.Equal(
            "codec-none-0=229 codec-zstd-0=123 partitions-0=100 partitions-1=101 partitions-2=102",
            await client.FetchAllOffsetsAsync("classic-group"));
        Assert.Equal("partitions-0=0 partitions-1=101 partitions-2=49", await client.FetchAllOffsetsAsync("modern-group"));
        var described = await client.CallAsync<ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse>(
            new ConsumerGroupDescribeRequest { GroupIds = ["modern-group"] });
        Assert.Equal(("Empty", 3), (described.Groups[0].GroupState, described.Groups[0].GroupEpoch));
        Assert.Equal(ErrorCode.None, await client.CommitAsync("classic-group", "partitions", 100));
        Assert.Equal("Empty", (await client.DescribeGroupAsync("classic-group")).GroupState);

        // Kafka could not load the partition if a group of another kind had the id.
        Assert.Equal(ErrorCode.GroupIdNotFound, await client.CommitAsync("shared-group", "partitions", 100));
        Assert.Equal("", await client.FetchAllOffsetsAsync("shared-group"));
        var joined = await client.CallAsync<ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse>(
            ConsumerHeartbeat("shared-group", "m", 0, "partitions"));
        Assert.Equal(
            ((short)ErrorCode.GroupIdNotFound, "Group shared-group is not a consumer group."), (joined.ErrorCode, joined.ErrorMessage));
    }

    internal static void CopyInto(InMemoryFileSystem disk, string source, string target)
    {
        disk.CreateDirectory(target);
        foreach (var directory in Directory.GetDirectories(source))
            CopyInto(disk, directory, $"{target}/{Path.GetFileName(directory)}");
        foreach (var path in Directory.GetFiles(source))
        {
            using var file = disk.Open($"{target}/{Path.GetFileName(path)}", FileOpenMode.OpenOrCreate);
            file.Write(0, File.ReadAllBytes(path));
        }
    }

    private static List<(short Type, short Version, long ProducerId, short ProducerEpoch, int BaseSequence)> ReadRecords(
        InMemoryFileSystem disk)
    {
        const string path = "/data/__consumer_offsets-0/00000000000000000000.log";
        using var file = disk.Open(path, FileOpenMode.ReadExisting);
        var bytes = new byte[file.Length];
        file.Read(0, bytes);
        var records = new List<(short, short, long, short, int)>();
        for (var rest = bytes.AsMemory(); rest.Length > 0;)
        {
            var batch = new RecordBatchView(rest.Span);
            if (!batch.IsCrcValid)
                break; // preallocated
            using var reader = new RecordReader(rest[..batch.SizeInBytes]);
            while (reader.TryRead(out var record))
            {
                var decoded = CoordinatorRecordSerde.Groups.Decode(record);
                Assert.NotNull(decoded.Value);
                records.Add((decoded.Key.RecordKey, decoded.ValueVersion, batch.ProducerId, batch.ProducerEpoch, batch.BaseSequence));
            }

            rest = rest[batch.SizeInBytes..];
        }

        return records;
    }
}
