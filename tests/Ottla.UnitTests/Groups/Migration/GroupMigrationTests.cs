using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups;
using Ottla.StateMachines.Groups.Classic;
using Ottla.StateMachines.Groups.Consumer;
using Ottla.UnitTests.Groups.Consumer;
using static Ottla.UnitTests.Groups.CoordinatorTestBed;

namespace Ottla.UnitTests.Groups.Migration;

/// <summary>
/// Groups that go from one protocol to the other while members of both are in them, as <c>group.consumer.migration.policy</c> says.
/// </summary>
public sealed class GroupMigrationTests
{
    private const string Topic = "topic";
    private const string Modern = "modern";
    private const int PartitionCount = 4;

    [Theory]
    [InlineData("disabled", false)]
    [InlineData("downgrade", false)]
    [InlineData("upgrade", true)]
    [InlineData("bidirectional", true)]
    [InlineData("BIDIRECTIONAL", true)]
    public void AClassicGroupIsUpgradedWhereThatIsAllowed(string policy, bool isAllowed)
    {
        var bed = Bed(policy);
        var classic = StableClassicGroup(bed, 2);
        CommitOffset(bed, classic[0], 5);
        var answer = JoinModern(bed);
        if (!isAllowed)
        {
            AssertRefused(bed, answer);
            Assert.All(classic, member => Assert.Equal(ErrorCode.None, bed.Heartbeat(member)));
            return;
        }

        var group = ConsumerGroupOf(bed);
        Assert.Equal(ErrorCode.None, answer.Error);
        Assert.Equal(
            classic.Select(member => member.MemberId).Append(Modern).Order(StringComparer.Ordinal),
            group.Members.Select(member => member.MemberId));
        Assert.All(classic, member => Assert.NotNull(group.Get(member.MemberId).Classic));
        Assert.Equal(5, FetchOffset(bed));
        AssertReplays(bed);
        Settle(bed, [.. classic.Select(member => member.MemberId)]);
    }

    [Theory]
    [InlineData("upgrade", false)]
    [InlineData("downgrade", true)]
    [InlineData("bidirectional", true)]
    public void AConsumerGroupIsDowngradedWithItsLastMemberOfThatProtocolWhereThatIsAllowed(string policy, bool isAllowed)
    {
        var bed = Bed(policy);
        var classic = MixedGroup(bed);
        CommitOffset(bed, 7);
        Send(bed, ConsumerGroupTestBed.Beat(Modern, MemberEpochs.Leave));
        Assert.Equal(7, FetchOffset(bed));
        AssertAfterModern(bed, classic, isAllowed);
    }

    [Theory]
    [InlineData("upgrade", false)]
    [InlineData("bidirectional", true)]
    public void AConsumerGroupIsDowngradedWhenTheSessionOfItsLastMemberOfThatProtocolEnds(string policy, bool isAllowed)
    {
        var bed = Bed(policy);
        var classic = MixedGroup(bed);
        for (var i = 0; i < 12; i++)
        {
            bed.Advance(5_000);
            classic = [.. classic.Select(member => BeatOrRejoin(bed, member))];
        }

        Assert.False(bed.Machine.Context.Find(GroupId)!.HasMember(Modern));
        Assert.Equal(isAllowed ? GroupType.Classic : GroupType.Consumer, bed.Machine.Context.Find(GroupId)!.Type);
        AssertReplays(bed);
    }

    [Fact]
    public void MembersOfTheClassicProtocolAreNotLetInWhereMigrationIsDisabled()
    {
        var bed = Bed("disabled");
        Assert.Equal(ErrorCode.None, JoinModern(bed).Error);
        Assert.Equal((short)ErrorCode.InconsistentGroupProtocol, bed.Join(metadata: Subscription()).Value.ErrorCode);
    }

