using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups;
using Ottla.StateMachines.Groups.Consumer;
using static Ottla.UnitTests.Groups.Consumer.ConsumerGroupTestBed;
using static Ottla.UnitTests.Groups.CoordinatorTestBed;

namespace Ottla.UnitTests.Groups.Consumer;

public sealed class ConsumerHeartbeatTests
{
    private readonly ConsumerGroupTestBed _bed = new();

    public ConsumerHeartbeatTests() => _bed.CreateTopic("foo", 6);

    [Fact]
    public void A_member_alone_gets_everything_and_the_records_are_Kafkas()
    {
        var response = _bed.Send(Join("a", "foo"));
        Assert.Equal((2, 5000), (response.MemberEpoch, response.HeartbeatIntervalMs));
        Assert.Equal(6, Partitions(response.Assignment!).Count());
        Assert.Equal([5, 3, 7, 6, 8], Types());
        Assert.Equal("Stable", _bed.Group.StateName);
    }

    [Fact]
    public void Partitions_go_from_one_member_to_the_other_once_they_are_given_up()
    {
        _bed.Send(Join("a", "foo"));
        var all = _bed.Member("a").AssignedPartitions.Keys.ToArray();
        var joined = _bed.Send(Join("b", "foo"));
        Assert.Equal(3, joined.MemberEpoch);
        Assert.Empty(joined.Assignment!.TopicPartitions);
        Assert.Equal(MemberState.UnreleasedPartitions, _bed.Member("b").State);
        Assert.Equal("Reconciling", _bed.Group.StateName);

        var revoking = _bed.Send(Beat("a", 2, all));
        Assert.Equal(2, revoking.MemberEpoch);
        var kept = Partitions(revoking.Assignment!).ToArray();
        Assert.Equal(3, kept.Length);
        Assert.Equal(MemberState.UnrevokedPartitions, _bed.Member("a").State);
        Assert.Null(_bed.Send(Beat("b", 3)).Assignment);
        Assert.Null(_bed.Send(Beat("a", 2)).Assignment);

        Assert.Equal(3, _bed.Send(Beat("a", 2, kept)).MemberEpoch);
        var given = _bed.Send(Beat("b", 3));
        Assert.Equal(all.Except(kept), Partitions(given.Assignment!));
        Assert.Equal("Stable", _bed.Group.StateName);
        Assert.All(_bed.Member("a").AssignedPartitions.Values, epoch => Assert.Equal(2, epoch));
        Assert.All(_bed.Member("b").AssignedPartitions.Values, epoch => Assert.Equal(3, epoch));
    }

    [Fact]
    public void The_assignment_is_answered_when_it_changed_and_to_full_requests()
    {
        _bed.Send(Join("a", "foo"));
        Assert.Null(_bed.Send(Beat("a", 2)).Assignment);
        Assert.Empty(_bed.LastRecords);
        var full = Join("a", "foo");
        full.MemberEpoch = 2;
        full.TopicPartitions = Owned(_bed.Member("a").AssignedPartitions.Keys);
        Assert.NotNull(_bed.Send(full).Assignment);
        Assert.Empty(_bed.LastRecords);
    }

    [Fact]
    public void A_member_that_joins_anew_keeps_its_epoch_and_partitions()
    {
        _bed.Send(Join("a", "foo"));
        var again = _bed.Send(Join("a", "foo"));
        Assert.Equal(2, again.MemberEpoch);
        Assert.Equal(6, Partitions(again.Assignment!).Count());
        Assert.Empty(_bed.LastRecords);
    }

    [Fact]
    public void Another_subscription_lets_the_epoch_grow_and_takes_away_what_it_does_not_name()
    {
        _bed.CreateTopic("bar", 2);
        _bed.Send(Join("a", "foo"));
        var change = Beat("a", 2);
        change.SubscribedTopicNames = ["bar"];
        var response = _bed.Send(change);
        Assert.Empty(response.Assignment!.TopicPartitions);
        Assert.Equal((2, 3), (response.MemberEpoch, _bed.Group.GroupEpoch));
        Assert.Equal(6, _bed.Member("a").PartitionsPendingRevocation.Count);
        Assert.Equal([5, 3, 7, 6, 8], Types());

        response = _bed.Send(Beat("a", 2, []));
        Assert.Equal(3, response.MemberEpoch);
        Assert.Equal(["bar"], Partitions(response.Assignment!).Select(p => _bed.Image.Topics.Find(p.TopicId)!.Name).Distinct());
    }

