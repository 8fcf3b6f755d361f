using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Simulator.Groups;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Groups;
using Ottla.StateMachines.Groups.Consumer;
using Ottla.UnitTests.Groups.Consumer;
using Ottla.UnitTests.Groups.Offsets;
using static Ottla.UnitTests.Groups.CoordinatorTestBed;

namespace Ottla.UnitTests.Groups.Unserved;

/// <summary>Groups in the log that another coordinator has left, share groups among them: nobody else gets their ids.</summary>
public sealed class UnservedGroupTests
{
    private readonly GroupTestBed _bed = new();

    [Theory]
    [InlineData(GroupType.Share, "Stable")]
    [InlineData(GroupType.Streams, "NotReady")]
    public void Groups_are_listed_with_their_type_and_serve_nobody_else(GroupType type, string stateOfMembers)
    {
        foreach (var hasMember in (bool[])[false, true])
        {
            Load(type, hasMember);
            var listed = Assert.Single(List());
            var name = type.ToString().ToLowerInvariant();
            Assert.Equal(
                (GroupId, name, name, hasMember ? stateOfMembers : "Empty"),
                (listed.GroupId, listed.GroupType, listed.ProtocolType, listed.GroupState));
            Assert.Single(List([], [name]));
            Assert.Empty(List([], ["classic", "consumer"]));
            Assert.Empty(List([hasMember ? "empty" : stateOfMembers], []));

            var before = Log();
            Assert.Equal(
                (ErrorCode.GroupIdNotFound, $"Group {GroupId} is not a consumer group."),
                Failure(_bed.Send(Heartbeat(MemberEpochs.Join))));
            Assert.Equal(ErrorCode.GroupIdNotFound, _bed.Send(Heartbeat(1)).Error);
            Assert.Equal(ErrorCode.GroupIdNotFound, _bed.Send(new ConsumerGroupDescribeCommand(GroupId)).Error);
            Assert.Equal(
                (short)ErrorCode.GroupIdNotFound,
                _bed.Send(new DescribeGroupCommand(GroupId)).Value.ErrorCode);
            Assert.Equal(ErrorCode.UnknownMemberId, _bed.Heartbeat("m", 1));
            Assert.Equal((short)ErrorCode.UnknownMemberId, _bed.Sync(new JoinGroupResponse { MemberId = "m" }).Value.ErrorCode);
            Assert.Equal((short)ErrorCode.UnknownMemberId, _bed.Leave(("m", null)).Members[0].ErrorCode);
            if (type == GroupType.Share || hasMember)
                Assert.Equal(((short)ErrorCode.InconsistentGroupProtocol, ""), Join());
            if (hasMember)
                Assert.Equal(ErrorCode.NonEmptyGroup, _bed.Send(new DeleteGroupCommand(GroupId)).Error);
            Assert.Equal(before, Log());
        }
    }

    [Fact]
    public void A_share_group_has_no_offsets()
    {
        Load(GroupType.Share, hasMember: false);
        var commit = _bed.Send(OffsetBed.Commit(GroupId, 1, topic: "topic"));
        Assert.Equal((ErrorCode.GroupIdNotFound, $"Group {GroupId} is not a consumer group."), Failure(commit));
        Assert.Equal(ErrorCode.GroupIdNotFound, _bed.Send(OffsetBed.CommitIn(new ProducerIdAndEpoch(1, 0), GroupId, 1)).Error);
        Assert.Equal(
            ErrorCode.GroupIdNotFound, _bed.Send(new OffsetDeleteCommand(new OffsetDeleteRequest { GroupId = GroupId })).Error);
        var fetch = new OffsetFetchCommand(new OffsetFetchRequest.OffsetFetchRequestGroup { GroupId = GroupId }, RequireStable: false);
        Assert.Empty(_bed.Send(fetch).Value.Topics);
        _bed.Advance(2L * 7 * 24 * 3600 * 1000);
        Assert.Single(List()); // nor does it expire
    }

