using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using static Ottla.UnitTests.Broker.Requests;
using static Ottla.UnitTests.Replicas.PlayedFollower;

namespace Ottla.UnitTests.Replicas;

/// <summary>What a leader answers to the fetches of followers: sessions, waits, limits and errors.</summary>
public sealed class FollowerFetchTests
{
    [Fact]
    public async Task The_first_answer_names_every_partition_and_later_ones_only_news()
    {
        using var leader = new LeaderTestBed();
        leader.Create("t", 3);
        var follower = new PlayedFollower(leader) { MaxWaitMs = 0 };
        var first = await follower.FetchAsync(At("t", 0, 0), At("t", 1, 0), At("t", 2, 0));
        Assert.NotEqual(0, first.SessionId);
        Assert.Equal(
            [(0, 0L, 0L, 0L), (1, 0, 0, 0), (2, 0, 0, 0)],
            Assert.Single(first.Responses).Partitions.Select(
                each => (each.PartitionIndex, each.HighWatermark, each.LastStableOffset, each.LogStartOffset)));
        Assert.Empty((await follower.FetchAsync()).Responses);

        leader.Append("t", 1);
        Assert.Equal([(1, 0L)], Told(await follower.FetchAsync()));
        Assert.Equal([(1, 0L)], Told(await follower.FetchAsync())); // the follower does not say that it has it
        Assert.Empty((await follower.FetchAsync(At("t", 1, 1, 3))).Responses);
    }

    [Fact]
    public async Task A_fetch_waits_for_records_and_an_append_ends_the_wait()
    {
        using var leader = new LeaderTestBed();
        leader.Create("t", 2);
        var follower = new PlayedFollower(leader);
        var fetch = follower.FetchAsync(At("t", 0, 0), At("t", 1, 0));
        Assert.False(fetch.IsCompleted);
        leader.Append("t", 1);
        var response = await fetch.WaitAsync(Waiting.Patience);
        Assert.Equal([0, 1], Assert.Single(response.Responses).Partitions.Select(each => each.PartitionIndex)); // it is the first answer
        Assert.Equal([0L], BaseOffsets(response.Responses[0].Partitions[1].Records));

        fetch = follower.FetchAsync(At("t", 1, 1, 3));
        Assert.False(fetch.IsCompleted);
        leader.Clock.AdvanceMs(499);
        Assert.False(fetch.IsCompleted);
        leader.Clock.AdvanceMs(1);
        Assert.Empty((await fetch.WaitAsync(Waiting.Patience)).Responses);
    }

    [Fact]
    public async Task Records_are_read_up_to_the_end_of_the_log()
    {
        using var leader = new LeaderTestBed();
        leader.Create("t");
        leader.Append("t");
        leader.Append("t");
        var answer = Only(await new PlayedFollower(leader).FetchAsync(At("t", 0, 1)));
        Assert.Equal([1L], BaseOffsets(answer.Records));
        Assert.Equal((0L, 0L), (answer.HighWatermark, answer.LastStableOffset));
        Assert.Null(answer.AbortedTransactions);
    }

    [Fact]
    public async Task Another_high_watermark_or_log_start_goes_with_the_next_answer_and_wakes_nobody()
    {
        using var leader = new LeaderTestBed();
        leader.Create("t", 2);
        leader.Append("t");
        var follower = new PlayedFollower(leader);
        await follower.FetchAsync(At("t", 0, 0), At("t", 1, 0));
        var fetch = follower.FetchAsync(At("t", 0, 1, 3));
        await new PlayedFollower(leader, id: 3) { MaxWaitMs = 0 }.FetchAsync(At("t", 0, 1, 3)); // now all three have it
        Assert.Equal(1, leader.Replica("t").Log.HighWatermark);
        Assert.Equal(ErrorCode.None, leader.Replica("t").DeleteRecordsBefore(1).ErrorCode);
        Assert.False(fetch.IsCompleted);
        leader.Append("t", 1);
        var response = await fetch.WaitAsync(Waiting.Patience);
        Assert.Equal([(0, 1L), (1, 0)], Told(response));
        Assert.Equal(1, response.Responses[0].Partitions[0].LogStartOffset);
    }

