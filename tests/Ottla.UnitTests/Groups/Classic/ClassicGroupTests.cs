using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups;
using Ottla.StateMachines.Groups.Classic;
using static Ottla.UnitTests.Groups.CoordinatorTestBed;
using static Ottla.UnitTests.Groups.GroupTestBed;

namespace Ottla.UnitTests.Groups.Classic;

/// <summary>SyncGroup, Heartbeat, LeaveGroup, and what a group is after them.</summary>
public sealed class ClassicGroupTests
{
    [Fact]
    public void TheLeadersAssignmentIsWrittenAndReachesAll()
    {
        var bed = new GroupTestBed();
        var joins = new[] { bed.JoinWithNewId().Answer, bed.JoinWithNewId().Answer, bed.JoinWithNewId().Answer };
        bed.AdvanceUntil(joins[0]);
        var early = bed.Sync(joins[1].Value);
        Assert.False(early.IsThere);

        var leader = bed.Sync(joins[0].Value, assignments: [(joins[0].Value.MemberId, Bytes("0")), (joins[1].Value.MemberId, Bytes("1"))]);
        var late = bed.Sync(joins[2].Value);

        Assert.Equal(Bytes("0"), leader.Value.Assignment);
        Assert.Equal(("consumer", "range"), (leader.Value.ProtocolType, leader.Value.ProtocolName));
        Assert.Equal(Bytes("1"), early.Value.Assignment);
        Assert.Empty(late.Value.Assignment);
        var record = bed.Coordinator.Log.Last();
        var value = Assert.IsType<GroupMetadataValue>(record.Value);
        Assert.Equal(3, record.ValueVersion);
        Assert.Equal(
            ("consumer", 1, "range", joins[0].Value.MemberId), (value.ProtocolType, value.Generation, value.Protocol, value.Leader));
        var member = value.Members.Single(each => each.MemberId == joins[1].Value.MemberId);
        Assert.Equal((null, "client", "/127.0.0.1"), (member.GroupInstanceId, member.ClientId, member.ClientHost));
        Assert.Equal((RebalanceTimeoutMs, SessionTimeoutMs), (member.RebalanceTimeout, member.SessionTimeout));
        Assert.Equal(Subscription("topic"), member.Subscription);
        Assert.Equal(Bytes("1"), member.Assignment);
    }

    [Fact]
    public void AnAssignmentThatCannotBeWrittenIsAnErrorForAllAndTheGroupRebalances()
    {
        var bed = new GroupTestBed();
        var joins = new[] { bed.JoinWithNewId().Answer, bed.JoinWithNewId().Answer };
        bed.AdvanceUntil(joins[0]);
        var follower = bed.Sync(joins[1].Value);
        bed.Coordinator.FailingWrites = 1;

        Assert.Equal(ErrorCode.CoordinatorNotAvailable, bed.Sync(joins[0].Value).Error);
        Assert.Equal(ErrorCode.CoordinatorNotAvailable, follower.Error);
        Assert.Equal(ClassicGroupState.PreparingRebalance, bed.Group.State);
        Assert.All(joins, join => Assert.Equal(ErrorCode.RebalanceInProgress, bed.Heartbeat(join.Value)));
        Assert.Null(bed.Replayed()?.LeaderId);

        Answer<JoinGroupResponse>[] again = [bed.Join(joins[0].Value.MemberId), bed.Join(joins[1].Value.MemberId)];
        Assert.Equal([2, 2], again.Select(join => join.Value.GenerationId));
        bed.Stabilize([.. again.Select(join => join.Value)]);
    }

    [Fact]
    public void ASyncMustFitTheGroup()
    {
        var bed = new GroupTestBed();
        var joined = bed.JoinWithNewId().Answer;
        bed.Advance(InitialDelayMs);

        Assert.Equal(ErrorCode.InvalidGroupId, Code(bed.Sync(joined.Value, groupId: "")));
        Assert.Equal(ErrorCode.UnknownMemberId, Code(bed.Sync(joined.Value, groupId: "other")));
        Assert.Equal(ErrorCode.UnknownMemberId, Code(bed.Sync(joined.Value, memberId: "other")));
        Assert.Equal(ErrorCode.UnknownMemberId, Code(bed.Sync(joined.Value, instance: "other")));
        Assert.Equal(ErrorCode.IllegalGeneration, Code(bed.Sync(joined.Value, generation: 2)));
        Assert.Equal(ErrorCode.InconsistentGroupProtocol, Code(bed.Sync(joined.Value, type: "connect")));
        Assert.Equal(ErrorCode.InconsistentGroupProtocol, Code(bed.Sync(joined.Value, name: "sticky")));
        Assert.Equal(ErrorCode.InconsistentGroupProtocol, Code(bed.Sync(joined.Value, type: null)));
        Assert.Equal(ErrorCode.InconsistentGroupProtocol, Code(bed.Sync(joined.Value, name: null)));
        Assert.Equal(ErrorCode.None, Code(bed.Sync(joined.Value, version: 4, type: null, name: null)));
    }

