using Ottla.Client.Consumers.Membership;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.UnitTests.Client.Consumer;

/// <summary>A member of a classic group, as a function of answers and time; its reactions are those of Kafka's Java client.</summary>
public sealed class ClassicMembershipTests
{
    [Fact]
    public void Joins_assigns_and_keeps_alive()
    {
        var bed = MembershipBed.Classic().JoinClassic();
        Assert.Equal(("m1", 5), (bed.Machine.Identity.MemberId, bed.Machine.Identity.GenerationOrEpoch));
        Assert.Equal(bed.Now.AddMilliseconds(3_000), bed.Machine.NextDeadline);
        Assert.Equal("", bed.Step(2_999));
        Assert.Equal("Heartbeat(m1, 5)", bed.Step(1));
        Assert.Equal("", bed.Answer(new HeartbeatResponse()));
        Assert.Equal("Heartbeat(m1, 5)", bed.Step(3_000));
    }

    [Fact]
    public void Does_nothing_before_the_application_polls()
    {
        var bed = MembershipBed.Classic();
        Assert.Equal("", bed.Step(100_000));
        Assert.Null(bed.Machine.NextDeadline);
        Assert.True(bed.Machine.WaitsForPoll);
    }

    [Fact]
    public void A_follower_waits_for_the_leaders_assignment_alone()
    {
        var bed = MembershipBed.Classic();
        bed.Poll();
        bed.FoundCoordinator();
        Assert.Equal("SyncGroup(m1, 5)", bed.Answer(MembershipBed.Joined(leads: false)));
        Assert.Empty(((SyncGroupRequest)bed.Sent!.Request).Assignments);
        Assert.Equal("assign t-1 added t-1", bed.Answer(MembershipBed.Synced(1)));
    }

    /// <summary>The metadata tells all consumers of each update, and those who wait for it, in any order.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_leader_assigns_in_whatever_order_it_hears_of_its_topics(bool hearsBefore)
    {
        var bed = MembershipBed.Classic();
        bed.Poll();
        bed.FoundCoordinator();
        bed.Answer(MembershipBed.Joined());
        if (hearsBefore)
            bed.HearOfTopics();
        bed.Machine.OnTopics(MembershipBed.Topics(3, isFresh: true));
        if (!hearsBefore)
            bed.HearOfTopics();
        Assert.Equal("SyncGroup(m1, 5)", bed.Step());
    }

    [Fact]
    public void The_leader_of_the_next_generation_asks_for_its_topics_anew()
    {
        var bed = MembershipBed.Classic().JoinClassic();
        bed.Step(3_000);
        bed.Answer(new HeartbeatResponse { ErrorCode = (short)ErrorCode.RebalanceInProgress });
        bed.CalledBack();
        Assert.Equal("learn t", bed.Answer(MembershipBed.Joined(6)));
        bed.HearOfTopics();
        Assert.Equal("", bed.Step());
    }

    [Fact]
    public void An_eager_member_gives_everything_up_before_it_joins_again()
    {
        var bed = MembershipBed.Classic().JoinClassic();
        bed.Step(3_000);
        Assert.Equal("revoke t-0,t-1,t-2", bed.Answer(new HeartbeatResponse { ErrorCode = (short)ErrorCode.RebalanceInProgress }));
        Assert.Equal("JoinGroup(m1, 5)", bed.CalledBack());
        Assert.Equal("learn t", bed.Answer(MembershipBed.Joined(6)));
        Assert.Equal("SyncGroup(m1, 6)", bed.KnowTopics());
        Assert.Equal("assign t-0 added t-0", bed.Answer(MembershipBed.Synced(0)));
    }

    [Fact]
    public void A_member_that_works_is_called_back_when_it_polls()
    {
        var bed = MembershipBed.Classic().JoinClassic();
        bed.EndPoll();
        bed.Step(3_000);
        Assert.Equal("", bed.Answer(new HeartbeatResponse { ErrorCode = (short)ErrorCode.RebalanceInProgress }));
        Assert.True(bed.Machine.WaitsForPoll);
        Assert.Equal("Heartbeat(m1, 5)", bed.Step(3_000));
        Assert.Equal("revoke t-0,t-1,t-2", bed.Poll());
    }

