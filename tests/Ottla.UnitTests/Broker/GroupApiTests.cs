using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Storage.Files;
using static Ottla.UnitTests.Broker.GroupCalls;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Broker;

/// <summary>Groups over the wire: every API of theirs, in every version.</summary>
public sealed class GroupApiTests
{
    [Fact]
    public async Task FindCoordinator_in_every_version()
    {
        await using var node = await TestNode.StartAsync(QuickGroups);
        await using var client = await node.ConnectAsync();
        foreach (var version in TestConnection.VersionsOf<FindCoordinatorResponse>())
        {
            var group = await FindAsync(0, "group");
            AssertError(ErrorCode.None, group.ErrorCode);
            Assert.Equal((0, "localhost"), (group.NodeId, group.Host));
            if (version < 1)
                continue;
            AssertError(ErrorCode.None, (await FindAsync(1, "transactional id")).ErrorCode);
            AssertError(
                version >= 6 ? ErrorCode.None : ErrorCode.InvalidRequest, (await FindAsync(2, $"group:{new Uuid(1, 2)}:0")).ErrorCode);
            AssertError(
                version >= 6 ? ErrorCode.None : ErrorCode.InvalidRequest, (await FindAsync(2, $"a:b:{new Uuid(1, 2)}:0")).ErrorCode);
            AssertError(ErrorCode.InvalidRequest, (await FindAsync(2, $":{new Uuid(1, 2)}:0")).ErrorCode);
            AssertError(ErrorCode.InvalidRequest, (await FindAsync(2, "group:0")).ErrorCode);
            AssertError(ErrorCode.InvalidRequest, (await FindAsync(3, "group")).ErrorCode);
            foreach (var unknown in (sbyte[])[3, 9, -1])
            {
                var refused = await FindAsync(unknown, "group");
                Assert.Equal(((short)ErrorCode.InvalidRequest, -1), (refused.ErrorCode, refused.NodeId));
                Assert.StartsWith(
                    "This most likely occurs because of a request being malformed", refused.ErrorMessage, StringComparison.Ordinal);
            }


            async Task<FindCoordinatorResponse.Coordinator> FindAsync(sbyte type, string key)
            {
                var request = version >= 4 ? new FindCoordinatorRequest { CoordinatorKeys = [key], KeyType = type }
                    : new FindCoordinatorRequest { Key = key, KeyType = type };
                var response = await client.CallAsync<FindCoordinatorRequest, FindCoordinatorResponse>(request, version);
                return version >= 4 ? Assert.Single(response.Coordinators)
                    : new FindCoordinatorResponse.Coordinator
                    {
                        NodeId = response.NodeId,
                        Host = response.Host,
                        Port = response.Port,
                        ErrorCode = response.ErrorCode,
                        ErrorMessage = response.ErrorMessage,
                    };
            }
        }

        var offsets = Assert.Single(
            (await client.CallAsync<MetadataRequest, MetadataResponse>(new MetadataRequest { Topics = null })).Topics, topic =>
            topic.Name == "__consumer_offsets");
        Assert.Equal(("__consumer_offsets", true, 3), (offsets.Name, offsets.IsInternal, offsets.Partitions.Length));
        var describe =
            new DescribeConfigsRequest
            {
                Resources = [
                new DescribeConfigsRequest.DescribeConfigsResource { ResourceType = 2, ResourceName = "__consumer_offsets",
                    ConfigurationKeys = ["cleanup.policy", "segment.bytes"] }]
            };
        Assert.Equal(
            ["compact", "104857600"], (await client.CallAsync<DescribeConfigsRequest, DescribeConfigsResponse>(describe)).Results[0]
            .Configs.OrderBy(config => config.Name).Select(config => config.Value));
        AssertError(ErrorCode.InvalidTopicException, (await client.ProduceAsync("__consumer_offsets", Batch())).ErrorCode);
    }

