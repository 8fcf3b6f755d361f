using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Broker;

/// <summary>What members of groups ask of a node, as clients do.</summary>
internal static class GroupCalls
{
    /// <summary>A node whose groups form without delay, on few partitions.</summary>
    public static readonly (
        string Name, string Value)[] QuickGroups = [("group.initial.rebalance.delay.ms", "0"), ("offsets.topic.num.partitions", "3")];

    private const short FirstVersionWithRequiredMemberId = 4;
    private const short FirstVersionWithTopicIds = 10;

    /// <summary>Looks for the coordinator of a group, and waits until it is loaded.</summary>
    public static async Task FindCoordinatorAsync(this TestConnection client, string groupId)
    {
        var found = Assert.Single(
            (await client.CallAsync<FindCoordinatorRequest, FindCoordinatorResponse>(
                new FindCoordinatorRequest { CoordinatorKeys = [groupId] })).Coordinators);
        AssertError(ErrorCode.None, found.ErrorCode);
        await client.AwaitCoordinatorsAsync();
    }

    /// <summary>Waits until all groups are loaded.</summary>
    public static async Task<ListGroupsResponse> AwaitCoordinatorsAsync(this TestConnection client)
    {
        var deadline = Environment.TickCount64 + (long)TestNode.Patience.TotalMilliseconds;
        while (true)
        {
            var response = await client.CallAsync<ListGroupsRequest, ListGroupsResponse>(new ListGroupsRequest());
            if (response.ErrorCode == 0)
                return response;
            AssertError(ErrorCode.CoordinatorLoadInProgress, response.ErrorCode);
            Assert.True(Environment.TickCount64 < deadline, "groups are never loaded");
        }
    }

    public static JoinGroupRequest JoinRequest(string groupId, string memberId = "", string? instanceId = null) => new()
    {
        GroupId = groupId,
        MemberId = memberId,
        GroupInstanceId = instanceId,
        SessionTimeoutMs = 30_000,
        RebalanceTimeoutMs = 60_000,
        ProtocolType = "consumer",
        Protocols = [new JoinGroupRequest.JoinGroupRequestProtocol { Name = "range", Metadata = [0, 1] }],
    };

    /// <summary>Asks to join, once.</summary>
    public static Task<JoinGroupResponse> JoinOnceAsync(this TestConnection client, string groupId, short version) =>
        client.CallAsync<JoinGroupRequest, JoinGroupResponse>(JoinRequest(groupId), version);

    /// <summary>Joins, with the id that the coordinator gives where it wants one.</summary>
    public static async Task<JoinGroupResponse> JoinAsync(
        this TestConnection client, string groupId, short? version = null, string? instanceId = null)
    {
        var joined = await client.CallAsync<JoinGroupRequest, JoinGroupResponse>(JoinRequest(groupId, instanceId: instanceId), version);
        if ((version ?? short.MaxValue) < FirstVersionWithRequiredMemberId || instanceId is not null)
            return joined;
        AssertError(ErrorCode.MemberIdRequired, joined.ErrorCode);
        return await client.CallAsync<JoinGroupRequest, JoinGroupResponse>(JoinRequest(groupId, joined.MemberId), version);
    }

    public static SyncGroupRequest SyncRequest(string groupId, JoinGroupResponse joined, short version = 5, string? instanceId = null) =>
        new()
        {
            GroupId = groupId,
            MemberId = joined.MemberId,
            GroupInstanceId = instanceId,
            GenerationId = joined.GenerationId,
            ProtocolType = version >= 5 ? "consumer" : null,
            ProtocolName = version >= 5 ? "range" : null,
            Assignments = [new SyncGroupRequest.SyncGroupRequestAssignment { MemberId = joined.MemberId, Assignment = [1, 2, 3] }],
        };

    /// <summary>Joins and gets the assignment: the only member of its group.</summary>
    public static async Task<JoinGroupResponse> JoinAndSyncAsync(this TestConnection client, string groupId, string? instanceId = null)
    {
        var joined = await client.JoinAsync(groupId, instanceId: instanceId);
        AssertError(ErrorCode.None, joined.ErrorCode);
        var synced = await client.CallAsync<SyncGroupRequest, SyncGroupResponse>(SyncRequest(groupId, joined, instanceId: instanceId));
        AssertError(ErrorCode.None, synced.ErrorCode);
        Assert.Equal([1, 2, 3], synced.Assignment);
        return joined;
    }

    public static async Task<ErrorCode> HeartbeatAsync(
        this TestConnection client, string groupId, string memberId, int generationId, short? version = null) =>
        (ErrorCode)(
            await client.CallAsync<HeartbeatRequest, HeartbeatResponse>(
                new HeartbeatRequest { GroupId = groupId, MemberId = memberId, GenerationId = generationId }, version)).ErrorCode;