    [Fact]
    public void More_partitions_and_deleted_topics_are_seen_with_the_next_heartbeat()
    {
        _bed.Send(Join("a", "foo"));
        _bed.AddPartitions("foo", 2);
        var response = _bed.Send(Beat("a", 2));
        Assert.Equal((3, 8), (response.MemberEpoch, Partitions(response.Assignment!).Count()));
        Assert.Equal([3, 7, 6, 8], Types());
        _bed.DeleteTopic("foo");
        response = _bed.Send(Beat("a", 3, _bed.Member("a").AssignedPartitions.Keys));
        Assert.Empty(response.Assignment!.TopicPartitions);
        Assert.Equal((3, 4, 0L), (response.MemberEpoch, _bed.Group.GroupEpoch, _bed.Group.MetadataHash));
        Assert.Equal(4, _bed.Send(Beat("a", 3, [])).MemberEpoch);
        _bed.CreateTopic("foo", 1, new Uuid(9, 9));
        Assert.Single(Partitions(_bed.Send(Beat("a", 4)).Assignment!));
    }

    [Fact]
    public void Topics_that_nobody_subscribes_to_change_nothing()
    {
        _bed.Send(Join("a", "foo"));
        _bed.CreateTopic("other", 3);
        _bed.AddBroker(1, null);
        Assert.Null(_bed.Send(Beat("a", 2)).Assignment);
        Assert.Empty(_bed.LastRecords);
    }

    [Fact]
    public void Racks_are_part_of_what_makes_a_topic_change()
    {
        _bed.AddBroker(1, "rack-a");
        _bed.Send(Join("a", "foo"));
        var hash = _bed.Group.MetadataHash;
        _bed.AddBroker(1, "rack-b");
        _bed.AddPartitions("foo", 1);
        _bed.Send(Beat("a", 2));
        Assert.NotEqual(hash, _bed.Group.MetadataHash);
        Assert.NotEqual(
            TopicMetadataHash.Of(["foo"], _bed.Image with { Cluster = StateMachines.Metadata.ClusterImage.Empty }),
            _bed.Group.MetadataHash);
    }

    [Fact]
    public void The_last_member_leaves_an_empty_group()
    {
        _bed.Send(Join("a", "foo"));
        var response = _bed.Send(Beat("a", -1));
        Assert.Equal(("a", -1), (response.MemberId, response.MemberEpoch));
        Assert.Equal([8, 7, 5, 3, 6], Types());
        Assert.Equal(
            ("Empty", 3, 3, 0L), (_bed.Group.StateName, _bed.Group.GroupEpoch, _bed.Group.AssignmentEpoch, _bed.Group.MetadataHash));
        Assert.Equal(default, _bed.Group.AssignmentTimestamp);
        Assert.Null(_bed.Machine.Context.Deadlines.At(DeadlinePurpose.ConsumerSession, GroupId, "a"));
        Assert.Equal(4, _bed.Send(Join("b", "foo")).MemberEpoch);
    }

    [Fact]
    public void A_silent_member_is_removed_when_its_session_ends_and_a_heard_one_is_not()
    {
        _bed.Send(Join("a", "foo"));
        _bed.Send(Join("b", "foo"));
        _bed.Advance(44_999);
        _bed.Send(Beat("b", 3));
        _bed.Advance(1);
        Assert.Equal(["b"], _bed.Group.Members.Select(member => member.MemberId));
        Assert.Equal(6, Partitions(_bed.Send(Beat("b", 3)).Assignment!).Count());
    }

