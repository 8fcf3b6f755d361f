using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups.Classic;
using static Ottla.UnitTests.Groups.CoordinatorTestBed;
using static Ottla.UnitTests.Groups.GroupTestBed;

namespace Ottla.UnitTests.Groups.Classic;

public sealed class ClassicJoinTests
{
    [Fact]
    public void ANewGroupIsWrittenBeforeItsFirstMemberIsAnswered()
    {
        var bed = new GroupTestBed();

        var answer = bed.Join();

        Assert.Equal((short)ErrorCode.MemberIdRequired, answer.Value.ErrorCode);
        Assert.StartsWith("client-", answer.Value.MemberId, StringComparison.Ordinal);
        Assert.True(Guid.TryParse(answer.Value.MemberId["client-".Length..], out _));
        var record = Assert.Single(bed.LastRecords);
        var value = Assert.IsType<GroupMetadataValue>(record.Value);
        Assert.Equal(3, record.ValueVersion);
        Assert.Equal(("", 0, null, null), (value.ProtocolType, value.Generation, value.Protocol, value.Leader));
        Assert.Equal(1_000_000, value.CurrentStateTimestamp);
        Assert.Empty(value.Members);
        Assert.Equal(ClassicGroupState.Empty, bed.Group.State);
    }

    [Fact]
    public void AGroupThatCannotBeWrittenDoesNotComeToBe()
    {
        var bed = new GroupTestBed();
        bed.Coordinator.FailingWrites = 1;

        Assert.Equal(ErrorCode.CoordinatorNotAvailable, bed.Join().Error);

        Assert.Empty(bed.Coordinator.Machine.Context.Groups);
        Assert.Equal((short)ErrorCode.MemberIdRequired, bed.Join().Value.ErrorCode);
    }

    [Theory]
    [InlineData(3, ErrorCode.None)]
    [InlineData(4, ErrorCode.MemberIdRequired)]
    public void FromVersion4OnAnIdIsRequired(short version, ErrorCode error)
    {
        var bed = new GroupTestBed();

        var answer = bed.Join(version: version);

        bed.Advance(InitialDelayMs);
        Assert.Equal((short)error, answer.Value.ErrorCode);
    }

    [Fact]
    public void Version0HasNoRebalanceTimeoutAndTakesTheSessionTimeout()
    {
        var bed = new GroupTestBed();
        bed.Join(version: 0);

        Assert.Equal(SessionTimeoutMs, bed.Group.RebalanceTimeoutMs);
    }

    [Theory]
    [InlineData("", SessionTimeoutMs, ErrorCode.InvalidGroupId)]
    [InlineData(GroupId, 5_999, ErrorCode.InvalidSessionTimeout)]
    [InlineData(GroupId, 1_800_001, ErrorCode.InvalidSessionTimeout)]
    public void WhatIsAskedForMustBeAllowed(string groupId, int sessionTimeoutMs, ErrorCode error)
    {
        var bed = new GroupTestBed();

        var answer = bed.Join("me", groupId: groupId, sessionTimeoutMs: sessionTimeoutMs);

        Assert.Equal(((short)error, "me"), (answer.Value.ErrorCode, answer.Value.MemberId));
        Assert.Empty(bed.Coordinator.Log);
    }

    [Fact]
    public void ANameThatTheGroupsRecordHasNoRoomForIsRefused()
    {
        var bed = new GroupTestBed();
        var tooLong = new string('x', short.MaxValue);
        Assert.Equal((short)ErrorCode.InvalidRequest, bed.Join(instance: tooLong).Value.ErrorCode);
        Assert.Equal((short)ErrorCode.InvalidRequest, bed.Join(type: tooLong).Value.ErrorCode);
        Assert.Equal((short)ErrorCode.InvalidRequest, bed.Join(protocols: ["range", tooLong]).Value.ErrorCode);
        Assert.Equal((short)ErrorCode.InvalidRequest, bed.Join(groupId: tooLong).Value.ErrorCode);
        Assert.Empty(bed.Coordinator.Log);
        var longest = bed.Join(instance: new string('x', short.MaxValue - 64));
        bed.AdvanceUntil(longest);
        Assert.Equal((short)ErrorCode.None, bed.Sync(longest.Value, instance: new string('x', short.MaxValue - 64)).Value.ErrorCode);
    }

