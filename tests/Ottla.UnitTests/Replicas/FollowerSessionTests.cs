using Ottla.Protocol;
using Ottla.Protocol.Messages;
using static Ottla.UnitTests.Broker.Requests;
using static Ottla.UnitTests.Replicas.FollowerFetchTests;
using static Ottla.UnitTests.Replicas.PlayedFollower;

namespace Ottla.UnitTests.Replicas;

/// <summary>How the sessions of followers begin and end, and that they cost what has news and not what is fetched.</summary>
public sealed class FollowerSessionTests
{
    [Fact]
    public async Task Wrong_ids_and_epochs_are_refused()
    {
        using var leader = new LeaderTestBed();
        leader.Create("t");
        var follower = new PlayedFollower(leader) { MaxWaitMs = 0 };
        await follower.FetchAsync(At("t", 0, 0));
        var request = follower.Request();
        request.SessionId ^= 1;
        AssertRefused(ErrorCode.FetchSessionIdNotFound, await follower.FetchAsync(request));
        request = follower.Request();
        request.SessionEpoch = 2;
        AssertRefused(ErrorCode.InvalidFetchSessionEpoch, await follower.FetchAsync(request));
        AssertRefused(
            ErrorCode.FetchSessionTopicIdError,
            await new PlayedFollower(leader, version: 12)
            {
                SessionId = follower.SessionId,
                SessionEpoch = follower.SessionEpoch,
            }.FetchAsync());
        AssertError(ErrorCode.None, (await follower.FetchAsync()).ErrorCode);

        static void AssertRefused(ErrorCode error, FetchResponse response)
        {
            AssertError(error, response.ErrorCode);
            Assert.Equal(0, response.SessionId);
            Assert.Empty(response.Responses);
        }
    }

    [Fact]
    public async Task A_forgotten_partition_is_not_told_and_a_session_without_partitions_is_over()
    {
        using var leader = new LeaderTestBed();
        leader.Create("t", 2);
        var follower = new PlayedFollower(leader) { MaxWaitMs = 0 };
        await follower.FetchAsync(At("t", 0, 0), At("t", 1, 0));
        leader.Append("t", 0);
        leader.Append("t", 1);
        var request = follower.Request();
        request.ForgottenTopicsData = [new FetchRequest.ForgottenTopic { TopicId = leader.IdOf("t"), Partitions = [0] }];
        Assert.Equal([(1, 0L)], Told(await follower.FetchAsync(request)));

        request = follower.Request();
        request.ForgottenTopicsData = [new FetchRequest.ForgottenTopic { TopicId = leader.IdOf("t"), Partitions = [1] }];
        request.MaxWaitMs = 500;
        var response = await follower.FetchAsync(request);
        AssertError(ErrorCode.None, response.ErrorCode);
        Assert.Equal(0, response.SessionId);
        Assert.Equal(0, leader.Sessions.Count);
    }

    [Fact]
    public async Task A_fetcher_that_begins_anew_replaces_its_session_and_leaves_those_of_others()
    {
        using var leader = new LeaderTestBed();
        leader.Create("t");
        var follower = new PlayedFollower(leader) { MaxWaitMs = 0 };
        await follower.FetchAsync(At("t", 0, 0));
        var former = follower.SessionId;
        var others = new[]
        {
            new PlayedFollower(leader) { MaxWaitMs = 0, ClientId = "broker-2-fetcher-1" },
            new PlayedFollower(leader, id: 3) { MaxWaitMs = 0 },
        };
        foreach (var other in others)
            await other.FetchAsync(At("t", 0, 0));
        Assert.Equal(3, leader.Sessions.Count);

        var restarted = new PlayedFollower(leader) { MaxWaitMs = 0 };
        await restarted.FetchAsync(At("t", 0, 0));
        Assert.Equal(3, leader.Sessions.Count);
        Assert.Null(leader.Sessions.Find(former));
        foreach (var each in others.Append(restarted))
            AssertError(ErrorCode.None, (await each.FetchAsync()).ErrorCode);

        // A full fetch that names the session ends it too, and one that wants no session has none.
        restarted.SessionEpoch = -1;
        Assert.Equal(0, (await restarted.FetchAsync(At("t", 0, 0))).SessionId);
        Assert.Equal(2, leader.Sessions.Count);
    }

    [Fact]
    public async Task A_fetch_that_waits_is_answered_when_its_session_ends()
    {
        using var leader = new LeaderTestBed();
        leader.Create("t");
        var follower = new PlayedFollower(leader) { MaxWaitMs = 0 };
        await follower.FetchAsync(At("t", 0, 0));
        follower.MaxWaitMs = 500;
        var fetch = follower.FetchAsync();
        Assert.False(fetch.IsCompleted);
        await new PlayedFollower(leader) { MaxWaitMs = 0 }.FetchAsync(At("t", 0, 0));
        AssertError(ErrorCode.FetchSessionIdNotFound, (await fetch.WaitAsync(Waiting.Patience)).ErrorCode);
    }

