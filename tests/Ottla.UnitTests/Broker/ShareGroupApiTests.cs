using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using static Ottla.UnitTests.Broker.Requests;
using static Ottla.UnitTests.Broker.ShareGroupCalls;

namespace Ottla.UnitTests.Broker;

/// <summary>Share groups over the wire: members, offsets and their administration. What is expected is what Kafka 4.4.0 answers.</summary>
public sealed class ShareGroupApiTests
{
    [Fact]
    public async Task Without_the_feature_share_groups_are_refused()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        AssertError(ErrorCode.UnsupportedVersion, (await client.ShareHeartbeatAsync("g", "m", 0, "t")).ErrorCode);
        AssertError(ErrorCode.UnsupportedVersion, (await client.DescribeShareGroupAsync("g")).ErrorCode);
        AssertError(ErrorCode.UnsupportedVersion, (await client.DescribeShareOffsetsAsync("g")).ErrorCode);
        AssertError(ErrorCode.UnsupportedVersion, (await client.AlterShareOffsetsAsync("g", "t", (0, 0))).ErrorCode);
        AssertError(ErrorCode.UnsupportedVersion, (await client.DeleteShareOffsetsAsync("g", "t")).ErrorCode);
    }

    [Fact]
    public async Task A_member_joins_is_described_and_leaves()
    {
        await using var node = await TestNode.StartAsync(ShareGroups);
        await using var client = await node.ConnectAsync();
        var topicId = await client.CreateTopicAsync("t", 3);
        var epoch = await client.JoinShareGroupAsync(node, "g", "m", "t", partitions: 3);

        var group = await client.DescribeShareGroupAsync("g");
        Assert.Equal(("Stable", epoch, epoch, "simple"), (group.GroupState, group.GroupEpoch, group.AssignmentEpoch, group.AssignorName));
        var member = Assert.Single(group.Members);
        Assert.Equal(("m", epoch, "/127.0.0.1"), (member.MemberId, member.MemberEpoch, member.ClientHost));
        var assigned = Assert.Single(member.Assignment.TopicPartitions);
        Assert.Equal((topicId, "t"), (assigned.TopicId, assigned.TopicName));
        Assert.Equal([0, 1, 2], assigned.Partitions);
        Assert.Equal(ErrorCode.NonEmptyGroup, await client.DeleteGroupAsync("g"));
        AssertError(ErrorCode.NonEmptyGroup, (await client.AlterShareOffsetsAsync("g", "t", (0, 0))).ErrorCode);
        AssertError(ErrorCode.NonEmptyGroup, (await client.DeleteShareOffsetsAsync("g", "t")).ErrorCode);

        var left = await client.ShareHeartbeatAsync("g", "m", -1);
        Assert.Equal((-1, 0), (left.MemberEpoch, left.HeartbeatIntervalMs));
        AssertError(ErrorCode.UnknownMemberId, (await client.ShareHeartbeatAsync("g", "m", -1)).ErrorCode);
        var listed = Assert.Single((await client.AwaitCoordinatorsAsync()).Groups);
        Assert.Equal(("g", "share", "Empty", "share"), (listed.GroupId, listed.GroupType, listed.GroupState, listed.ProtocolType));
    }

    [Fact]
    public async Task A_group_and_its_state_survive_a_restart()
    {
        await using var node = await TestNode.StartAsync(ShareGroups);
        int epoch;
        await using (var client = await node.ConnectAsync())
        {
            await client.CreateTopicAsync("t");
            epoch = await client.JoinShareGroupAsync(node, "g", "m", "t");
        }

        await node.RestartAsync();
        await using var again = await node.ConnectAsync();
        await again.FindCoordinatorAsync("g");
        var answer = await again.ShareHeartbeatAsync("g", "m", epoch, "t");
        Assert.Equal(epoch, answer.MemberEpoch);
        Assert.Equal([0], Assert.Single(answer.Assignment!.TopicPartitions).Partitions);
    }

    [Fact]
    public async Task Offsets_are_described_altered_and_deleted()
    {
        await using var node = await TestNode.StartAsync(ShareGroups);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t", 2);
        await client.CreateTopicAsync("other");
        await client.ProduceAsync("t", Batch(10));
        await client.JoinShareGroupAsync(node, "g", "m", "t", partitions: 2);
        Assert.Equal([(0, -1L, -1L), (1, -1L, -1L)], Offsets(await client.DescribeShareOffsetsAsync("g")));
        await client.ShareHeartbeatAsync("g", "m", -1);

        var altered = await client.AlterShareOffsetsAsync("g", "t", (0, 2), (1, 5), (7, 0));
        AssertError(ErrorCode.None, altered.ErrorCode);
        Assert.Equal([0, 0, 3], Assert.Single(altered.Responses).Partitions.Select(partition => (int)partition.ErrorCode));
        Assert.Equal([(0, 2L, 8L), (1, 5L, -5L)], Offsets(await client.DescribeShareOffsetsAsync("g")));
        var unknown = await client.AlterShareOffsetsAsync("g", "nope", (0, 0));
        AssertError(ErrorCode.UnknownTopicOrPartition, unknown.Responses[0].Partitions[0].ErrorCode);
        Assert.Equal(Uuid.Zero, unknown.Responses[0].TopicId);

        foreach (var version in TestConnection.VersionsOf<DescribeShareGroupOffsetsResponse>())
        {
            var described = await client.DescribeShareOffsetsAsync("g", version, ("t", [0, 7]), ("nope", [0]), ("other", [0]));
            Assert.Equal(["t", "other", "nope"], described.Topics.Select(topic => topic.TopicName));
            Assert.Equal(
                [(0, 2L, version == 0 ? -1 : 8L), (7, -1L, -1L), (0, -1L, -1L), (0, -1L, -1L)], Offsets(described));
        }

        var deleted = await client.DeleteShareOffsetsAsync("g", "t", "other", "nope");
        Assert.Equal([0, 3, 3], deleted.Responses.Select(topic => (int)topic.ErrorCode));
        Assert.Empty((await client.DescribeShareOffsetsAsync("g")).Topics);
        AssertError(ErrorCode.UnknownTopicOrPartition, (await client.DeleteShareOffsetsAsync("g", "t")).Responses[0].ErrorCode);
    }

    [Fact]
    public async Task Altering_makes_a_group_which_is_deleted_with_its_state()
    {
        await using var node = await TestNode.StartAsync(ShareGroups);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        await client.FindCoordinatorAsync("g");
        await AlterAsync(node, client, offset: 4);
        Assert.Equal("Empty", (await client.DescribeShareGroupAsync("g")).GroupState);
        Assert.Equal([(0, 4L, -4L)], Offsets(await client.DescribeShareOffsetsAsync("g")));

        Assert.Equal(ErrorCode.None, await client.DeleteGroupAsync("g"));
        AssertError(ErrorCode.GroupIdNotFound, (await client.DescribeShareGroupAsync("g")).ErrorCode);
        Assert.Equal([(0, -1L, -1L)], Offsets(await client.DescribeShareOffsetsAsync("g", null, ("t", [0]))));
        Assert.Equal(ErrorCode.GroupIdNotFound, await client.DeleteGroupAsync("g"));
    }

    [Fact]
    public async Task Groups_of_other_types_keep_their_ids()
    {
        await using var node = await TestNode.StartAsync([.. ShareGroups, ("group.initial.rebalance.delay.ms", "0")]);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        await client.JoinShareGroupAsync(node, "share", "m", "t");
        await client.JoinAsync("classic");

        AssertError(ErrorCode.GroupIdNotFound, (await client.ShareHeartbeatAsync("classic", "m", 0, "t")).ErrorCode);
        AssertError(ErrorCode.GroupIdNotFound, (await client.DescribeShareGroupAsync("classic")).ErrorCode);
        AssertError(ErrorCode.GroupIdNotFound, (await client.AlterShareOffsetsAsync("classic", "t", (0, 0))).ErrorCode);
        AssertError(ErrorCode.GroupIdNotFound, (await client.DeleteShareOffsetsAsync("classic", "t")).ErrorCode);
        Assert.Equal([(0, -1L, -1L)], Offsets(await client.DescribeShareOffsetsAsync("classic", null, ("t", [0]))));
        AssertError(ErrorCode.InconsistentGroupProtocol, (await client.JoinOnceAsync("share", version: 3)).ErrorCode);
    }

    [Fact]
    public async Task Without_a_group_id_nothing_is_done()
    {
        await using var node = await TestNode.StartAsync(ShareGroups);
        await using var client = await node.ConnectAsync();
        await client.FindCoordinatorAsync("g");
        AssertError(ErrorCode.InvalidRequest, (await client.ShareHeartbeatAsync("", "m", 0, "t")).ErrorCode);
        AssertError(ErrorCode.InvalidGroupId, (await client.DescribeShareGroupAsync("")).ErrorCode);
        AssertError(ErrorCode.InvalidGroupId, (await client.DescribeShareOffsetsAsync("")).ErrorCode);
        AssertError(ErrorCode.InvalidGroupId, (await client.AlterShareOffsetsAsync("", "t", (0, 0))).ErrorCode);
        AssertError(ErrorCode.InvalidGroupId, (await client.DeleteShareOffsetsAsync("", "t")).ErrorCode);
    }

    /// <summary>Alters an offset; while the share coordinator loads, the node waits by the clock.</summary>
    private static async Task AlterAsync(TestNode node, TestConnection client, long offset)
    {
        var altering = client.AlterShareOffsetsAsync("g", "t", (0, offset));
        await Waiting.UntilAsync(() =>
        {
            node.Clock.AdvanceMs(100);
            return altering.IsCompleted;
        });
        AssertError(ErrorCode.None, (await altering).Responses[0].Partitions[0].ErrorCode);
    }

    private static (int, long, long)[] Offsets(DescribeShareGroupOffsetsResponse.DescribeShareGroupOffsetsResponseGroup group)
    {
        AssertError(ErrorCode.None, group.ErrorCode);
        return
        [
            .. group.Topics.SelectMany(topic => topic.Partitions)
                .Select(partition => (partition.PartitionIndex, partition.StartOffset, partition.Lag)),
        ];
    }
}
