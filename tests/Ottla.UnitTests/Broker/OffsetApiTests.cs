using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using static Ottla.UnitTests.Broker.GroupCalls;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Broker;

/// <summary>Offsets over the wire: every API of theirs, in every version.</summary>
public sealed class OffsetApiTests
{
    [Fact]
    public async Task Offsets_are_committed_and_fetched_in_every_version()
    {
        await using var node = await TestNode.StartAsync(QuickGroups);
        await using var client = await node.ConnectAsync();
        var id = await client.CreateTopicAsync("t", 2);
        await client.FindCoordinatorAsync("g");
        var offset = 0L;
        foreach (var version in TestConnection.VersionsOf<OffsetCommitResponse>())
        {
            Assert.Equal(ErrorCode.None, await client.CommitAsync("g", "t", ++offset, version, topicId: id));
            Assert.Equal(ErrorCode.UnknownTopicOrPartition, await client.CommitAsync("g", "t", 1, version, partition: 7, topicId: id));
            Assert.Equal(
                version >= 10 ? ErrorCode.UnknownTopicId : ErrorCode.UnknownTopicOrPartition,
                await client.CommitAsync("g", "none", 1, version, topicId: new Uuid(5, 5)));
            Assert.Equal(
                version >= 9 ? ErrorCode.GroupIdNotFound : ErrorCode.IllegalGeneration,
                await client.CommitAsync("none", "t", 1, version, memberId: "m", generationId: 1, topicId: id));
            foreach (var fetchVersion in TestConnection.VersionsOf<OffsetFetchResponse>())
            {
                Assert.Equal((ErrorCode.None, offset), await client.FetchOffsetAsync("g", "t", id, fetchVersion));
                Assert.Equal((ErrorCode.None, -1), await client.FetchOffsetAsync("g", "t", id, fetchVersion, partition: 1));
                Assert.Equal((ErrorCode.None, -1), await client.FetchOffsetAsync("none", "t", id, fetchVersion));
                Assert.Equal(
                    (fetchVersion >= 10 ? ErrorCode.UnknownTopicId : ErrorCode.None, -1L),
                    await client.FetchOffsetAsync("g", "none", new Uuid(5, 5), fetchVersion));
            }
        }

        Assert.Equal(ErrorCode.None, await client.CommitAsync("", "t", 3)); // the empty group, for old consumers
        Assert.Equal(3, await client.FetchOffsetAsync("", "t"));
    }

    [Fact]
    public async Task Partitions_that_do_not_exist_fail_alone_and_answers_keep_the_order()
    {
        await using var node = await TestNode.StartAsync(QuickGroups);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("a", 2);
        await client.CreateTopicAsync("b");
        await client.FindCoordinatorAsync("g");
        var request = new OffsetCommitRequest
        {
            GroupId = "g",
            Topics =
            [
                .. new[] { "a", "none", "b" }.Select(topic => new OffsetCommitRequest.OffsetCommitRequestTopic
                {
                    Name = topic,
                    Partitions = [.. new[] { 1, 7, 0 }.Select(partition => new OffsetCommitRequest.OffsetCommitRequestPartition
                    {
                        PartitionIndex = partition,
                        CommittedOffset = 5,
                        CommittedMetadata = topic == "a" && partition == 1 ? new string('x', 4097) : null,
                    })],
                }),
            ],
        };
        var topics = (await client.CallAsync<OffsetCommitRequest, OffsetCommitResponse>(request, 9)).Topics;
        const short unknown = (short)ErrorCode.UnknownTopicOrPartition;
        Assert.Equal(
            [("a", 1, (short)ErrorCode.OffsetMetadataTooLarge), ("a", 7, unknown), ("a", 0, 0), ("none", 1, unknown), ("none", 7, unknown),
                ("none", 0, unknown), ("b", 1, unknown), ("b", 7, unknown), ("b", 0, 0)],
            topics.SelectMany(topic => topic.Partitions.Select(partition => (topic.Name, partition.PartitionIndex, partition.ErrorCode))));
        Assert.Equal("a-0=5 b-0=5", await client.FetchAllOffsetsAsync("g"));
    }

