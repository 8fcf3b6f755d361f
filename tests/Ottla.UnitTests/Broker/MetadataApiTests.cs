using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using static Ottla.UnitTests.Broker.Requests;
using TopicAnswer = Ottla.Protocol.Messages.MetadataResponse.MetadataResponseTopic;

namespace Ottla.UnitTests.Broker;

public sealed class MetadataApiTests
{
    [Fact]
    public async Task Metadata_in_every_version()
    {
        var (node, client, id) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await client.CreateTopicAsync("u", 3);
        foreach (var version in TestConnection.VersionsOf<MetadataResponse>())
        {
            var all = await client.CallAsync<MetadataRequest, MetadataResponse>(
                new MetadataRequest { Topics = version == 0 ? [] : null }, version);
            Assert.Equal(["t", "u"], all.Topics.Select(topic => topic.Name).Order());
            var broker = Assert.Single(all.Brokers);
            Assert.Equal((0, "localhost", 9092), (broker.NodeId, broker.Host, broker.Port));
            Assert.Equal(version >= 1 ? 0 : -1, all.ControllerId);
            Assert.Equal(version >= 2, all.ClusterId is { Length: 22 });
            Assert.Equal(int.MinValue, all.ClusterAuthorizedOperations);

            var one = await client.CallAsync<MetadataRequest, MetadataResponse>(Named(version, "u"), version);
            var topic = Assert.Single(one.Topics);
            AssertError(ErrorCode.None, topic.ErrorCode);
            Assert.Equal([0, 1, 2], topic.Partitions.Select(partition => partition.PartitionIndex));
            Assert.All(topic.Partitions, partition => Assert.Equal((0, 0), (partition.ErrorCode, partition.LeaderId)));
            Assert.All(topic.Partitions,
                partition => Assert.Equal((0, 0), (Assert.Single(partition.ReplicaNodes), Assert.Single(partition.IsrNodes))));
            Assert.Equal(version >= 10, topic.TopicId != Uuid.Zero);

            var missing = Assert.Single(
                (await client.CallAsync<MetadataRequest, MetadataResponse>(Named(version, "no/topic"), version)).Topics);
            AssertError(ErrorCode.InvalidTopicException, missing.ErrorCode);
            if (version >= 1)
                Assert.Empty(
                    (await client.CallAsync<MetadataRequest, MetadataResponse>(new MetadataRequest { Topics = [] }, version)).Topics);
            if (version >= 12)
            {
                var byId = await AskById(id, version);
                Assert.Equal((0, "t", id), (byId.ErrorCode, byId.Name, byId.TopicId));
                AssertError(ErrorCode.UnknownTopicId, (await AskById(Uuid.NewRandom(), version)).ErrorCode);
            }
        }

        async Task<TopicAnswer> AskById(Uuid topicId, short version) =>
            Assert.Single((await client.CallAsync<MetadataRequest, MetadataResponse>(
            new MetadataRequest { Topics = [new MetadataRequest.MetadataRequestTopic { Name = null, TopicId = topicId }] }, version))
                .Topics);
    }

    [Fact]
    public async Task Topic_ids_need_version_12()
    {
        var (node, client, id) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        foreach (var asked in new MetadataRequest.MetadataRequestTopic[] { new() { Name = null }, new() { Name = null, TopicId = id },
            new() { Name = "t", TopicId = id } })
        {
            foreach (var version in new short[] { 10, 11 })
            {
                var request = new MetadataRequest { Topics = [new MetadataRequest.MetadataRequestTopic { Name = "t" }, asked] };
                var response = await client.CallAsync<MetadataRequest, MetadataResponse>(request, version);
                Assert.Equal([("t", ErrorCode.InvalidRequest), (asked.Name ?? "", ErrorCode.InvalidRequest)],
                    response.Topics.Select(topic => (topic.Name!, (ErrorCode)topic.ErrorCode)));
                Assert.Empty(response.Brokers);
            }
        }
    }

