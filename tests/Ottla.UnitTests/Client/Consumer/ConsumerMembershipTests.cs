using Ottla.Client.Consumers.Assignors;
using Ottla.Client.Consumers.Membership;
using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.UnitTests.Client.Consumer;

/// <summary>A member by KIP-848, as a function of answers and time.</summary>
public sealed class ConsumerMembershipTests
{
    [Fact]
    public void Joins_says_what_it_has_and_keeps_alive()
    {
        var bed = MembershipBed.Newer(assignor: "range");
        bed.Poll();
        bed.FoundCoordinator();
        Assert.Equal(
            ("g", "t", "range", 300_000), (bed.Heartbeat.GroupId, bed.Heartbeat.SubscribedTopicNames!.Single(),
                bed.Heartbeat.ServerAssignor, bed.Heartbeat.RebalanceTimeoutMs));
        Assert.Empty(bed.Heartbeat.TopicPartitions!);
        bed = MembershipBed.Newer().JoinNewer();
        Assert.Equal("", bed.Step(4_999));
        Assert.Equal("ConsumerGroupHeartbeat(me, 1)", bed.Step(1));
        Assert.Equal((null, null, null, -1), (bed.Heartbeat.SubscribedTopicNames, bed.Heartbeat.TopicPartitions,
            bed.Heartbeat.ServerAssignor, bed.Heartbeat.RebalanceTimeoutMs));
    }

    [Fact]
    public void Gives_up_first_and_takes_then()
    {
        var bed = MembershipBed.Newer().JoinNewer();
        bed.Step(5_000);
        Assert.Equal("revoke t-0", bed.Answer(MembershipBed.Beaten(1, 1, 2)));
        Assert.Equal("", bed.Step(4_000));
        Assert.Equal("ConsumerGroupHeartbeat(me, 1)", bed.Step(1_000));
        Assert.Null(bed.Heartbeat.TopicPartitions); // not before it has given up
        bed.Answer(MembershipBed.Beaten(1));
        Assert.Equal("assign t-1,t-2 added t-2", bed.CalledBack());
        Assert.Equal("ConsumerGroupHeartbeat(me, 1)", bed.CalledBack());
        Assert.Equal([1, 2], bed.Heartbeat.TopicPartitions!.Single().Partitions);
        bed.Answer(MembershipBed.Beaten(2));
        Assert.Equal(2, bed.Machine.Identity.GenerationOrEpoch);
    }

    [Fact]
    public void Says_at_once_that_it_has_given_up()
    {
        var bed = MembershipBed.Newer().JoinNewer();
        bed.Step(5_000);
        Assert.Equal("revoke t-0", bed.Answer(MembershipBed.Beaten(1, 1)));
        Assert.Equal("ConsumerGroupHeartbeat(me, 1)", bed.CalledBack());
        Assert.Equal([1], bed.Heartbeat.TopicPartitions!.Single().Partitions);
    }

    [Fact]
    public void Learns_topics_that_it_does_not_know()
    {
        var bed = MembershipBed.Newer();
        bed.Machine.OnTopics(new TopicKnowledge(new Dictionary<string, AssignorTopic>(), new Dictionary<Uuid, string>(), IsFresh: false));
        bed.Poll();
        bed.FoundCoordinator();
        Assert.Equal($"learn {MembershipBed.TopicId}", bed.Answer(MembershipBed.Beaten(1, 0)));
        Assert.Equal("", bed.Step(1_000));
        Assert.Equal("assign t-0 added t-0", bed.KnowTopics());
    }

    [Fact]
    public void Tells_of_an_assignment_of_nothing()
    {
        var bed = MembershipBed.Newer();
        bed.Poll();
        bed.FoundCoordinator();
        var answer = MembershipBed.Beaten(1);
        answer.Assignment = MembershipBed.Assignment();
        Assert.Equal("assign  added ", bed.Answer(answer));
        bed.CalledBack();
        bed.Answer(MembershipBed.Beaten(1));
        Assert.True(bed.Machine.IsStable);
    }

    [Fact]
    public void Says_a_changed_subscription_at_once()
    {
        var bed = MembershipBed.Newer().JoinNewer();
        bed.Machine.OnSubscription(new GroupSubscription(new HashSet<string>(), "u.*"));
        Assert.Equal("ConsumerGroupHeartbeat(me, 1)", bed.Step());
        Assert.Equal(([], "u.*"), (bed.Heartbeat.SubscribedTopicNames!, bed.Heartbeat.SubscribedTopicRegex));
        bed.Answer(MembershipBed.Beaten(1));
        bed.Machine.OnSubscription(new GroupSubscription(new HashSet<string> { "t" }));
        bed.Step();
        Assert.Equal("", bed.Heartbeat.SubscribedTopicRegex);
    }