    [Fact]
    public void A_member_that_does_not_give_up_in_time_is_removed()
    {
        var join = Join("a", "foo");
        join.RebalanceTimeoutMs = 10_000;
        _bed.Send(join);
        _bed.Send(Join("b", "foo"));
        _bed.Send(Beat("a", 2));
        _bed.Advance(9_999);
        _bed.Send(Beat("a", 2));
        Assert.True(_bed.Group.HasMember("a"));
        _bed.Advance(1);
        Assert.False(_bed.Group.HasMember("a"));
    }

    [Fact]
    public void A_member_that_gives_up_in_time_stays()
    {
        var join = Join("a", "foo");
        join.RebalanceTimeoutMs = 10_000;
        _bed.Send(join);
        _bed.Send(Join("b", "foo"));
        _bed.Send(Beat("a", 2));
        _bed.Send(Beat("a", 2, _bed.Member("a").AssignedPartitions.Keys));
        _bed.Advance(20_000);
        Assert.True(_bed.Group.HasMember("a"));
    }

    [Fact]
    public void Deadlines_begin_anew_after_a_failover()
    {
        var join = Join("a", "foo");
        join.RebalanceTimeoutMs = 10_000;
        _bed.Send(join);
        _bed.Send(Join("b", "foo"));
        _bed.Send(Beat("a", 2));
        _bed.Advance(9_000);
        _bed.FailOver();
        _bed.Advance(9_999);
        Assert.True(_bed.Group.HasMember("a"));
        _bed.Advance(1);
        Assert.False(_bed.Group.HasMember("a"));
        _bed.Advance(35_000);
        Assert.True(_bed.Group.IsEmpty);
    }

    [Fact]
    public void A_static_member_keeps_its_partitions_over_a_restart()
    {
        var join = Join("a", "foo");
        join.InstanceId = "i";
        _bed.Send(join);
        _bed.Send(Join("b", "foo"));
        _bed.Send(Beat("a", 2));
        _bed.Send(Beat("a", 2, _bed.Member("a").AssignedPartitions.Keys));
        _bed.Send(Beat("b", 3));
        var had = _bed.Member("a").AssignedPartitions.Keys.ToArray();

        var leave = Beat("a", -2);
        leave.InstanceId = "i";
        Assert.Equal(-2, _bed.Send(leave).MemberEpoch);
        Assert.Equal([8], Types());
        Assert.Equal(3, _bed.Group.GroupEpoch);

        join.MemberId = "a2";
        var response = _bed.Send(join);
        Assert.Equal(had, Partitions(response.Assignment!));
        Assert.Equal((3, 3), (response.MemberEpoch, _bed.Group.GroupEpoch));
        Assert.Equal([8, 7, 5, 5, 7, 8, 8], Types());
        Assert.False(_bed.Group.HasMember("a"));
        Assert.Null(_bed.Send(Beat("b", 3)).Assignment);
        _bed.Advance(44_999);
        Assert.True(_bed.Group.HasMember("a2"));
    }

    [Fact]
    public void A_static_member_that_stays_away_is_removed_and_one_that_leaves_for_good_too()
    {
        var join = Join("a", "foo");
        join.InstanceId = "i";
        _bed.Send(join);
        var leave = Beat("a", -2);
        leave.InstanceId = "i";
        _bed.Send(leave);
        _bed.Advance(45_000);
        Assert.True(_bed.Group.IsEmpty);
        _bed.Send(join);
        leave.MemberEpoch = -1;
        _bed.Send(leave);
        Assert.True(_bed.Group.IsEmpty);
    }

    [Fact]
    public void The_assignor_that_most_ask_for_is_taken_and_another_vote_lets_the_epoch_grow()
    {
        _bed.CreateTopic("bar", 1);
        _bed.Send(Join("a", "foo", "bar"));
        var ask = Beat("a", 2);
        ask.ServerAssignor = "range";
        _bed.Send(ask);
        Assert.Equal(3, _bed.Group.GroupEpoch);
        Assert.Equal("range", Describe().AssignorName);
        _bed.Send(Beat("a", 3));
        Assert.Equal(3, _bed.Group.GroupEpoch);
    }

