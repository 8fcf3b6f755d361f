using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Storage.Files;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Broker;

public sealed class FetchApiTests
{
    private const int LongWaitMs = 12_345;

    [Fact]
    public async Task Every_version_reads()
    {
        var (node, client, id) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await client.ProduceAsync("t", Batch(3));
        foreach (var version in TestConnection.VersionsOf<FetchResponse>())
        {
            foreach (var isolation in new sbyte[] { 0, 1 })
            {
                var request = Fetch("t", id, 0, version);
                request.IsolationLevel = isolation;
                var response = await client.CallAsync<FetchRequest, FetchResponse>(request, version);
                AssertError(ErrorCode.None, response.ErrorCode);
                var topic = Assert.Single(response.Responses);
                Assert.Equal(version < FirstVersionWithTopicIds ? ("t", Uuid.Zero) : ("", id), (topic.Topic, topic.TopicId));
                var partition = Assert.Single(topic.Partitions);
                AssertError(ErrorCode.None, partition.ErrorCode);
                Assert.Equal([0L], BaseOffsets(partition.Records));
                Assert.Equal((3L, 3L), (partition.HighWatermark, partition.LastStableOffset));
                Assert.Equal(version >= 5 ? 0 : -1, partition.LogStartOffset);
                Assert.Equal(isolation == 0, partition.AbortedTransactions is null);
            }
        }
    }

    [Fact]
    public async Task Every_version_carries_errors()
    {
        var (node, client, id) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        foreach (var version in TestConnection.VersionsOf<FetchResponse>())
        {
            AssertError(ErrorCode.OffsetOutOfRange, await ErrorOf(Fetch("t", id, 99, version)));
            AssertError(ErrorCode.UnknownTopicOrPartition, await ErrorOf(Fetch("t", id, 0, version, partition: 5)));
            AssertError(
                version < FirstVersionWithTopicIds ? ErrorCode.UnknownTopicOrPartition : ErrorCode.UnknownTopicId,
                await ErrorOf(Fetch("nowhere", Uuid.NewRandom(), 0, version)));
            if (version >= 9)
                AssertError(
                    ErrorCode.UnknownLeaderEpoch, await ErrorOf(Fetch("t", id, 0, version, change: each => each.CurrentLeaderEpoch = 99)));

            async Task<short> ErrorOf(FetchRequest request)
            {
                var response = await client.CallAsync<FetchRequest, FetchResponse>(request, version);
                AssertError(ErrorCode.None, response.ErrorCode);
                return response.Responses[0].Partitions[0].ErrorCode;
            }
        }
    }