    [Fact]
    public async Task All_offsets_are_fetched_of_one_group_and_of_many()
    {
        await using var node = await TestNode.StartAsync(QuickGroups);
        await using var client = await node.ConnectAsync();
        var id = await client.CreateTopicAsync("t", 2);
        await client.FindCoordinatorAsync("g");
        await client.CommitAsync("g", "t", 1);
        await client.CommitAsync("g", "t", 2, partition: 1);
        await client.CommitAsync("h", "t", 3);
        foreach (var version in TestConnection.VersionsOf<OffsetFetchResponse>().Where(version => version is >= 2 and < 8))
        {
            var old = await client.CallAsync<OffsetFetchRequest, OffsetFetchResponse>(
                new OffsetFetchRequest { GroupId = "g", Topics = null }, version);
            Assert.Equal(
                [(0, 1L, "text"), (1, 2, "text")], Assert.Single(old.Topics)
                .Partitions.Select(partition => (partition.PartitionIndex, partition.CommittedOffset, partition.Metadata!)));
        }

        foreach (var version in TestConnection.VersionsOf<OffsetFetchResponse>().Where(version => version >= 8))
        {
            var request = new OffsetFetchRequest
            {
                Groups = [.. new[] { "g", "none", "h" }.Select(
                    group => new OffsetFetchRequest.OffsetFetchRequestGroup { GroupId = group, Topics = null })],
            };
            var groups = (await client.CallAsync<OffsetFetchRequest, OffsetFetchResponse>(request, version)).Groups;
            Assert.Equal(
                [("g", 2), ("none", 0), ("h", 1)],
                groups.Select(group => (group.GroupId, group.Topics.Sum(topic => topic.Partitions.Length))));
            Assert.Equal(version >= 10 ? ("", id) : ("t", Uuid.Zero), (groups[2].Topics[0].Name, groups[2].Topics[0].TopicId));
        }

        var stranger =
            new OffsetFetchRequest
            {
                Groups = [
                new OffsetFetchRequest.OffsetFetchRequestGroup { GroupId = "g", MemberId = "m", MemberEpoch = 3, Topics = null }]
            };
        // a classic group does not look
        AssertError(ErrorCode.None, (await client.CallAsync<OffsetFetchRequest, OffsetFetchResponse>(stranger)).Groups[0].ErrorCode);
    }

    [Fact]
    public async Task Offsets_of_a_transaction_are_pending_in_every_version()
    {
        await using var node = await TestNode.StartAsync(QuickGroups);
        await using var client = await node.ConnectAsync();
        var id = await client.CreateTopicAsync("t");
        await client.FindCoordinatorAsync("g");
        foreach (var version in TestConnection.VersionsOf<TxnOffsetCommitResponse>())
        {
            var (group, transactionalId) = ($"g {version}", $"tx {version}");
            var producer = await client.BeginAsync(transactionalId);
            foreach (var each in version < 5 ? new[] { group, "", "none" } : [])
                Assert.Equal(ErrorCode.None, await client.AddOffsetsAsync(producer, each, transactionalId));
            Assert.Equal(ErrorCode.None, await CommitAsync(group, "t", id));
            Assert.Equal((ErrorCode.UnstableOffsetCommit, -1L), await client.FetchOffsetAsync(group, "t", id, 9, requireStable: true));
            Assert.Equal(-1, await client.FetchOffsetAsync(group, "t"));
            Assert.Equal(
                version >= 6 ? ErrorCode.UnknownTopicId : ErrorCode.UnknownTopicOrPartition,
                await CommitAsync(group, "none", new Uuid(5, 5)));
            Assert.Equal(ErrorCode.InvalidGroupId, await CommitAsync("", "t", id));
            if (version >= 3)
                Assert.Equal(
                    version >= 6 ? ErrorCode.GroupIdNotFound : ErrorCode.IllegalGeneration,
                    await CommitAsync("none", "t", id, generation: 4));

            async Task<ErrorCode> CommitAsync(string group, string topic, Uuid topicId, int generation = -1)
            {
                var request = new TxnOffsetCommitRequest
                {
                    TransactionalId = transactionalId,
                    GroupId = group,
                    ProducerId = producer.Id,
                    ProducerEpoch = producer.Epoch,
                    GenerationIdOrMemberEpoch = generation,
                    Topics =
                    [
                        new TxnOffsetCommitRequest.TxnOffsetCommitRequestTopic
                        {
                            Name = version >= 6 ? "" : topic,
                            TopicId = version >= 6 ? topicId : Uuid.Zero,
                            Partitions = [
                                new TxnOffsetCommitRequest.TxnOffsetCommitRequestPartition { PartitionIndex = 0, CommittedOffset = 7 }],
                        },
                    ],
                };
                var response = await client.CallAsync<TxnOffsetCommitRequest, TxnOffsetCommitResponse>(request, version);
                return (ErrorCode)Assert.Single(Assert.Single(response.Topics).Partitions).ErrorCode;
            }
        }
    }

