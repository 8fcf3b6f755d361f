using Ottla.Protocol;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Replication;

namespace Ottla.UnitTests.Replication;

/// <summary>What a fetcher asks for, and what it makes of the answers for single partitions.</summary>
public sealed class FetcherMachineTests
{
    private readonly FetcherBench _bench = new();

    [Fact]
    public void A_request_says_what_Kafka_says()
    {
        _bench.Follow(0, end: 17, epoch: 0, leaderEpoch: 1);
        var request = _bench.Ask(version: 18)!;
        Assert.Equal((3, 77L), (request.ReplicaState!.ReplicaId, request.ReplicaState.ReplicaEpoch));
        Assert.Equal((500, 1, 10485760), (request.MaxWaitMs, request.MinBytes, request.MaxBytes));
        Assert.Equal((0, 0), (request.SessionId, request.SessionEpoch));
        var partition = Assert.Single(Assert.Single(request.Topics).Partitions);
        Assert.Equal((0, 1, 17L, 0, 0L, 1048576), (partition.Partition, partition.CurrentLeaderEpoch, partition.FetchOffset,
            partition.LastFetchedEpoch, partition.LogStartOffset, partition.PartitionMaxBytes));
        Assert.Equal(long.MaxValue, partition.HighWatermark); // KIP-1166 is for the metadata log alone
    }

    [Theory]
    [InlineData(7, 13, 7)]
    [InlineData(8, 13, 7)]
    [InlineData(9, 14, 8)]
    [InlineData(10, 15, 8)]
    [InlineData(18, 15, 8)]
    [InlineData(19, 16, 8)]
    [InlineData(21, 17, 9)]
    [InlineData(25, 17, 10)]
    [InlineData(27, 18, 10)]
    [InlineData(29, 18, 11)]
    [InlineData(33, 18, 11)]
    public void Versions_follow_from_the_metadata_version_alone(short level, short fetch, short listOffsets)
    {
        var version = new MetadataVersion(level);
        Assert.Equal((fetch, listOffsets), (version.ReplicaFetchVersion, version.ReplicaListOffsetsVersion));
        _bench.Follow(0);
        var request = _bench.Ask(fetch)!;
        Assert.Equal(fetch < 15 ? 3 : -1, request.ReplicaId);
        Assert.Equal(fetch < 15 ? -1 : 3, request.ReplicaState?.ReplicaId ?? -1);
    }

    [Fact]
    public void Records_move_the_offset_and_the_epoch()
    {
        var partition = _bench.Follow(0);
        _bench.Ask();
        _bench.Answer(sessionId: 5, _bench.Data(0, highWatermark: 4));
        Assert.Equal(FetchVerdict.Append, _bench.Verdict(0));
        _bench.Machine.OnAppended(partition, new FetcherPosition(4, 2, 0), leaderHighWatermark: 9);
        Assert.Equal(5, partition.Lag);
        var next = Assert.Single(Assert.Single(_bench.Ask()!.Topics).Partitions);
        Assert.Equal((4L, 2), (next.FetchOffset, next.LastFetchedEpoch));
    }

    [Fact]
    public void An_empty_answer_keeps_the_last_fetched_epoch() // P6
    {
        var partition = _bench.Follow(0, end: 10, epoch: 3, leaderEpoch: 3);
        _bench.Ask();
        _bench.Answer(sessionId: 5, _bench.Data(0, highWatermark: 10));
        Assert.Equal(FetchVerdict.Append, _bench.Verdict(0));
        _bench.Machine.OnAppended(partition, new FetcherPosition(10, 3, 0), leaderHighWatermark: 10);
        Assert.Empty(_bench.Ask()!.Topics); // nothing about it has changed
        _bench.Answer(sessionId: 5);
        Assert.Equal(FetchVerdict.Ignore, _bench.Verdict(1));
    }

