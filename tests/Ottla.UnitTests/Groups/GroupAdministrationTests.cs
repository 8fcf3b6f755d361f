using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups;
using static Ottla.UnitTests.Groups.CoordinatorTestBed;
using static Ottla.UnitTests.Groups.GroupTestBed;

namespace Ottla.UnitTests.Groups;

public sealed class GroupAdministrationTests
{
    [Theory]
    [InlineData("", "", "empty,rebalancing,stable")]
    [InlineData("stable", "", "stable")]
    [InlineData("Empty,PREPARINGREBALANCE", "", "empty,rebalancing")]
    [InlineData("Dead", "", "")]
    [InlineData("", "Classic", "empty,rebalancing,stable")]
    [InlineData("", "consumer", "")]
    [InlineData("", "unheard-of", "")]
    [InlineData("Stable", "consumer,classic", "stable")]
    public void GroupsAreListedByStateAndType(string states, string types, string expected)
    {
        var bed = new GroupTestBed();
        bed.Join(groupId: "empty");
        bed.Join(groupId: "rebalancing", version: 3, type: "connect");
        bed.Advance(InitialDelayMs - 1);
        bed.Join(groupId: "stable", version: 3);
        var joined = bed.Join(groupId: "stable", version: 3);
        bed.Advance(1);
        bed.Join(groupId: "rebalancing", version: 3, type: "connect");
        bed.Advance((2 * InitialDelayMs) - 1);
        bed.Sync(joined.Value, groupId: "stable", memberId: joined.Value.Leader);

        var listed = bed.Send(new ListGroupsCommand(Split(states), Split(types))).Value;

        Assert.Equal(Split(expected), listed.Select(group => group.GroupId).Order(StringComparer.Ordinal));
        Assert.All(listed, group => Assert.Equal("classic", group.GroupType));
        if (listed.FirstOrDefault(group => group.GroupId == "stable") is { } stable)
            Assert.Equal(("consumer", "Stable"), (stable.ProtocolType, stable.GroupState));
    }

    [Fact]
    public void AStableGroupIsDescribedWithWhatItsMembersOfferAndHave()
    {
        var bed = new GroupTestBed();
        var members = bed.StableGroup(2, ["a", null]);

        var described = bed.Send(new DescribeGroupCommand(GroupId)).Value;

        Assert.Equal(
            (GroupId, "Stable", "consumer", "range"),
            (described.GroupId, described.GroupState, described.ProtocolType, described.ProtocolData));
        Assert.Equal(["a", null], described.Members.Select(member => member.GroupInstanceId));
        Assert.All(described.Members, member => Assert.Equal(("client", "/127.0.0.1"), (member.ClientId, member.ClientHost)));
        Assert.All(described.Members, member => Assert.Equal(Subscription("topic"), member.MemberMetadata));
        Assert.Equal(members.Select(member => Bytes(member.MemberId)), described.Members.Select(member => member.MemberAssignment));
    }

    [Fact]
    public void ARebalancingGroupIsDescribedWithoutWhatItsMembersOffer()
    {
        var bed = new GroupTestBed();
        bed.JoinWithNewId();

        var described = bed.Send(new DescribeGroupCommand(GroupId)).Value;

        Assert.Equal(("PreparingRebalance", ""), (described.GroupState, described.ProtocolData));
        Assert.Empty(Assert.Single(described.Members).MemberMetadata);
    }

    [Fact]
    public void AGroupThatIsNotThereIsDead()
    {
        var described = new GroupTestBed().Send(new DescribeGroupCommand(GroupId)).Value;

        Assert.Equal(
            ((short)ErrorCode.GroupIdNotFound, "Dead", "Group group not found."),
            (described.ErrorCode, described.GroupState, described.ErrorMessage));
    }

    [Fact]
    public void AGroupWithoutMembersIsDeletedAndIsGoneAfterARestart()
    {
        var bed = new GroupTestBed();
        var member = bed.StableGroup()[0];
        Assert.Equal(ErrorCode.NonEmptyGroup, Delete(bed).Error);
        bed.Leave((member.MemberId, null));

        Assert.Equal((GroupId, (short)ErrorCode.None), (Delete(bed).Value.GroupId, 0));

        var tombstone = Assert.Single(bed.LastRecords);
        Assert.Equal((GroupId, null), (Assert.IsType<GroupMetadataKey>(tombstone.Key).Group, tombstone.Value));
        Assert.Equal(ErrorCode.GroupIdNotFound, Delete(bed).Error);
        Assert.Null(bed.Replayed());
        Assert.Equal((short)ErrorCode.MemberIdRequired, bed.Join().Value.ErrorCode);
    }

    [Fact]
    public void WhatIsNotServedIsAnError()
    {
        var bed = new GroupTestBed();

        Assert.Equal(ErrorCode.UnsupportedVersion, bed.Send(new UnheardOfCommand()).Error);
    }

    private static Answer<DeleteGroupsResponse.DeletableGroupResult> Delete(GroupTestBed bed) =>
        bed.Send(new DeleteGroupCommand(GroupId));

    private static string[] Split(string text) => text.Split(',', StringSplitOptions.RemoveEmptyEntries);

    private sealed record UnheardOfCommand : GroupCommand<int>;
}