    [Fact]
    public async Task A_fetch_that_waits_gives_way_to_the_next_of_its_session()
    {
        using var leader = new LeaderTestBed();
        leader.Create("t");
        var follower = new PlayedFollower(leader) { MaxWaitMs = 0 };
        await follower.FetchAsync(At("t", 0, 0));
        follower.MaxWaitMs = 500;
        var first = follower.FetchAsync();
        var next = new PlayedFollower(leader) { SessionId = follower.SessionId, SessionEpoch = follower.SessionEpoch + 1 };
        var second = next.FetchAsync();
        var refused = await first.WaitAsync(Waiting.Patience);
        AssertError(ErrorCode.InvalidFetchSessionEpoch, refused.ErrorCode);
        Assert.Equal(follower.SessionId, refused.SessionId);
        Assert.False(second.IsCompleted);
        leader.Append("t");
        Assert.Equal([0L], BaseOffsets(Only(await second.WaitAsync(Waiting.Patience)).Records));
    }

    [Fact]
    public async Task A_session_ends_with_its_connection_and_a_node_that_stops_answers_what_waits()
    {
        using var leader = new LeaderTestBed();
        leader.Create("t");
        var (drained, closed) = (new PlayedFollower(leader), new PlayedFollower(leader, id: 3));
        var (one, other) = (drained.FetchAsync(At("t", 0, 0)), closed.FetchAsync(At("t", 0, 0)));
        drained.Drain();
        Assert.Equal([(0, 0L)], Told(await one.WaitAsync(Waiting.Patience)));
        closed.Close();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => other.WaitAsync(Waiting.Patience));
        Assert.Equal(1, leader.Sessions.Count);
        drained.Close();
        Assert.Equal(0, leader.Sessions.Count);
    }

    [Fact]
    public async Task Without_slots_followers_fetch_without_sessions()
    {
        using var leader = new LeaderTestBed(("max.incremental.fetch.session.cache.slots", "0"));
        leader.Create("t");
        var follower = new PlayedFollower(leader);
        var fetch = follower.FetchAsync(At("t", 0, 0));
        leader.Append("t");
        var response = await fetch.WaitAsync(Waiting.Patience);
        Assert.Equal(0, response.SessionId);
        Assert.Equal([0L], BaseOffsets(Only(response).Records));
        Assert.Equal(0, leader.Sessions.Count);
    }

    [Fact]
    public async Task Idle_partitions_are_not_looked_at()
    {
        const int partitions = 2000;
        using var leader = new LeaderTestBed();
        leader.Create("t", partitions);
        var follower = new PlayedFollower(leader) { MaxWaitMs = 0 };
        await follower.FetchAsync([.. Enumerable.Range(0, partitions).Select(index => At("t", index, 0))]);
        await follower.FetchAsync(); // the first one was news of the follower, which the replicas announce
        var session = leader.Sessions.Find(follower.SessionId)!;
        var looks = session.LookCount;
        Assert.InRange(looks, partitions, 2 * partitions);
        for (var i = 0; i < 10; i++)
            Assert.Empty((await follower.FetchAsync()).Responses);
        Assert.Equal(looks, session.LookCount);

        leader.Append("t", 1234);
        Assert.Equal([(1234, 0L)], Told(await follower.FetchAsync()));
        Assert.Equal(looks + 1, session.LookCount);
        Assert.Empty((await follower.FetchAsync(At("t", 1234, 1, 3))).Responses); // it is named, and has no news
        Assert.Empty((await follower.FetchAsync()).Responses);
        Assert.Equal(looks + 2, session.LookCount);
    }

    [Fact]
    public async Task With_another_broker_epoch_every_replica_hears_of_it()
    {
        using var leader = new LeaderTestBed();
        leader.Create("t", 5);
        var follower = new PlayedFollower(leader) { MaxWaitMs = 0, BrokerEpoch = -1 }; // a broker fetches before it is registered
        await follower.FetchAsync([.. Enumerable.Range(0, 5).Select(index => At("t", index, 0))]);
        await follower.FetchAsync();
        var session = leader.Sessions.Find(follower.SessionId)!;
        var looks = session.LookCount;
        follower.BrokerEpoch = 20;
        Assert.Empty((await follower.FetchAsync()).Responses);
        Assert.Equal(looks + 5, session.LookCount);
        Assert.Empty((await follower.FetchAsync()).Responses);
        Assert.Equal(looks + 5, session.LookCount);
    }
}
