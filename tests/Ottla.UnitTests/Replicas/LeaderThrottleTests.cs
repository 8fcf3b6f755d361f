using static Ottla.UnitTests.Broker.Requests;
using static Ottla.UnitTests.Replicas.FollowerFetchTests;
using static Ottla.UnitTests.Replicas.PlayedFollower;

namespace Ottla.UnitTests.Replicas;

/// <summary>Followers that have to catch up get no more than leader.replication.throttled.rate (KIP-73).</summary>
public sealed class LeaderThrottleTests
{
    private const string Replicas = "leader.replication.throttled.replicas";

    [Theory]
    [InlineData("0:1", true)]
    [InlineData("1:1,0:1", true)]
    [InlineData("*", true)]
    [InlineData("0:2,1:1", false)]
    [InlineData("", false)]
    public async Task A_follower_out_of_sync_waits_while_the_rate_is_exceeded(string throttled, bool isThrottled)
    {
        using var bed = Bed(throttled, isr: [1, 3]);
        var follower = new PlayedFollower(bed) { MaxWaitMs = 0 };
        Assert.Equal([0L], BaseOffsets(Only(await follower.FetchAsync(At("t", 0, 0))).Records)); // what was not exceeded yet

        bed.Append("t", valueBytes: 5000);
        var second = await follower.FetchAsync(At("t", 0, 1, 3));
        Assert.Equal(isThrottled ? [] : [1L], second.Responses.SelectMany(topic => BaseOffsets(topic.Partitions[0].Records)));
    }

    [Fact]
    public async Task It_goes_on_when_the_average_has_come_down_and_other_partitions_go_on_meanwhile()
    {
        using var bed = Bed("0:1", isr: [1, 3]);
        var follower = new PlayedFollower(bed);
        await follower.FetchAsync(At("t", 0, 0), At("t", 1, 0));
        bed.Append("t", 0, valueBytes: 5000);

        var fetch = follower.FetchAsync(At("t", 0, 1, 3));
        bed.Append("t", 0, valueBytes: 5000);
        Assert.False(fetch.IsCompleted); // what is held back ends no wait
        bed.Append("t", 1);
        Assert.Equal([(1, 0L)], Told(await fetch.WaitAsync(Waiting.Patience)));

        bed.Clock.AdvanceMs(11_000); // replication.quota.window.num seconds
        fetch = follower.FetchAsync(At("t", 1, 1, 3));
        Assert.Equal([1L, 2], BaseOffsets(Only(await fetch.WaitAsync(Waiting.Patience)).Records));
    }

    [Fact]
    public async Task A_follower_in_sync_is_not_held_back_and_counts()
    {
        using var bed = Bed("*", isr: [1, 2]);
        var (inSync, behind) = (new PlayedFollower(bed) { MaxWaitMs = 0 }, new PlayedFollower(bed, id: 3) { MaxWaitMs = 0 });
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal([(long)i], BaseOffsets(Only(await inSync.FetchAsync(At("t", 0, i, i == 0 ? -1 : 3))).Records));
            bed.Append("t", valueBytes: 5000);
        }

        var answer = Only(await behind.FetchAsync(At("t", 0, 0)));
        Assert.Empty(BaseOffsets(answer.Records));
        Assert.Equal(0, answer.ErrorCode);
    }

    /// <summary>A topic with two partitions, the first of which has a record of 5 kB, at a rate of 1 kB a second.</summary>
    private static LeaderTestBed Bed(string throttled, List<int> isr)
    {
        var bed = new LeaderTestBed { ThrottledRate = 1000 };
        bed.Create("t", partitions: 2, configs: (Replicas, throttled));
        bed.Change("t", 0, change => change.Isr = [.. isr]);
        bed.Append("t", valueBytes: 5000);
        return bed;
    }
}