    [Theory]
    [InlineData("disabled")]
    [InlineData("bidirectional")]
    public void AGroupWithoutMembersChangesUnderAnyPolicyAndKeepsItsOffsets(string policy)
    {
        var bed = Bed(policy);
        var member = StableClassicGroup(bed, 1)[0];
        CommitOffset(bed, member, 3);
        bed.Leave((member.MemberId, null));
        Assert.Equal(ErrorCode.None, JoinModern(bed).Error);
        Assert.Equal([Modern], ConsumerGroupOf(bed).Members.Select(each => each.MemberId));
        Assert.Equal(3, FetchOffset(bed));
        AssertReplays(bed);

        Send(bed, ConsumerGroupTestBed.Beat(Modern, MemberEpochs.Leave));
        Assert.Equal(1, StableClassicGroup(bed, 1)[0].GenerationId);
        Assert.Equal(3, FetchOffset(bed));
        AssertReplays(bed);
    }

    [Fact]
    public void AGroupOfAnotherProtocolTypeIsNotUpgraded()
    {
        var bed = Bed("bidirectional");
        bed.AdvanceUntil(bed.Join(version: 3, type: "connect"));
        AssertRefused(bed, JoinModern(bed));
    }

    [Fact]
    public void AGroupThatIsTooLargeIsNotUpgraded()
    {
        var bed = Bed("bidirectional", ("group.consumer.max.size", "1"));
        StableClassicGroup(bed, 2);
        AssertRefused(bed, JoinModern(bed));
    }

    [Fact]
    public void AGroupWhoseMembersCannotBeUnderstoodIsNotUpgraded()
    {
        var bed = Bed("bidirectional");
        bed.AdvanceUntil(bed.Join(version: 3, metadata: [1]));
        AssertRefused(bed, JoinModern(bed));
    }

    [Fact]
    public void AGroupWithAnAssignorOfItsOwnIsNotUpgraded()
    {
        var bed = Bed("bidirectional");
        var joined = JoinAll(bed, 1);
        var assignment = ConsumerProtocol.WriteAssignment(new ConsumerProtocolAssignment { UserData = new byte[] { 1 } }, 1);
        bed.Sync(joined[0], assignments: (joined[0].MemberId, assignment));
        AssertRefused(bed, JoinModern(bed));
    }

    [Fact]
    public void WhoWaitsForTheClassicGroupIsToldToJoinAgain()
    {
        var bed = Bed("bidirectional");
        var members = StableClassicGroup(bed, 2);
        var join = bed.Join(members[0].MemberId, metadata: Subscription());
        Assert.False(join.IsThere);
        JoinModern(bed);
        Assert.Equal((short)ErrorCode.RebalanceInProgress, join.Value.ErrorCode);
        Assert.Equal(0, bed.Coordinator.WaitingCount);
        Settle(bed, [.. members.Select(member => member.MemberId)]);
    }