    [Fact]
    public void An_answer_of_an_older_leader_epoch_is_not_used() // P2
    {
        var partition = _bench.Follow(0, end: 10, epoch: 3, leaderEpoch: 3);
        _bench.Ask();
        var late = _bench.Data(0, highWatermark: 10);
        (late.TakeDivergingEpoch().Epoch, late.DivergingEpoch!.EndOffset) = (2, 4);
        var renewed = _bench.Follow(0, end: 10, epoch: 3, leaderEpoch: 4);
        _bench.Answer(sessionId: 5, late);
        Assert.Equal(FetchVerdict.Ignore, _bench.Verdict(0));

        // What came of it late changes nothing either.
        _bench.Machine.OnAppended(partition, new FetcherPosition(99, 3, 0), 99);
        _bench.Machine.Resume(partition, new FetcherPosition(1, 1, 0));
        _bench.Machine.Retry(partition, _bench.Now);
        Assert.Equal((FetchStage.Gone, FetchStage.Fetching, 10L), (partition.Stage, renewed.Stage, renewed.FetchOffset));
        var again = Assert.Single(Assert.Single(_bench.Ask()!.Topics).Partitions);
        Assert.Equal((4, 10L), (again.CurrentLeaderEpoch, again.FetchOffset));
    }

    [Fact]
    public void An_answer_for_another_offset_is_not_used() // P2, P4
    {
        var partition = _bench.Follow(0, end: 10, epoch: 3, leaderEpoch: 3);
        _bench.Ask();
        _bench.Machine.Resume(partition, new FetcherPosition(8, 3, 0));
        _bench.Answer(sessionId: 5, _bench.Data(0));
        Assert.Equal(FetchVerdict.Ignore, _bench.Verdict(0));
    }

    [Fact]
    public void A_diverging_log_is_cut_and_the_answer_is_used_for_nothing_else() // P3
    {
        var partition = _bench.Follow(0, end: 17, epoch: 0, leaderEpoch: 1);
        _bench.Ask();
        var data = _bench.Data(0, highWatermark: 14);
        (data.TakeDivergingEpoch().Epoch, data.DivergingEpoch!.EndOffset) = (0, 10);
        _bench.Answer(sessionId: 5, data);
        Assert.Equal(FetchVerdict.Truncate, _bench.Verdict(0));
        Assert.Null(partition.Lag);
        _bench.Machine.Resume(partition, new FetcherPosition(10, 0, 0));
        var next = Assert.Single(Assert.Single(_bench.Ask()!.Topics).Partitions);
        Assert.Equal((10L, 0, 1), (next.FetchOffset, next.LastFetchedEpoch, next.CurrentLeaderEpoch));
    }

    [Fact]
    public void A_partition_out_of_range_stays_in_the_session_and_goes_on_where_it_was_put() // P13, recording 23
    {
        var partition = _bench.Follow(0, end: 10, epoch: 0);
        _bench.Ask();
        _bench.Answer(sessionId: 5, _bench.Data(0, ErrorCode.OffsetOutOfRange));
        Assert.Equal(FetchVerdict.AskOffsets, _bench.Verdict(0));
        Assert.Equal(FetchStage.OutOfRange, partition.Stage);
        _bench.Machine.Resume(partition, new FetcherPosition(25, -1, 25));
        var request = _bench.Ask()!;
        Assert.Empty(request.ForgottenTopicsData);
        var next = Assert.Single(Assert.Single(request.Topics).Partitions);
        Assert.Equal((25L, -1, 25L), (next.FetchOffset, next.LastFetchedEpoch, next.LogStartOffset));
    }

    [Theory]
    [InlineData(ErrorCode.UnknownLeaderEpoch, 20)] // T18: not a replica there, or the leader's metadata lags
    [InlineData(ErrorCode.NotLeaderOrFollower, 20)]
    [InlineData(ErrorCode.UnknownTopicOrPartition, 20)]
    [InlineData(ErrorCode.UnknownTopicId, 20)]
    [InlineData(ErrorCode.InconsistentTopicId, 1000)]
    [InlineData(ErrorCode.KafkaStorageError, 1000)]
    [InlineData(ErrorCode.CorruptMessage, 1000)]
    [InlineData(ErrorCode.UnknownServerError, 1000)]
    public void A_partition_with_an_error_waits_and_the_others_go_on(ErrorCode error, int delayMs)
    {
        _bench.Follow(0);
        _bench.Follow(1);
        _bench.Ask();
        _bench.Answer(sessionId: 5, _bench.Data(0, error), _bench.Data(1));
        Assert.Equal(FetchVerdict.Retry, _bench.Verdict(0));
        Assert.Equal(FetchVerdict.Append, _bench.Verdict(1));
        var without = _bench.Ask()!;
        Assert.Empty(without.Topics);
        Assert.Equal([0], Assert.Single(without.ForgottenTopicsData).Partitions);
        _bench.Answer(sessionId: 5);
        Assert.Equal(_bench.Now.AddMilliseconds(delayMs), _bench.Machine.NextDeadline);

        _bench.Pass(delayMs);
        var with = _bench.Ask()!;
        Assert.Equal(0, Assert.Single(Assert.Single(with.Topics).Partitions).Partition);
        Assert.Null(_bench.Machine.NextDeadline);
    }

