using Ottla.Broker.Replicas;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using Ottla.UnitTests.Requests;
using static Ottla.UnitTests.Replication.FollowerBed;

namespace Ottla.UnitTests.Replication;

#pragma warning disable IDE0060 // Steps of a test are extensions of its bed, whether they need it or not.

/// <summary>What a follower does to its log, over the wire, against leaders that the test plays.</summary>
public sealed class FollowerTests
{
    [Fact]
    public async Task A_follower_appends_what_it_fetches_byte_for_byte_and_its_high_watermark_follows_with_the_next_answer()
    {
        await using var bed = new FollowerBed();
        var leader = bed.Listen();
        bed.Register(2, leader);
        bed.Lead(2, 0, 0);
        var side = await leader.AcceptAsync();
        var first = await side.ReceiveAsync<FetchRequest>();
        Assert.Equal((18, 0, "broker-1-fetcher-0"), (first.Version, first.CorrelationId, first.ClientId));
        Assert.Equal((1, 77L), (first.Body.ReplicaState!.ReplicaId, first.Body.ReplicaState.ReplicaEpoch));
        Assert.Equal((0L, -1), (Only(first).FetchOffset, Only(first).LastFetchedEpoch));
        byte[] bytes = [.. Stored(0, 0, records: 3), .. Stored(3, 0), .. Stored(4, 0)]; // P30: several batches at once
        await side.AnswerAsync(first, Answer(9, Data(0, highWatermark: 3, bytes)));

        var second = await side.ReceiveAsync<FetchRequest>();
        Assert.Equal((9, 1), (second.Body.SessionId, second.Body.SessionEpoch));
        Assert.Equal((5L, 0), (Only(second).FetchOffset, Only(second).LastFetchedEpoch));
        Assert.Equal(bytes, bed.BytesOf());
        Assert.Equal((5L, 3L), (bed.Replica().Log.LogEndOffset, bed.Replica().Log.HighWatermark));

        await side.AnswerAsync(second, Answer(9, Data(0, highWatermark: 5)));
        var third = await side.ReceiveAsync<FetchRequest>();
        Assert.Empty(third.Body.Topics);
        Assert.Equal(5, bed.Replica().Log.HighWatermark);
        await leader.CloseAsync();
    }

    [Fact]
    public async Task The_high_watermark_never_passes_the_followers_end()
    {
        await using var bed = new FollowerBed();
        var side = await bed.FollowAsync();
        await side.AnswerAsync(await side.ReceiveAsync<FetchRequest>(), Answer(9, Data(0, highWatermark: 1000, Stored(0, 0, records: 4))));
        await side.ReceiveAsync<FetchRequest>();
        Assert.Equal(4, bed.Replica().Log.HighWatermark);
    }

    [Fact]
    public async Task A_tail_that_nobody_else_has_is_cut_and_its_answer_raises_no_high_watermark() // P1, P3, recording 03
    {
        await using var bed = new FollowerBed();
        bed.Lead(1, 0, 0);
        bed.AppendAsLeader(epoch: 0, records: 10);
        bed.AppendAsLeader(epoch: 0, records: 7);
        var leader = bed.Listen();
        bed.Register(2, leader);
        bed.Lead(2, 1, 0);
        var side = await leader.AcceptAsync();
        var first = await side.ReceiveAsync<FetchRequest>();
        Assert.Equal((1, 17L, 0), (Only(first).CurrentLeaderEpoch, Only(first).FetchOffset, Only(first).LastFetchedEpoch));
        var diverging = Data(0, highWatermark: 14);
        (diverging.TakeDivergingEpoch().Epoch, diverging.DivergingEpoch!.EndOffset) = (0, 10);
        await side.AnswerAsync(first, Answer(9, diverging));

        var second = await side.ReceiveAsync<FetchRequest>();
        Assert.Equal((10L, 0), (Only(second).FetchOffset, Only(second).LastFetchedEpoch));
        Assert.Equal(10, bed.Replica().Log.LogEndOffset);
        Assert.InRange(bed.Replica().Log.HighWatermark, 0, 10); // what it was before: nothing of the answer
        await side.AnswerAsync(second, Answer(9, Data(0, highWatermark: 14, Stored(10, 1, records: 4))));

        var third = await side.ReceiveAsync<FetchRequest>();
        Assert.Equal((14L, 1), (Only(third).FetchOffset, Only(third).LastFetchedEpoch));
        Assert.Equal(14, bed.Replica().Log.HighWatermark);
    }