    /// <summary>Commits one offset.</summary>
    public static async Task<ErrorCode> CommitAsync(
        this TestConnection client, string groupId, string topic, long offset, short version = 9, int partition = 0, string memberId = "",
        int generationId = -1, Uuid topicId = default)
    {
        var request = new OffsetCommitRequest
        {
            GroupId = groupId,
            MemberId = memberId,
            GenerationIdOrMemberEpoch = generationId,
            Topics =
            [
                new OffsetCommitRequest.OffsetCommitRequestTopic
                {
                    Name = version < FirstVersionWithTopicIds ? topic : "",
                    TopicId = version < FirstVersionWithTopicIds ? Uuid.Zero : topicId,
                    Partitions = [
                        new OffsetCommitRequest.OffsetCommitRequestPartition { PartitionIndex = partition, CommittedOffset = offset,
                            CommittedMetadata = "text" }],
                },
            ],
        };
        var response = await client.CallAsync<OffsetCommitRequest, OffsetCommitResponse>(request, version);
        var answer = Assert.Single(response.Topics);
        Assert.Equal((request.Topics[0].Name, request.Topics[0].TopicId), (answer.Name, answer.TopicId));
        var committed = Assert.Single(answer.Partitions);
        Assert.Equal(partition, committed.PartitionIndex);
        return (ErrorCode)committed.ErrorCode;
    }

    /// <summary>Fetches one offset; -1 when there is none.</summary>
    public static async Task<long> FetchOffsetAsync(this TestConnection client, string groupId, string topic, int partition = 0)
    {
        var (error, offset) = await client.FetchOffsetAsync(groupId, topic, Uuid.Zero, 9, partition);
        Assert.Equal(ErrorCode.None, error);
        return offset;
    }

    /// <summary>Fetches one offset in any version.</summary>
    public static async Task<(ErrorCode Error, long Offset)> FetchOffsetAsync(
        this TestConnection client, string groupId, string topic, Uuid topicId, short version, int partition = 0,
        bool requireStable = false)
    {
        const short firstVersionWithGroups = 8;
        var request = version < firstVersionWithGroups
            ? new OffsetFetchRequest
            {
                GroupId = groupId,
                RequireStable = requireStable,
                Topics = [new OffsetFetchRequest.OffsetFetchRequestTopic { Name = topic, PartitionIndexes = [partition] }]
            }
            : new OffsetFetchRequest
            {
                RequireStable = requireStable,
                Groups =
                [
                    new OffsetFetchRequest.OffsetFetchRequestGroup
                    {
                        GroupId = groupId,
                        Topics = [new OffsetFetchRequest.OffsetFetchRequestTopics { Name = version < FirstVersionWithTopicIds ? topic : "",
                            TopicId = version < FirstVersionWithTopicIds ? Uuid.Zero : topicId, PartitionIndexes = [partition] }],
                    },
                ],
            };
        var response = await client.CallAsync<OffsetFetchRequest, OffsetFetchResponse>(request, version);
        if (version < firstVersionWithGroups)
        {
            if (response.ErrorCode != 0)
                return ((ErrorCode)response.ErrorCode, -1);
            var old = Assert.Single(Assert.Single(response.Topics).Partitions);
            return ((ErrorCode)old.ErrorCode, old.CommittedOffset);
        }

        var group = Assert.Single(response.Groups);
        Assert.Equal(groupId, group.GroupId);
        if (group.ErrorCode != 0)
            return ((ErrorCode)group.ErrorCode, -1);
        var topicAnswer = Assert.Single(group.Topics);
        Assert.Equal(version < FirstVersionWithTopicIds ? (topic, Uuid.Zero) : ("", topicId), (topicAnswer.Name, topicAnswer.TopicId));
        var fetched = Assert.Single(topicAnswer.Partitions);
        return ((ErrorCode)fetched.ErrorCode, fetched.CommittedOffset);
    }

    /// <summary>All offsets of a group, as text.</summary>
    public static async Task<string> FetchAllOffsetsAsync(this TestConnection client, string groupId)
    {
        var request =
            new OffsetFetchRequest { Groups = [new OffsetFetchRequest.OffsetFetchRequestGroup { GroupId = groupId, Topics = null }] };
        var group = Assert.Single((await client.CallAsync<OffsetFetchRequest, OffsetFetchResponse>(request, 9)).Groups);
        AssertError(ErrorCode.None, group.ErrorCode);
        return string.Join(
            ' ', group.Topics.SelectMany(
                topic => topic.Partitions.Select(partition => $"{topic.Name}-{partition.PartitionIndex}={partition.CommittedOffset}"))
                    .Order(StringComparer.Ordinal));
    }

    public static async Task<DescribeGroupsResponse.DescribedGroup> DescribeGroupAsync(
        this TestConnection client, string groupId, short? version = null) =>
        Assert.Single(
            (await client.CallAsync<DescribeGroupsRequest, DescribeGroupsResponse>(
                new DescribeGroupsRequest { Groups = [groupId] }, version)).Groups);

    public static ConsumerGroupHeartbeatRequest ConsumerHeartbeat(
        string groupId, string memberId, int memberEpoch, params string[]? topics) => new()
        {
            GroupId = groupId,
            MemberId = memberId,
            MemberEpoch = memberEpoch,
            RebalanceTimeoutMs = memberEpoch == 0 ? 60_000 : -1,
            SubscribedTopicNames = topics,
            TopicPartitions = memberEpoch == 0 ? [] : null,
        };
}