    [Fact]
    public async Task An_offset_within_a_batch_gives_the_whole_batch()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await client.ProduceAsync("t", Batch(3));
        await client.ProduceAsync("t", Batch(3));
        Assert.Equal([0L, 3L], BaseOffsets((await client.FetchAsync("t", 2)).Records));
        Assert.Equal([3L], BaseOffsets((await client.FetchAsync("t", 3)).Records));
        Assert.Empty(BaseOffsets((await client.FetchAsync("t", 6)).Records));
    }

    [Fact]
    public async Task Limits_in_bytes_hold_but_for_the_first_batch()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        var size = Batch().Length;
        for (var i = 0; i < 4; i++)
            await client.ProduceAsync("t", Batch());
        Assert.Single(BaseOffsets((await client.FetchAsync("t", 0, each => each.PartitionMaxBytes = 1)).Records));
        Assert.Single(BaseOffsets((await client.FetchAsync("t", 0, changeRequest: each => each.MaxBytes = 0)).Records));
        Assert.Equal([0L, 1L], BaseOffsets((await client.FetchAsync("t", 0, each => each.PartitionMaxBytes = (2 * size) + 1)).Records));
        Assert.Equal([0L, 1L, 2L], BaseOffsets((await client.FetchAsync("t", 0, changeRequest: each => each.MaxBytes = 3 * size)).Records));
    }

    [Fact]
    public async Task The_limit_of_the_request_holds_over_its_partitions()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t", 2);
        await client.ProduceAsync("t", Batch());
        await client.ProduceAsync("t", Batch(), partition: 1);
        var request = Fetch("t", Uuid.Zero, 0, 12);
        request.MaxBytes = 1;
        request.Topics[0]
            .Partitions = [request.Topics[0].Partitions[0], new FetchRequest.FetchPartition { Partition = 1, PartitionMaxBytes = 1 << 20 }];
        var response = await client.CallAsync<FetchRequest, FetchResponse>(request, 12);
        Assert.Equal([1, 0], response.Responses[0].Partitions.Select(each => BaseOffsets(each.Records).Count));
    }

    [Fact]
    public async Task A_long_poll_waits_for_enough_bytes()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await using var producer = await node.ConnectAsync();
        var request = Fetch("t", Uuid.Zero, 0, 12);
        (request.MaxWaitMs, request.MinBytes) = (LongWaitMs, Batch().Length + 1);
        var waiting = node.Clock.NextTimerAsync(LongWaitMs);
        await client.SendAsync(request, 12);
        await waiting;
        waiting = node.Clock.NextTimerAsync(LongWaitMs);
        await producer.ProduceAsync("t", Batch());
        await waiting; // one batch is not enough: it waits on
        await producer.ProduceAsync("t", Batch());
        Assert.Equal([0L, 1L], BaseOffsets((await client.ReceiveAsync<FetchResponse>()).Responses[0].Partitions[0].Records));
    }

    [Fact]
    public async Task More_than_may_be_read_is_not_waited_for()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t", ("fetch.max.bytes", "2500"));
        await using var _1 = node;
        for (var i = 0; i < 4; i++)
            await client.ProduceAsync("t", Batch(valueBytes: 1000));
        Assert.Single(
            BaseOffsets(
                (await client.FetchAsync(
                    "t", 0, changeRequest: each => (each.MinBytes, each.MaxBytes, each.MaxWaitMs) = (5000, 1200, LongWaitMs))).Records));
        // Two batches fit, and end before the limit: what counts is what could be read.
        Assert.Equal(
            2, BaseOffsets(
                (await client.FetchAsync("t", 0, changeRequest: each => (each.MinBytes, each.MaxWaitMs) = (5000, LongWaitMs))).Records)
                    .Count);
    }

    [Fact]
    public async Task A_reader_of_an_older_segment_does_not_wait_for_enough_bytes()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await client.ProduceAsync("t", Batch());
        node.Replica("t").Log.Roll(new Instant(node.Clock.NowMs));
        await client.ProduceAsync("t", Batch());
        Assert.Equal(
            [0L], BaseOffsets(
                (await client.FetchAsync("t", 0, changeRequest: each => (each.MinBytes, each.MaxWaitMs) = (100_000, LongWaitMs))).Records));
    }

    [Fact]
    public async Task A_long_poll_does_not_read_the_disk_for_what_is_not_enough()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await using var producer = await node.ConnectAsync();
        var reads = 0;
        node.Disk.Fault = (operation, path) =>
        {
            if (operation == FileOperation.Read && path.Contains("/t-0/", StringComparison.Ordinal))
                Interlocked.Increment(ref reads);
            return null;
        };
        var request = Fetch("t", Uuid.Zero, 0, 12);
        (request.MaxWaitMs, request.MinBytes) = (LongWaitMs, 3 * Batch().Length);
        var waiting = node.Clock.NextTimerAsync(LongWaitMs);
        await client.SendAsync(request, 12);
        for (var i = 0; i < 2; i++)
        {
            await waiting;
            waiting = node.Clock.NextTimerAsync(LongWaitMs);
            await producer.ProduceAsync("t", Batch());
        }

        await waiting;
        Assert.Equal(0, reads);
        await producer.ProduceAsync("t", Batch());
        Assert.Equal([0L, 1, 2], BaseOffsets((await client.ReceiveAsync<FetchResponse>()).Responses[0].Partitions[0].Records));
        Assert.NotEqual(0, reads);
    }

    [Fact]
    public async Task A_negative_size_is_an_error_of_its_partition()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        AssertError(ErrorCode.None, (await client.FetchAsync("t", 0, each => each.PartitionMaxBytes = -1)).ErrorCode);
        await client.ProduceAsync("t", Batch());
        AssertError(ErrorCode.UnknownServerError, (await client.FetchAsync("t", 0, each => each.PartitionMaxBytes = -1)).ErrorCode);
        AssertError(ErrorCode.UnknownServerError, (await client.FetchAsync("t", 0, changeRequest: each => each.MaxBytes = -1)).ErrorCode);
        AssertError(ErrorCode.None, (await client.FetchAsync("t", 1, each => each.PartitionMaxBytes = -1)).ErrorCode);
    }

    [Fact]
    public async Task A_long_poll_ends_when_its_time_is_over()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await client.ProduceAsync("t", Batch());
        var request = Fetch("t", Uuid.Zero, 0, 12);
        (request.MaxWaitMs, request.MinBytes) = (LongWaitMs, 1 << 20);
        var waiting = node.Clock.NextTimerAsync(LongWaitMs);
        await client.SendAsync(request, 12);
        await waiting;
        node.Clock.AdvanceMs(LongWaitMs);
        Assert.Equal([0L], BaseOffsets((await client.ReceiveAsync<FetchResponse>()).Responses[0].Partitions[0].Records));
    }

    [Fact]
    public async Task A_long_poll_ends_when_its_topic_is_deleted()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await using var admin = await node.ConnectAsync();
        var request = Fetch("t", Uuid.Zero, 0, 12);
        request.MaxWaitMs = LongWaitMs;
        var waiting = node.Clock.NextTimerAsync(LongWaitMs);
        await client.SendAsync(request, 12);
        await waiting;
        await admin.CallAsync<DeleteTopicsRequest, DeleteTopicsResponse>(new DeleteTopicsRequest { TopicNames = ["t"] }, 5);
        // Woken in the middle of the deletion it may still see the topic in the metadata; both errors make a client ask for metadata again.
        var error = (ErrorCode)(await client.ReceiveAsync<FetchResponse>()).Responses[0].Partitions[0].ErrorCode;
        Assert.Contains(error, new[] { ErrorCode.UnknownTopicOrPartition, ErrorCode.NotLeaderOrFollower });
    }

    [Fact]
    public async Task A_session_tells_only_the_news()
    {
        foreach (var version in TestConnection.VersionsOf<FetchResponse>().Where(version => version >= 7))
        {
            await using var node = await TestNode.StartAsync();
            await using var client = await node.ConnectAsync();
            var a = await client.CreateTopicAsync("a");
            var b = await client.CreateTopicAsync("b");
            var full = Fetch("a", a, 0, version);
            full.Topics = [full.Topics[0], Fetch("b", b, 0, version).Topics[0]];
            full.SessionEpoch = 0;
            var created = await client.CallAsync<FetchRequest, FetchResponse>(full, version);
            Assert.NotEqual(0, created.SessionId);
            Assert.Equal(2, created.Responses.Length);

            var nothing = await Next(1);
            Assert.Equal(created.SessionId, nothing.SessionId);
            Assert.Empty(nothing.Responses);

            await client.ProduceAsync("b", Batch());
            var news = Assert.Single((await Next(2)).Responses);
            Assert.Equal(version < FirstVersionWithTopicIds ? ("b", Uuid.Zero) : ("", b), (news.Topic, news.TopicId));
            Assert.Equal([0L], BaseOffsets(Assert.Single(news.Partitions).Records));

            var forgetful = Next(
                3, new FetchRequest.ForgottenTopic
                {
                    Topic = version < FirstVersionWithTopicIds ? "b" : "",
                    TopicId = version < FirstVersionWithTopicIds ? Uuid.Zero : b,
                    Partitions = [0]
                });
            Assert.Empty((await forgetful).Responses);
            AssertError(ErrorCode.InvalidFetchSessionEpoch, (await Next(3)).ErrorCode);
            AssertError(ErrorCode.FetchSessionIdNotFound, (await Next(1, sessionId: created.SessionId ^ 1)).ErrorCode);

            var closed = await Next(-1);
            AssertError(ErrorCode.None, closed.ErrorCode);
            Assert.Equal(0, closed.SessionId);
            AssertError(ErrorCode.FetchSessionIdNotFound, (await Next(4)).ErrorCode);

            async Task<FetchResponse> Next(int epoch, FetchRequest.ForgottenTopic? forgotten = null, int? sessionId = null) =>
                await client.CallAsync<FetchRequest, FetchResponse>(
                    new FetchRequest
                    {
                        SessionId = sessionId ?? created.SessionId,
                        SessionEpoch = epoch,
                        MaxBytes = 1 << 20,
                        MinBytes = 1,
                        ForgottenTopicsData = forgotten is null ? [] : [forgotten]
                    }, version);
        }
    }

    [Fact]
    public async Task A_session_whose_last_partition_is_forgotten_ends()
    {
        var (node, client, id) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        foreach (var version in new short[] { 7, 12, 13, 18 })
        {
            var isById = version >= FirstVersionWithTopicIds;
            var full = Fetch("t", id, 0, version);
            full.SessionEpoch = 0;
            var session = (await client.CallAsync<FetchRequest, FetchResponse>(full, version)).SessionId;
            var forgotten =
                new FetchRequest.ForgottenTopic { Topic = isById ? "" : "t", TopicId = isById ? id : Uuid.Zero, Partitions = [0] };
            var last = await client.CallAsync<FetchRequest, FetchResponse>(
                new FetchRequest
                {
                    SessionId = session,
                    SessionEpoch = 1,
                    MaxWaitMs = LongWaitMs,
                    MinBytes = 1,
                    MaxBytes = 1 << 20,
                    ForgottenTopicsData = [forgotten]
                }, version);
            AssertError(ErrorCode.None, last.ErrorCode);
            Assert.Equal((0, 0), (last.SessionId, last.Responses.Length));
            var next = await client.CallAsync<FetchRequest, FetchResponse>(
                new FetchRequest { SessionId = session, SessionEpoch = 2, MaxBytes = 1 << 20 }, version);
            AssertError(ErrorCode.FetchSessionIdNotFound, next.ErrorCode);
        }
    }

    [Fact]
    public async Task A_session_tells_of_a_topic_that_is_deleted_and_made_anew()
    {
        var (node, client, id) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        var byId = await SessionAsync(Fetch("t", id, 0, 13), 13);
        var byName = await SessionAsync(Fetch("t", id, 0, 12), 12);
        await client.CallAsync<DeleteTopicsRequest, DeleteTopicsResponse>(new DeleteTopicsRequest { TopicNames = ["t"] }, 5);
        AssertError(ErrorCode.UnknownTopicOrPartition, await ErrorAsync(byId, 1, 13));
        AssertError(ErrorCode.UnknownTopicOrPartition, await ErrorAsync(byName, 1, 12));
        AssertError(
            ErrorCode.UnknownTopicId,
            (await client.CallAsync<FetchRequest, FetchResponse>(Fetch("t", id, 0, 13), 13)).Responses[0].Partitions[0].ErrorCode);
        await client.CreateTopicAsync("t");
        AssertError(ErrorCode.InconsistentTopicId, await ErrorAsync(byId, 2, 13));
        AssertError(ErrorCode.None, await ErrorAsync(byName, 2, 12));
        AssertError(
            ErrorCode.UnknownTopicId,
            (await client.CallAsync<FetchRequest, FetchResponse>(Fetch("t", id, 0, 13), 13)).Responses[0].Partitions[0].ErrorCode);

        async Task<int> SessionAsync(FetchRequest request, short version)
        {
            request.SessionEpoch = 0;
            return (await client.CallAsync<FetchRequest, FetchResponse>(request, version)).SessionId;
        }

        async Task<short> ErrorAsync(int session, int epoch, short version) =>
            Assert.Single(Assert.Single((await client.CallAsync<FetchRequest, FetchResponse>(
                new FetchRequest { SessionId = session, SessionEpoch = epoch, MaxBytes = 1 << 20 }, version)).Responses).Partitions)
                    .ErrorCode;
    }

    [Fact]
    public async Task A_session_does_not_change_between_names_and_ids()
    {
        var (node, client, id) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        var full = Fetch("t", id, 0, 13);
        full.SessionEpoch = 0;
        var created = await client.CallAsync<FetchRequest, FetchResponse>(full, 13);
        var next = await client.CallAsync<FetchRequest, FetchResponse>(
            new FetchRequest { SessionId = created.SessionId, SessionEpoch = 1 }, 12);
        AssertError(ErrorCode.FetchSessionTopicIdError, next.ErrorCode);
    }

    [Fact]
    public async Task Leader_epochs_grow_with_restarts_and_fence_the_old()
    {
        var (node, first, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await first.ProduceAsync("t", Batch(3));
        await node.RestartAsync();
        await using var client = await node.ConnectAsync();
        var metadata = await client.CallAsync<MetadataRequest, MetadataResponse>(new MetadataRequest { Topics = null });
        var epoch = metadata.Topics[0].Partitions[0].LeaderEpoch;
        Assert.True(epoch > 0, "the epoch stays what it was over a restart");
        AssertError(ErrorCode.FencedLeaderEpoch, (await client.FetchAsync("t", 0, each => each.CurrentLeaderEpoch = epoch - 1)).ErrorCode);
        AssertError(ErrorCode.None, (await client.FetchAsync("t", 0, each => each.CurrentLeaderEpoch = epoch)).ErrorCode);
        AssertError(ErrorCode.UnknownLeaderEpoch, (await client.FetchAsync("t", 0, each => each.CurrentLeaderEpoch = epoch + 1)).ErrorCode);
        await client.ProduceAsync("t", Batch());

        // Epoch 0 ended at 3: who claims to have read further in it holds records that are not here.
        var diverging = await client.FetchAsync("t", 4, each => each.LastFetchedEpoch = 0);
        AssertError(ErrorCode.None, diverging.ErrorCode);
        Assert.NotNull(diverging.DivergingEpoch);
        Assert.Equal((0, 3L), (diverging.DivergingEpoch.Epoch, diverging.DivergingEpoch.EndOffset));
        Assert.Equal(0, diverging.Records.Length);
        Assert.Null((await client.FetchAsync("t", 3, each => each.LastFetchedEpoch = 0)).DivergingEpoch);
    }

    [Fact]
    public async Task Fenced_clients_are_told_the_leader_from_version_16_on()
    {
        var (node, first, id) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await first.ProduceAsync("t", Batch());
        await node.RestartAsync();
        await using var client = await node.ConnectAsync();
        foreach (var version in TestConnection.VersionsOf<FetchResponse>().Where(version => version >= 9))
        {
            var response = await client.CallAsync<FetchRequest, FetchResponse>(
                Fetch("t", id, 0, version, change: each => each.CurrentLeaderEpoch = 0), version);
            var partition = response.Responses[0].Partitions[0];
            AssertError(ErrorCode.FencedLeaderEpoch, partition.ErrorCode);
            Assert.Equal(version >= 16, partition.CurrentLeader is { LeaderId: 0, LeaderEpoch: > 0 });
            Assert.Equal(version >= 16, response.NodeEndpoints.Length == 1);
        }
    }

    [Fact]
    public async Task Followers_are_refused()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        AssertError(ErrorCode.NotLeaderOrFollower, (await client.FetchAsync("t", 0, changeRequest: each => each.ReplicaId = 1)).ErrorCode);
    }
}