    [Fact]
    public async Task Many_keys_may_be_looked_for_at_once()
    {
        await using var node = await TestNode.StartAsync(QuickGroups);
        await using var client = await node.ConnectAsync();
        var found = (
            await client.CallAsync<FindCoordinatorRequest, FindCoordinatorResponse>(
                new FindCoordinatorRequest { CoordinatorKeys = ["a", "b", "c"] })).Coordinators;
        Assert.Equal([("a", 0), ("b", 0), ("c", 0)], found.Select(each => (each.Key, each.NodeId)));
        Assert.Empty(
            (await client.CallAsync<FindCoordinatorRequest, FindCoordinatorResponse>(new FindCoordinatorRequest { CoordinatorKeys = [] }))
            .Coordinators);
    }

    [Fact]
    public async Task A_regular_expression_is_resolved_outside_of_the_heartbeat()
    {
        await using var node = await TestNode.StartAsync([.. QuickGroups, ("group.consumer.assignment.interval.ms", "0")]);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("bar", 1);
        await client.CreateTopicAsync("foo", 2);
        await client.FindCoordinatorAsync("g");
        var join = ConsumerHeartbeat("g", "m", 0, "bar");
        join.SubscribedTopicRegex = "fo+";
        var answer = await client.CallAsync<ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse>(join);
        Assert.Single(Assert.Single(answer.Assignment!.TopicPartitions).Partitions);
        var deadline = Environment.TickCount64 + (long)TestNode.Patience.TotalMilliseconds;
        var epoch = answer.MemberEpoch;
        do
        {
            Assert.True(Environment.TickCount64 < deadline, "the expression is never resolved");
            var beat = ConsumerHeartbeat("g", "m", epoch, null);
            answer = await client.CallAsync<ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse>(beat);
            AssertError(ErrorCode.None, answer.ErrorCode);
        }
        while (answer.Assignment is null);
        Assert.Equal((epoch + 1, 3), (answer.MemberEpoch, answer.Assignment.TopicPartitions.Sum(topic => topic.Partitions.Length)));
    }

    [Fact]
    public async Task A_full_disk_leaves_groups_as_their_log_has_them()
    {
        await using var node = await TestNode.StartAsync([.. QuickGroups, ("offsets.topic.num.partitions", "1")]);
        await using var client = await node.ConnectAsync();
        await client.FindCoordinatorAsync("g");
        var member = await client.JoinAndSyncAsync("static", instanceId: "i");
        var joined = await client.JoinAsync("g");
        node.Disk.Fault = static (operation, path) =>
            operation == FileOperation.Write && path.Contains("__consumer_offsets", StringComparison.Ordinal)
                ? new DiskFullException("There is no room.")
                : null;
        AssertError(
            ErrorCode.NotCoordinator, (await client.CallAsync<SyncGroupRequest, SyncGroupResponse>(SyncRequest("g", joined))).ErrorCode);
        await client.AwaitCoordinatorsAsync();
        AssertError(ErrorCode.NotCoordinator, (await client.JoinAsync("static", instanceId: "i")).ErrorCode);
        node.Disk.Fault = null;
        await client.AwaitCoordinatorsAsync();

        // The static member was not fenced by a successor that is in no log, and the other group waits for no sync that nobody sends again.
        Assert.Equal(ErrorCode.None, await client.HeartbeatAsync("static", member.MemberId, member.GenerationId));
        Assert.Equal(ErrorCode.UnknownMemberId, await client.HeartbeatAsync("g", joined.MemberId, joined.GenerationId));
        await client.JoinAndSyncAsync("g");
        Assert.Equal("Stable", (await client.DescribeGroupAsync("g")).GroupState);
    }