    [Fact]
    public void A_cooperative_member_keeps_its_partitions_and_joins_once_more_for_what_it_gives_up()
    {
        var bed = MembershipBed.Classic("cooperative-sticky");
        bed.Poll();
        bed.FoundCoordinator();
        bed.Answer(MembershipBed.Joined(5, "cooperative-sticky", leads: false));
        Assert.Equal("assign t-0,t-1 added t-0,t-1", bed.Answer(MembershipBed.Synced(0, 1)));
        bed.CalledBack();
        bed.Step(3_000);
        Assert.Equal("JoinGroup(m1, 5)", bed.Answer(new HeartbeatResponse { ErrorCode = (short)ErrorCode.RebalanceInProgress }));
        var said = ConsumerProtocol.ReadSubscription(((JoinGroupRequest)bed.Sent!.Request).Protocols[0].Metadata);
        Assert.Equal([0, 1], said.OwnedPartitions.Single().Partitions);
        bed.Answer(MembershipBed.Joined(6, "cooperative-sticky", leads: false));
        Assert.Equal("revoke t-1", bed.Answer(MembershipBed.Synced(0)));
        Assert.Equal("assign t-0 added ", bed.CalledBack());
        Assert.Equal("JoinGroup(m1, 6)", bed.CalledBack());
    }

    [Fact]
    public void The_leader_has_all_join_again_when_partitions_are_added()
    {
        var bed = MembershipBed.Classic().JoinClassic();
        Assert.Equal("", bed.KnowTopics(3));
        Assert.Equal("revoke t-0,t-1,t-2", bed.KnowTopics(4));
    }

    [Fact]
    public void The_leader_has_all_join_again_when_partitions_are_added_while_it_waits_for_its_assignment()
    {
        var bed = MembershipBed.Classic();
        bed.Poll();
        bed.FoundCoordinator();
        Assert.Equal("learn t", bed.Answer(MembershipBed.Joined()));
        Assert.Equal("SyncGroup(m1, 5)", bed.KnowTopics());
        Assert.Equal("", bed.KnowTopics(4));
        bed.Answer(MembershipBed.Synced(0, 1, 2));
        Assert.Equal("revoke t-0,t-1,t-2", bed.CalledBack());
    }

    [Fact]
    public void A_changed_subscription_has_the_member_join_again()
    {
        var bed = MembershipBed.Classic().JoinClassic();
        bed.Machine.OnSubscription(new GroupSubscription(new HashSet<string> { "t" }));
        Assert.Equal("", bed.Step());
        bed.Machine.OnSubscription(new GroupSubscription(new HashSet<string> { "u" }));
        Assert.Equal("revoke t-0,t-1,t-2", bed.Step());
        bed.CalledBack();
        bed.Answer(MembershipBed.Joined(6, leads: false));
        // The leader knew only the old subscription.
        Assert.Equal("assign  added ", bed.Answer(MembershipBed.Synced(0)));
        Assert.Equal("JoinGroup(m1, 6)", bed.CalledBack());
    }

    [Theory]
    [InlineData(ErrorCode.CoordinatorLoadInProgress, "m1")]
    [InlineData(ErrorCode.RebalanceInProgress, "m1")]
    [InlineData(ErrorCode.UnknownMemberId, "")]
    public void A_join_is_repeated_after_a_while(ErrorCode error, string memberId)
    {
        var bed = Joining();
        Assert.Equal("", bed.Answer(new JoinGroupResponse { ErrorCode = (short)error }));
        Assert.Equal($"JoinGroup({memberId}, -1)", bed.Step(100));
    }

    [Theory]
    [InlineData(ErrorCode.NotCoordinator)]
    [InlineData(ErrorCode.CoordinatorNotAvailable)]
    public void A_join_is_repeated_at_another_coordinator(ErrorCode error)
    {
        var bed = Joining();
        Assert.Equal("find", bed.Answer(new JoinGroupResponse { ErrorCode = (short)error }));
        Assert.Equal("", bed.FoundCoordinator());
        Assert.Equal("JoinGroup(m1, -1)", bed.Step(100));
    }