    [Theory]
    [InlineData(ErrorCode.UnknownMemberId)]
    [InlineData(ErrorCode.FencedMemberEpoch)]
    public void A_fenced_member_has_lost_its_partitions_and_joins_anew(ErrorCode error)
    {
        var bed = MembershipBed.Newer().JoinNewer();
        bed.Step(5_000);
        Assert.Equal("lose t-0,t-1", bed.Answer(MembershipBed.Refused(error)));
        Assert.Equal("", bed.CalledBack());
        Assert.Equal("ConsumerGroupHeartbeat(me, 0)", bed.Step(100));
        Assert.Equal(["t"], bed.Heartbeat.SubscribedTopicNames!);
    }

    [Theory]
    [InlineData(ErrorCode.NotCoordinator)]
    [InlineData(ErrorCode.CoordinatorNotAvailable)]
    public void Asks_another_coordinator_and_tells_it_everything(ErrorCode error)
    {
        var bed = MembershipBed.Newer().JoinNewer();
        bed.Step(5_000);
        Assert.Equal("find", bed.Answer(MembershipBed.Refused(error)));
        Assert.Equal("", bed.FoundCoordinator());
        Assert.Equal("ConsumerGroupHeartbeat(me, 1)", bed.Step(100));
        Assert.Equal(["t"], bed.Heartbeat.SubscribedTopicNames!);
        Assert.Equal([0, 1], bed.Heartbeat.TopicPartitions!.Single().Partitions);
    }

    [Fact]
    public void Waits_longer_and_longer_while_the_coordinator_loads()
    {
        var bed = MembershipBed.Newer().JoinNewer();
        bed.Step(5_000);
        foreach (var wait in (long[])[100, 200, 400, 800, 1600, 1600])
        {
            Assert.Equal("", bed.Answer(MembershipBed.Refused(ErrorCode.CoordinatorLoadInProgress)));
            Assert.Equal("", bed.Step(wait - 1));
            Assert.Equal("ConsumerGroupHeartbeat(me, 1)", bed.Step(1));
        }

        bed.Answer(MembershipBed.Beaten(1));
        Assert.Equal("ConsumerGroupHeartbeat(me, 1)", bed.Step(5_000));
    }

    [Theory]
    [InlineData(ErrorCode.GroupAuthorizationFailed)]
    [InlineData(ErrorCode.InvalidRequest)]
    [InlineData(ErrorCode.GroupMaxSizeReached)]
    [InlineData(ErrorCode.UnsupportedAssignor)]
    [InlineData(ErrorCode.InvalidRegularExpression)]
    [InlineData(ErrorCode.FencedInstanceId)]
    [InlineData(ErrorCode.UnsupportedVersion)]
    [InlineData(ErrorCode.UnknownServerError)]
    public void Other_errors_end_the_poll_and_the_next_one_joins_anew(ErrorCode error)
    {
        var bed = MembershipBed.Newer().JoinNewer();
        bed.Step(5_000);
        Assert.Equal($"fail {error}", bed.Answer(MembershipBed.Refused(error)));
        Assert.Equal("", bed.Step(100_000));
        Assert.Equal("lose t-0,t-1", bed.Poll());
        Assert.Equal("ConsumerGroupHeartbeat(me, 0)", bed.CalledBack());
    }

    [Fact]
    public void A_topic_that_is_not_allowed_is_told_and_the_member_stays()
    {
        var bed = MembershipBed.Newer().JoinNewer();
        bed.Step(5_000);
        Assert.Equal("fail TopicAuthorizationFailed", bed.Answer(MembershipBed.Refused(ErrorCode.TopicAuthorizationFailed)));
        Assert.Equal("ConsumerGroupHeartbeat(me, 1)", bed.Step(100));
    }