    [Fact]
    public async Task A_member_joins_syncs_and_leaves_in_every_version()
    {
        await using var node = await TestNode.StartAsync(QuickGroups);
        await using var client = await node.ConnectAsync();
        await client.FindCoordinatorAsync("any");
        foreach (var version in TestConnection.VersionsOf<JoinGroupResponse>())
        {
            var group = $"join {version}";
            var joined = await client.JoinAsync(group, version);
            AssertError(ErrorCode.None, joined.ErrorCode);
            Assert.Equal((1, "range", joined.MemberId), (joined.GenerationId, joined.ProtocolName, joined.Leader));
            Assert.Equal([0, 1], Assert.Single(joined.Members).Metadata);
            foreach (var syncVersion in TestConnection.VersionsOf<SyncGroupResponse>())
            {
                var synced = await client.CallAsync<SyncGroupRequest, SyncGroupResponse>(
                    SyncRequest(group, joined, syncVersion), syncVersion);
                AssertError(ErrorCode.None, synced.ErrorCode);
                Assert.Equal([1, 2, 3], synced.Assignment);
            }

            foreach (var heartbeatVersion in TestConnection.VersionsOf<HeartbeatResponse>())
            {
                Assert.Equal(ErrorCode.None, await client.HeartbeatAsync(group, joined.MemberId, 1, heartbeatVersion));
                Assert.Equal(ErrorCode.IllegalGeneration, await client.HeartbeatAsync(group, joined.MemberId, 2, heartbeatVersion));
                Assert.Equal(ErrorCode.UnknownMemberId, await client.HeartbeatAsync(group, "nobody", 1, heartbeatVersion));
                Assert.Equal(ErrorCode.InvalidGroupId, await client.HeartbeatAsync("", joined.MemberId, 1, heartbeatVersion));
            }

            AssertError(ErrorCode.None, await LeaveAsync(client, group, joined.MemberId, (short)Math.Min((int)version, 5)));
            AssertError(ErrorCode.UnknownMemberId, await LeaveAsync(client, group, joined.MemberId, (short)Math.Min((int)version, 5)));
            AssertError(ErrorCode.InvalidGroupId, (await client.JoinOnceAsync("", version)).ErrorCode);
        }

        foreach (var version in TestConnection.VersionsOf<LeaveGroupResponse>())
            AssertError(ErrorCode.UnknownMemberId, await LeaveAsync(client, "no group", "nobody", version));
    }

    [Fact]
    public async Task A_static_member_is_fenced_by_its_successor()
    {
        await using var node = await TestNode.StartAsync(QuickGroups);
        await using var client = await node.ConnectAsync();
        await client.FindCoordinatorAsync("any");
        var old = await client.JoinAndSyncAsync("g", instanceId: "instance");
        var successor = await client.JoinAsync("g", instanceId: "instance");
        AssertError(ErrorCode.None, successor.ErrorCode);
        Assert.NotEqual(old.MemberId, successor.MemberId);
        Assert.Equal(old.GenerationId, successor.GenerationId); // its place, and nobody else is disturbed
        Assert.Equal(
            (ErrorCode.FencedInstanceId, ErrorCode.None), (await HeartbeatAsync(old.MemberId), await HeartbeatAsync(successor.MemberId)));

        async Task<ErrorCode> HeartbeatAsync(string memberId)
        {
            var request =
                new HeartbeatRequest { GroupId = "g", MemberId = memberId, GenerationId = old.GenerationId, GroupInstanceId = "instance" };
            return (ErrorCode)(await client.CallAsync<HeartbeatRequest, HeartbeatResponse>(request)).ErrorCode;
        }
    }