    [Fact]
    public void Groups_have_settings_of_their_own_within_the_brokers_bounds()
    {
        _bed.ConfigureGroup("consumer.heartbeat.interval.ms", "7000");
        _bed.ConfigureGroup("consumer.session.timeout.ms", "50000");
        Assert.Equal(7000, _bed.Send(Join("a", "foo")).HeartbeatIntervalMs);
        _bed.Advance(49_999);
        Assert.False(_bed.Group.IsEmpty);
        _bed.Advance(1);
        Assert.True(_bed.Group.IsEmpty);
        _bed.ConfigureGroup("consumer.heartbeat.interval.ms", "700000");
        Assert.Equal(15_000, _bed.Send(Join("a", "foo")).HeartbeatIntervalMs);
    }

    [Fact]
    public void Assignments_keep_their_distance_but_the_first_comes_at_once()
    {
        var bed = new ConsumerGroupTestBed(7, ("group.consumer.assignment.interval.ms", "1000"));
        bed.CreateTopic("foo", 4);
        Assert.Equal(4, Partitions(bed.Send(Join("a", "foo")).Assignment!).Count());
        var second = bed.Send(Join("b", "foo"));
        Assert.Equal((2, 3, 2), (second.MemberEpoch, bed.Group.GroupEpoch, bed.Group.AssignmentEpoch));
        Assert.Equal("Assigning", bed.Group.StateName);
        bed.Advance(999);
        Assert.Equal(2, bed.Send(Beat("b", 2)).MemberEpoch);
        bed.Advance(1);
        Assert.Equal(3, bed.Send(Beat("b", 2)).MemberEpoch);
        bed.Send(Beat("a", -1));
        bed.Send(Beat("b", -1));
        Assert.Equal(4, Partitions(bed.Send(Join("c", "foo")).Assignment!).Count());
    }

    [Fact]
    public void Regular_expressions_are_resolved_and_follow_new_topics()
    {
        _bed.CreateTopic("foo-bar", 1);
        _bed.CreateTopic("bar", 1);
        var response = _bed.Send(JoinByRegex("a", "foo.*"));
        Assert.Empty(response.Assignment!.TopicPartitions);
        Assert.Equal([5, 8], Types());
        Assert.Equal([16, 3], ResolutionTypes());
        Assert.True(_bed.Group.IsSubscribedTo("foo-bar"));
        Assert.Equal(7, Partitions(_bed.Send(Beat("a", 1)).Assignment!).Count());
        Assert.Equal([7, 6, 8], Types());
        _bed.CreateTopic("foo-new", 2);
        Assert.Null(_bed.Send(Beat("a", 2)).Assignment);
        _bed.Advance(10_001);
        Assert.Null(_bed.Send(Beat("a", 2)).Assignment);
        Assert.Equal([16, 3], ResolutionTypes());
        Assert.Equal(9, Partitions(_bed.Send(Beat("a", 2)).Assignment!).Count());
        Assert.Equal([7, 6, 8], Types());
        _bed.Advance(10_001);
        _bed.Send(Beat("a", 3));
        Assert.Empty(_bed.LastRecords);
    }

    [Fact]
    public void Regular_expressions_are_looked_up_again_from_time_to_time()
    {
        _bed.Send(JoinByRegex("a", "foo.*"));
        _bed.Send(Beat("a", 1));
        for (var i = 0; i < 15; i++)
        {
            _bed.Advance(40_000);
            _bed.Send(Beat("a", 2));
            Assert.Empty(_bed.LastRecords);
        }

        _bed.Advance(40_000);
        _bed.Send(Beat("a", 2));
        Assert.Empty(_bed.LastRecords);
        Assert.Equal([16], ResolutionTypes());
        Assert.Equal(2, _bed.Group.GroupEpoch);
    }

    [Fact]
    public void What_an_expression_matches_is_forgotten_with_its_last_subscriber()
    {
        _bed.Send(JoinByRegex("a", "foo.*"));
        _bed.Send(Beat("a", 1));
        _bed.Send(JoinByRegex("b", "foo.*"));
        _bed.Send(Beat("b", -1));
        Assert.Single(_bed.Group.ResolvedRegularExpressions);
        var change = Beat("a", 2);
        change.SubscribedTopicRegex = "";
        change.SubscribedTopicNames = ["foo"];
        _bed.Send(change);
        Assert.Contains((short)16, Types());
        Assert.Empty(_bed.Group.ResolvedRegularExpressions);
        Assert.Empty(_bed.Group.SubscribedRegularExpressions);
        _bed.Send(Beat("a", -1));
        Assert.False(_bed.Group.IsSubscribedTo("foo"));
    }

