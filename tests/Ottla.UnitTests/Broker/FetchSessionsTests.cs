using Microsoft.Extensions.Time.Testing;
using Ottla.Broker.Replicas;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.UnitTests.Broker;

public sealed class FetchSessionsTests
{
    private static readonly Instant Start = Instant.Now(new FakeTimeProvider());

    [Fact]
    public void A_fetch_with_the_final_epoch_and_no_session_has_none()
    {
        var sessions = New();
        var fetch = sessions.Begin(Request(0, -1, ("a", 0)), usesTopicIds: false, Start);
        Assert.Equal(ErrorCode.None, fetch.Error);
        Assert.Null(fetch.Session);
        Assert.Single(fetch.Partitions);
        Assert.Equal(0, sessions.Count);
    }

    [Fact]
    public void A_session_remembers_partitions_and_takes_changes()
    {
        var sessions = New();
        var full = sessions.Begin(Request(0, 0, ("a", 0), ("b", 1)), usesTopicIds: false, Start);
        Assert.NotNull(full.Session);
        Assert.NotEqual(0, full.Session.Id);
        Assert.False(full.IsIncremental);

        var same = sessions.Begin(Request(full.Session.Id, 1), usesTopicIds: false, Start);
        Assert.True(same.IsIncremental);
        Assert.Equal([("a", 0), ("b", 1)], same.Partitions.Select(each => (each.Topic, each.Position.Partition)));

        var changed = Request(full.Session.Id, 2, ("c", 2), ("b", 1));
        changed.Topics[1].Partitions[0].FetchOffset = 7;
        changed.ForgottenTopicsData = [new FetchRequest.ForgottenTopic { Topic = "a", Partitions = [0] }];
        var third = sessions.Begin(changed, usesTopicIds: false, Start);
        Assert.Equal(
            [("b", 1, 7L), ("c", 2, 0L)],
            third.Partitions.Select(each => (each.Topic, each.Position.Partition, each.Position.FetchOffset)));
    }

    [Fact]
    public void Wrong_sessions_are_refused_and_change_nothing()
    {
        var sessions = New();
        var id = sessions.Begin(Request(0, 0, ("a", 0)), usesTopicIds: false, Start).Session!.Id;
        Assert.Equal(ErrorCode.FetchSessionIdNotFound, sessions.Begin(Request(id ^ 1, 1), usesTopicIds: false, Start).Error);
        Assert.Equal(ErrorCode.InvalidFetchSessionEpoch, sessions.Begin(Request(id, 2), usesTopicIds: false, Start).Error);
        Assert.Equal(ErrorCode.FetchSessionTopicIdError, sessions.Begin(Request(id, 1), usesTopicIds: true, Start).Error);
        Assert.Equal(ErrorCode.None, sessions.Begin(Request(id, 1), usesTopicIds: false, Start).Error);
        Assert.Equal(ErrorCode.InvalidFetchSessionEpoch, sessions.Begin(Request(id, 1), usesTopicIds: false, Start).Error);
    }

    [Fact]
    public void The_final_epoch_closes_a_session_and_the_initial_one_replaces_it()
    {
        var sessions = New();
        var first = sessions.Begin(Request(0, 0, ("a", 0)), usesTopicIds: false, Start).Session!.Id;
        var second = sessions.Begin(Request(first, 0, ("a", 0)), usesTopicIds: false, Start).Session!.Id;
        Assert.NotEqual(first, second);
        Assert.Equal(1, sessions.Count);
        Assert.Null(sessions.Begin(Request(second, -1), usesTopicIds: false, Start).Session);
        Assert.Equal(0, sessions.Count);
    }

    [Fact]
    public void Epochs_start_again_at_one_after_the_greatest()
    {
        var sessions = New();
        var session = sessions.Begin(Request(0, 0, ("a", 0)), usesTopicIds: false, Start).Session!;
        session.NextEpoch = int.MaxValue;
        Assert.Equal(ErrorCode.None, sessions.Begin(Request(session.Id, int.MaxValue), usesTopicIds: false, Start).Error);
        Assert.Equal(ErrorCode.None, sessions.Begin(Request(session.Id, 1), usesTopicIds: false, Start).Error);
    }

    [Fact]
    public void Only_sessions_unused_for_long_make_room()
    {
        var sessions = New(slots: 2);
        var old = sessions.Begin(Request(0, 0, ("a", 0)), usesTopicIds: false, Start).Session!.Id;
        var used = sessions.Begin(Request(0, 0, ("a", 0)), usesTopicIds: false, Start).Session!.Id;
        Assert.Null(sessions.Begin(Request(0, 0, ("a", 0)), usesTopicIds: false, Start.AddMilliseconds(120_000)).Session);
        var later = Start.AddMilliseconds(120_001);
        Assert.Equal(ErrorCode.None, sessions.Begin(Request(used, 1), usesTopicIds: false, later).Error);
        Assert.NotNull(sessions.Begin(Request(0, 0, ("a", 0)), usesTopicIds: false, later).Session);
        Assert.Equal(2, sessions.Count);
        Assert.Equal(ErrorCode.FetchSessionIdNotFound, sessions.Begin(Request(old, 1), usesTopicIds: false, later).Error);
        Assert.Equal(ErrorCode.None, sessions.Begin(Request(used, 2), usesTopicIds: false, later).Error);
    }

    [Fact]
    public void Without_slots_there_are_no_sessions() =>
        Assert.Null(New(slots: 0).Begin(Request(0, 0, ("a", 0)), usesTopicIds: false, Start).Session);

    [Fact]
    public void A_partition_that_gave_records_comes_last()
    {
        var sessions = New();
        var full = sessions.Begin(Request(0, 0, ("a", 0), ("b", 0)), usesTopicIds: false, Start);
        full.Session!.MoveToEnd(full.Partitions[0]);
        Assert.Equal(
            ["b", "a"], sessions.Begin(Request(full.Session.Id, 1), usesTopicIds: false, Start).Partitions.Select(each => each.Topic));
    }

    private static FetchSessions New(int slots = 10) => new(slots, new Prng(1));

    private static FetchRequest Request(int sessionId, int epoch, params (string Topic, int Partition)[] partitions) => new()
    {
        SessionId = sessionId,
        SessionEpoch = epoch,
        Topics = [.. partitions.Select(
            each => new FetchRequest.FetchTopic { Topic = each.Topic,
                Partitions = [new FetchRequest.FetchPartition { Partition = each.Partition }] })],
    };
}