    [Fact]
    public async Task Groups_are_described_and_listed_in_every_version()
    {
        await using var node = await TestNode.StartAsync(QuickGroups);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        await client.FindCoordinatorAsync("any");
        var joined = await client.JoinAndSyncAsync("with members");
        await client.CommitAsync("only offsets", "t", 1);
        foreach (var version in TestConnection.VersionsOf<DescribeGroupsResponse>())
        {
            var request =
                new DescribeGroupsRequest { Groups = ["with members", "only offsets", "none"], IncludeAuthorizedOperations = version >= 3 };
            var groups = (await client.CallAsync<DescribeGroupsRequest, DescribeGroupsResponse>(request, version)).Groups;
            Assert.Equal(
                [("with members", "Stable"), ("only offsets", "Empty"), ("none", "Dead")],
                groups.Select(group => (group.GroupId, group.GroupState)));
            Assert.Equal(
                [ErrorCode.None, ErrorCode.None, version >= 6 ? ErrorCode.GroupIdNotFound : ErrorCode.None],
                groups.Select(group => (ErrorCode)group.ErrorCode));
            Assert.Equal(("consumer", "range"), (groups[0].ProtocolType, groups[0].ProtocolData));
            var member = Assert.Single(groups[0].Members);
            Assert.Equal((joined.MemberId, "test", "/127.0.0.1"), (member.MemberId, member.ClientId, member.ClientHost));
            Assert.Equal([1, 2, 3], member.MemberAssignment);
            if (version >= 3)
                Assert.True(groups[0].AuthorizedOperations > 0);
        }

        foreach (var version in TestConnection.VersionsOf<ListGroupsResponse>())
        {
            Assert.Equal(["only offsets", "with members"], await ListAsync());
            if (version >= 4)
            {
                Assert.Equal(["with members"], await ListAsync(states: ["stable", "Dead"]));
                Assert.Empty(await ListAsync(states: ["Dead"]));
            }

            if (version >= 5)
            {
                Assert.Equal(["only offsets", "with members"], await ListAsync(types: ["CLASSIC"]));
                Assert.Empty(await ListAsync(types: ["consumer"]));
            }

            async Task<IEnumerable<string>> ListAsync(string[]? states = null, string[]? types = null)
            {
                var response = await client.CallAsync<ListGroupsRequest, ListGroupsResponse>(
                    new ListGroupsRequest { StatesFilter = states ?? [], TypesFilter = types ?? [] }, version);
                AssertError(ErrorCode.None, response.ErrorCode);
                return response.Groups.Select(group => group.GroupId).Order(StringComparer.Ordinal);
            }
        }
    }

    [Fact]
    public async Task Groups_are_deleted_in_every_version()
    {
        await using var node = await TestNode.StartAsync(QuickGroups);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        await client.FindCoordinatorAsync("any");
        await client.JoinAndSyncAsync("with members");
        foreach (var version in TestConnection.VersionsOf<DeleteGroupsResponse>())
        {
            await client.CommitAsync("only offsets", "t", 1);
            var request = new DeleteGroupsRequest { GroupsNames = ["with members", "only offsets", "none", "only offsets"] };
            var results = (await client.CallAsync<DeleteGroupsRequest, DeleteGroupsResponse>(request, version)).Results;
            Assert.Equal(
                [("with members", ErrorCode.NonEmptyGroup), ("only offsets", ErrorCode.None), ("none", ErrorCode.GroupIdNotFound)],
                results.Select(result => (result.GroupId, (ErrorCode)result.ErrorCode)));
            Assert.Equal(-1, await client.FetchOffsetAsync("only offsets", "t"));
        }
    }

