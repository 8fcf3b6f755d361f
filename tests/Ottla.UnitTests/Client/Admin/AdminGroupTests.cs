using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.UnitTests.Broker;
using static Ottla.UnitTests.Broker.GroupCalls;

namespace Ottla.UnitTests.Client.Admin;

/// <summary>Admin calls about groups, at a whole node.</summary>
public sealed class AdminGroupTests
{
    private static readonly TopicPartition Partition = new("a", 0);

    [Fact]
    public async Task Lists_groups()
    {
        await using var bed = await ClientBed.StartAsync("a");
        await using var connection = await bed.Node.ConnectAsync();
        await connection.FindCoordinatorAsync("empty");
        await connection.CommitAsync("empty", "a", 1);
        await connection.JoinAndSyncAsync("classic");
        var admin = bed.Client.CreateAdmin();
        var all = await bed.RunAsync(admin.ListGroupsAsync());
        all.ThrowIfFailed();
        Assert.Equal(["classic", "empty"], all.Items.Select(group => group.GroupId).Order());
        Assert.All(all.Items, group => Assert.Equal("classic", group.Type, ignoreCase: true));
        var empty = Assert.Single((await bed.RunAsync(admin.ListGroupsAsync(states: ["Empty"], types: ["classic"]))).Items);
        Assert.Equal(("empty", "Empty"), (empty.GroupId, empty.State));
        Assert.Empty((await bed.RunAsync(admin.ListGroupsAsync(types: ["consumer"]))).Items);
    }

    [Fact]
    public async Task Describes_groups_of_both_protocols()
    {
        await using var bed = await ClientBed.StartAsync("a");
        await using var connection = await bed.Node.ConnectAsync();
        await connection.FindCoordinatorAsync("classic");
        var joined = await connection.JoinAndSyncAsync("classic");
        var heartbeat = await connection.CallAsync<ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse>(
            ConsumerHeartbeat("new", "m1", 0, "a"));
        Assert.Equal(0, heartbeat.ErrorCode);
        var admin = bed.Client.CreateAdmin();
        var consumers = await bed.RunAsync(
            admin.DescribeConsumerGroupsAsync(["classic", "new", "nowhere"], includeAuthorizedOperations: true));
        var newer = consumers["new"].Value;
        Assert.Equal((GroupProtocol.Consumer, true), (newer.Protocol, newer.GroupEpoch > 0));
        Assert.Contains(AclOperation.Read, newer.AuthorizedOperations!);
        var member = Assert.Single(newer.Members);
        Assert.Equal(("m1", false), (member.MemberId, member.IsClassic));
        Assert.Equal(["a"], member.SubscribedTopics!);
        Assert.Equal([Partition], member.TargetAssignment!);
        var older = consumers["classic"].Value;
        Assert.Equal((GroupProtocol.Classic, "Stable", (int?)null), (older.Protocol, older.State, older.GroupEpoch));
        Assert.Equal(joined.MemberId, Assert.Single(older.Members).MemberId);
        Assert.Equal(ErrorCode.GroupIdNotFound, consumers["nowhere"].Error);

        var classic = await bed.RunAsync(admin.DescribeClassicGroupsAsync(["classic", "nowhere"]));
        Assert.Equal([1, 2, 3], Assert.Single(classic["classic"].Value.Members).Assignment.ToArray());
        Assert.Null(classic["classic"].Value.AuthorizedOperations);
        Assert.Equal(ErrorCode.GroupIdNotFound, classic["nowhere"].Error);
    }