    [Fact]
    public async Task Offsets_are_deleted()
    {
        await using var node = await TestNode.StartAsync(QuickGroups);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t", 2);
        await client.FindCoordinatorAsync("g");
        await client.CommitAsync("g", "t", 1);
        await client.CommitAsync("g", "t", 2, partition: 1);
        Assert.Equal([(0, ErrorCode.None), (7, ErrorCode.UnknownTopicOrPartition)], await DeleteAsync("g", "t", 0, 7));
        Assert.Equal([(0, ErrorCode.UnknownTopicOrPartition)], await DeleteAsync("g", "none", 0));
        Assert.Equal("t-1=2", await client.FetchAllOffsetsAsync("g"));
        Assert.Equal(ErrorCode.GroupIdNotFound, await ErrorOfDeleteAsync("none"));
        Assert.Equal(ErrorCode.InvalidGroupId, await ErrorOfDeleteAsync(""));

        async Task<IEnumerable<(int, ErrorCode)>> DeleteAsync(string group, string topic, params int[] partitions)
        {
            var response = await CallAsync(group, topic, partitions);
            AssertError(ErrorCode.None, response.ErrorCode);
            return Assert.Single(response.Topics)
                .Partitions.Select(partition => (partition.PartitionIndex, (ErrorCode)partition.ErrorCode));
        }

        async Task<ErrorCode> ErrorOfDeleteAsync(string group) => (ErrorCode)(await CallAsync(group, "t", [0])).ErrorCode;

        Task<OffsetDeleteResponse> CallAsync(string group, string topic, int[] partitions) =>
            client.CallAsync<OffsetDeleteRequest, OffsetDeleteResponse>(new OffsetDeleteRequest
            {
                GroupId = group,
                Topics =
                [
                    new OffsetDeleteRequest.OffsetDeleteRequestTopic
                    {
                        Name = topic,
                        Partitions = [
                            .. partitions.Select(
                                partition => new OffsetDeleteRequest.OffsetDeleteRequestPartition { PartitionIndex = partition })],
                    },
                ],
            });
    }

    [Fact]
    public async Task Offsets_of_a_deleted_topic_go_with_it()
    {
        await using var node = await TestNode.StartAsync(QuickGroups);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        await client.CreateTopicAsync("kept");
        await client.FindCoordinatorAsync("g");
        await client.CommitAsync("g", "t", 1);
        await client.CommitAsync("g", "kept", 1);
        AssertError(
            ErrorCode.None, (
                await client.CallAsync<DeleteTopicsRequest, DeleteTopicsResponse>(new DeleteTopicsRequest { TopicNames = ["t"] }, 5))
                    .Responses[0].ErrorCode);
        Assert.Equal("kept-0=1", await client.FetchAllOffsetsAsync("g"));
        await node.RestartAsync();
        await using var again = await node.ConnectAsync();
        await again.FindCoordinatorAsync("g");
        Assert.Equal("kept-0=1", await again.FetchAllOffsetsAsync("g"));
    }
}