    [Fact]
    public void AnIdThatNobodyGaveIsUnknown()
    {
        var bed = new GroupTestBed();

        Assert.Equal((short)ErrorCode.UnknownMemberId, bed.Join("made-up").Value.ErrorCode);
        Assert.Empty(bed.Coordinator.Log);
        bed.StableGroup();
        Assert.Equal((short)ErrorCode.UnknownMemberId, bed.Join("made-up").Value.ErrorCode);
        Assert.Equal((short)ErrorCode.UnknownMemberId, bed.Join("made-up", instance: "made-up").Value.ErrorCode);
    }

    [Theory]
    [InlineData("", "range")]
    [InlineData("consumer")]
    public void AFirstMemberMustSayHowItWorks(string type, params string[] protocols)
    {
        var bed = new GroupTestBed();

        Assert.Equal((short)ErrorCode.InconsistentGroupProtocol, bed.Join(type: type, protocols: protocols).Value.ErrorCode);
        Assert.Empty(bed.Coordinator.Log);
    }

    [Theory]
    [InlineData("connect", "range")]
    [InlineData("consumer", "sticky")]
    [InlineData("consumer")]
    public void OthersMustWorkTheSameWay(string type, params string[] protocols)
    {
        var bed = new GroupTestBed();
        var member = bed.StableGroup()[0];

        Assert.Equal((short)ErrorCode.InconsistentGroupProtocol, bed.Join(type: type, protocols: protocols).Value.ErrorCode);
        Assert.Equal(
            (short)ErrorCode.InconsistentGroupProtocol, bed.Join(member.MemberId, type: type, protocols: protocols).Value.ErrorCode);
    }

    [Fact]
    public void TheProtocolIsTheOneThatAllOfferAndMostLikeBest()
    {
        var bed = new GroupTestBed();
        string[][] offers = [["range", "sticky", "mine"], ["sticky", "range"], ["sticky", "range", "yours"]];
        var joins = offers.Select(offer => bed.JoinWithNewId(offer).Answer).ToArray();

        bed.AdvanceUntil(joins[0]);

        Assert.All(joins, join => Assert.Equal("sticky", join.Value.ProtocolName));
        Assert.All(joins, join => Assert.Equal("consumer", join.Value.ProtocolType));
    }

    [Fact]
    public void TheInitialRebalanceWaitsForMoreAsLongAsMoreCome()
    {
        var bed = new GroupTestBed();
        var first = bed.JoinWithNewId().Answer;
        bed.Advance(InitialDelayMs - 1);
        var second = bed.JoinWithNewId().Answer;
        bed.Advance(1);
        Assert.False(first.IsThere);

        bed.Advance(InitialDelayMs - 1);
        Assert.False(first.IsThere);
        bed.Advance(1);

        Assert.Equal((1, 1), (first.Value.GenerationId, second.Value.GenerationId));
        Assert.Equal(first.Value.MemberId, first.Value.Leader);
        Assert.Equal(first.Value.MemberId, second.Value.Leader);
        Assert.Equal([first.Value.MemberId, second.Value.MemberId], first.Value.Members.Select(member => member.MemberId));
        Assert.All(first.Value.Members, member => Assert.Equal(Subscription("topic"), member.Metadata));
        Assert.Empty(second.Value.Members);
    }

    [Fact]
    public void TheInitialRebalanceWaitsNoLongerThanTheRebalanceTimeout()
    {
        var bed = new GroupTestBed();
        var first = bed.JoinWithNewId().Answer;
        for (var waitedMs = 0; waitedMs < RebalanceTimeoutMs; waitedMs += InitialDelayMs)
        {
            Assert.False(first.IsThere, $"answered after {waitedMs} ms");
            bed.JoinWithNewId();
            bed.Advance(InitialDelayMs);
        }

        Assert.Equal(1 + (RebalanceTimeoutMs / InitialDelayMs), first.Value.Members.Length);
    }