    [Fact]
    public void A_leader_that_does_not_know_of_the_partition_is_asked_soon_and_then_less_and_less()
    {
        var partition = _bench.Follow(0);
        _bench.Ask();
        _bench.Answer(sessionId: 5, _bench.Data(0, ErrorCode.UnknownTopicId));
        List<long> delays = [];
        for (var i = 0; i < 8; i++)
        {
            Assert.Equal(FetchVerdict.Retry, _bench.Verdict(0));
            delays.Add(_bench.Machine.NextDeadline!.Value.MillisecondsSince(_bench.Now));
            _bench.Pass(delays[^1]);
            _bench.Ask();
            _bench.Answer(sessionId: 5, _bench.Data(0, i < 7 ? ErrorCode.UnknownTopicId : ErrorCode.None));
        }

        Assert.Equal([20L, 40, 80, 160, 320, 640, 1000, 1000], delays);
        _bench.Machine.OnAppended(partition, new FetcherPosition(1, 0, 0), 1);
        _bench.Ask();
        _bench.Answer(sessionId: 5, _bench.Data(0, ErrorCode.NotLeaderOrFollower));
        _bench.Verdict(0);
        Assert.Equal(_bench.Now.AddMilliseconds(20), _bench.Machine.NextDeadline);
    }

    [Fact]
    public void Delays_of_different_length_end_in_their_own_order()
    {
        _bench.Follow(0);
        _bench.Follow(1);
        _bench.Ask();
        _bench.Answer(sessionId: 5, _bench.Data(0, ErrorCode.KafkaStorageError), _bench.Data(1, ErrorCode.UnknownTopicId));
        _bench.Verdict(0);
        _bench.Verdict(1);
        Assert.Equal(_bench.Now.AddMilliseconds(20), _bench.Machine.NextDeadline);
        _bench.Pass(20);
        // What is as the session has it need not be named again: the leader looks at it anew, as it has an error.
        var request = _bench.Ask()!;
        Assert.Equal(0, Assert.Single(Assert.Single(request.ForgottenTopicsData).Partitions));
        Assert.Empty(request.Topics);
        Assert.Equal(_bench.Now.AddMilliseconds(980), _bench.Machine.NextDeadline);
    }

    [Fact]
    public void A_fenced_partition_waits_for_the_metadata()
    {
        var partition = _bench.Follow(0, leaderEpoch: 3);
        _bench.Follow(1);
        _bench.Ask();
        _bench.Answer(sessionId: 5, _bench.Data(0, ErrorCode.FencedLeaderEpoch), _bench.Data(1));
        Assert.Equal(FetchVerdict.Fenced, _bench.Verdict(0));
        Assert.Equal(FetchStage.Gone, partition.Stage);
        Assert.Equal([0], Assert.Single(_bench.Ask()!.ForgottenTopicsData).Partitions);
        _bench.Answer(sessionId: 5);

        _bench.Follow(0, leaderEpoch: 4);
        Assert.Equal(4, Assert.Single(Assert.Single(_bench.Ask()!.Topics).Partitions).CurrentLeaderEpoch);
    }

    [Fact]
    public void The_same_epoch_does_not_restart_a_partition() // P20
    {
        var partition = _bench.Follow(0, end: 5, epoch: 1, leaderEpoch: 1);
        Assert.Same(partition, _bench.Follow(0, end: 7, epoch: 1, leaderEpoch: 1));
        Assert.Equal(5, partition.FetchOffset);
    }

    [Fact]
    public void A_failed_request_lets_all_wait_and_then_begins_a_session_anew() // P32: for this leader alone
    {
        _bench.Follow(0);
        _bench.Follow(1);
        _bench.Ask();
        _bench.Answer(sessionId: 5, _bench.Data(0), _bench.Data(1));
        _bench.Ask();
        _bench.Machine.OnRequestFailed(_bench.Now);
        Assert.Null(_bench.Ask());
        _bench.Pass(999);
        Assert.Null(_bench.Ask());
        _bench.Pass(1);
        var request = _bench.Ask()!;
        Assert.Equal((5, 0), (request.SessionId, request.SessionEpoch)); // replaces the session that the leader may still have
        Assert.Equal(2, Assert.Single(request.Topics).Partitions.Length);
    }

