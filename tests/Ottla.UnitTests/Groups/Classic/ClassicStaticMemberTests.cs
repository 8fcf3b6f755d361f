using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups.Classic;
using static Ottla.UnitTests.Groups.GroupTestBed;

namespace Ottla.UnitTests.Groups.Classic;

/// <summary>Static membership (KIP-345) and its leader's return (KIP-814).</summary>
public sealed class ClassicStaticMemberTests
{
    [Fact]
    public void AStaticMemberNeedsNoSecondJoinAndIsCalledAfterItsInstance()
    {
        var bed = new GroupTestBed();

        var join = bed.Join(instance: "a");
        bed.Advance(InitialDelayMs);

        Assert.StartsWith("a-", join.Value.MemberId, StringComparison.Ordinal);
        Assert.Equal("a", Assert.Single(join.Value.Members).GroupInstanceId);
    }

    [Theory]
    [InlineData(9, true)]
    [InlineData(8, false)]
    public void ALeaderThatComesBackKeepsTheGenerationAndAssignsNothing(short version, bool isToldSo)
    {
        var bed = new GroupTestBed();
        var members = bed.StableGroup(2, ["a", "b"]);

        var back = bed.Join(instance: "a", version: version).Value;

        Assert.Equal((1, isToldSo), (back.GenerationId, back.SkipAssignment));
        Assert.NotEqual(members[0].MemberId, back.MemberId);
        Assert.Equal(isToldSo ? back.MemberId : members[0].MemberId, back.Leader);
        Assert.Equal(isToldSo ? 2 : 0, back.Members.Length);
        Assert.Equal(Bytes(members[0].MemberId), bed.Sync(back, instance: "a").Value.Assignment);
        var written = Assert.IsType<GroupMetadataValue>(Assert.Single(bed.Coordinator.Log.TakeLast(1)).Value);
        Assert.Equal((back.MemberId, 1), (written.Leader, written.Generation));
        Assert.Equal(Bytes(members[0].MemberId), written.Members.Single(member => member.MemberId == back.MemberId).Assignment);
    }

    [Theory]
    [InlineData("a")]
    [InlineData("b")]
    public void AMemberIsNotFencedByASuccessorWhoseRecordCannotBeWritten(string instance)
    {
        var bed = new GroupTestBed();
        var members = bed.StableGroup(2, ["a", "b"]);
        var old = members[instance == "a" ? 0 : 1];
        bed.Coordinator.FailingWrites = 1;
        Assert.Equal(ErrorCode.CoordinatorNotAvailable, bed.Join(instance: instance, protocols: ["range", "other"]).Error);

        Assert.Equal((old.MemberId, members[0].MemberId), (bed.Group.StaticMemberId(instance), bed.Group.LeaderId));
        Assert.Equal(ErrorCode.None, bed.Heartbeat(old.MemberId, 1, instance));
        Assert.Equal(Bytes(old.MemberId), bed.Sync(old, instance: instance).Value.Assignment);
        bed.Advance(SessionTimeoutMs - 1);
        Assert.Equal(ErrorCode.None, bed.Heartbeat(old.MemberId, 1, instance));

        // What it offers is as before, too; and a successor that can be written still takes its place.
        var back = bed.Join(instance: instance).Value;
        Assert.Equal((1, (short)0), (back.GenerationId, back.ErrorCode));
        Assert.Equal(ErrorCode.FencedInstanceId, bed.Heartbeat(old.MemberId, 1, instance));
    }

    [Fact]
    public void AFollowerThatComesBackIsToldTheLeaderAndNoMembers()
    {
        var bed = new GroupTestBed();
        var members = bed.StableGroup(2, ["a", "b"]);

        var back = bed.Join(instance: "b").Value;

        Assert.Equal((1, members[0].MemberId, false, 0), (back.GenerationId, back.Leader, back.SkipAssignment, back.Members.Length));
        Assert.Equal(Bytes(members[1].MemberId), bed.Sync(back, instance: "b").Value.Assignment);
        Assert.Equal(ClassicGroupState.Stable, bed.Group.State);
    }

    [Fact]
    public void WhoWasReplacedIsFenced()
    {
        var bed = new GroupTestBed();
        var old = bed.StableGroup(1, ["a"])[0];
        bed.Join(instance: "a");

        Assert.Equal(ErrorCode.FencedInstanceId, bed.Heartbeat(old.MemberId, 1, "a"));
        Assert.Equal(ErrorCode.UnknownMemberId, bed.Heartbeat(old.MemberId, 1));
        Assert.Equal((short)ErrorCode.FencedInstanceId, bed.Join(old.MemberId, "a").Value.ErrorCode);
        Assert.Equal((short)ErrorCode.FencedInstanceId, bed.Sync(old, instance: "a").Value.ErrorCode);
        Assert.Equal((short)ErrorCode.FencedInstanceId, bed.Leave((old.MemberId, "a")).Members[0].ErrorCode);
    }