    [Fact]
    public async Task A_consumer_group_in_every_version()
    {
        await using var node = await TestNode.StartAsync(QuickGroups);
        await using var client = await node.ConnectAsync();
        var topicId = await client.CreateTopicAsync("t", 2);
        await client.FindCoordinatorAsync("any");
        foreach (var version in TestConnection.VersionsOf<ConsumerGroupHeartbeatResponse>())
        {
            var group = $"consumers {version}";
            var memberId = version == 0 ? "" : $"member {version}";
            var joined = await client.CallAsync<ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse>(
                ConsumerHeartbeat(group, memberId, 0, "t"), version);
            AssertError(ErrorCode.None, joined.ErrorCode, joined.ErrorMessage);
            Assert.True(joined.MemberEpoch > 0);
            var assigned = Assert.Single(joined.Assignment!.TopicPartitions);
            Assert.Equal(topicId, assigned.TopicId);
            Assert.Equal([0, 1], assigned.Partitions);

            Assert.Equal(
                ErrorCode.None, await client.CommitAsync(group, "t", 5, memberId: joined.MemberId!, generationId: joined.MemberEpoch));
            Assert.Equal(
                ErrorCode.StaleMemberEpoch,
                await client.CommitAsync(group, "t", 5, memberId: joined.MemberId!, generationId: joined.MemberEpoch + 1));
            Assert.Equal(
                ErrorCode.UnknownMemberId, await client.CommitAsync(group, "t", 5, memberId: "nobody", generationId: joined.MemberEpoch));
            Assert.Equal(
                ErrorCode.UnsupportedVersion,
                await client.CommitAsync(group, "t", 5, version: 8, memberId: joined.MemberId!, generationId: joined.MemberEpoch));
            foreach (var describeVersion in TestConnection.VersionsOf<ConsumerGroupDescribeResponse>())
            {
                var request = new ConsumerGroupDescribeRequest { GroupIds = [group, "none", ""], IncludeAuthorizedOperations = true };
                var described = (
                    await client.CallAsync<ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse>(request, describeVersion)).Groups;
                Assert.Equal(
                    [ErrorCode.None, ErrorCode.GroupIdNotFound, ErrorCode.InvalidGroupId],
                    described.Select(each => (ErrorCode)each.ErrorCode));
                Assert.Equal(joined.MemberId, Assert.Single(described[0].Members).MemberId);
                Assert.True(described[0].AuthorizedOperations > 0);
            }

            AssertError(
                ErrorCode.None, (
                    await client.CallAsync<ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse>(
                        ConsumerHeartbeat(group, joined.MemberId!, -1, null), version)).ErrorCode);
        }
    }

    [Fact]
    public async Task The_consumer_protocol_can_be_switched_off()
    {
        await using var node = await TestNode.StartAsync([("group.coordinator.rebalance.protocols", "classic"), .. QuickGroups]);
        await using var client = await node.ConnectAsync();
        await client.FindCoordinatorAsync("any");
        AssertError(
            ErrorCode.UnsupportedVersion, (
                await client.CallAsync<ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse>(ConsumerHeartbeat("g", "m", 0, "t")))
                    .ErrorCode);
        var described = await client.CallAsync<ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse>(
            new ConsumerGroupDescribeRequest { GroupIds = ["g"] });
        AssertError(ErrorCode.UnsupportedVersion, Assert.Single(described.Groups).ErrorCode);
    }

    [Fact]
    public async Task The_consumer_protocol_needs_its_feature()
    {
        await using var node = await TestNode.StartAsync(QuickGroups);
        await using var client = await node.ConnectAsync();
        await client.FindCoordinatorAsync("any");
        Assert.Equal(1, await LevelAsync());
        var update =
            new UpdateFeaturesRequest
            {
                FeatureUpdates = [
                new UpdateFeaturesRequest.FeatureUpdateKey { Feature = "group.version", MaxVersionLevel = 0, UpgradeType = 2 }]
            };
        AssertError(ErrorCode.None, (await client.CallAsync<UpdateFeaturesRequest, UpdateFeaturesResponse>(update)).ErrorCode);
        Assert.Equal(0, await LevelAsync());
        AssertError(
            ErrorCode.UnsupportedVersion, (
                await client.CallAsync<ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse>(ConsumerHeartbeat("g", "m", 0, "t")))
                    .ErrorCode);

        async Task<int> LevelAsync() =>
            (await client.CallAsync<ApiVersionsRequest, ApiVersionsResponse>(
                new ApiVersionsRequest { ClientSoftwareName = "test", ClientSoftwareVersion = "1" }, 4))
                .FinalizedFeatures.FirstOrDefault(feature => feature.Name == "group.version")?.MaxVersionLevel ?? 0;
    }

