using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Broker;

/// <summary>What members and administrators of share groups ask of a node.</summary>
internal static class ShareGroupCalls
{
    /// <summary>A node that serves share groups, on few partitions.</summary>
    public static readonly (string Name, string Value)[] ShareGroups =
    [
        ("unstable.feature.versions.enable", "true"), ("offsets.topic.num.partitions", "1"),
        ("share.coordinator.state.topic.num.partitions", "1"), ("group.share.assignment.interval.ms", "0"),
        ("group.share.min.assignment.interval.ms", "0"),
    ];

    public static Task<ShareGroupHeartbeatResponse> ShareHeartbeatAsync(
        this TestConnection client, string groupId, string memberId, int epoch, params string[]? topics) =>
        client.CallAsync<ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse>(new ShareGroupHeartbeatRequest
        {
            GroupId = groupId,
            MemberId = memberId,
            MemberEpoch = epoch,
            SubscribedTopicNames = topics is { Length: > 0 } ? topics : null,
        });

    /// <summary>Joins, and sends heartbeats until partitions are assigned.</summary>
    /// <returns>The member's epoch.</returns>
    public static async Task<int> JoinShareGroupAsync(
        this TestConnection client, TestNode node, string groupId, string memberId, string topic, int partitions = 1)
    {
        await client.FindCoordinatorAsync(groupId);
        var answer = await client.ShareHeartbeatAsync(groupId, memberId, 0, topic);
        AssertError(ErrorCode.None, answer.ErrorCode);
        await Waiting.UntilAsync(async () =>
        {
            if (answer.Assignment is { TopicPartitions: [var assigned] } && assigned.Partitions.Length == partitions)
                return true;
            node.Clock.AdvanceMs(100); // a coordinator that loads is asked again later
            answer = await client.ShareHeartbeatAsync(groupId, memberId, answer.MemberEpoch);
            AssertError(ErrorCode.None, answer.ErrorCode);
            return answer.Assignment is { TopicPartitions: [var later] } && later.Partitions.Length == partitions;
        });
        return answer.MemberEpoch;
    }

    public static async Task<ShareGroupDescribeResponse.DescribedGroup> DescribeShareGroupAsync(
        this TestConnection client, string groupId) => Assert.Single(
        (await client.CallAsync<ShareGroupDescribeRequest, ShareGroupDescribeResponse>(
            new ShareGroupDescribeRequest { GroupIds = [groupId] })).Groups);

    public static async Task<DescribeShareGroupOffsetsResponse.DescribeShareGroupOffsetsResponseGroup> DescribeShareOffsetsAsync(
        this TestConnection client, string groupId, short? version = null, params (string Topic, int[] Partitions)[]? topics) =>
        Assert.Single((await client.CallAsync<DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsetsResponse>(
            new DescribeShareGroupOffsetsRequest
            {
                Groups =
                [
                    new()
                    {
                        GroupId = groupId,
                        Topics = topics is null or { Length: 0 }
                            ? null
                            : [.. topics.Select(topic =>
                                new DescribeShareGroupOffsetsRequest.DescribeShareGroupOffsetsRequestTopic
                                {
                                    TopicName = topic.Topic,
                                    Partitions = topic.Partitions,
                                })],
                    },
                ],
            }, version)).Groups);

    public static Task<AlterShareGroupOffsetsResponse> AlterShareOffsetsAsync(
        this TestConnection client, string groupId, string topic, params (int Partition, long Offset)[] offsets) =>
        client.CallAsync<AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse>(new AlterShareGroupOffsetsRequest
        {
            GroupId = groupId,
            Topics =
            [
                new()
                {
                    TopicName = topic,
                    Partitions = [.. offsets.Select(each =>
                        new AlterShareGroupOffsetsRequest.AlterShareGroupOffsetsRequestPartition
                        {
                            PartitionIndex = each.Partition,
                            StartOffset = each.Offset,
                        })],
                },
            ],
        });

    public static Task<DeleteShareGroupOffsetsResponse> DeleteShareOffsetsAsync(
        this TestConnection client, string groupId, params string[] topics) =>
        client.CallAsync<DeleteShareGroupOffsetsRequest, DeleteShareGroupOffsetsResponse>(new DeleteShareGroupOffsetsRequest
        {
            GroupId = groupId,
            Topics =
            [
                .. topics.Select(topic => new DeleteShareGroupOffsetsRequest.DeleteShareGroupOffsetsRequestTopic { TopicName = topic }),
            ],
        });

    public static async Task<ErrorCode> DeleteGroupAsync(this TestConnection client, string groupId) => (ErrorCode)Assert.Single(
        (await client.CallAsync<DeleteGroupsRequest, DeleteGroupsResponse>(new DeleteGroupsRequest { GroupsNames = [groupId] })).Results)
        .ErrorCode;

    /// <summary>Acquires records of one partition: all that there are.</summary>
    public static async Task<ShareFetchResponse> ShareFetchAsync(
        this TestConnection client, string groupId, string memberId, int epoch, Uuid? topicId, int maxWaitMs = 0, short? version = null) =>
        await client.CallAsync<ShareFetchRequest, ShareFetchResponse>(
            new ShareFetchRequest
            {
                GroupId = groupId,
                MemberId = memberId,
                ShareSessionEpoch = epoch,
                MaxWaitMs = maxWaitMs,
                MinBytes = 1,
                MaxRecords = 1000,
                BatchSize = 1000,
                Topics = topicId is { } id
                    ? [new() { TopicId = id, Partitions = [new() { PartitionIndex = 0 }] }]
                    : [],
            }, version);

    /// <summary>Says something of records of partition 0.</summary>
    /// <returns>The error of the request, or else of the partition.</returns>
    public static async Task<ErrorCode> ShareAcknowledgeAsync(
        this TestConnection client, string groupId, string memberId, int epoch, Uuid topicId, long first, long last, sbyte type,
        short? version = null)
    {
        var response = await client.CallAsync<ShareAcknowledgeRequest, ShareAcknowledgeResponse>(
            new ShareAcknowledgeRequest
            {
                GroupId = groupId,
                MemberId = memberId,
                ShareSessionEpoch = epoch,
                Topics =
                [
                    new()
                    {
                        TopicId = topicId,
                        Partitions =
                        [
                            new()
                            {
                                PartitionIndex = 0,
                                AcknowledgementBatches = [new() { FirstOffset = first, LastOffset = last, AcknowledgeTypes = [type] }],
                            },
                        ],
                    },
                ],
            }, version);
        return (ErrorCode)(response.ErrorCode != 0 ? response.ErrorCode : response.Responses[0].Partitions[0].ErrorCode);
    }
}