    [Fact]
    public void AnInitialRebalanceThatAllHaveLeftEndsAtOnce()
    {
        var bed = new GroupTestBed();
        var (memberId, answer) = bed.JoinWithNewId();

        bed.Leave((memberId, null));

        Assert.Equal((short)ErrorCode.UnknownMemberId, answer.Value.ErrorCode);
        Assert.Equal((ClassicGroupState.Empty, 1), (bed.Group.State, bed.Group.GenerationId));
        Assert.Equal(1, Assert.IsType<GroupMetadataValue>(Assert.Single(bed.LastRecords).Value).Generation);
    }

    [Fact]
    public void AnIdWithoutAMemberIsForgottenAfterTheSessionTimeout()
    {
        var bed = new GroupTestBed();
        var given = bed.Join().Value.MemberId;
        bed.Advance(SessionTimeoutMs);

        Assert.Equal((short)ErrorCode.UnknownMemberId, bed.Join(given).Value.ErrorCode);
        Assert.Empty(bed.Group.PendingJoins);
    }

    [Fact]
    public void ARebalanceWaitsForWhoWasGivenAnId()
    {
        var bed = new GroupTestBed();
        var member = bed.StableGroup()[0];
        var given = bed.Join().Value.MemberId;
        var rejoin = bed.Join(member.MemberId);
        Assert.False(rejoin.IsThere);

        var join = bed.Join(given);

        Assert.Equal((2, 2), (rejoin.Value.GenerationId, join.Value.GenerationId));
    }

    [Fact]
    public void ARebalanceGoesOnWithoutWhoWasGivenAnIdAndDoesNotComeBack()
    {
        var bed = new GroupTestBed();
        var member = bed.StableGroup()[0];
        bed.Join();
        var rejoin = bed.Join(member.MemberId);

        bed.Advance(SessionTimeoutMs);

        Assert.Equal(2, rejoin.Value.GenerationId);
    }

    [Fact]
    public void ANewMemberHasTheOthersJoinAgain()
    {
        var bed = new GroupTestBed();
        var old = bed.StableGroup()[0];
        var (newId, joined) = bed.JoinWithNewId();
        Assert.False(joined.IsThere);
        Assert.Equal(ErrorCode.RebalanceInProgress, bed.Heartbeat(old));

        var rejoined = bed.Join(old.MemberId);

        Assert.Equal((2, 2), (rejoined.Value.GenerationId, joined.Value.GenerationId));
        Assert.Equal(old.MemberId, rejoined.Value.Leader);
        Assert.Equal([old.MemberId, newId], rejoined.Value.Members.Select(member => member.MemberId));
    }

    [Fact]
    public void WhoDoesNotJoinAgainWithinTheRebalanceTimeoutIsOut()
    {
        var bed = new GroupTestBed();
        var old = bed.StableGroup()[0];
        var (newId, joined) = bed.JoinWithNewId();
        for (var waitedMs = 0; waitedMs < RebalanceTimeoutMs; waitedMs += 5_000)
        {
            Assert.Equal(ErrorCode.RebalanceInProgress, bed.Heartbeat(old));
            bed.Advance(5_000);
        }

        Assert.Equal((2, newId), (joined.Value.GenerationId, joined.Value.Leader));
        Assert.Equal(ErrorCode.UnknownMemberId, bed.Heartbeat(old));
    }

    [Fact]
    public void AFollowerThatJoinsAgainUnchangedKeepsTheGeneration()
    {
        var bed = new GroupTestBed();
        var members = bed.StableGroup(2);

        var again = bed.Join(members[1].MemberId);

        Assert.Equal((1, members[0].MemberId), (again.Value.GenerationId, again.Value.Leader));
        Assert.Equal(ClassicGroupState.Stable, bed.Group.State);
    }

    [Fact]
    public void AFollowerThatJoinsAgainChangedAndALeaderInAnyCaseRebalance()
    {
        var bed = new GroupTestBed();
        var members = bed.StableGroup(2);

        var changed = bed.Join(members[1].MemberId, metadata: Subscription("other"));
        Assert.Equal(ClassicGroupState.PreparingRebalance, bed.Group.State);
        var leader = bed.Join(members[0].MemberId);
        Assert.Equal((2, 2), (changed.Value.GenerationId, leader.Value.GenerationId));
        Assert.Equal(Subscription("other"), leader.Value.Members.Single(member => member.MemberId == members[1].MemberId).Metadata);
        bed.Stabilize([leader.Value, changed.Value]);

        bed.Join(members[0].MemberId);
        Assert.Equal(ClassicGroupState.PreparingRebalance, bed.Group.State);
    }