    [Theory]
    [InlineData(ErrorCode.InconsistentGroupProtocol)]
    [InlineData(ErrorCode.InvalidGroupId)]
    [InlineData(ErrorCode.InvalidSessionTimeout)]
    [InlineData(ErrorCode.GroupAuthorizationFailed)]
    [InlineData(ErrorCode.UnsupportedVersion)]
    [InlineData(ErrorCode.GroupMaxSizeReached)]
    [InlineData(ErrorCode.FencedInstanceId)]
    [InlineData(ErrorCode.UnknownServerError)]
    public void A_join_that_is_refused_ends_the_poll_and_the_next_one_joins_anew(ErrorCode error)
    {
        var bed = Joining();
        Assert.Equal($"fail {error}", bed.Answer(new JoinGroupResponse { ErrorCode = (short)error }));
        Assert.Equal("", bed.Step(100_000));
        Assert.Equal("JoinGroup(, -1)", bed.Poll());
    }

    [Theory]
    [InlineData(ErrorCode.RebalanceInProgress, "JoinGroup(m1, 5)")]
    [InlineData(ErrorCode.IllegalGeneration, "JoinGroup(m1, -1)")]
    [InlineData(ErrorCode.UnknownMemberId, "JoinGroup(, -1)")]
    public void A_sync_that_comes_too_late_is_followed_by_a_join(ErrorCode error, string join)
    {
        var bed = Joining();
        bed.Answer(MembershipBed.Joined(leads: false));
        Assert.Equal(join, bed.Answer(new SyncGroupResponse { ErrorCode = (short)error }));
    }

    [Fact]
    public void A_sync_without_an_answer_is_followed_by_a_join_at_the_coordinator()
    {
        var bed = Joining();
        bed.Answer(MembershipBed.Joined(leads: false));
        Assert.Equal("find", bed.Break());
        Assert.Equal("", bed.FoundCoordinator());
        Assert.Equal("JoinGroup(m1, 5)", bed.Step(100));
    }

    [Theory]
    [InlineData(ErrorCode.IllegalGeneration, "JoinGroup(m1, -1)")]
    [InlineData(ErrorCode.UnknownMemberId, "JoinGroup(, -1)")]
    public void A_member_that_is_not_known_any_more_has_lost_its_partitions(ErrorCode error, string join)
    {
        var bed = MembershipBed.Classic().JoinClassic();
        bed.Step(3_000);
        Assert.Equal("lose t-0,t-1,t-2", bed.Answer(new HeartbeatResponse { ErrorCode = (short)error }));
        Assert.Equal(("", -1), (bed.Machine.Identity.MemberId, bed.Machine.Identity.GenerationOrEpoch));
        Assert.Equal("", bed.CalledBack());
        Assert.Equal(join, bed.Step(100));
    }

    [Fact]
    public void A_refused_commit_says_the_same_as_a_heartbeat()
    {
        var bed = MembershipBed.Classic().JoinClassic();
        var old = bed.Machine.Identity with { GenerationOrEpoch = 4 };
        bed.Machine.OnCommitRefused(bed.Now, old, ErrorCode.IllegalGeneration);
        Assert.Equal("", bed.Step());
        bed.Machine.OnCommitRefused(bed.Now, bed.Machine.Identity, ErrorCode.IllegalGeneration);
        Assert.Equal("lose t-0,t-1,t-2", bed.Step());
    }

    [Fact]
    public void A_fenced_instance_ends_the_poll_and_has_lost_its_partitions()
    {
        var bed = MembershipBed.Classic(instanceId: "i").JoinClassic();
        bed.Step(3_000);
        Assert.Equal("fail FencedInstanceId", bed.Answer(new HeartbeatResponse { ErrorCode = (short)ErrorCode.FencedInstanceId }));
        Assert.Equal("lose t-0,t-1,t-2", bed.Poll());
    }