    [Fact]
    public void WhoIsReplacedWhileItWaitsIsFencedAtOnce()
    {
        var bed = new GroupTestBed();
        var join = bed.Join(instance: "a");
        var successor = bed.Join(instance: "a");
        Assert.Equal((short)ErrorCode.FencedInstanceId, join.Value.ErrorCode);
        var other = bed.Join(instance: "b");
        bed.Advance(2 * InitialDelayMs);
        Assert.Equal(2, successor.Value.Members.Length);

        var sync = bed.Sync(other.Value, instance: "b");
        Assert.False(sync.IsThere);
        var rejoin = bed.Join(instance: "b");

        Assert.Equal((short)ErrorCode.FencedInstanceId, sync.Value.ErrorCode);
        Assert.False(rejoin.IsThere);
        Assert.Equal(ClassicGroupState.PreparingRebalance, bed.Group.State);
    }

    [Fact]
    public void AReturnThatChangesTheProtocolRebalances()
    {
        var bed = new GroupTestBed();
        var members = bed.StableGroup(2, ["a", "b"], ["sticky", "range"]);
        Assert.Equal("sticky", members[0].ProtocolName);

        var back = bed.Join(instance: "b", protocols: ["range"]);

        Assert.False(back.IsThere);
        Assert.Equal(ErrorCode.RebalanceInProgress, bed.Heartbeat(members[0].MemberId, 1, "a"));
        Assert.Equal("range", bed.Join(members[0].MemberId, "a", protocols: ["sticky", "range"]).Value.ProtocolName);
        Assert.Equal(2, back.Value.GenerationId);
    }

    [Fact]
    public void AReturnThatCannotBeWrittenIsAnError()
    {
        var bed = new GroupTestBed();
        bed.StableGroup(1, ["a"]);
        bed.Coordinator.FailingWrites = 1;

        Assert.Equal(ErrorCode.CoordinatorNotAvailable, bed.Join(instance: "a").Error);

        Assert.Equal(1, bed.Join(instance: "a").Value.GenerationId);
    }

    [Fact]
    public void AStaticMemberIsNotWaitedForLongerThanARebalanceButKeepsItsPlace()
    {
        var bed = new GroupTestBed();
        var members = bed.StableGroup(2, ["a", "b"]);
        var leader = bed.Join(members[0].MemberId, "a");
        Assert.False(leader.IsThere);
        KeepAlive(bed, members[1], "b", RebalanceTimeoutMs);

        Assert.Equal((2, 2), (leader.Value.GenerationId, leader.Value.Members.Length));
    }

    [Fact]
    public void ARebalanceThatNobodyJoinsIsPutOffUntilSessionsEnd()
    {
        var bed = new GroupTestBed();
        var members = bed.StableGroup(2, ["a", "b"]);
        bed.Leave((members[0].MemberId, "a"));
        KeepAlive(bed, members[1], "b", 2 * RebalanceTimeoutMs);
        Assert.Equal((ClassicGroupState.PreparingRebalance, 1), (bed.Group.State, bed.Group.Members.Count));

        bed.Advance(SessionTimeoutMs);

        Assert.Equal((ClassicGroupState.Empty, 0), (bed.Group.State, bed.Group.Members.Count));
    }

    [Fact]
    public void AnOperatorRemovesAStaticMemberByItsNameAlone()
    {
        var bed = new GroupTestBed();
        var members = bed.StableGroup(2, ["a", "b"]);

        var left = bed.Leave(("", "b"), ("", "unknown"), ("", null));

        Assert.Equal(
            [(short)ErrorCode.None, (short)ErrorCode.UnknownMemberId, (short)ErrorCode.UnknownMemberId],
            left.Members.Select(member => member.ErrorCode));
        Assert.Equal(["b", "unknown", null], left.Members.Select(member => member.GroupInstanceId));
        Assert.Equal(members[0].MemberId, Assert.Single(bed.Group.Members).MemberId);
    }

    [Fact]
    public void StaticMembersAndTheirAssignmentsOutliveTheCoordinator()
    {
        var bed = new GroupTestBed();
        var members = bed.StableGroup(2, ["a", "b"]);
        bed.Coordinator.Restart();

        Assert.Equal(ErrorCode.None, bed.Heartbeat(members[0].MemberId, 1, "a"));
        var back = bed.Join(instance: "b");

        Assert.Equal(Bytes(members[1].MemberId), bed.Sync(back.Value, instance: "b").Value.Assignment);
    }

    private static void KeepAlive(GroupTestBed bed, JoinGroupResponse member, string instance, int forMs)
    {
        for (var waitedMs = 0; waitedMs < forMs; waitedMs += SessionTimeoutMs / 2)
        {
            Assert.Equal(ErrorCode.RebalanceInProgress, bed.Heartbeat(member.MemberId, member.GenerationId, instance));
            bed.Advance(SessionTimeoutMs / 2);
        }
    }
}