    [Fact]
    public void ASyncIsInterruptedByARebalance()
    {
        var bed = new GroupTestBed();
        var joins = new[] { bed.JoinWithNewId().Answer, bed.JoinWithNewId().Answer };
        bed.AdvanceUntil(joins[0]);
        var sync = bed.Sync(joins[1].Value);

        bed.Leave((joins[0].Value.MemberId, null));

        Assert.Equal(ErrorCode.RebalanceInProgress, Code(sync));
        Assert.Equal(ErrorCode.RebalanceInProgress, Code(bed.Sync(joins[1].Value)));
        Assert.Equal((2, joins[1].Value.MemberId), (bed.Join(joins[1].Value.MemberId).Value.GenerationId, bed.Group.LeaderId));
    }

    [Fact]
    public void ASyncThatIsSentAgainTakesThePlaceOfTheFirst()
    {
        var bed = new GroupTestBed();
        var joins = new[] { bed.JoinWithNewId().Answer, bed.JoinWithNewId().Answer };
        bed.AdvanceUntil(joins[0]);
        var first = bed.Sync(joins[1].Value);
        var second = bed.Sync(joins[1].Value);

        bed.Sync(joins[0].Value);

        Assert.Equal((ErrorCode.RebalanceInProgress, ErrorCode.None), (Code(first), Code(second)));
    }

    [Fact]
    public void WhoDoesNotAskForItsAssignmentWithinTheRebalanceTimeoutIsOut()
    {
        var bed = new GroupTestBed();
        var joins = new[] { bed.JoinWithNewId().Answer, bed.JoinWithNewId().Answer };
        bed.AdvanceUntil(joins[0]);
        bed.Sync(joins[0].Value);
        for (var waitedMs = 0; waitedMs < RebalanceTimeoutMs; waitedMs += 5_000)
        {
            bed.Heartbeat(joins[0].Value);
            bed.Heartbeat(joins[1].Value);
            bed.Advance(5_000);
        }

        Assert.Equal(ErrorCode.UnknownMemberId, bed.Heartbeat(joins[1].Value));
        Assert.Equal(ErrorCode.RebalanceInProgress, bed.Heartbeat(joins[0].Value));
    }

    [Fact]
    public void OnceAllHaveAskedNobodyIsOut()
    {
        var bed = new GroupTestBed();
        var members = bed.StableGroup(2);
        for (var waitedMs = 0; waitedMs < 2 * RebalanceTimeoutMs; waitedMs += 5_000)
        {
            Assert.All(members, member => Assert.Equal(ErrorCode.None, bed.Heartbeat(member)));
            bed.Advance(5_000);
        }
    }

    [Fact]
    public void AHeartbeatMustFitTheGroup()
    {
        var bed = new GroupTestBed();
        Assert.Equal(ErrorCode.UnknownMemberId, bed.Heartbeat("me", 1));
        var member = bed.StableGroup()[0];

        Assert.Equal(ErrorCode.InvalidGroupId, bed.Heartbeat(member.MemberId, 1, groupId: ""));
        Assert.Equal(ErrorCode.UnknownMemberId, bed.Heartbeat("other", 1));
        Assert.Equal(ErrorCode.UnknownMemberId, bed.Heartbeat(member.MemberId, 1, "instance"));
        Assert.Equal(ErrorCode.IllegalGeneration, bed.Heartbeat(member.MemberId, 2));
        Assert.Equal(ErrorCode.None, bed.Heartbeat(member.MemberId, 1));
    }

    [Fact]
    public void HeartbeatsKeepAMemberAndSilenceEndsIt()
    {
        var bed = new GroupTestBed();
        var members = bed.StableGroup(2);
        for (var i = 0; i < 10; i++)
        {
            bed.Advance(SessionTimeoutMs - 1);
            Assert.All(members, member => Assert.Equal(ErrorCode.None, bed.Heartbeat(member)));
        }

        bed.Advance(SessionTimeoutMs - 1);
        Assert.Equal(ErrorCode.None, bed.Heartbeat(members[1]));
        bed.Advance(1);

        Assert.Equal(ErrorCode.UnknownMemberId, bed.Heartbeat(members[0]));
        Assert.Equal(ErrorCode.RebalanceInProgress, bed.Heartbeat(members[1]));
        Assert.Equal(members[1].MemberId, bed.Group.LeaderId);
    }

