using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using static Ottla.UnitTests.Broker.Requests;
using static Ottla.UnitTests.Broker.ShareGroupCalls;

namespace Ottla.UnitTests.Broker;

/// <summary>Records of share groups over the wire, beside what <see cref="RecordedShareFetchTests"/> replays.</summary>
public sealed class ShareFetchApiTests
{
    private const sbyte Accept = 1;
    private const sbyte Release = 2;

    [Fact]
    public async Task Without_the_feature_nothing_is_fetched()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        var topicId = await client.CreateTopicAsync("t");
        foreach (var version in TestConnection.VersionsOf<ShareFetchResponse>())
            AssertError(ErrorCode.UnsupportedVersion, (await client.ShareFetchAsync("g", "m", 0, topicId, version: version)).ErrorCode);
        foreach (var version in TestConnection.VersionsOf<ShareAcknowledgeResponse>())
            Assert.Equal(ErrorCode.UnsupportedVersion, await client.ShareAcknowledgeAsync("g", "m", 1, topicId, 0, 0, Accept, version));
    }

    [Fact]
    public async Task What_is_accepted_is_done_with_and_what_was_held_comes_back_after_a_restart()
    {
        await using var node = await TestNode.StartAsync(ShareGroups);
        Uuid topicId;
        await using (var client = await node.ConnectAsync())
        {
            topicId = await BeginAsync(node, client);
            await client.ProduceAsync("t", Batch(5));
            Assert.Equal([(0L, 4L, 1)], await AcquireAsync(node, client, 0, topicId));
            Assert.Equal(ErrorCode.None, await client.ShareAcknowledgeAsync("g", "m", 1, topicId, 0, 1, Accept));
            Assert.Equal(ErrorCode.None, await client.ShareAcknowledgeAsync("g", "m", 2, topicId, 2, 2, Release));
            Assert.Equal(ErrorCode.InvalidRecordState, await client.ShareAcknowledgeAsync("g", "m", 3, topicId, 2, 2, Accept));
        }

        await node.RestartAsync();
        await using var again = await node.ConnectAsync();
        await again.FindCoordinatorAsync("g");
        AssertError(ErrorCode.ShareSessionNotFound, (await again.ShareFetchAsync("g", "m", 4, topicId)).ErrorCode);
        var acquired = await AcquireAsync(node, again, 0, topicId);
        Assert.Equal((2L, 4L), (acquired[0].First, acquired[^1].Last));
        Assert.Equal(2, acquired[0].Count);
    }

    [Fact]
    public async Task A_fetch_waits_for_what_another_member_gives_back()
    {
        await using var node = await TestNode.StartAsync(ShareGroups);
        await using var holder = await node.ConnectAsync();
        await using var waiting = await node.ConnectAsync();
        var topicId = await BeginAsync(node, holder);
        await holder.ProduceAsync("t", Batch(3));
        Assert.Equal([(0L, 2L, 1)], await AcquireAsync(node, holder, 0, topicId));

        var fetch = waiting.ShareFetchAsync("g", "other", 0, topicId, maxWaitMs: 20_000);
        Assert.Equal(ErrorCode.None, await holder.ShareAcknowledgeAsync("g", "m", 1, topicId, 0, 2, Release));
        Assert.Equal([(0L, 2L, 2)], Acquired(await fetch));
    }

    [Fact]
    public async Task The_end_of_a_connection_gives_back_what_its_session_holds()
    {
        await using var node = await TestNode.StartAsync(ShareGroups);
        await using var other = await node.ConnectAsync();
        Uuid topicId;
        await using (var holder = await node.ConnectAsync())
        {
            topicId = await BeginAsync(node, holder);
            await holder.ProduceAsync("t", Batch(3));
            Assert.Equal([(0L, 2L, 1)], await AcquireAsync(node, holder, 0, topicId));
            Assert.Empty(Acquired(await other.ShareFetchAsync("g", "other", 0, topicId)));
        }

        Assert.Equal([(0L, 2L, 2)], await AcquireAsync(node, other, 1, null));
    }

    [Fact]
    public async Task A_lock_that_expires_frees_the_record_for_who_waits()
    {
        await using var node = await TestNode.StartAsync(ShareGroups);
        await using var holder = await node.ConnectAsync();
        await using var waiting = await node.ConnectAsync();
        var topicId = await BeginAsync(node, holder);
        await holder.ProduceAsync("t", Batch(1));
        Assert.Equal([(0L, 0L, 1)], await AcquireAsync(node, holder, 0, topicId));

        var waits = node.Clock.NextTimerAsync(60_000);
        var fetch = waiting.ShareFetchAsync("g", "other", 0, topicId, maxWaitMs: 60_000);
        await waits;
        node.Clock.AdvanceMs(29_999);
        Assert.False(fetch.IsCompleted);
        node.Clock.AdvanceMs(1);
        Assert.Equal([(0L, 0L, 2)], Acquired(await fetch));
        Assert.Equal(ErrorCode.InvalidRecordState, await holder.ShareAcknowledgeAsync("g", "m", 1, topicId, 0, 0, Accept));
    }

    /// <summary>A topic, and a group that begins at its first record.</summary>
    private static async Task<Uuid> BeginAsync(TestNode node, TestConnection client)
    {
        var topicId = await client.CreateTopicAsync("t");
        await client.JoinShareGroupAsync(node, "g", "m", "t");
        await client.ShareHeartbeatAsync("g", "m", -1);
        AssertError(ErrorCode.None, (await client.AlterShareOffsetsAsync("g", "t", (0, 0))).Responses[0].Partitions[0].ErrorCode);
        return topicId;
    }

    /// <summary>Fetches until something is acquired: the state is taken over first, and what is given back is written first.</summary>
    private static async Task<(long First, long Last, int Count)[]> AcquireAsync(
        TestNode node, TestConnection client, int epoch, Uuid? topicId)
    {
        (long First, long Last, int Count)[] acquired = [];
        await Waiting.UntilAsync(async () =>
        {
            var response = await client.ShareFetchAsync("g", epoch == 0 || topicId is not null ? "m" : "other", epoch, topicId);
            AssertError(ErrorCode.None, response.ErrorCode);
            acquired = Acquired(response);
            epoch = topicId is null ? epoch + 1 : 0; // with a topic each fetch begins a session anew
            node.Clock.AdvanceMs(acquired.Length > 0 ? 0 : 10);
            return acquired.Length > 0;
        });
        return acquired;
    }

    private static (long First, long Last, int Count)[] Acquired(ShareFetchResponse response)
    {
        AssertError(ErrorCode.None, response.ErrorCode);
        return
        [
            .. response.Responses.SelectMany(topic => topic.Partitions).SelectMany(partition => partition.AcquiredRecords)
                .Select(range => (range.FirstOffset, range.LastOffset, (int)range.DeliveryCount)),
        ];
    }
}