    [Fact]
    public async Task An_epoch_that_the_follower_missed_is_found_step_by_step() // P1
    {
        await using var bed = new FollowerBed();
        bed.Lead(1, 0, 0);
        bed.AppendAsLeader(epoch: 0, records: 4);
        bed.Lead(3, 1, 0); // no leader that can be reached: the log stays as it is
        bed.Lead(1, 2, 0);
        bed.AppendAsLeader(epoch: 2, records: 4); // epoch 2 is at 4 to 8
        var leader = bed.Listen();
        bed.Register(2, leader);
        bed.Lead(2, 3, 0);
        var side = await leader.AcceptAsync();
        var first = await side.ReceiveAsync<FetchRequest>();
        Assert.Equal((8L, 2), (Only(first).FetchOffset, Only(first).LastFetchedEpoch));
        var diverging = Data(0, highWatermark: 6);
        (diverging.TakeDivergingEpoch().Epoch, diverging.DivergingEpoch!.EndOffset) = (1, 6); // an epoch that the follower does not know
        await side.AnswerAsync(first, Answer(9, diverging));
        var second = await side.ReceiveAsync<FetchRequest>();
        Assert.Equal((4L, 0), (Only(second).FetchOffset, Only(second).LastFetchedEpoch));
        Assert.Equal(4, bed.Replica().Log.LogEndOffset);
    }

    [Fact]
    public async Task A_follower_behind_the_leaders_start_is_emptied_and_begins_there() // P8, P13, recording 23
    {
        await using var bed = new FollowerBed();
        var side = await bed.FollowAsync();
        await side.AnswerAsync(await side.ReceiveAsync<FetchRequest>(), Answer(9, Data(0, 10, Stored(0, 0, records: 10))));
        var fetch = await side.ReceiveAsync<FetchRequest>();
        await side.AnswerAsync(fetch, Answer(9, Data(0, -1, error: ErrorCode.OffsetOutOfRange, logStart: -1)));

        await bed.AnswerOffsetAsync(side, timestamp: -1, offset: 30);
        await bed.AnswerOffsetAsync(side, timestamp: -2, offset: 25);
        var again = await side.ReceiveAsync<FetchRequest>();
        Assert.Empty(again.Body.ForgottenTopicsData);
        Assert.Equal((25L, -1, 25L), (Only(again).FetchOffset, Only(again).LastFetchedEpoch, Only(again).LogStartOffset));
        var log = bed.Replica().Log;
        Assert.Equal((25L, 25L, 25L), (log.LogStartOffset, log.HighWatermark, log.LogEndOffset));
        await side.AnswerAsync(again, Answer(9, Data(0, 30, Stored(25, 0, records: 5), logStart: 25)));
        await side.ReceiveAsync<FetchRequest>();
        Assert.Equal(30, log.HighWatermark);
    }