    [Fact]
    public void A_new_partition_does_not_wait_for_those_that_failed()
    {
        _bench.Follow(0);
        _bench.Ask();
        _bench.Machine.OnRequestFailed(_bench.Now);
        _bench.Follow(1);
        Assert.Equal(1, Assert.Single(Assert.Single(_bench.Ask()!.Topics).Partitions).Partition);
    }

    [Fact]
    public void A_clock_that_is_set_back_does_not_prolong_a_delay()
    {
        _bench.Follow(0);
        _bench.Ask();
        _bench.Machine.OnRequestFailed(_bench.Now);
        _bench.Pass(-3_600_000);
        Assert.NotNull(_bench.Ask());
    }

    [Fact]
    public void The_throttle_keeps_out_what_lags_and_nothing_that_is_in_sync()
    {
        var behind = _bench.Follow(0, isThrottled: true);
        var inSync = _bench.Follow(1, isThrottled: true);
        _bench.Follow(2);
        _bench.Ask();
        _bench.Answer(sessionId: 5, _bench.Data(0), _bench.Data(1), _bench.Data(2));
        _bench.Machine.OnAppended(behind, new FetcherPosition(5, 0, 0), leaderHighWatermark: 100);
        _bench.Machine.OnAppended(inSync, new FetcherPosition(5, 0, 0), leaderHighWatermark: 5);
        var throttled = _bench.Ask(isQuotaExceeded: true)!;
        Assert.Equal([0], Assert.Single(throttled.ForgottenTopicsData).Partitions);
        Assert.Equal(1, Assert.Single(Assert.Single(throttled.Topics).Partitions).Partition);
        _bench.Answer(sessionId: 5);

        Assert.Equal(0, Assert.Single(Assert.Single(_bench.Ask()!.Topics).Partitions).Partition);
        _bench.Answer(sessionId: 5);
        _bench.Ask(isQuotaExceeded: true);
        _bench.Answer(sessionId: 5);
        _bench.Machine.SetThrottled(behind, isThrottled: false);
        Assert.Equal(0, Assert.Single(Assert.Single(_bench.Ask(isQuotaExceeded: true)!.Topics).Partitions).Partition);
    }

    [Fact]
    public void When_the_throttle_holds_everything_back_there_is_nothing_to_ask()
    {
        _bench.Follow(0, isThrottled: true);
        Assert.Null(_bench.Ask(isQuotaExceeded: true));
        Assert.NotNull(_bench.Ask());
    }

    [Theory]
    [InlineData(0, 10, 0, 17, 17, 10)] // the leader's end of the same epoch
    [InlineData(0, 20, 0, 17, 17, 17)] // its own end is earlier
    [InlineData(4, 100, 2, 60, 90, 60)] // epochs that it has missed: the end of the next older one, and it asks again (P1)
    [InlineData(2, 50, -1, -1, 90, 50)] // it knows no such epoch
    [InlineData(2, 50, -1, -1, 40, 40)]
    public void A_log_is_cut_where_it_diverges(int leaderEpoch, long leaderEnd, int ownEpoch, long ownEnd, long logEnd, long expected) =>
        Assert.Equal(expected, FollowerDecisions.TruncationOffset(leaderEpoch, leaderEnd, ownEpoch, ownEnd, logEnd));

    [Fact]
    public void A_log_out_of_range_is_cut_restarted_or_kept()
    {
        Assert.Equal(OutOfRangeStep.TruncateToLeaderEnd, FollowerDecisions.AfterLeaderEnd(leaderEndOffset: 9, logEndOffset: 10));
        Assert.Equal(OutOfRangeStep.AskForLeaderStart, FollowerDecisions.AfterLeaderEnd(leaderEndOffset: 30, logEndOffset: 10));
        Assert.Equal(OutOfRangeStep.RestartAtLeaderStart, FollowerDecisions.AfterLeaderStart(leaderStartOffset: 25, logEndOffset: 10));
        Assert.Equal(OutOfRangeStep.Resume, FollowerDecisions.AfterLeaderStart(leaderStartOffset: 10, logEndOffset: 10));
    }
}