    [Fact]
    public void A_streams_group_has_offsets_which_its_members_commit()
    {
        Load(GroupType.Streams, hasMember: true);
        Assert.Equal(ErrorCode.UnknownMemberId, _bed.Send(OffsetBed.Commit(GroupId, 1)).Error);
        Assert.Equal(ErrorCode.StaleMemberEpoch, _bed.Send(OffsetBed.Commit(GroupId, 1, generation: 4, member: "m")).Error);
        Assert.Equal(
            ErrorCode.UnsupportedVersion, _bed.Send(OffsetBed.Commit(GroupId, 1, generation: 3, member: "m", version: 8)).Error);
        Assert.Equal(ErrorCode.None, _bed.Send(OffsetBed.Commit(GroupId, 1, generation: 3, member: "m")).Error);
        OffsetDeleteRequest.OffsetDeleteRequestTopic[] source = [new() { Name = "source", Partitions = [new() { PartitionIndex = 0 }] }];
        var delete = new OffsetDeleteCommand(new OffsetDeleteRequest { GroupId = GroupId, Topics = source });
        Assert.Equal(
            ErrorCode.GroupSubscribedToTopic, _bed.Send(delete).Value[0]);

        // Without members anybody may; and with the last offset the group goes.
        Load(GroupType.Streams, hasMember: false);
        Assert.Equal(ErrorCode.None, _bed.Send(OffsetBed.Commit(GroupId, 1)).Error);
        Assert.Equal("streams", Assert.Single(List()).GroupType);
        _bed.Advance(8L * 24 * 3600 * 1000);
        Assert.Empty(List());
        Assert.Null(_bed.Coordinator.Replay().Context.Find(GroupId));
    }

    [Theory]
    [InlineData(GroupType.Share)]
    [InlineData(GroupType.Streams)]
    public void Members_that_cannot_be_heard_from_go_and_then_the_group_can_be_deleted(GroupType type)
    {
        Load(type, hasMember: true);
        _bed.Coordinator.FailingWrites = 1;
        _bed.Advance(45_000);
        Assert.NotEqual("Empty", Assert.Single(List()).GroupState);
        _bed.Advance(1_000);
        Assert.Equal("Empty", Assert.Single(List()).GroupState);
        Assert.Equal("Empty", _bed.Coordinator.Replay().Context.Find(GroupId)!.StateName);

        Assert.Equal(ErrorCode.None, _bed.Send(new DeleteGroupCommand(GroupId)).Error);
        Assert.Empty(List());
        _bed.Coordinator.Compact();
        Assert.Empty(_bed.Coordinator.Log); // a tombstone for every record
        Assert.Equal(ErrorCode.None, _bed.Send(Heartbeat(MemberEpochs.Join)).Error);
    }

    [Fact]
    public void A_streams_group_without_members_makes_room_for_a_classic_one()
    {
        Load(GroupType.Streams, hasMember: false);
        var (memberId, join) = _bed.JoinWithNewId();
        _bed.AdvanceUntil(join);
        Assert.Equal((0, memberId), ((int)join.Value.ErrorCode, join.Value.MemberId));
        Assert.Equal("classic", Assert.Single(List()).GroupType);
        Assert.Equal(GroupType.Classic, _bed.Coordinator.Replay().Context.Find(GroupId)!.Type);
        _bed.Coordinator.Compact();
        Assert.All(_bed.Coordinator.Log, record => Assert.IsType<GroupMetadataKey>(record.Key));
    }

    [Fact]
    public void The_state_of_a_streams_group_follows_from_its_records()
    {
        Load(GroupType.Streams, hasMember: true);
        var states = new List<string> { Assert.Single(List()).GroupState };
        foreach (var (key, value) in (ReadOnlySpan<(IRecordMessage, IRecordMessage)>)
            [
                (
                    new StreamsGroupMetadataKey { GroupId = GroupId },
                    new StreamsGroupMetadataValue { Epoch = 3, ValidatedTopologyEpoch = 0 }),
                (
                    new StreamsGroupTargetAssignmentMetadataKey { GroupId = GroupId },
                    new StreamsGroupTargetAssignmentMetadataValue { AssignmentEpoch = 3 }),
                (
                    new StreamsGroupCurrentMemberAssignmentKey { GroupId = GroupId, MemberId = "m" },
                    new StreamsGroupCurrentMemberAssignmentValue { MemberEpoch = 3, State = 1 }),
            ])
        {
            _bed.Coordinator.Append(new CoordinatorRecord(key, value, 0));
            _bed.Coordinator.Restart();
            states.Add(Assert.Single(List()).GroupState);
        }

        Assert.Equal(["NotReady", "Assigning", "Reconciling", "Stable"], states);
    }