    [Fact]
    public void Names_and_an_expression_add_up()
    {
        _bed.CreateTopic("bar", 1);
        var join = Join("a", "bar");
        join.SubscribedTopicRegex = "fo+";
        var joined = _bed.Send(join);
        Assert.Single(Partitions(joined.Assignment!)); // the names at once, and the rest with the next epoch
        var next = _bed.Send(Beat("a", joined.MemberEpoch));
        Assert.Equal(7, Partitions(next.Assignment!).Count());
        Assert.Equal(joined.MemberEpoch + 1, next.MemberEpoch);
    }

    [Fact]
    public void An_expression_is_looked_up_once_at_a_time_and_again_when_that_came_to_nothing()
    {
        _bed.Coordinator.DelaysOutputs = true;
        var first = _bed.Send(JoinByRegex("a", "foo.*")).MemberEpoch;
        var underWay = _bed.Group.ResolutionUnderWay;
        Assert.NotNull(underWay);
        Assert.Equal(first, _bed.Send(Beat("a", first)).MemberEpoch);
        Assert.Same(underWay, _bed.Group.ResolutionUnderWay);

        // It fails, and so does the write of the next answer: neither is the last.
        _bed.Do(new ExpressionsResolvedCommand(underWay, null));
        Assert.Null(_bed.Group.ResolutionUnderWay);
        _bed.Do(new ExpressionsResolvedCommand(underWay, underWay.Resolve()));
        Assert.Empty(_bed.LastRecords);
        _bed.Send(Beat("a", first));
        _bed.Coordinator.FailingWrites = 1;
        _bed.Coordinator.RunOutputs();
        Assert.Empty(_bed.Group.ResolvedRegularExpressions);
        _bed.Send(Beat("a", first));
        _bed.Coordinator.RunOutputs();
        Assert.Equal(6, Partitions(_bed.Send(Beat("a", first)).Assignment!).Count());

        // What is found for a group that is no more is forgotten.
        _bed.Advance(10_001);
        _bed.CreateTopic("foo-new", 1);
        _bed.Send(Beat("a", first + 1));
        _bed.Send(Beat("a", -1));
        _bed.Do(new DeleteGroupCommand(GroupId));
        _bed.Coordinator.RunOutputs();
        Assert.Null(_bed.Machine.Context.Find(GroupId));
    }

    [Fact]
    public void A_member_keeps_its_time_to_give_up_partitions_when_that_cannot_be_written()
    {
        _bed.Send(Join("a", "foo"));
        _bed.Send(Join("b", "foo"));
        _bed.Send(Beat("a", 2));
        var deadline = _bed.Machine.Context.Deadlines.At(DeadlinePurpose.ConsumerRebalance, GroupId, "a");
        Assert.NotNull(deadline);
        _bed.Coordinator.FailingWrites = 1;
        Assert.Equal(ErrorCode.CoordinatorNotAvailable, _bed.Fails(Beat("a", 2, _bed.Member("a").AssignedPartitions.Keys)).Code);
        Assert.Equal(deadline, _bed.Machine.Context.Deadlines.At(DeadlinePurpose.ConsumerRebalance, GroupId, "a"));
        _bed.Send(Beat("a", 2, _bed.Member("a").AssignedPartitions.Keys));
        Assert.Null(_bed.Machine.Context.Deadlines.At(DeadlinePurpose.ConsumerRebalance, GroupId, "a"));
    }

