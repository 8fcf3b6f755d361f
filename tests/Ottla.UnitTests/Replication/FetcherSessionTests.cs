using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Replication;

namespace Ottla.UnitTests.Replication;

/// <summary>The session of a fetcher with its leader (KIP-227), from the follower's side.</summary>
public sealed class FetcherSessionTests
{
    private readonly FetcherBench _bench = new();

    [Fact]
    public void A_session_begins_with_everything_and_goes_on_with_what_changes()
    {
        var partition = _bench.Follow(0);
        _bench.Follow(1);
        var full = _bench.Ask()!;
        Assert.Equal((0, 0), (full.SessionId, full.SessionEpoch));
        Assert.Equal([0, 1], Assert.Single(full.Topics).Partitions.Select(each => each.Partition));
        _bench.Answer(sessionId: 9, _bench.Data(0), _bench.Data(1));
        _bench.Machine.OnAppended(partition, new FetcherPosition(3, 0, 0), 3);

        var first = _bench.Ask()!;
        Assert.Equal((9, 1), (first.SessionId, first.SessionEpoch));
        Assert.Equal(0, Assert.Single(Assert.Single(first.Topics).Partitions).Partition);
        _bench.Answer(sessionId: 9);

        var second = _bench.Ask()!;
        Assert.Equal((9, 2), (second.SessionId, second.SessionEpoch));
        Assert.Empty(second.Topics);
        Assert.Empty(second.ForgottenTopicsData);
    }

    [Fact]
    public void Session_epochs_begin_again_at_1_after_the_largest()
    {
        _bench.Follow(0);
        _bench.Ask();
        _bench.Answer(sessionId: 9, _bench.Data(0));
        _bench.SetSessionEpoch(int.MaxValue);
        Assert.Equal(int.MaxValue, _bench.Ask()!.SessionEpoch);
        _bench.Answer(sessionId: 9);
        Assert.Equal(1, _bench.Ask()!.SessionEpoch);
    }

    [Fact]
    public void Without_a_session_every_request_is_full_and_what_got_records_comes_last()
    {
        var first = _bench.Follow(0);
        _bench.Follow(1);
        _bench.Ask();
        _bench.Answer(sessionId: 0, _bench.Data(0), _bench.Data(1));
        _bench.Machine.OnAppended(first, new FetcherPosition(3, 0, 0), 3);
        var request = _bench.Ask()!;
        Assert.Equal((0, 0), (request.SessionId, request.SessionEpoch));
        Assert.Equal([1, 0], Assert.Single(request.Topics).Partitions.Select(each => each.Partition));
    }

    [Theory]
    [InlineData(ErrorCode.FetchSessionIdNotFound, 0)]
    [InlineData(ErrorCode.InvalidFetchSessionEpoch, 9)]
    public void A_session_that_the_leader_does_not_know_is_replaced_at_once(ErrorCode error, int nextSessionId)
    {
        _bench.Follow(0);
        _bench.Ask();
        _bench.Answer(sessionId: 9, _bench.Data(0));
        _bench.Ask();
        Assert.False(_bench.Answer(error));
        Assert.Null(_bench.Problem);
        var request = _bench.Ask()!;
        Assert.Equal((nextSessionId, 0), (request.SessionId, request.SessionEpoch));
        Assert.Single(request.Topics);
    }

    [Theory]
    [InlineData(ErrorCode.FetchSessionTopicIdError)]
    [InlineData(ErrorCode.UnknownServerError)]
    public void Any_other_error_of_the_whole_answer_is_not_asked_for_in_a_loop(ErrorCode error)
    {
        _bench.Follow(0);
        _bench.Ask();
        _bench.Answer(sessionId: 9, _bench.Data(0));
        _bench.Ask();
        Assert.False(_bench.Answer(error));
        Assert.Contains(error.ToString(), _bench.Problem, StringComparison.Ordinal);
        Assert.Null(_bench.Ask());
        _bench.Pass(1000);
        Assert.Equal((9, 0), (_bench.Ask()!.SessionId, _bench.Ask()!.SessionEpoch));
    }

    [Fact]
    public void A_full_answer_without_a_partition_that_was_asked_for_is_not_used()
    {
        _bench.Follow(0);
        _bench.Follow(1);
        _bench.Ask();
        Assert.False(_bench.Answer(sessionId: 9, _bench.Data(0)));
        Assert.NotNull(_bench.Problem);
        _bench.Pass(1000);
        Assert.Equal((0, 0), (_bench.Ask()!.SessionId, _bench.Ask()!.SessionEpoch));
    }