    [Fact]
    public void AStaticMemberComesBackWithTheOtherProtocolAndKeepsWhatItHad()
    {
        var bed = Bed("bidirectional");
        var join = bed.Join(instance: "a", metadata: Subscription());
        bed.AdvanceUntil(join);
        bed.Sync(join.Value, instance: "a", assignments: (join.Value.MemberId, Assignment(Enumerable.Range(0, PartitionCount))));
        var request = ConsumerGroupTestBed.Join(Modern, Topic);
        request.InstanceId = "a";
        var answer = Send(bed, request);
        Assert.Equal(PartitionCount, ConsumerGroupTestBed.Partitions(answer.Value.Assignment!).Count());
        Assert.Equal([Modern], ConsumerGroupOf(bed).Members.Select(member => member.MemberId));
        Assert.Equal(ErrorCode.FencedInstanceId, HeartbeatError(bed, join.Value.MemberId, 1, "a"));
        AssertReplays(bed);

        var back = bed.Join(instance: "a", metadata: Subscription());
        Assert.Equal(((short)ErrorCode.None, answer.Value.MemberEpoch), (back.Value.ErrorCode, back.Value.GenerationId));
        Assert.Equal(back.Value.MemberId, bed.Group.StaticMemberId("a"));
        Assert.Equal((ClassicGroupState.Stable, answer.Value.MemberEpoch), (bed.Group.State, bed.Group.GenerationId));
        Assert.Equal(Assignment(Enumerable.Range(0, PartitionCount)), bed.Sync(back.Value, instance: "a").Value.Assignment);
        AssertReplays(bed);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void AStaticMemberThatComesBackToAnAssignmentThatIsOutOfDateIsInNoGeneration(bool hasItsSubscriptionChanged)
    {
        var bed = Bed("bidirectional");
        var request = ConsumerGroupTestBed.Join(Modern, Topic);
        request.InstanceId = "a";
        var epoch = Send(bed, request).Value.MemberEpoch;
        bed.CreateTopic("other", 1);
        if (!hasItsSubscriptionChanged)
            bed.AddPartitions(Topic, 1);
        var back = bed.Join(
            instance: "a", metadata: hasItsSubscriptionChanged ? GroupTestBed.Subscription(Topic, "other") : Subscription());

        Assert.Equal(((short)ErrorCode.None, 0), (back.Value.ErrorCode, back.Value.GenerationId));
        Assert.Equal((ClassicGroupState.PreparingRebalance, epoch), (bed.Group.State, bed.Group.GenerationId));
        Assert.Equal((short)ErrorCode.IllegalGeneration, bed.Sync(back.Value, instance: "a").Value.ErrorCode);
        var again = bed.Join(back.Value.MemberId, instance: "a", metadata: Subscription());
        Assert.Equal(epoch + 1, again.Value.GenerationId);
    }

    [Fact]
    public void AnUpgradeThatCannotBeWrittenLeavesTheClassicGroupAsItWas()
    {
        var bed = Bed("bidirectional");
        var classic = StableClassicGroup(bed, 2);
        var rejoining = bed.Join(classic[0].MemberId, version: 3, metadata: Subscription()); // the leader waits for the other one
        Assert.False(rejoining.IsThere);
        bed.Coordinator.FailingWrites = 1;
        Assert.Equal(ErrorCode.CoordinatorNotAvailable, JoinModern(bed).Error);

        Assert.False(rejoining.IsThere);
        Assert.Equal(ErrorCode.RebalanceInProgress, bed.Heartbeat(classic[1]));
        bed.Join(classic[1].MemberId, version: 3, metadata: Subscription());
        Assert.Equal((0, 2), (rejoining.Value.ErrorCode, rejoining.Value.GenerationId));

        var upgraded = JoinModern(bed);
        Assert.Equal(ErrorCode.None, upgraded.Error);
    }

    [Fact]
    public void AClassicMemberWhoseJoinCannotBeWrittenNeedNotAskForAnAssignment()
    {
        var bed = Bed("bidirectional");
        var classic = MixedGroup(bed);
        bed.AddPartitions(Topic, 2);
        Assert.Equal(ErrorCode.None, Send(bed, ConsumerGroupTestBed.Beat(Modern, ConsumerGroupOf(bed).Get(Modern).MemberEpoch)).Error);
        Assert.Equal(ErrorCode.RebalanceInProgress, bed.Heartbeat(classic[0]));
        var joinBy = bed.Machine.Context.Deadlines.At(DeadlinePurpose.ConsumerJoin, GroupId, classic[0].MemberId);
        bed.Coordinator.FailingWrites = 1;
        Assert.Equal(
            ErrorCode.CoordinatorNotAvailable, bed.Join(classic[0].MemberId, version: 3, metadata: Owning(bed, classic[0].MemberId)).Error);
        Assert.NotNull(joinBy);
        Assert.Equal(joinBy, bed.Machine.Context.Deadlines.At(DeadlinePurpose.ConsumerJoin, GroupId, classic[0].MemberId));
        Assert.Null(bed.Machine.Context.Deadlines.At(DeadlinePurpose.ConsumerSync, GroupId, classic[0].MemberId));
    }

    [Fact]
    public void MembersOfTheClassicProtocolInAConsumerGroupGetTheErrorsOfTheirs()
    {
        var bed = Bed("bidirectional", ("group.consumer.max.size", "3"));
        var member = MixedGroup(bed)[0];
        Assert.Equal(ErrorCode.UnknownMemberId, HeartbeatError(bed, "stranger", member.GenerationId));
        Assert.Equal(ErrorCode.UnknownMemberId, HeartbeatError(bed, Modern, member.GenerationId));
        Assert.Equal(ErrorCode.IllegalGeneration, HeartbeatError(bed, member.MemberId, member.GenerationId + 1));
        Assert.Equal(ErrorCode.UnknownMemberId, HeartbeatError(bed, member.MemberId, member.GenerationId, "nobody"));
        Assert.Equal(ErrorCode.InconsistentGroupProtocol, bed.Sync(member, name: "other").Error);
        Assert.Equal(ErrorCode.InconsistentGroupProtocol, bed.Sync(member, type: "connect").Error);
        Assert.Equal(ErrorCode.IllegalGeneration, bed.Sync(member, generation: member.GenerationId + 1).Error);
        Assert.Equal(ErrorCode.UnknownMemberId, bed.Sync(member, memberId: "stranger").Error);
        Assert.Equal((short)ErrorCode.InconsistentGroupProtocol, bed.Join(type: "connect").Value.ErrorCode);
        Assert.Equal((short)ErrorCode.InconsistentGroupProtocol, bed.Join(protocols: ["other"], metadata: Subscription()).Value.ErrorCode);
        Assert.Equal((short)ErrorCode.InconsistentGroupProtocol, bed.Join(metadata: [1]).Value.ErrorCode);
        Assert.Equal(ErrorCode.GroupMaxSizeReached, bed.Join(metadata: Subscription()).Error);
        Assert.Equal((short)ErrorCode.UnknownMemberId, bed.Leave(("stranger", null)).Members[0].ErrorCode);
    }

    [Fact]
    public void AMemberOfTheClassicProtocolThatDoesNotAskForItsAssignmentIsOut()
    {
        var bed = Bed("bidirectional");
        JoinModern(bed);
        var member = JoinClassic(bed);
        for (var waitedMs = 0; waitedMs < GroupTestBed.RebalanceTimeoutMs; waitedMs += 5_000)
        {
            Assert.Equal(ErrorCode.None, Send(bed, ConsumerGroupTestBed.Beat(Modern, ConsumerGroupOf(bed).Get(Modern).MemberEpoch)).Error);
            bed.Heartbeat(member);
            bed.Advance(5_000);
        }

        Assert.False(ConsumerGroupOf(bed).HasMember(member.MemberId));
        AssertReplays(bed);
    }

    private static GroupTestBed Bed(string policy, params (string Name, string Value)[] configs)
    {
        var bed = new GroupTestBed(
            [("group.consumer.migration.policy", policy), ("group.consumer.assignment.interval.ms", "0"), .. configs]);
        bed.CreateTopic(Topic, PartitionCount);
        return bed;
    }

    private static ConsumerGroup ConsumerGroupOf(GroupTestBed bed) =>
        bed.Machine.Context.Find<ConsumerGroup>(GroupId) ?? throw new InvalidOperationException("the group is no consumer group");

    private static byte[] Subscription() => GroupTestBed.Subscription(Topic);

    private static byte[] Assignment(IEnumerable<int> partitions) => ConsumerProtocol.WriteAssignment(
        new ConsumerProtocolAssignment
        {
            AssignedPartitions = [
            new ConsumerProtocolAssignment.TopicPartition { Topic = Topic, Partitions = [.. partitions] }]
        }, 1);

    private static Answer<ConsumerGroupHeartbeatResponse> Send(GroupTestBed bed, ConsumerGroupHeartbeatRequest request) =>
        bed.Send(new ConsumerGroupHeartbeatCommand(GroupTestBed.Origin(1), request));

    private static Answer<ConsumerGroupHeartbeatResponse> JoinModern(GroupTestBed bed) =>
        Send(bed, ConsumerGroupTestBed.Join(Modern, Topic));

    private static ErrorCode HeartbeatError(GroupTestBed bed, string memberId, int generation, string? instance = null) =>
        bed.Send(new HeartbeatCommand(GroupTestBed.Origin(4), new HeartbeatRequest
        {
            GroupId = GroupId,
            MemberId = memberId,
            GenerationId = generation,
            GroupInstanceId = instance,
        })).Error;

    private static JoinGroupResponse[] JoinAll(GroupTestBed bed, int members)
    {
        var joins = Enumerable.Range(0, members).Select(_ => bed.Join(version: 3, metadata: Subscription())).ToArray();
        bed.AdvanceUntil(joins[0]);
        return [.. joins.Select(join => join.Value)];
    }

    private static JoinGroupResponse[] StableClassicGroup(GroupTestBed bed, int members)
    {
        var joined = JoinAll(bed, members);
        var assignments = joined.Select(
            (member, i) => (member.MemberId, Assignment(Enumerable.Range(0, PartitionCount).Where(partition => partition % members == i))))
                .ToArray();
        foreach (var member in joined.OrderBy(member => member.MemberId != member.Leader))
            Assert.Equal(0, bed.Sync(member, assignments: member.MemberId == member.Leader ? assignments : []).Value.ErrorCode);
        return joined;
    }

    // A member of the consumer protocol, and two of the classic protocol that came later.
    private static JoinGroupResponse[] MixedGroup(GroupTestBed bed)
    {
        Assert.Equal(ErrorCode.None, JoinModern(bed).Error);
        JoinGroupResponse[] classic = [JoinClassic(bed), JoinClassic(bed)];
        return Settle(bed, [.. classic.Select(member => member.MemberId)]);
    }

    private static JoinGroupResponse JoinClassic(GroupTestBed bed, string memberId = "")
    {
        var joined = bed.Join(memberId, version: 3, metadata: Owning(bed, memberId)).Value;
        Assert.Equal((short)ErrorCode.None, joined.ErrorCode);
        return joined;
    }

    // What a cooperative consumer that gives up at once what it is to give up has when it joins again.
    private static byte[] Owning(GroupTestBed bed, string memberId)
    {
        var owned = bed.Machine.Context.Find<ConsumerGroup>(GroupId)?.Find(memberId)?.AssignedPartitions.Keys.Select(
            partition => partition.Partition) ?? [];
        return ConsumerProtocol.WriteSubscription(
            new ConsumerProtocolSubscription
            {
                Topics = [Topic],
                OwnedPartitions = [new ConsumerProtocolSubscription.TopicPartition { Topic = Topic, Partitions = [.. owned] }]
            }, 1);
    }

    private static JoinGroupResponse BeatOrRejoin(GroupTestBed bed, JoinGroupResponse member)
    {
        if (bed.Heartbeat(member) == ErrorCode.None)
            return member;
        var joined = bed.Join(member.MemberId, version: 3, metadata: Owning(bed, member.MemberId));
        if (!joined.IsThere)
            return member;
        bed.Sync(joined.Value, assignments: joined.Value.Members.Length > 0 ? [(member.MemberId, Assignment([]))] : []);
        return joined.Value;
    }

    // All do what they are told, until everybody has a part and nobody another's.
    private static JoinGroupResponse[] Settle(GroupTestBed bed, string[] classicIds)
    {
        var epoch = ConsumerGroupOf(bed).Find(Modern)?.MemberEpoch ?? 0;
        var members = classicIds.ToDictionary(
            id => id, id => new JoinGroupResponse { MemberId = id, GenerationId = ConsumerGroupOf(bed).Get(id).MemberEpoch });
        for (var round = 0; round < 6; round++)
        {
            foreach (var id in classicIds)
                members[id] = BeatOrRejoin(bed, members[id]);
            var owned = ConsumerGroupOf(bed).Get(Modern).AssignedPartitions.Keys;
            epoch = Send(bed, ConsumerGroupTestBed.Beat(Modern, epoch, owned)).Value.MemberEpoch;
        }

        var group = ConsumerGroupOf(bed);
        Assert.Equal("Stable", group.StateName);
        Assert.Equal(
            Enumerable.Range(0, PartitionCount),
            group.Members.SelectMany(member => member.AssignedPartitions.Keys).Select(partition => partition.Partition).Order());
        Assert.All(group.Members, member => Assert.NotEmpty(member.AssignedPartitions));
        AssertReplays(bed);
        return [.. classicIds.Select(id => members[id])];
    }

    private static void AssertAfterModern(GroupTestBed bed, JoinGroupResponse[] classic, bool isDowngraded)
    {
        AssertReplays(bed);
        if (!isDowngraded)
        {
            Assert.Equal(2, ConsumerGroupOf(bed).Members.Count);
            return;
        }

        Assert.Equal(ClassicGroupState.PreparingRebalance, bed.Group.State);
        Assert.All(bed.Group.Members, member => Assert.NotEmpty(ConsumerProtocol.ReadAssignment(member.Assignment).AssignedPartitions));
        Assert.Equal(
            classic.Select(member => member.MemberId).Order(StringComparer.Ordinal),
            bed.Group.Members.Select(member => member.MemberId).Order(StringComparer.Ordinal));
        Assert.All(classic, member => Assert.Equal(ErrorCode.RebalanceInProgress, bed.Heartbeat(member.MemberId, bed.Group.GenerationId)));
        var joins = classic.Select(member => bed.Join(member.MemberId, metadata: Subscription())).ToArray();
        bed.Stabilize([.. joins.Select(join => join.Value)]);
        AssertReplays(bed);
    }

    private static void AssertRefused(GroupTestBed bed, Answer<ConsumerGroupHeartbeatResponse> answer)
    {
        Assert.Equal(ErrorCode.GroupIdNotFound, answer.Error);
        Assert.Empty(bed.LastRecords);
        Assert.Equal(GroupType.Classic, bed.Machine.Context.Find(GroupId)!.Type);
    }

    // A rebalance of a classic group is not written: of one, the log tells what was before.
    private static void AssertReplays(GroupTestBed bed)
    {
        var (live, replayed) = (bed.Machine.Context.Find(GroupId)!, bed.Coordinator.Replay().Context.Find(GroupId)!);
        Assert.Equal(live.Type, replayed.Type);

        // And nothing else: of what the group was before, there are tombstones.
        bed.Coordinator.Compact();
        Assert.All(
            bed.Coordinator.Log.Where(record => record.Key is not OffsetCommitKey),
            record => Assert.Equal(live.Type == GroupType.Classic, record.Key is GroupMetadataKey));
        if (live is ConsumerGroup)
        {
            Assert.Equal(ConsumerGroupTestBed.Text((ConsumerGroup)live), ConsumerGroupTestBed.Text((ConsumerGroup)replayed));
            return;
        }

        var (group, other) = ((ClassicGroup)live, (ClassicGroup)replayed);
        Assert.Equal(
            (group.GenerationId, group.ProtocolName, group.ProtocolType), (other.GenerationId, other.ProtocolName, other.ProtocolType));
        Assert.Equal(
            group.Members.Select(member => (member.MemberId, member.GroupInstanceId, Convert.ToHexString(member.Assignment))),
            other.Members.Select(member => (member.MemberId, member.GroupInstanceId, Convert.ToHexString(member.Assignment))));
    }

    private static void CommitOffset(GroupTestBed bed, JoinGroupResponse member, long offset) =>
        Commit(bed, member.MemberId, member.GenerationId, offset);

    private static void CommitOffset(GroupTestBed bed, long offset) =>
        Commit(bed, Modern, ConsumerGroupOf(bed).Get(Modern).MemberEpoch, offset);

    private static void Commit(GroupTestBed bed, string memberId, int generation, long offset) =>
        Assert.Equal(ErrorCode.None, bed.Send(new OffsetCommitCommand(GroupTestBed.Origin(9), new OffsetCommitRequest
        {
            GroupId = GroupId,
            MemberId = memberId,
            GenerationIdOrMemberEpoch = generation,
            Topics =
            [
                new OffsetCommitRequest.OffsetCommitRequestTopic
                {
                    Name = Topic,
                    TopicId = TopicId(Topic),
                    Partitions = [
                        new OffsetCommitRequest.OffsetCommitRequestPartition { CommittedOffset = offset, CommittedMetadata = "" }],
                },
            ],
        })).Value[0]);

    private static long FetchOffset(GroupTestBed bed) =>
        bed.Send(new OffsetFetchCommand(
            new OffsetFetchRequest.OffsetFetchRequestGroup
            {
                GroupId = GroupId,
                MemberEpoch = -1,
                Topics = [new OffsetFetchRequest.OffsetFetchRequestTopics { Name = Topic, PartitionIndexes = [0] }],
            },
            RequireStable: false)).Value.Topics[0].Partitions[0].CommittedOffset;
}