    [Fact]
    public async Task Lists_alters_and_deletes_offsets()
    {
        await using var bed = await ClientBed.StartAsync("a");
        var admin = bed.Client.CreateAdmin();
        var nowhere = new TopicPartition("nowhere", 0);
        var altered = await bed.RunAsync(admin.AlterConsumerGroupOffsetsAsync(
            "g", [new PartitionOffset(Partition, new CommitOffset(7, 0, "note")), new PartitionOffset(nowhere, new CommitOffset(1))]));
        altered[Partition].ThrowIfFailed();
        Assert.Equal(ErrorCode.UnknownTopicOrPartition, altered[nowhere].Error);
        (await bed.RunAsync(admin.AlterConsumerGroupOffsetsAsync("h", [new PartitionOffset("a", 0, 8)]))).ThrowIfFailed();

        var listed = (await bed.RunAsync(admin.ListConsumerGroupOffsetsAsync(
            new Dictionary<string, IReadOnlyCollection<TopicPartition>?> { ["g"] = null, ["h"] = [Partition], ["none"] = [Partition] },
            requireStable: true))).GetValues();
        Assert.Equal(new CommitOffset(7, 0, "note"), listed["g"].GetValues()[Partition]);
        Assert.Equal(8, listed["h"][Partition].Value!.Value.Offset);
        Assert.Null(listed["none"][Partition].Value);

        (await bed.RunAsync(admin.DeleteConsumerGroupOffsetsAsync("g", [Partition]))).ThrowIfFailed();
        var missing = await bed.RunAsync(admin.DeleteConsumerGroupOffsetsAsync("none", [Partition]));
        Assert.Equal(ErrorCode.GroupIdNotFound, missing[Partition].Error);
        var left = await bed.RunAsync(admin.ListConsumerGroupOffsetsAsync(
            new Dictionary<string, IReadOnlyCollection<TopicPartition>?> { ["g"] = [Partition] }));
        Assert.Null(left["g"].Value[Partition].Value);
    }

    [Fact]
    public async Task Removes_members_and_deletes_groups()
    {
        await using var bed = await ClientBed.StartAsync("a");
        await using var connection = await bed.Node.ConnectAsync();
        await connection.FindCoordinatorAsync("g");
        await connection.JoinAndSyncAsync("g");
        await connection.JoinAndSyncAsync("static", "instance-1");
        var admin = bed.Client.CreateAdmin();
        var refused = await bed.RunAsync(admin.DeleteConsumerGroupsAsync(["g", "nowhere"]));
        Assert.Equal((ErrorCode.NonEmptyGroup, ErrorCode.GroupIdNotFound), (refused["g"].Error, refused["nowhere"].Error));

        var removed = await bed.RunAsync(admin.RemoveMembersFromConsumerGroupAsync(
            "static", [GroupMemberIdentity.Static("instance-1"), GroupMemberIdentity.Static("instance-2")]));
        removed[GroupMemberIdentity.Static("instance-1")].ThrowIfFailed();
        Assert.Equal(ErrorCode.UnknownMemberId, removed[GroupMemberIdentity.Static("instance-2")].Error);
        var all = await bed.RunAsync(admin.RemoveMembersFromConsumerGroupAsync("g", reason: "tidying up"));
        Assert.Single(all);
        all.ThrowIfFailed();
        (await bed.RunAsync(admin.DeleteConsumerGroupsAsync(["g", "static"]))).ThrowIfFailed();
        Assert.Empty((await bed.RunAsync(admin.ListGroupsAsync())).Items);
    }

    [Fact]
    public async Task A_group_call_goes_on_after_the_coordinator_was_away()
    {
        await using var bed = await ClientBed.StartAsync("a");
        var admin = bed.Client.CreateAdmin();
        (await bed.RunAsync(admin.AlterConsumerGroupOffsetsAsync("g", [new PartitionOffset("a", 0, 8)]))).ThrowIfFailed();
        await bed.Node.RestartAsync();
        var listed = await bed.RunAsync(
            admin.ListConsumerGroupOffsetsAsync(new Dictionary<string, IReadOnlyCollection<TopicPartition>?> { ["g"] = null }), stepMs: 10);
        Assert.Equal(8, listed["g"].Value[Partition].Value!.Value.Offset);
    }
}