    [Fact]
    public void WhoWaitsForAnAnswerNeedsNoHeartbeat()
    {
        var bed = new GroupTestBed();
        var members = bed.StableGroup(2);
        var leader = bed.Join(members[0].MemberId);
        for (var waitedMs = 0; waitedMs < RebalanceTimeoutMs - 5_000; waitedMs += 5_000)
        {
            bed.Heartbeat(members[1]);
            bed.Advance(5_000);
        }

        Assert.False(leader.IsThere);
        bed.Join(members[1].MemberId);
        Assert.Equal(2, leader.Value.GenerationId);
        bed.Advance(SessionTimeoutMs - 1);
        Assert.Equal(ErrorCode.None, bed.Heartbeat(leader.Value));
    }

    [Fact]
    public void AGroupThatAllHaveLeftIsWrittenAsEmpty()
    {
        var bed = new GroupTestBed();
        var member = bed.StableGroup()[0];

        Assert.Equal((short)ErrorCode.None, bed.Leave((member.MemberId, null)).Members[0].ErrorCode);

        var value = Assert.IsType<GroupMetadataValue>(Assert.Single(bed.LastRecords).Value);
        Assert.Equal(("consumer", 2, null, null), (value.ProtocolType, value.Generation, value.Protocol, value.Leader));
        Assert.Equal(bed.Coordinator.Now.UnixMilliseconds, value.CurrentStateTimestamp);
        Assert.Empty(value.Members);
        Assert.Equal((short)ErrorCode.UnknownMemberId, bed.Join(member.MemberId).Value.ErrorCode);
        Assert.Equal(ErrorCode.UnknownMemberId, bed.Heartbeat(member));
        Assert.Equal(ErrorCode.UnknownMemberId, Code(bed.Sync(member)));
    }