    [Fact]
    public void A_heartbeat_with_another_error_changes_nothing()
    {
        var bed = MembershipBed.Classic().JoinClassic();
        bed.Step(3_000);
        Assert.Equal("", bed.Answer(new HeartbeatResponse { ErrorCode = (short)ErrorCode.UnknownServerError }));
        Assert.Equal("Heartbeat(m1, 5)", bed.Step(100));
    }

    [Fact]
    public void Looks_for_the_coordinator_when_heartbeats_get_no_answer()
    {
        var bed = MembershipBed.Classic().JoinClassic();
        bed.Step(3_000);
        Assert.Equal("find", bed.Break());
        Assert.Equal("Heartbeat(m1, 5)", bed.FoundCoordinator() + bed.Step(3_000));
        Assert.Equal("find", bed.Step(45_000)); // not even a refusal, for a session
    }

    [Fact]
    public void Who_does_not_poll_in_time_leaves_and_has_lost_its_partitions()
    {
        var bed = MembershipBed.Classic().JoinClassic();
        bed.EndPoll();
        Assert.Equal("LeaveGroup(m1, null)", bed.Step(300_000));
        Assert.Equal("", bed.Step(100_000));
        Assert.Equal("lose t-0,t-1,t-2", bed.Poll());
        Assert.Equal("JoinGroup(, -1)", bed.CalledBack());
    }

    [Fact]
    public void A_static_member_that_does_not_poll_in_time_just_falls_silent()
    {
        var bed = MembershipBed.Classic(instanceId: "i").JoinClassic();
        bed.EndPoll();
        Assert.Equal("", bed.Step(300_000));
        Assert.Equal("", bed.Step(100_000));
        Assert.Equal("lose t-0,t-1,t-2", bed.Poll());
        Assert.Equal("JoinGroup(m1, -1)", bed.CalledBack());
    }

    [Theory]
    [InlineData(null, null, true)]
    [InlineData("i", null, false)]
    [InlineData("i", true, true)]
    [InlineData(null, false, false)]
    public void Leaves_after_it_has_given_its_partitions_up(string? instanceId, bool? tells, bool isTold)
    {
        var bed = MembershipBed.Classic(instanceId: instanceId).JoinClassic();
        bed.Machine.OnLeave(tells);
        Assert.Equal("revoke t-0,t-1,t-2", bed.Step());
        Assert.Equal(isTold ? "LeaveGroup(m1, null)" : "", bed.CalledBack());
        if (isTold)
            bed.Answer(new LeaveGroupResponse { ErrorCode = (short)ErrorCode.UnknownMemberId });
        Assert.True(bed.Machine.IsOver);
        Assert.Equal("", bed.Step(100_000));
    }

    [Fact]
    public void Leaving_without_an_answer_is_over_too()
    {
        var bed = MembershipBed.Classic().JoinClassic();
        bed.Machine.OnLeave(null);
        bed.Step();
        bed.CalledBack();
        bed.Break();
        Assert.True(bed.Machine.IsOver);
    }

    [Fact]
    public void A_member_that_loses_its_place_while_it_is_called_back_is_told_afterwards()
    {
        var bed = MembershipBed.Classic("cooperative-sticky");
        bed.Poll();
        bed.FoundCoordinator();
        bed.Answer(MembershipBed.Joined(5, "cooperative-sticky", leads: false));
        Assert.Equal("assign t-0 added t-0", bed.Answer(MembershipBed.Synced(0)));
        bed.Machine.OnCommitRefused(bed.Now, bed.Machine.Identity, ErrorCode.UnknownMemberId);
        Assert.Equal("", bed.Step());
        Assert.Equal("lose t-0", bed.CalledBack());
    }

    private static MembershipBed Joining()
    {
        var bed = MembershipBed.Classic();
        bed.Poll();
        bed.FoundCoordinator();
        bed.Answer(new JoinGroupResponse { ErrorCode = (short)ErrorCode.MemberIdRequired, MemberId = "m1" });
        return bed;
    }
}