    [Fact]
    public void An_answer_with_a_partition_that_was_not_asked_for_or_twice_is_not_used()
    {
        _bench.Follow(0);
        _bench.Ask();
        Assert.False(_bench.Answer(sessionId: 9, _bench.Data(0), _bench.Data(7)));
        Assert.NotNull(_bench.Problem);
        _bench.Pass(1000);
        _bench.Ask();
        Assert.False(_bench.Answer(sessionId: 9, _bench.Data(0), _bench.Data(0)));
        Assert.NotNull(_bench.Problem);
    }

    [Fact]
    public void What_leaves_is_forgotten_and_may_be_named_by_the_answer_under_way() // F2
    {
        var leaving = _bench.Follow(0);
        _bench.Follow(1);
        _bench.Ask();
        _bench.Machine.Stop(leaving);
        Assert.True(_bench.Answer(sessionId: 9, _bench.Data(0), _bench.Data(1)));
        Assert.Equal(FetchVerdict.Ignore, _bench.Verdict(0));
        var request = _bench.Ask()!;
        var topic = Assert.Single(request.ForgottenTopicsData);
        Assert.Equal(FetcherBench.Topic, topic.TopicId);
        Assert.Equal([0], topic.Partitions);
        Assert.Empty(request.Topics);
    }

    [Fact]
    public void When_all_leave_the_leader_is_told_and_then_asked_no_more()
    {
        var partition = _bench.Follow(0);
        _bench.Ask();
        _bench.Answer(sessionId: 9, _bench.Data(0));
        _bench.Machine.Stop(partition);
        Assert.Single(_bench.Ask()!.ForgottenTopicsData);
        _bench.Answer(sessionId: 9);
        Assert.Null(_bench.Ask());
        Assert.Equal(0, _bench.Machine.Count);
    }

    [Fact]
    public void What_leaves_and_comes_back_is_changed_and_not_forgotten()
    {
        // A leader first adds and then forgets what one request names: both would lose the partition.
        var partition = _bench.Follow(0, end: 5, leaderEpoch: 1);
        _bench.Follow(1);
        _bench.Ask();
        _bench.Answer(sessionId: 9, _bench.Data(0), _bench.Data(1));
        _bench.Machine.Stop(partition);
        _bench.Follow(0, end: 5, leaderEpoch: 2);
        var request = _bench.Ask()!;
        Assert.Empty(request.ForgottenTopicsData);
        Assert.Equal(2, Assert.Single(Assert.Single(request.Topics).Partitions).CurrentLeaderEpoch);
        Assert.True(_bench.Answer(sessionId: 9, _bench.Data(0)));
        Assert.Equal(FetchVerdict.Append, _bench.Verdict(0));
    }

    [Fact]
    public void A_new_log_start_alone_is_told() // F4
    {
        var partition = _bench.Follow(0, end: 30);
        _bench.Ask();
        _bench.Answer(sessionId: 9, _bench.Data(0));
        _bench.Machine.SetLogStartOffset(partition, 25);
        var entry = Assert.Single(Assert.Single(_bench.Ask()!.Topics).Partitions);
        Assert.Equal((30L, 25L), (entry.FetchOffset, entry.LogStartOffset));
        _bench.Answer(sessionId: 9);
        _bench.Machine.SetLogStartOffset(partition, 25);
        Assert.Empty(_bench.Ask()!.Topics);
    }

    [Fact]
    public void A_new_leader_epoch_alone_is_told() // F1
    {
        _bench.Follow(0, end: 30, leaderEpoch: 1);
        _bench.Ask();
        _bench.Answer(sessionId: 9, _bench.Data(0));
        _bench.Follow(0, end: 30, leaderEpoch: 2);
        Assert.Equal(2, Assert.Single(Assert.Single(_bench.Ask()!.Topics).Partitions).CurrentLeaderEpoch);
    }

    [Fact]
    public void Partitions_of_several_topics_share_entries_only_side_by_side()
    {
        var other = new Uuid(8, 8);
        _bench.Follow(0);
        _bench.Follow(1);
        _bench.Follow(0, topic: other);
        _bench.Follow(2);
        var request = _bench.Ask()!;
        Assert.Equal([FetcherBench.Topic, other, FetcherBench.Topic], request.Topics.Select(topic => topic.TopicId));
        Assert.Equal([2, 1, 1], request.Topics.Select(topic => topic.Partitions.Length));
    }

    [Fact]
    public void Random_histories_leave_the_leader_with_the_session_that_the_fetcher_means()
    {
        for (var seed = 1UL; seed <= 200; seed++)
            new FetcherSessionHistory(seed).Run(300);
    }
}