    [Fact]
    public async Task Without_the_internal_topic_nobody_is_coordinator()
    {
        await using var node = await TestNode.StartAsync(QuickGroups);
        await using var client = await node.ConnectAsync();
        AssertError(ErrorCode.NotCoordinator, (await client.JoinOnceAsync("g", 9)).ErrorCode);
        Assert.Equal(ErrorCode.NotCoordinator, await client.HeartbeatAsync("g", "m", 1));
        Assert.Equal((ErrorCode.NotCoordinator, -1L), await client.FetchOffsetAsync("g", "t", Uuid.Zero, 9));
        Assert.Empty((await client.AwaitCoordinatorsAsync()).Groups);
    }

    [Fact]
    public async Task Who_waits_for_others_is_sent_away_when_the_node_stops()
    {
        await using var node = await TestNode.StartAsync(("offsets.topic.num.partitions", "3"));
        await using var client = await node.ConnectAsync();
        await client.FindCoordinatorAsync("g");
        var first = await client.CallAsync<JoinGroupRequest, JoinGroupResponse>(JoinRequest("g"));
        await client.SendAsync(JoinRequest("g", first.MemberId), 9);
        await using var other = await node.ConnectAsync();
        while ((await other.DescribeGroupAsync("g")).GroupState != "PreparingRebalance")
            await Task.Yield();
        var stopping = node.StopAsync();
        AssertError(ErrorCode.NotCoordinator, (await client.ReceiveAsync<JoinGroupResponse>()).ErrorCode);
        await stopping;
    }

    [Fact]
    public async Task Configs_of_groups_are_altered_described_and_listed()
    {
        await using var node = await TestNode.StartAsync(QuickGroups);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        await client.FindCoordinatorAsync("g");
        const sbyte groupType = 32;
        var alter = new IncrementalAlterConfigsRequest
        {
            Resources =
            [
                new IncrementalAlterConfigsRequest.AlterConfigsResource
                {
                    ResourceType = groupType,
                    ResourceName = "g",
                    Configs = [new IncrementalAlterConfigsRequest.AlterableConfig { Name = "consumer.heartbeat.interval.ms",
                        Value = "7000" }],
                },
            ],
        };
        AssertError(
            ErrorCode.None,
            (await client.CallAsync<IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse>(alter)).Responses[0].ErrorCode);
        var describe =
            new DescribeConfigsRequest
            {
                Resources = [
                new DescribeConfigsRequest.DescribeConfigsResource { ResourceType = groupType, ResourceName = "g",
                    ConfigurationKeys = ["consumer.heartbeat.interval.ms"] }]
            };
        Assert.Equal(
            "7000", (await client.CallAsync<DescribeConfigsRequest, DescribeConfigsResponse>(describe)).Results[0].Configs[0].Value);
        var list = new ListConfigResourcesRequest { ResourceTypes = [groupType] };
        Assert.Equal(
            "g", Assert.Single((await client.CallAsync<ListConfigResourcesRequest, ListConfigResourcesResponse>(list)).ConfigResources)
            .ResourceName);
        var joined = await client.CallAsync<ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse>(
            ConsumerHeartbeat("g", "m", 0, "t"));
        Assert.Equal(7000, joined.HeartbeatIntervalMs);
    }

    private static async Task<short> LeaveAsync(TestConnection client, string groupId, string memberId, short version)
    {
        var request = version >= 3
            ? new LeaveGroupRequest { GroupId = groupId, Members = [new LeaveGroupRequest.MemberIdentity { MemberId = memberId }] }
            : new LeaveGroupRequest { GroupId = groupId, MemberId = memberId };
        var response = await client.CallAsync<LeaveGroupRequest, LeaveGroupResponse>(request, version);
        return version < 3 || response.ErrorCode != 0 ? response.ErrorCode : Assert.Single(response.Members).ErrorCode;
    }
}