    // As Kafka's coordinator leaves it, in its order.
    private void Load(GroupType type, bool hasMember)
    {
        CoordinatorRecord[] records = type == GroupType.Share
            ?
            [
                new(
                    new ShareGroupMemberMetadataKey { GroupId = GroupId, MemberId = "m" },
                    hasMember
                        ? new ShareGroupMemberMetadataValue { ClientId = "c", ClientHost = "/h", SubscribedTopicNames = ["t"] }
                        : null,
                    0),
                new(new ShareGroupMetadataKey { GroupId = GroupId }, new ShareGroupMetadataValue { Epoch = 3, MetadataHash = 7 }, 0),
                new(
                    new ShareGroupTargetAssignmentMemberKey { GroupId = GroupId, MemberId = "m" },
                    hasMember ? new ShareGroupTargetAssignmentMemberValue() : null,
                    0),
                new(
                    new ShareGroupTargetAssignmentMetadataKey { GroupId = GroupId },
                    new ShareGroupTargetAssignmentMetadataValue { AssignmentEpoch = 3 },
                    0),
                new(
                    new ShareGroupCurrentMemberAssignmentKey { GroupId = GroupId, MemberId = "m" },
                    hasMember ? new ShareGroupCurrentMemberAssignmentValue { MemberEpoch = 3 } : null,
                    0),
            ]
            :
            [
                new(
                    new StreamsGroupMemberMetadataKey { GroupId = GroupId, MemberId = "m" },
                    hasMember ? new StreamsGroupMemberMetadataValue { ClientId = "c", ClientHost = "/h", ProcessId = "p" } : null,
                    0),
                new(new StreamsGroupMetadataKey { GroupId = GroupId }, new StreamsGroupMetadataValue { Epoch = 3, MetadataHash = 7 }, 0),
                new(
                    new StreamsGroupTopologyKey { GroupId = GroupId },
                    new StreamsGroupTopologyValue { Subtopologies = [new() { SubtopologyId = "s", SourceTopics = ["source"] }] },
                    0),
                new(
                    new StreamsGroupTargetAssignmentMetadataKey { GroupId = GroupId },
                    new StreamsGroupTargetAssignmentMetadataValue { AssignmentEpoch = 2 },
                    0),
                new(
                    new StreamsGroupCurrentMemberAssignmentKey { GroupId = GroupId, MemberId = "m" },
                    hasMember ? new StreamsGroupCurrentMemberAssignmentValue { MemberEpoch = 3, State = 2 } : null,
                    0),
            ];
        foreach (var record in records)
            _bed.Coordinator.Append(record.Value is null ? CoordinatorRecord.Tombstone(record.Key) : record);
        _bed.Coordinator.Restart();
    }

    private (short, string) Join()
    {
        var answer = _bed.Join().Value;
        return (answer.ErrorCode, answer.MemberId);
    }

    private IReadOnlyList<ListGroupsResponse.ListedGroup> List(string[]? states = null, string[]? types = null) =>
        _bed.Send(new ListGroupsCommand(states ?? [], types ?? [])).Value;

    private string[] Log() => [.. _bed.Coordinator.Log.Select(record => SimulatedCoordinator.Text(record))];

    private static ConsumerGroupHeartbeatCommand Heartbeat(int epoch)
    {
        var request = epoch == MemberEpochs.Join ? ConsumerGroupTestBed.Join("m", "t") : ConsumerGroupTestBed.Beat("m", epoch);
        return new ConsumerGroupHeartbeatCommand(GroupTestBed.Origin(1), request);
    }

    private static (ErrorCode, string?) Failure<TReply>(Answer<TReply> answer) => (answer.Error, answer.Failure.Message);
}