    [Fact]
    public void A_static_member_that_comes_back_under_its_own_id_has_a_session()
    {
        var join = Join("a", "foo");
        join.InstanceId = "i";
        var epoch = _bed.Send(join).MemberEpoch;
        var leave = Beat("a", MemberEpochs.StaticLeave);
        leave.InstanceId = "i";
        _bed.Send(leave);
        Assert.Equal(epoch, _bed.Send(join).MemberEpoch);
        Assert.Equal(
            _bed.Now.AddMilliseconds(_bed.Config.GroupConsumerSessionTimeoutMs),
            _bed.Machine.Context.Deadlines.At(DeadlinePurpose.ConsumerSession, GroupId, "a"));
    }

    [Fact]
    public void An_expression_of_a_later_member_waits_for_the_next_look()
    {
        _bed.CreateTopic("bar", 1);
        _bed.Send(JoinByRegex("a", "foo.*"));
        Assert.Empty(_bed.Send(JoinByRegex("b", "bar")).Assignment!.TopicPartitions);
        _bed.Advance(10_001);
        _bed.Send(Beat("b", _bed.Member("b").MemberEpoch));
        Assert.Single(Partitions(_bed.Send(Beat("b", _bed.Member("b").MemberEpoch)).Assignment!));
    }

    [Fact]
    public void A_description_shows_what_members_have_and_are_to_have()
    {
        _bed.Send(Join("a", "foo"));
        _bed.Send(Join("b", "foo"));
        _bed.Send(Beat("a", 2));
        var group = Describe();
        Assert.Equal(("Reconciling", 3, 3, "uniform"), (group.GroupState, group.GroupEpoch, group.AssignmentEpoch, group.AssignorName));
        var a = group.Members.Single(member => member.MemberId == "a");
        Assert.Equal(6, Assert.Single(a.Assignment.TopicPartitions).Partitions.Length);
        Assert.Equal(3, Assert.Single(a.TargetAssignment.TopicPartitions).Partitions.Length);
        Assert.Equal(
            ("foo", "client", "/127.0.0.1", (sbyte)1, ""),
            (a.Assignment.TopicPartitions[0].TopicName, a.ClientId, a.ClientHost, a.MemberType, a.SubscribedTopicRegex));
    }

    [Fact]
    public void A_deleted_group_leaves_nothing()
    {
        _bed.Send(JoinByRegex("a", "foo.*"));
        _bed.Send(Beat("a", -1));
        _bed.Do(new DeleteGroupCommand(GroupId));
        Assert.Null(_bed.Machine.Context.Find(GroupId));
        Assert.Null(_bed.Replay().Context.Find(GroupId));
        Assert.Equal(2, _bed.Send(Join("a", "foo")).MemberEpoch);
    }

    [Fact]
    public void A_record_of_an_older_broker_is_deleted_with_the_next_change()
    {
        _bed.Send(Join("a", "foo"));
        _bed.Machine.Apply(
            99, new(new ConsumerGroupPartitionMetadataKey { GroupId = GroupId }, new ConsumerGroupPartitionMetadataValue(), 0),
            ProducerIdAndEpoch.None);
        _bed.Send(Join("b", "foo"));
        Assert.Contains((short)4, Types());
        Assert.False(_bed.Group.HasPartitionMetadataRecord);
    }

    [Fact]
    public void Partitions_without_epochs_have_the_members()
    {
        var value = new ConsumerGroupCurrentMemberAssignmentValue
        {
            MemberEpoch = 5,
            State = 7,
            AssignedPartitions = [new() { TopicId = TopicId("foo"), Partitions = [1], AssignmentEpochs = null }],
        };
        var member = new ConsumerGroupMember("a").With(value);
        Assert.Equal(5, member.AssignedPartitions[new TopicIdPartition(TopicId("foo"), 1)]);
        Assert.Equal(MemberState.Unknown, member.State);
    }

    private short[] ResolutionTypes() => [.. _bed.Coordinator.LastResolutionRecords.Select(record => record.Key.RecordKey)];

    private short[] Types() => [.. _bed.LastRecords.Select(record => record.Key.RecordKey)];

    private ConsumerGroupDescribeResponse.DescribedGroup Describe() =>
        (ConsumerGroupDescribeResponse.DescribedGroup)_bed.Do(new ConsumerGroupDescribeCommand(GroupId));
}