    [Fact]
    public async Task The_answer_is_bounded_and_what_was_sent_goes_to_the_end_of_the_order()
    {
        using var leader = new LeaderTestBed();
        leader.Create("t", 3);
        for (var i = 0; i < 3; i++)
        {
            leader.Append("t", i, valueBytes: 1000);
            leader.Append("t", i, valueBytes: 1000);
        }

        var follower = new PlayedFollower(leader) { MaxBytes = 2500, MaxWaitMs = 0 };
        var first = await follower.FetchAsync(At("t", 0, 0), At("t", 1, 0), At("t", 2, 0));
        Assert.Equal([2, 0, 0], Counts(first)); // two batches fill the answer
        var second = await follower.FetchAsync(At("t", 0, 2, 3));
        Assert.Equal([(1, 0L)], Told(second));
        Assert.Equal([2], Counts(second));
        var third = await follower.FetchAsync(At("t", 1, 2, 3));
        Assert.Equal([(2, 0L)], Told(third));
        for (var i = 0; i < 3; i++)
            leader.Append("t", i, valueBytes: 1000);
        var fourth = await follower.FetchAsync(At("t", 2, 2, 3));
        Assert.Equal([(0, 0L), (1, 0)], Told(fourth)); // the order is 0, 1, 2 again, and two batches fit
    }

    [Fact]
    public async Task The_first_batch_comes_whole_even_if_it_is_too_large()
    {
        using var leader = new LeaderTestBed();
        leader.Create("t", 2);
        leader.Append("t", 0, valueBytes: 5000);
        leader.Append("t", 1, valueBytes: 5000);
        var follower = new PlayedFollower(leader) { MaxBytes = 100 };
        var small = At("t", 0, 0);
        small.Partition.PartitionMaxBytes = 10;
        Assert.Equal([1, 0], Counts(await follower.FetchAsync(small, At("t", 1, 0))));
    }

    [Fact]
    public async Task A_fetch_waits_until_there_are_enough_bytes()
    {
        using var leader = new LeaderTestBed();
        leader.Create("t", 2);
        var follower = new PlayedFollower(leader) { MinBytes = 1500, MaxWaitMs = 0 };
        await follower.FetchAsync(At("t", 0, 0), At("t", 1, 0));
        follower.MaxWaitMs = 500;
        var session = leader.Sessions.Find(follower.SessionId)!;
        var fetch = follower.FetchAsync();
        var before = session.LookCount;
        leader.Append("t", 0, valueBytes: 1000);
        await Waiting.UntilAsync(() => session.LookCount > before);
        Assert.False(fetch.IsCompleted);
        leader.Append("t", 1, valueBytes: 1000);
        Assert.Equal([1, 1], Counts(await fetch.WaitAsync(Waiting.Patience)));
    }

    [Fact]
    public async Task Epochs_are_checked_with_every_fetch()
    {
        using var leader = new LeaderTestBed();
        leader.Create("t");
        var follower = new PlayedFollower(leader);
        Assert.Equal(
            ErrorCode.FencedLeaderEpoch, (ErrorCode)Only(await follower.FetchAsync(At("t", 0, 0, leaderEpoch: 2))).ErrorCode);
        Assert.Equal(
            ErrorCode.UnknownLeaderEpoch, (ErrorCode)Only(await follower.FetchAsync(At("t", 0, 0, leaderEpoch: 4))).ErrorCode);
        follower.MaxWaitMs = 0;
        Assert.Equal(ErrorCode.None, (ErrorCode)Only(await follower.FetchAsync(At("t", 0, 0))).ErrorCode);

        follower.MaxWaitMs = 500;
        var fetch = follower.FetchAsync();
        leader.Change("t", 0, change => change.Leader = LeaderTestBed.LeaderId);
        var answer = Only(await fetch.WaitAsync(Waiting.Patience)); // the epoch of the session is old now
        Assert.Equal(ErrorCode.FencedLeaderEpoch, (ErrorCode)answer.ErrorCode);
        Assert.Equal((1, 4), (answer.CurrentLeader!.LeaderId, answer.CurrentLeader.LeaderEpoch));
        Assert.Equal((-1L, -1L, -1L), (answer.HighWatermark, answer.LastStableOffset, answer.LogStartOffset));

        leader.Change("t", 0, change => change.Leader = 2);
        answer = Only(await follower.FetchAsync(At("t", 0, 0, leaderEpoch: 5)));
        Assert.Equal(ErrorCode.NotLeaderOrFollower, (ErrorCode)answer.ErrorCode);
        Assert.Equal((2, 5), (answer.CurrentLeader!.LeaderId, answer.CurrentLeader.LeaderEpoch));
    }