    [Fact]
    public void WhoDidNotReceiveTheAnswerToItsJoinMayAskAgain()
    {
        var bed = new GroupTestBed();
        var joins = new[] { bed.JoinWithNewId().Answer, bed.JoinWithNewId().Answer };
        bed.AdvanceUntil(joins[0]);

        Assert.Equal(
            (1, 2), (bed.Join(joins[0].Value.MemberId).Value.GenerationId, bed.Join(joins[0].Value.MemberId).Value.Members.Length));
        Assert.Equal(
            (1, 0), (bed.Join(joins[1].Value.MemberId).Value.GenerationId, bed.Join(joins[1].Value.MemberId).Value.Members.Length));

        bed.Join(joins[1].Value.MemberId, metadata: Subscription("other"));
        Assert.Equal(ClassicGroupState.PreparingRebalance, bed.Group.State);
    }

    [Fact]
    public void AJoinThatIsSentAgainTakesThePlaceOfTheFirst()
    {
        var bed = new GroupTestBed();
        var (memberId, first) = bed.JoinWithNewId();

        var second = bed.Join(memberId);
        bed.Advance(InitialDelayMs);

        Assert.Equal((short)ErrorCode.RebalanceInProgress, first.Value.ErrorCode);
        Assert.Equal(1, second.Value.GenerationId);
    }

    [Fact]
    public void AGroupHasNoMoreMembersThanAllowed()
    {
        var bed = new GroupTestBed(("group.max.size", "2"));
        var members = bed.StableGroup(2);

        Assert.Equal((short)ErrorCode.GroupMaxSizeReached, bed.Join().Value.ErrorCode);
        var leader = bed.Join(members[0].MemberId);
        Assert.False(leader.IsThere);
        var third = bed.JoinWithNewId();
        bed.AdvanceUntil(leader); // whoever does not join again in time loses its place
        Assert.Equal(2, leader.Value.Members.Length);
        Assert.Equal(third.MemberId, third.Answer.Value.MemberId);
        Assert.Equal((short)ErrorCode.GroupMaxSizeReached, bed.Join(members[1].MemberId).Value.ErrorCode);
    }

    [Fact]
    public void AMemberThatComesAfterTheLastPlaceIsTakenIsOut()
    {
        var bed = new GroupTestBed(("group.max.size", "2"));
        var members = bed.StableGroup(2);
        var leader = bed.Join(members[0].MemberId);
        var fromOldVersion = bed.Join(version: 3);
        Assert.False(fromOldVersion.IsThere);

        var late = bed.Join(members[1].MemberId);

        Assert.Equal((short)ErrorCode.GroupMaxSizeReached, late.Value.ErrorCode);
        Assert.Equal((2, 2), (leader.Value.GenerationId, fromOldVersion.Value.GenerationId));
    }

    [Fact]
    public void ANewMemberThatHasWaitedForFiveMinutesIsOut()
    {
        const int patientMs = 600_000;
        var bed = new GroupTestBed();
        var old = bed.Join(version: 3, rebalanceTimeoutMs: patientMs);
        bed.Advance(InitialDelayMs);
        bed.Stabilize([old.Value]);
        var (memberId, joined) = bed.JoinWithNewId();

        for (var waitedMs = 0; waitedMs < ClassicRebalance.NewMemberJoinTimeoutMs; waitedMs += 5_000)
        {
            Assert.False(joined.IsThere, $"answered after {waitedMs} ms");
            Assert.Equal(ErrorCode.RebalanceInProgress, bed.Heartbeat(old.Value));
            bed.Advance(5_000);
        }

        Assert.Equal(((short)ErrorCode.UnknownMemberId, ""), (joined.Value.ErrorCode, joined.Value.MemberId));
        Assert.False(bed.Group.HasMember(memberId));
    }
}