    [Fact]
    public void SeveralLeaveAtOnce()
    {
        var bed = new GroupTestBed();
        var members = bed.StableGroup(3, ["a", null, null]);
        var given = bed.Join().Value.MemberId;

        var left = bed.Leave(
            (members[0].MemberId, "a"), (members[1].MemberId, null), (given, null), ("other", null), (members[1].MemberId, null));

        Assert.Equal(
            [0, 0, 0, (short)ErrorCode.UnknownMemberId, (short)ErrorCode.UnknownMemberId], left.Members.Select(member => member.ErrorCode));
        Assert.Equal(
            [members[0].MemberId, members[1].MemberId, given, "other", members[1].MemberId],
            left.Members.Select(member => member.MemberId));
        Assert.Equal(2, bed.Join(members[2].MemberId).Value.GenerationId);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    public void UpToVersion2OneLeavesAndItsErrorIsTheAnswers(short version)
    {
        var bed = new GroupTestBed();
        var member = bed.StableGroup()[0];

        Assert.Equal((short)ErrorCode.UnknownMemberId, Leave("other", GroupId).ErrorCode);
        Assert.Equal((short)ErrorCode.UnknownMemberId, Leave("other", "other").ErrorCode);
        Assert.Equal((short)ErrorCode.InvalidGroupId, Leave("other", "").ErrorCode);
        Assert.Equal((short)ErrorCode.None, Leave(member.MemberId, GroupId).ErrorCode);
        Assert.True(bed.Group.IsEmpty);

        LeaveGroupResponse Leave(string memberId, string groupId)
        {
            var answer = bed.Send(new LeaveGroupCommand(Origin(version), new LeaveGroupRequest { GroupId = groupId, MemberId = memberId }))
                .Value;
            Assert.Empty(answer.Members);
            return answer;
        }
    }

    [Fact]
    public void WhoLeavesWhileItWaitsIsAnswered()
    {
        var bed = new GroupTestBed();
        var members = bed.StableGroup(3);
        var join = bed.Join(members[0].MemberId);
        bed.Leave((members[0].MemberId, null));
        Assert.Equal((short)ErrorCode.UnknownMemberId, join.Value.ErrorCode);
        var joins = new[] { bed.Join(members[1].MemberId), bed.Join(members[2].MemberId) };
        Assert.All(joins, each => Assert.Equal(2, each.Value.GenerationId));
        var follower = joins.Single(each => each.Value.Members.Length == 0).Value;

        var sync = bed.Sync(follower);
        bed.Leave((follower.MemberId, null));

        Assert.Equal(ErrorCode.UnknownMemberId, Code(sync));
    }

    [Fact]
    public void AGroupOfAnotherKindIsLeftInPeace()
    {
        var bed = new GroupTestBed();
        Assert.Equal([(short)ErrorCode.UnknownMemberId], bed.Leave(("me", null)).Members.Select(member => member.ErrorCode));
        Assert.Empty(bed.Coordinator.Log);
    }

    [Fact]
    public void WhatTheLeaderAssignsIsKeptByteForByte()
    {
        var bed = new GroupTestBed();
        var join = bed.Join(version: 3, type: "connect", protocols: ["sessioned"], metadata: [0xff, 0, 1, 0xfe]);
        bed.Advance(InitialDelayMs);
        Assert.Equal([0xff, 0, 1, 0xfe], Assert.Single(join.Value.Members).Metadata);

        var sync = bed.Sync(join.Value, version: 0, type: null, name: null, assignments: [(join.Value.MemberId, [0xde, 0xad])]);

        Assert.Equal([0xde, 0xad], sync.Value.Assignment);
        Assert.Equal("connect", bed.Group.ProtocolType);
        Assert.False(bed.Group.IsSubscribedTo("topic"));
        Assert.Equal(ClassicGroupState.Stable, bed.Replayed()!.State);
    }

    [Fact]
    public void AfterARestartMembersGoOnWhereTheyWere()
    {
        var bed = new GroupTestBed();
        var members = bed.StableGroup(2);
        var waiting = bed.Join(members[0].MemberId);

        bed.Coordinator.Restart();

        Assert.Equal(ErrorCode.NotCoordinator, waiting.Error);
        Assert.Equal(1, bed.Group.GenerationId);
        Assert.All(members, member => Assert.Equal(ErrorCode.None, bed.Heartbeat(member)));
        Assert.Equal(Bytes(members[1].MemberId), bed.Sync(members[1]).Value.Assignment);
        bed.Advance(SessionTimeoutMs);
        Assert.All(members, member => Assert.Equal(ErrorCode.UnknownMemberId, bed.Heartbeat(member)));
        Assert.Equal(ClassicGroupState.Empty, bed.Group.State);
    }

    [Fact]
    public void ALoadedGroupThatIsTooLargeNowRebalances()
    {
        var bed = new GroupTestBed(("group.max.size", "2"));
        var larger = new GroupTestBed();
        larger.StableGroup(3);
        foreach (var record in larger.Coordinator.Log)
            bed.Coordinator.Append(record);

        bed.Coordinator.Restart();

        Assert.Equal((ClassicGroupState.PreparingRebalance, 3), (bed.Group.State, bed.Group.Members.Count));
    }

    [Fact]
    public void TopicsAreKnownOfConsumersAlone()
    {
        var bed = new GroupTestBed();
        var member = bed.StableGroup()[0];
        Assert.True(bed.Group.IsSubscribedTo("topic"));
        Assert.False(bed.Group.IsSubscribedTo("other"));
        bed.Leave((member.MemberId, null));
        Assert.False(bed.Group.IsSubscribedTo("topic"));

        var garbled = bed.Join(version: 3, metadata: [0, 0, 0x7f]);
        bed.Advance(InitialDelayMs);
        Assert.Equal(3, garbled.Value.GenerationId);
        Assert.True(bed.Group.IsSubscribedTo("anything"));
    }

    [Fact]
    public void CommitsMustFitTheGroup()
    {
        var bed = new GroupTestBed();
        Check(ErrorCode.None, ClassicGroup.CreateSimple("simple"), "", null, -1);
        var joined = bed.Join(instance: "a");
        bed.Advance(InitialDelayMs);
        var me = joined.Value.MemberId;
        Check(ErrorCode.RebalanceInProgress, bed.Group, me, "a", 1);
        Check(ErrorCode.None, bed.Group, me, "a", 1, isTransactional: true);
        bed.Stabilize([joined.Value], ["a"]);

        Check(ErrorCode.None, bed.Group, me, "a", 1);
        Check(ErrorCode.None, bed.Group, "", null, -1, isTransactional: true);
        Check(ErrorCode.UnknownMemberId, bed.Group, "", null, -1);
        Check(ErrorCode.UnknownMemberId, bed.Group, "other", null, 1);
        Check(ErrorCode.UnknownMemberId, bed.Group, me, "b", 1);
        Check(ErrorCode.FencedInstanceId, bed.Group, "other", "a", 1);
        Check(ErrorCode.IllegalGeneration, bed.Group, me, "a", 2);
        Check(ErrorCode.IllegalGeneration, bed.Group, me, "a", -1);

        static void Check(
            ErrorCode expected, ClassicGroup group, string memberId, string? instance, int generation, bool isTransactional = false)
        {
            var error = Record.Exception(() => group.ValidateOffsetCommit(memberId, instance, generation, isTransactional, 9));
            Assert.Equal(expected, (error as ApiException)?.Error.Code ?? ErrorCode.None);
        }
    }

    private static ErrorCode Code(Answer<SyncGroupResponse> answer) => (ErrorCode)answer.Value.ErrorCode;
}