    [Fact]
    public void A_static_member_waits_until_its_instance_id_is_free()
    {
        var bed = MembershipBed.Newer("i");
        bed.Poll();
        bed.FoundCoordinator();
        Assert.Equal("", bed.Answer(MembershipBed.Refused(ErrorCode.UnreleasedInstanceId)));
        for (var waited = 0L; waited < 40_000; waited += 1_600)
        {
            Assert.Equal("ConsumerGroupHeartbeat(me, 0)", bed.Step(1_600));
            Assert.Equal((300_000, "t"), (bed.Heartbeat.RebalanceTimeoutMs, Assert.Single(bed.Heartbeat.SubscribedTopicNames!)));
            Assert.Equal("", bed.Answer(MembershipBed.Refused(ErrorCode.UnreleasedInstanceId)));
        }

        bed.Step(10_000);
        Assert.Equal("fail UnreleasedInstanceId", bed.Answer(MembershipBed.Refused(ErrorCode.UnreleasedInstanceId)));
    }

    [Theory]
    [InlineData(null, "ConsumerGroupHeartbeat(me, -1)")]
    [InlineData("i", "ConsumerGroupHeartbeat(me, -2)")]
    public void Who_does_not_poll_in_time_leaves(string? instanceId, string leave)
    {
        var bed = MembershipBed.Newer(instanceId).JoinNewer();
        bed.EndPoll();
        Assert.Equal(leave, bed.Step(300_000));
        Assert.Equal("", bed.Step(100_000));
        Assert.Equal("lose t-0,t-1", bed.Poll());
        Assert.Equal("ConsumerGroupHeartbeat(me, 0)", bed.CalledBack());
    }

    [Theory]
    [InlineData(null, "ConsumerGroupHeartbeat(me, -1)")]
    [InlineData("i", "ConsumerGroupHeartbeat(me, -2)")]
    public void Leaves_after_it_has_given_its_partitions_up(string? instanceId, string leave)
    {
        var bed = MembershipBed.Newer(instanceId).JoinNewer();
        bed.Machine.OnLeave(null);
        Assert.Equal("revoke t-0,t-1", bed.Step());
        Assert.Equal(leave, bed.CalledBack());
        bed.Answer(MembershipBed.Refused(ErrorCode.UnknownMemberId));
        Assert.True(bed.Machine.IsOver);
    }

    [Fact]
    public void Late_answers_change_nothing()
    {
        var bed = MembershipBed.Newer().JoinNewer();
        bed.Step(5_000);
        var old = bed.Sent!.Attempt;
        bed.Answer(MembershipBed.Refused(ErrorCode.FencedMemberEpoch));
        bed.Machine.OnAnswer(bed.Now, old, MembershipBed.Beaten(9, 0, 1, 2));
        Assert.Equal(-1, bed.Machine.Identity.GenerationOrEpoch);
    }

    [Fact]
    public void A_static_member_whose_first_answer_was_lost_releases_its_instance_id_and_joins()
    {
        var bed = JoinTwice();
        Assert.Equal("ConsumerGroupHeartbeat(me, -2)", bed.Answer(MembershipBed.Refused(ErrorCode.UnreleasedInstanceId)));
        Assert.Equal((null, null), (bed.Heartbeat.SubscribedTopicNames, bed.Heartbeat.TopicPartitions));
        Assert.Equal("ConsumerGroupHeartbeat(me, 0)", bed.Answer(MembershipBed.Beaten(-2)));
        Assert.Equal(["t"], bed.Heartbeat.SubscribedTopicNames!);
        Assert.Equal("assign t-0 added t-0", bed.Answer(MembershipBed.Beaten(1, 0)));
    }

    [Fact]
    public void A_static_member_waits_for_another_one_that_has_its_instance_id()
    {
        var bed = JoinTwice();
        bed.Answer(MembershipBed.Refused(ErrorCode.UnreleasedInstanceId));
        Assert.Equal("", bed.Answer(MembershipBed.Refused(ErrorCode.FencedInstanceId)));
        Assert.Equal("ConsumerGroupHeartbeat(me, 0)", bed.Step(1_000));
        Assert.Equal("", bed.Answer(MembershipBed.Refused(ErrorCode.UnreleasedInstanceId)));
        Assert.Equal("ConsumerGroupHeartbeat(me, 0)", bed.Step(1_000));
    }

    /// <summary>A static member whose first request to join is not answered, and which asks again.</summary>
    private static MembershipBed JoinTwice()
    {
        var bed = MembershipBed.Newer(instanceId: "i");
        bed.Poll();
        Assert.Equal("ConsumerGroupHeartbeat(me, 0)", bed.FoundCoordinator());
        Assert.Equal("find", bed.Break());
        Assert.Equal("", bed.FoundCoordinator());
        Assert.Equal("ConsumerGroupHeartbeat(me, 0)", bed.Step(100));
        return bed;
    }
}