    [Fact]
    public async Task A_broker_without_a_replica_is_told_to_ask_again()
    {
        using var leader = new LeaderTestBed();
        leader.Create("t");
        Assert.Equal(
            ErrorCode.UnknownLeaderEpoch, (ErrorCode)Only(await new PlayedFollower(leader, id: 4).FetchAsync(At("t", 0, 0))).ErrorCode);
        Assert.Equal(
            ErrorCode.NotLeaderOrFollower,
            (ErrorCode)Only(await new PlayedFollower(leader, id: 4).FetchAsync(At("t", 0, 0, leaderEpoch: -1))).ErrorCode);
    }

    [Fact]
    public async Task A_broker_that_has_registered_anew_is_not_believed_by_its_former_epoch()
    {
        using var leader = new LeaderTestBed();
        leader.Create("t");
        foreach (var (epoch, error) in new[]
        {
            (19L, ErrorCode.NotLeaderOrFollower), (20L, ErrorCode.None), (-1L, ErrorCode.None),
        })
        {
            var follower = new PlayedFollower(leader) { BrokerEpoch = epoch, MaxWaitMs = 0 };
            Assert.Equal(error, (ErrorCode)Only(await follower.FetchAsync(At("t", 0, 0))).ErrorCode);
        }
    }

    [Fact]
    public async Task A_follower_that_diverged_is_told_where_and_no_more()
    {
        using var leader = new LeaderTestBed();
        leader.Create("t");
        leader.Append("t");
        leader.Append("t");
        leader.Change("t", 0, change => change.Leader = LeaderTestBed.LeaderId);
        leader.Append("t");
        var follower = new PlayedFollower(leader);
        var answer = Only(await follower.FetchAsync(At("t", 0, 5, lastFetchedEpoch: 3, leaderEpoch: 4)));
        Assert.Equal(ErrorCode.None, (ErrorCode)answer.ErrorCode);
        Assert.Equal((3, 2L), (answer.DivergingEpoch!.Epoch, answer.DivergingEpoch.EndOffset));
        Assert.Empty(BaseOffsets(answer.Records));
        answer = Only(await follower.FetchAsync(At("t", 0, 2, lastFetchedEpoch: 3, leaderEpoch: 4)));
        Assert.Null(answer.DivergingEpoch);
        Assert.Equal([2L], BaseOffsets(answer.Records));
    }

    [Fact]
    public async Task A_follower_outside_of_the_log_is_out_of_range_whatever_its_epochs()
    {
        using var leader = new LeaderTestBed();
        leader.Create("t");
        for (var i = 0; i < 3; i++)
            leader.Append("t");
        await leader.FollowAsync(At("t", 0, 3, 3));
        Assert.Equal(ErrorCode.None, leader.Replica("t").DeleteRecordsBefore(2).ErrorCode);
        var follower = new PlayedFollower(leader);
        foreach (var asked in new[]
        {
            At("t", 0, 1), At("t", 0, 1, lastFetchedEpoch: 2), At("t", 0, 4), At("t", 0, 3, lastFetchedEpoch: 9),
        })
        {
            var answer = Only(await follower.FetchAsync(asked));
            Assert.Equal(ErrorCode.OffsetOutOfRange, (ErrorCode)answer.ErrorCode);
            Assert.Equal((-1L, -1L, -1L), (answer.HighWatermark, answer.LastStableOffset, answer.LogStartOffset));
        }
    }