    [Theory]
    [InlineData("")] // what the Java client sends
    [InlineData(null)]
    [InlineData("another-name")]
    public async Task With_one_topic_id_names_are_ignored(string? name)
    {
        var (node, client, id) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await client.CreateTopicAsync("u");
        var unknown = Uuid.NewRandom();
        foreach (var version in TestConnection.VersionsOf<MetadataResponse>().Where(version => version >= 12))
        {
            var request = new MetadataRequest
            {
                Topics = [new() { Name = "u" }, new() { Name = name, TopicId = id }, new() { Name = name, TopicId = id },
                    new() { Name = name, TopicId = unknown }],
            };
            var topics = (await client.CallAsync<MetadataRequest, MetadataResponse>(request, version)).Topics;
            Assert.Equal(
                [("t", id, ErrorCode.None), (null, unknown, ErrorCode.UnknownTopicId)],
                topics.Select(topic => (topic.Name, topic.TopicId, (ErrorCode)topic.ErrorCode)));
        }

        var all = await client.CallAsync<MetadataRequest, MetadataResponse>(new MetadataRequest { Topics = null });
        Assert.Equal(["t", "u"], all.Topics.Select(topic => topic.Name).Order()); // nothing was created
    }

    [Fact]
    public async Task Topics_are_created_where_client_and_broker_allow_it()
    {
        await using var node = await TestNode.StartAsync(("num.partitions", "2"));
        await using var client = await node.ConnectAsync();
        foreach (var version in TestConnection.VersionsOf<MetadataResponse>())
        {
            var first = Assert.Single((await client.CallAsync<MetadataRequest,
                MetadataResponse>(Named(version, $"new-{version}"), version)).Topics);
            AssertError(ErrorCode.UnknownTopicOrPartition, first.ErrorCode);
            Assert.Empty(first.Partitions);
            var created = await WaitForTopicAsync(client, $"new-{version}", version);
            Assert.Equal(2, created.Partitions.Length);
            AssertError(ErrorCode.None, (await client.ProduceAsync($"new-{version}", Batch(), partition: 1)).ErrorCode);
            if (version < 4)
                continue;
            var request = Named(version, "unwanted");
            request.AllowAutoTopicCreation = false;
            AssertError(
                ErrorCode.UnknownTopicOrPartition,
                Assert.Single((await client.CallAsync<MetadataRequest, MetadataResponse>(request, version)).Topics).ErrorCode);
        }
    }

    [Theory]
    [InlineData("a_b", ErrorCode.InvalidTopicException)]
    [InlineData("__cluster_metadata", ErrorCode.InvalidRequest)]
    [InlineData("t", ErrorCode.InvalidReplicationFactor)]
    public async Task An_automatic_creation_that_fails_is_logged_and_the_topic_stays_unknown(string topic, ErrorCode error)
    {
        var loggers = new WarningLoggers();
        await using var node = await TestNode.StartAsync(loggers, ("default.replication.factor", "3"));
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("a.b");
        for (var round = 1; round <= 2; round++)
        {
            var answer = Assert.Single((await client.CallAsync<MetadataRequest, MetadataResponse>(Named(12, topic), 12)).Topics);
            AssertError(ErrorCode.UnknownTopicOrPartition, answer.ErrorCode);
            await Until(() => Warnings().Count == round);
        }

        Assert.All(Warnings(), warning => Assert.Contains($"topic {topic} failed with {error}", warning, StringComparison.Ordinal));

        List<string> Warnings() => [.. loggers.Logger.Warnings.Where(warning =>
            warning.Contains("automatic creation", StringComparison.Ordinal))];
    }

    [Fact]
    public async Task Topics_are_not_created_where_the_broker_does_not_allow_it()
    {
        await using var node = await TestNode.StartAsync(("auto.create.topics.enable", "false"));
        await using var client = await node.ConnectAsync();
        var topic = Assert.Single((await client.CallAsync<MetadataRequest, MetadataResponse>(Named(12, "t"))).Topics);
        AssertError(ErrorCode.UnknownTopicOrPartition, topic.ErrorCode);
    }