    [Fact]
    public async Task A_follower_whose_leader_was_elected_with_fewer_records_is_cut_to_its_end() // P13, P38
    {
        await using var bed = new FollowerBed();
        var side = await bed.FollowAsync();
        await side.AnswerAsync(
            await side.ReceiveAsync<FetchRequest>(), Answer(9, Data(0, 10, [.. Stored(0, 0, records: 5), .. Stored(5, 0, records: 5)])));
        await side.AnswerAsync(
            await side.ReceiveAsync<FetchRequest>(), Answer(9, Data(0, -1, error: ErrorCode.OffsetOutOfRange, logStart: -1)));
        await bed.AnswerOffsetAsync(side, timestamp: -1, offset: 5);
        var again = await side.ReceiveAsync<FetchRequest>();
        Assert.Equal(5, Only(again).FetchOffset);
        Assert.Equal((5L, 5L), (bed.Replica().Log.LogEndOffset, bed.Replica().Log.HighWatermark));
        Assert.Contains(bed.Log.Logger.Warnings, warning => warning.Contains("below its high watermark", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_follower_whose_end_the_leader_has_reached_meanwhile_fetches_on()
    {
        await using var bed = new FollowerBed();
        var side = await bed.FollowAsync();
        await side.AnswerAsync(await side.ReceiveAsync<FetchRequest>(), Answer(9, Data(0, 10, Stored(0, 0, records: 10))));
        await side.AnswerAsync(
            await side.ReceiveAsync<FetchRequest>(), Answer(9, Data(0, -1, error: ErrorCode.OffsetOutOfRange, logStart: -1)));
        await bed.AnswerOffsetAsync(side, timestamp: -1, offset: 12);
        await bed.AnswerOffsetAsync(side, timestamp: -2, offset: 3);
        Assert.Empty((await side.ReceiveAsync<FetchRequest>()).Body.Topics); // at the same offset as before
        Assert.Equal(10, bed.Replica().Log.LogEndOffset);
    }

    [Fact]
    public async Task A_log_start_inside_of_a_batch_is_taken_over() // P12
    {
        await using var bed = new FollowerBed();
        var side = await bed.FollowAsync();
        await side.AnswerAsync(
            await side.ReceiveAsync<FetchRequest>(), Answer(9, Data(0, -1, error: ErrorCode.OffsetOutOfRange, logStart: -1)));
        await bed.AnswerOffsetAsync(side, timestamp: -1, offset: 30);
        await bed.AnswerOffsetAsync(side, timestamp: -2, offset: 25);
        var fetch = await side.ReceiveAsync<FetchRequest>();
        Assert.Equal(25, Only(fetch).FetchOffset);
        var batch = Stored(20, 0, records: 10);
        await side.AnswerAsync(fetch, Answer(9, Data(0, 30, batch, logStart: 25)));
        var next = await side.ReceiveAsync<FetchRequest>();
        Assert.Equal((30L, 25L), (Only(next).FetchOffset, Only(next).LogStartOffset));
        var log = bed.Replica().Log;
        Assert.Equal((20L, 25L, 30L, 30L), (log.FirstSegmentOffset, log.LogStartOffset, log.HighWatermark, log.LogEndOffset));
    }

    [Fact]
    public async Task The_log_start_of_the_leader_is_taken_over()
    {
        await using var bed = new FollowerBed();
        var side = await bed.FollowAsync();
        await side.AnswerAsync(
            await side.ReceiveAsync<FetchRequest>(), Answer(9, Data(0, 8, Stored(0, 0, records: 10), logStart: 3)));
        var next = await side.ReceiveAsync<FetchRequest>();
        Assert.Equal(3, Only(next).LogStartOffset);
        Assert.Equal(3, bed.Replica().Log.LogStartOffset);
    }

    [Fact]
    public async Task Damaged_records_are_not_appended_and_are_fetched_again()
    {
        await using var bed = new FollowerBed();
        var side = await bed.FollowAsync();
        var damaged = Stored(0, 0, records: 5);
        damaged[^1] ^= 1;
        await side.AnswerAsync(await side.ReceiveAsync<FetchRequest>(), Answer(9, Data(0, 5, damaged)));
        var without = await side.ReceiveAsync<FetchRequest>();
        Assert.Equal([0], Assert.Single(without.Body.ForgottenTopicsData).Partitions);
        Assert.Equal((0L, 0L), (bed.Replica().Log.LogEndOffset, bed.Replica().Log.HighWatermark));

        await side.AnswerAsync(without, Answer(9));
        bed.Clock.AdvanceMs(1000);
        var again = await side.ReceiveAsync<FetchRequest>();
        Assert.Equal(0, Only(again).FetchOffset);
        await side.AnswerAsync(again, Answer(9, Data(0, 5, Stored(0, 0, records: 5))));
        await side.ReceiveAsync<FetchRequest>();
        Assert.Equal(5, bed.Replica().Log.HighWatermark);
    }

    [Fact]
    public async Task Batches_of_a_later_epoch_than_the_requests_are_left_out() // R47
    {
        await using var bed = new FollowerBed();
        var side = await bed.FollowAsync();
        byte[] bytes = [.. Stored(0, 0, records: 5), .. Stored(5, 1, records: 5)];
        await side.AnswerAsync(await side.ReceiveAsync<FetchRequest>(), Answer(9, Data(0, 10, bytes)));
        Assert.Equal(5, Only(await side.ReceiveAsync<FetchRequest>()).FetchOffset);
        Assert.Equal((5L, 0), (bed.Replica().Log.LogEndOffset, bed.Replica().Log.LatestEpoch));
    }

    [Fact]
    public async Task A_batch_that_is_cut_off_is_left_out_and_one_that_repeats_offsets_is_refused()
    {
        await using var bed = new FollowerBed();
        var side = await bed.FollowAsync();
        byte[] cut = [.. Stored(0, 0, records: 5), .. Stored(5, 0, records: 5)[..^3]];
        await side.AnswerAsync(await side.ReceiveAsync<FetchRequest>(), Answer(9, Data(0, 10, cut)));
        var next = await side.ReceiveAsync<FetchRequest>();
        Assert.Equal(5, Only(next).FetchOffset);
        await side.AnswerAsync(next, Answer(9, Data(0, 10, Stored(4, 0, records: 5))));
        Assert.Single((await side.ReceiveAsync<FetchRequest>()).Body.ForgottenTopicsData);
        Assert.Equal(5, bed.Replica().Log.LogEndOffset);
    }

    [Fact]
    public async Task What_arrives_after_the_leader_changed_changes_nothing() // P2, P4
    {
        await using var bed = new FollowerBed();
        var side = await bed.FollowAsync();
        var late = await side.ReceiveAsync<FetchRequest>();
        var other = bed.Listen();
        bed.Register(3, other);
        bed.Lead(3, 1, 0);
        var newSide = await other.AcceptAsync();
        Assert.Equal(1, Only(await newSide.ReceiveAsync<FetchRequest>()).CurrentLeaderEpoch);
        try
        {
            await side.AnswerAsync(late, Answer(9, Data(0, 5, Stored(0, 0, records: 5))));
        }
        catch (Exception e) when (e is IOException or System.Net.Sockets.SocketException)
        {
            // The connection to the former leader is closed by now, or about to be.
        }

        Assert.Null(await side.ReceiveFrameAsync());
        Assert.Equal(0, bed.Replica().Log.LogEndOffset);
    }

    [Fact]
    public async Task An_answer_to_a_replica_that_leads_now_changes_nothing() // P2, R53
    {
        await using var bed = new FollowerBed();
        var side = await bed.FollowAsync(0, 1);
        var late = await side.ReceiveAsync<FetchRequest>();
        bed.Lead(1, 1, 0); // partition 1 keeps the fetcher
        bed.AppendAsLeader(epoch: 1, records: 2);
        await side.AnswerAsync(late, Answer(9, Data(0, 5, Stored(0, 0, records: 5)), Data(1, 1, Stored(0, 0))));
        var next = await side.ReceiveAsync<FetchRequest>();
        Assert.Equal([0], Assert.Single(next.Body.ForgottenTopicsData).Partitions);
        Assert.Equal((2L, 1), (bed.Replica().Log.LogEndOffset, bed.Replica().Log.LatestEpoch));
        Assert.Equal(1, bed.Replica(1).Log.LogEndOffset);
    }

    [Fact]
    public async Task A_leader_that_is_gone_is_asked_again_after_a_pause_and_holds_up_no_other() // P32
    {
        await using var bed = new FollowerBed();
        var dead = bed.Listen();
        var alive = bed.Listen();
        bed.Register(2, dead);
        bed.Register(3, alive);
        bed.Lead(2, 0, 0);
        bed.Lead(3, 0, 1);
        var deadSide = await dead.AcceptAsync();
        var aliveSide = await alive.AcceptAsync();
        var request = await deadSide.ReceiveAsync<FetchRequest>();
        await deadSide.CloseAsync();
        for (var offset = 0; offset < 5; offset++)
        {
            var fetch = await aliveSide.ReceiveAsync<FetchRequest>();
            await aliveSide.AnswerAsync(fetch, Answer(9, Data(1, offset, Stored(offset, 0))));
        }

        await aliveSide.ReceiveAsync<FetchRequest>();
        Assert.Equal(5, bed.Replica(1).Log.LogEndOffset);
        Assert.Equal(0, request.Body.SessionEpoch);
        await Waiting.UntilAsync(() => bed.Log.Logger.Warnings.Count > 0);
        bed.Clock.AdvanceMs(1000);
        var again = await (await dead.AcceptAsync()).ReceiveAsync<FetchRequest>();
        Assert.Equal((0, 0, 0), (again.CorrelationId, again.Body.SessionId, again.Body.SessionEpoch));
    }

    [Fact]
    public async Task A_leader_that_says_nothing_is_left_after_the_time_out()
    {
        await using var bed = new FollowerBed();
        var leader = bed.Listen();
        bed.Register(2, leader);
        bed.Lead(2, 0, 0);
        var side = await leader.AcceptAsync();
        await side.ReceiveAsync<FetchRequest>();
        bed.Clock.AdvanceMs(30_000);
        Assert.Null(await side.ReceiveFrameAsync());
        await Waiting.UntilAsync(() => bed.Log.Logger.Warnings.Count > 0);
        Assert.Contains("nothing arrived for 30000 ms", Assert.Single(bed.Log.Logger.Warnings), StringComparison.Ordinal);
        bed.Clock.AdvanceMs(1000);
        await (await leader.AcceptAsync()).ReceiveAsync<FetchRequest>();
    }

    [Fact]
    public async Task A_leader_that_listens_elsewhere_is_found_there()
    {
        await using var bed = new FollowerBed();
        var side = await bed.FollowAsync();
        await side.ReceiveAsync<FetchRequest>();
        var elsewhere = bed.Listen();
        bed.Register(2, elsewhere);
        Assert.Null(await side.ReceiveFrameAsync());
        await Waiting.UntilAsync(() => bed.Log.Logger.Warnings.Count > 0);
        bed.Clock.AdvanceMs(1000);
        await (await elsewhere.AcceptAsync()).ReceiveAsync<FetchRequest>();
    }

    [Fact]
    public async Task A_leader_that_is_not_known_yet_is_fetched_from_once_it_is()
    {
        await using var bed = new FollowerBed();
        bed.Lead(2, 0, 0);
        await Waiting.UntilAsync(() => bed.Log.Logger.Warnings.Count > 0);
        Assert.Contains("does not say where broker 2 listens", Assert.Single(bed.Log.Logger.Warnings), StringComparison.Ordinal);
        var leader = bed.Listen();
        bed.Register(2, leader);
        bed.Clock.AdvanceMs(1000);
        await (await leader.AcceptAsync()).ReceiveAsync<FetchRequest>();
    }

    [Fact]
    public async Task A_higher_metadata_version_changes_the_version_and_keeps_the_session() // recording 25
    {
        await using var bed = new FollowerBed();
        bed.Publish(new FeatureLevelRecord { Name = "metadata.version", FeatureLevel = 17 });
        var side = await bed.FollowAsync();
        var first = await side.ReceiveAsync<FetchRequest>();
        Assert.Equal(15, first.Version);
        bed.Publish(new FeatureLevelRecord { Name = "metadata.version", FeatureLevel = 21 });
        await side.AnswerAsync(first, Answer(9, Data(0, 0)));
        var second = await side.ReceiveAsync<FetchRequest>();
        Assert.Equal((17, 9, 1), (second.Version, second.Body.SessionId, second.Body.SessionEpoch));
    }

    [Fact]
    public async Task Partitions_without_a_leader_or_that_lead_here_are_not_fetched()
    {
        await using var bed = new FollowerBed();
        var side = await bed.FollowAsync(0, 1);
        await side.ReceiveAsync<FetchRequest>();
        Assert.Equal(2, bed.FetchedPartitions);
        bed.Lead(-1, 1, 0);
        Assert.Equal(1, bed.FetchedPartitions);
        bed.Lead(1, 1, 1);
        Assert.Equal(0, bed.FetchedPartitions);
        Assert.Null(await side.ReceiveFrameAsync()); // a fetcher without partitions has no connection
    }

    [Fact]
    public async Task Partitions_are_spread_over_as_many_fetchers_as_configured_and_none_is_lost_when_that_changes() // P23
    {
        await using var bed = new FollowerBed(("num.replica.fetchers", "3"));
        var leader = bed.Listen();
        bed.Register(2, leader);
        bed.Lead(2, 0, 0, 1, 2, 3, 4, 5, 6);
        var before = await bed.FirstRequestsAsync(leader, 3);
        Assert.Equal(["broker-1-fetcher-0", "broker-1-fetcher-1", "broker-1-fetcher-2"], before.Select(each => each.ClientId).Order());
        Assert.Equal([0, 1, 2, 3, 4, 5, 6], PartitionsOf(before));

        bed.Config = Ottla.Configuration.BrokerConfig.LoadDevMode(
            null, new Dictionary<string, string> { ["node.id"] = "1", ["log.dirs"] = "/data", ["num.replica.fetchers"] = "1" });
        bed.Publish(new NoOpRecord());
        Assert.Equal(7, bed.FetchedPartitions);

        static IEnumerable<int> PartitionsOf(IEnumerable<ReceivedRequest<FetchRequest>> requests) =>
            requests.SelectMany(each => each.Body.Topics).SelectMany(topic => topic.Partitions).Select(each => each.Partition).Order();
    }

    [Theory]
    [InlineData("t", 0, 1, 0)]
    [InlineData("t", 0, 3, 2)] // "t".hashCode() is 116: 31 * 116 = 3596
    [InlineData("t", 1, 3, 0)]
    [InlineData("orders", 1, 7, 5)] // -1008770331
    public void A_partition_has_the_fetcher_that_Kafka_would_give_it(string topic, int partition, int count, int expected) =>
        Assert.Equal(expected, Ottla.Broker.Replicas.Fetching.ReplicaFetchers.IndexOf(new TopicPartition(topic, partition), count));

    [Fact]
    public async Task Consumers_that_wait_at_a_follower_are_woken_by_what_it_fetches() // P24
    {
        await using var bed = new FollowerBed();
        var side = await bed.FollowAsync();
        var fetch = await side.ReceiveAsync<FetchRequest>();
        var waiter = new DataWaiter(bed.Clock);
        var waiting = waiter.WaitAsync(new Watched(bed.Replica()), TimeSpan.FromMinutes(10), default).AsTask();
        Assert.False(waiting.IsCompleted);
        await side.AnswerAsync(fetch, Answer(9, Data(0, 1, Stored(0, 0))));
        await waiting.WaitAsync(Waiting.Patience);
    }

    [Fact]
    public async Task A_follower_whose_directory_fails_is_fetched_no_more_and_the_others_go_on()
    {
        await using var bed = new FollowerBed(("log.dirs", "/a,/b"));
        var side = await bed.FollowAsync(0, 1);
        var fetch = await side.ReceiveAsync<FetchRequest>();
        var failing = Path.GetDirectoryName(bed.Replica().Log.Directory)!;
        Assert.NotEqual(failing, Path.GetDirectoryName(bed.Replica(1).Log.Directory));
        bed.Disk.Fault = (operation, path) => operation == Ottla.Storage.Files.FileOperation.Write
            && path.StartsWith(failing, StringComparison.Ordinal) ? new IOException("the disk is broken") : null;
        await side.AnswerAsync(fetch, Answer(9, Data(0, 1, Stored(0, 0)), Data(1, 1, Stored(0, 0))));
        var next = await side.ReceiveAsync<FetchRequest>();
        Assert.Equal([0], Assert.Single(next.Body.ForgottenTopicsData).Partitions);
        Assert.Equal(1, Only(next).Partition);
        Assert.Equal(1, bed.FetchedPartitions);
        bed.Disk.Fault = null;
    }

    [Fact]
    public async Task A_follower_that_moves_to_another_directory_loses_nothing_of_what_it_fetches()
    {
        await using var bed = new FollowerBed(("log.dirs", "/a,/b"));
        var side = await bed.FollowAsync();
        List<byte> expected = [];
        var offset = 0;
        async Task ReplicateAsync()
        {
            var fetch = await side.ReceiveAsync<FetchRequest>();
            var batch = Stored(offset++, 0);
            expected.AddRange(batch);
            await side.AnswerAsync(fetch, Answer(9, Data(0, offset, batch)));
            await Waiting.UntilAsync(() => bed.Replica().Log.LogEndOffset == offset);
        }

        for (var i = 0; i < 5; i++)
            await ReplicateAsync();
        var log = bed.Replica().Log;
        var source = Path.GetDirectoryName(log.Directory)!;
        bed.Logs.Move(log.Partition, source == "/a" ? "/b" : "/a");
        var move = bed.Logs.Mover.Moves[0];
        log.CopyBatches(move.Copy, 1);
        await ReplicateAsync();
        log.CopyBatches(move.Copy, 1);
        await ReplicateAsync();
        Assert.True(bed.Logs.Finish(move));
        await ReplicateAsync();
        Assert.NotEqual(source, Path.GetDirectoryName(log.Directory));
        Assert.Equal(expected, bed.BytesOf());
    }

    [Fact]
    public async Task A_full_disk_is_tried_again()
    {
        await using var bed = new FollowerBed();
        var side = await bed.FollowAsync();
        bed.Disk.Fault = (operation, path) => operation == Ottla.Storage.Files.FileOperation.Write
            && path.EndsWith(".log", StringComparison.Ordinal) ? new Ottla.Storage.Files.DiskFullException(path) : null;
        await side.AnswerAsync(await side.ReceiveAsync<FetchRequest>(), Answer(9, Data(0, 1, Stored(0, 0))));
        var without = await side.ReceiveAsync<FetchRequest>();
        Assert.Equal([0], Assert.Single(without.Body.ForgottenTopicsData).Partitions);
        bed.Disk.Fault = null;
        await side.AnswerAsync(without, Answer(9));
        bed.Clock.AdvanceMs(1000);
        await side.AnswerAsync(await side.ReceiveAsync<FetchRequest>(), Answer(9, Data(0, 1, Stored(0, 0))));
        await side.ReceiveAsync<FetchRequest>();
        Assert.Equal(1, bed.Replica().Log.LogEndOffset);
    }

    [Fact]
    public async Task A_throttled_follower_pauses_while_it_lags()
    {
        await using var bed = new FollowerBed();
        bed.Publish(new ConfigRecord
        {
            ResourceType = 2,
            ResourceName = "t",
            Name = "follower.replication.throttled.replicas",
            Value = "0:1,1:2",
        });
        bed.ThrottledRate = 1000;
        var side = await bed.FollowAsync(0, 1);
        var first = await side.ReceiveAsync<FetchRequest>();
        await side.AnswerAsync(
            first, Answer(9, Data(0, 100, Stored(0, 0, records: 50, valueBytes: 100)), Data(1, 100, Stored(0, 0, records: 50))));
        var second = await side.ReceiveAsync<FetchRequest>();
        Assert.Equal([0], Assert.Single(second.Body.ForgottenTopicsData).Partitions); // 1:2 is not this broker
        Assert.Equal(1, Only(second).Partition);

        bed.Clock.AdvanceMs(20_000);
        await side.AnswerAsync(second, Answer(9));
        var third = Only(await side.ReceiveAsync<FetchRequest>());
        Assert.Equal((0, 50L), (third.Partition, third.FetchOffset));
    }

    private static FetchRequest.FetchPartition Only(ReceivedRequest<FetchRequest> request) =>
        Assert.Single(Assert.Single(request.Body.Topics).Partitions);

    /// <summary>Wakes at any news.</summary>
    private readonly struct Watched(PartitionReplica replica) : IWatched
    {
        public void Add(DataWaiter waiter) => replica.AddWaiter(waiter);

        public void Remove(DataWaiter waiter) => replica.RemoveWaiter(waiter);

        public bool HasNews() => false;
    }
}

/// <summary>What the tests of followers do again and again.</summary>
internal static class FollowerBedExtensions
{
    /// <summary>Has broker 2 lead, and waits for its follower.</summary>
    public static async Task<PeerSide> FollowAsync(this FollowerBed bed, params int[] partitions)
    {
        var leader = bed.Listen();
        bed.Register(2, leader);
        bed.Lead(2, 0, partitions.Length == 0 ? [0] : partitions);
        return await leader.AcceptAsync();
    }

    public static void AppendAsLeader(this FollowerBed bed, int epoch, int records, int partition = 0) =>
        bed.Replica(partition).Log.AppendAsLeader(Broker.Requests.Batch(records), epoch, AppendOrigin.Client, bed.Now);

    /// <summary>Answers a question for one offset.</summary>
    public static async Task AnswerOffsetAsync(this FollowerBed bed, PeerSide side, long timestamp, long offset)
    {
        var request = await side.ReceiveAsync<ListOffsetsRequest>();
        Assert.Equal((11, FollowerBed.BrokerId), (request.Version, request.Body.ReplicaId));
        var topic = Assert.Single(request.Body.Topics);
        var partition = Assert.Single(topic.Partitions);
        Assert.Equal(("t", 0, 0, timestamp), (topic.Name, partition.PartitionIndex, partition.CurrentLeaderEpoch, partition.Timestamp));
        await side.AnswerAsync(request, new ListOffsetsResponse
        {
            Topics = [new() { Name = "t", Partitions = [new() { PartitionIndex = 0, Offset = offset, LeaderEpoch = 0 }] }],
        });
    }

    /// <summary>The first request of each of some fetchers.</summary>
    public static async Task<List<ReceivedRequest<FetchRequest>>> FirstRequestsAsync(this FollowerBed bed, ScriptedPeer leader, int count)
    {
        List<ReceivedRequest<FetchRequest>> requests = [];
        for (var i = 0; i < count; i++)
            requests.Add(await (await leader.AcceptAsync()).ReceiveAsync<FetchRequest>());
        return requests;
    }
}