    [Fact]
    public async Task What_does_not_exist_comes_last_and_ends_no_wait()
    {
        using var leader = new LeaderTestBed();
        leader.Create("t");
        var follower = new PlayedFollower(leader);
        Assert.Equal(ErrorCode.UnknownTopicId, (ErrorCode)Only(await follower.FetchAsync(At("u", 0, 0))).ErrorCode);

        var fetch = follower.FetchAsync(At("t", 7, 0), At("t", 0, 0));
        Assert.False(fetch.IsCompleted);
        leader.Clock.AdvanceMs(500);
        var response = await fetch.WaitAsync(Waiting.Patience);
        Assert.Equal(
            [(0, ErrorCode.None), (0, ErrorCode.UnknownTopicId), (7, ErrorCode.UnknownTopicOrPartition)],
            response.Responses.SelectMany(topic => topic.Partitions)
                .Select(each => (each.PartitionIndex, (ErrorCode)each.ErrorCode)).OrderBy(each => each.PartitionIndex)
                .ThenBy(each => each.Item2));
        Assert.Equal(leader.IdOf("t"), response.Responses[0].TopicId);
        Assert.Equal(0, response.Responses[0].Partitions[0].PartitionIndex);
    }

    [Fact]
    public async Task A_topic_that_is_deleted_ends_the_wait_and_one_of_the_same_name_is_another()
    {
        using var leader = new LeaderTestBed();
        leader.Create("t");
        leader.Create("other");
        var follower = new PlayedFollower(leader) { MaxWaitMs = 0 };
        await follower.FetchAsync(At("t", 0, 0), At("other", 0, 0));
        follower.MaxWaitMs = 500;
        var fetch = follower.FetchAsync();
        leader.Delete("t");
        Assert.Equal(
            ErrorCode.UnknownTopicOrPartition, (ErrorCode)Only(await fetch.WaitAsync(Waiting.Patience)).ErrorCode);
        leader.Create("t", new Uuid(9, 9), 1, 0);
        Assert.Equal(ErrorCode.InconsistentTopicId, (ErrorCode)Only(await follower.FetchAsync()).ErrorCode);
    }

    [Fact]
    public async Task A_broken_log_is_an_error_of_its_partition()
    {
        using var leader = new LeaderTestBed();
        leader.Create("t", 2);
        leader.Append("t", 1);
        leader.Replica("t").Log.TakeOffline(new IOException("broken"));
        var response = await new PlayedFollower(leader).FetchAsync(At("t", 0, 0), At("t", 1, 0));
        Assert.Equal(
            [ErrorCode.KafkaStorageError, ErrorCode.None],
            Assert.Single(response.Responses).Partitions.Select(each => (ErrorCode)each.ErrorCode));
    }

    [Theory]
    [InlineData(4)]
    [InlineData(7)]
    [InlineData(12)]
    [InlineData(13)]
    [InlineData(14)]
    [InlineData(15)]
    [InlineData(17)]
    public async Task Older_versions_are_served(short version)
    {
        using var leader = new LeaderTestBed();
        leader.Create("t");
        leader.Append("t");
        var follower = new PlayedFollower(leader, version: version);
        var response = await follower.FetchAsync(At("t", 0, 0));
        Assert.Equal(version >= 7, response.SessionId != 0);
        Assert.Equal([0L], BaseOffsets(Only(response).Records));
        leader.Append("t");
        Assert.Equal([1L], BaseOffsets(Only(await follower.FetchAsync(At("t", 0, 1, version >= 12 ? 3 : -1))).Records));
        if (version is >= 9 and < 16)
        {
            var answer = Only(await follower.FetchAsync(At("t", 0, 1, leaderEpoch: 2)));
            Assert.Equal(ErrorCode.FencedLeaderEpoch, (ErrorCode)answer.ErrorCode);
            Assert.Null(answer.CurrentLeader);
        }
    }

    internal static FetchResponse.PartitionData Only(FetchResponse response) =>
        Assert.Single(Assert.Single(response.Responses).Partitions);

    /// <summary>The partitions that an answer names, with the high watermarks.</summary>
    internal static List<(int Partition, long HighWatermark)> Told(FetchResponse response) =>
        [.. response.Responses.SelectMany(topic => topic.Partitions).Select(each => (each.PartitionIndex, each.HighWatermark))];

    private static List<int> Counts(FetchResponse response) =>
        [.. response.Responses.SelectMany(topic => topic.Partitions).Select(each => BaseOffsets(each.Records).Count)];
}