    [Fact]
    public async Task Operations_are_told_when_asked_for()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        foreach (var version in TestConnection.VersionsOf<MetadataResponse>().Where(version => version >= 8))
        {
            var request =
                new MetadataRequest
                {
                    Topics = null,
                    IncludeTopicAuthorizedOperations = true,
                    IncludeClusterAuthorizedOperations = version <= 10
                };
            var response = await client.CallAsync<MetadataRequest, MetadataResponse>(request, version);
            Assert.True(response.Topics[0].TopicAuthorizedOperations > 0);
            Assert.Equal(version <= 10, response.ClusterAuthorizedOperations > 0);
        }
    }

    [Fact]
    public async Task DescribeTopicPartitions_gives_page_after_page()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("b", 3);
        await client.CreateTopicAsync("a", 2);
        await client.CreateTopicAsync("c", 1);
        var pages = new List<string>();
        DescribeTopicPartitionsRequest.CursorData? cursor = null;
        do
        {
            var page = await client.CallAsync<DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse>(
                new DescribeTopicPartitionsRequest { ResponsePartitionLimit = 2, Cursor = cursor });
            pages.Add(string.Join(
                " ", page.Topics.Select(
                    topic => $"{topic.Name}:{string.Join(",", topic.Partitions.Select(partition => partition.PartitionIndex))}")));
            cursor = page.NextCursor is { } next
                ? new DescribeTopicPartitionsRequest.CursorData { TopicName = next.TopicName, PartitionIndex = next.PartitionIndex } : null;
            Assert.True(pages.Count < 10, "the pages have no end");
        }
        while (cursor is not null);
        Assert.Equal(["a:0,1", "b:0,1", "b:2 c:0"], pages);
    }

    [Fact]
    public async Task DescribeTopicPartitions_of_named_topics()
    {
        var (node, client, id) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        foreach (var version in TestConnection.VersionsOf<DescribeTopicPartitionsResponse>())
        {
            var request =
                new DescribeTopicPartitionsRequest
                {
                    Topics = [
                    .. new[] { "t", "nowhere", "no/topic" }.Select(
                        name => new DescribeTopicPartitionsRequest.TopicRequest { Name = name })]
                };
            var response = await client.CallAsync<DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse>(request, version);
            Assert.Equal(
                [("no/topic", ErrorCode.InvalidTopicException), ("nowhere", ErrorCode.UnknownTopicOrPartition), ("t", ErrorCode.None)],
                response.Topics.Select(topic => (topic.Name, (ErrorCode)topic.ErrorCode)));
            Assert.Equal(id, response.Topics[2].TopicId);
            Assert.NotNull(Assert.Single(response.Topics[2].Partitions).EligibleLeaderReplicas);
            Assert.Null(response.NextCursor);
        }
    }

    [Theory]
    [InlineData(null, -1)]
    [InlineData("t", -1)]
    [InlineData("t", int.MinValue)]
    public async Task A_cursor_before_the_first_partition_is_refused(string? asked, int partition)
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        var topics = (await DescribeAsync(client, asked, "t", partition)).Topics;
        if (asked is null)
            Assert.Empty(topics); // the answer has no place for an error
        else
            AssertError(ErrorCode.InvalidRequest, Assert.Single(topics).ErrorCode);
        AssertError(ErrorCode.InvalidRequest, Assert.Single(
            (await DescribeAsync(client, "u", "t", 0)).Topics).ErrorCode); // a topic that is not asked for
    }

    [Theory]
    [InlineData(1)]
    [InlineData(int.MaxValue)]
    public async Task A_cursor_behind_the_last_partition_goes_on_with_the_next_topic(int partition)
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await client.CreateTopicAsync("u");
        var page = await DescribeAsync(client, null, "t", partition);
        Assert.Equal([("t", 0), ("u", 1)], page.Topics.Select(topic => (topic.Name, topic.Partitions.Length)));
        Assert.Null(page.NextCursor);
    }

    private static Task<DescribeTopicPartitionsResponse> DescribeAsync(
        TestConnection client, string? topic, string cursorTopic, int cursorPartition) =>
        client.CallAsync<DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse>(new DescribeTopicPartitionsRequest
        {
            Topics = topic is null ? [] : [new DescribeTopicPartitionsRequest.TopicRequest { Name = topic }],
            ResponsePartitionLimit = int.MaxValue,
            Cursor = new DescribeTopicPartitionsRequest.CursorData { TopicName = cursorTopic, PartitionIndex = cursorPartition },
        });

    /// <summary>Asks for a topic until it is there.</summary>
    private static async Task<TopicAnswer> WaitForTopicAsync(TestConnection client, string name, short version)
    {
        while (true)
        {
            var topic = Assert.Single((await client.CallAsync<MetadataRequest, MetadataResponse>(Named(version, name), version)).Topics);
            if (topic.ErrorCode == (short)ErrorCode.None)
                return topic;
            AssertError(ErrorCode.UnknownTopicOrPartition, topic.ErrorCode);
            await Task.Yield();
        }
    }

    private static async Task Until(Func<bool> condition)
    {
        using var patience = new CancellationTokenSource(TestNode.Patience);
        while (!condition())
        {
            patience.Token.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }

    private static MetadataRequest Named(short version, string name)
    {
        var request = new MetadataRequest { Topics = [new MetadataRequest.MetadataRequestTopic { Name = name }] };
        Assert.True(version >= 4 || request.AllowAutoTopicCreation, "older versions always allow it");
        return request;
    }
}
