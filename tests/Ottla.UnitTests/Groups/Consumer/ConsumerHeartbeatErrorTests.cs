using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups;
using static Ottla.UnitTests.Groups.Consumer.ConsumerGroupTestBed;
using static Ottla.UnitTests.Groups.CoordinatorTestBed;

namespace Ottla.UnitTests.Groups.Consumer;

/// <summary>Every error that a ConsumerGroupHeartbeat is refused with.</summary>
public sealed class ConsumerHeartbeatErrorTests
{
    private readonly ConsumerGroupTestBed _bed = new();

    public ConsumerHeartbeatErrorTests() => _bed.CreateTopic("foo", 6);

    public static TheoryData<string, Action<ConsumerGroupHeartbeatRequest>> InvalidRequests => new()
    {
        { "MemberId can't be empty.", request => request.MemberId = "" },
        { "GroupId can't be empty.", request => request.GroupId = " " },
        { "InstanceId can't be empty.", request => request.InstanceId = "" },
        { "RackId can't be empty.", request => request.RackId = "" },
        { "RebalanceTimeoutMs must be provided in first request.", request => request.RebalanceTimeoutMs = -1 },
        { "TopicPartitions must be empty when (re-)joining.", request => request.TopicPartitions = null },
        { "TopicPartitions must be empty when (re-)joining.",
            request => request.TopicPartitions = Owned([new TopicIdPartition(Uuid.One, 0)]) },
        { "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
            request => request.SubscribedTopicNames = null },
        { "InstanceId can't be null.", request => request.MemberEpoch = -2 },
        { "MemberEpoch is invalid.", request => request.MemberEpoch = -3 },
    };

    [Theory]
    [MemberData(nameof(InvalidRequests))]
    public void INVALID_REQUEST_says_what_is_missing(string message, Action<ConsumerGroupHeartbeatRequest> spoil)
    {
        var request = Join("a", "foo");
        spoil(request);
        Assert.Equal(new ApiError(ErrorCode.InvalidRequest, message), _bed.Fails(request));
        Assert.Empty(_bed.Log);
    }

    [Theory]
    [InlineData(0, 5)]
    [InlineData(0, -1)]
    [InlineData(1, 0)]
    public void INVALID_REQUEST_for_no_member_id_where_the_client_has_to_make_it(short version, int epoch)
    {
        var request = Join("", "foo");
        request.MemberEpoch = epoch;
        Assert.Equal(ErrorCode.InvalidRequest, _bed.Fails(request, version).Code);
    }

    [Fact]
    public void Version_0_gets_a_member_id()
    {
        var response = _bed.Send(Join("", "foo"), version: 0);
        Assert.True(Uuid.TryParse(response.MemberId, out _));
        Assert.Equal(2, response.MemberEpoch);
        Assert.True(_bed.Group.HasMember(response.MemberId!));
    }

    [Fact]
    public void UNSUPPORTED_ASSIGNOR_names_those_that_are_supported()
    {
        var request = Join("a", "foo");
        request.ServerAssignor = "sticky";
        var error = _bed.Fails(request);
        Assert.Equal(ErrorCode.UnsupportedAssignor, error.Code);
        Assert.Equal("ServerAssignor sticky is not supported. Supported assignors: uniform, range.", error.Message);
    }

    [Theory]
    [InlineData(5)]
    [InlineData(-1)]
    public void GROUP_ID_NOT_FOUND_when_nobody_has_joined(int epoch) =>
        Assert.Equal(ErrorCode.GroupIdNotFound, _bed.Fails(Beat("a", epoch)).Code);

    [Theory]
    [InlineData(5)]
    [InlineData(-1)]
    public void UNKNOWN_MEMBER_ID_for_a_stranger(int epoch)
    {
        _bed.Send(Join("a", "foo"));
        Assert.Equal(ErrorCode.UnknownMemberId, _bed.Fails(Beat("b", epoch)).Code);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(-1)]
    [InlineData(-2)]
    public void UNKNOWN_MEMBER_ID_for_an_instance_id_that_nobody_has(int epoch)
    {
        _bed.Send(Join("a", "foo"));
        var request = Beat("a", epoch);
        request.InstanceId = "i";
        Assert.Equal(ErrorCode.UnknownMemberId, _bed.Fails(request).Code);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(-1)]
    [InlineData(-2)]
    public void FENCED_INSTANCE_ID_for_the_instance_id_of_another(int epoch)
    {
        var join = Join("a", "foo");
        join.InstanceId = "i";
        _bed.Send(join);
        var request = Beat("b", epoch);
        request.InstanceId = "i";
        Assert.Equal(ErrorCode.FencedInstanceId, _bed.Fails(request).Code);
    }

    [Fact]
    public void UNRELEASED_INSTANCE_ID_until_the_member_has_left_or_is_gone()
    {
        var join = Join("a", "foo");
        join.InstanceId = "i";
        _bed.Send(join);
        var other = Join("b", "foo");
        other.InstanceId = "i";
        Assert.Equal(ErrorCode.UnreleasedInstanceId, _bed.Fails(other).Code);
        _bed.Advance(45_000);
        Assert.Equal("Empty", _bed.Group.StateName);
        Assert.Equal(6, Partitions(_bed.Send(other).Assignment!).Count());
    }

    [Fact]
    public void FENCED_MEMBER_EPOCH_for_an_epoch_that_is_not_the_members()
    {
        _bed.Send(Join("a", "foo"));
        Assert.Equal(2, _bed.Send(Beat("a", 2)).MemberEpoch);
        Assert.Equal(ErrorCode.FencedMemberEpoch, _bed.Fails(Beat("a", 3)).Code);
        Assert.Equal(ErrorCode.FencedMemberEpoch, _bed.Fails(Beat("a", 1)).Code);
    }

    [Fact]
    public void The_previous_epoch_is_taken_from_a_member_that_has_no_more_than_it_may()
    {
        _bed.Send(Join("a", "foo"));
        var had = _bed.Member("a").AssignedPartitions.Keys.ToArray();
        _bed.Send(Join("b", "foo"));
        _bed.Send(Beat("a", 2));
        _bed.Send(Beat("a", 2, _bed.Member("a").AssignedPartitions.Keys));
        Assert.Equal((3, 2), (_bed.Member("a").MemberEpoch, _bed.Member("a").PreviousMemberEpoch));

        Assert.Equal(ErrorCode.FencedMemberEpoch, _bed.Fails(Beat("a", 2)).Code);
        Assert.Equal(ErrorCode.FencedMemberEpoch, _bed.Fails(Beat("a", 2, had)).Code);
        Assert.Equal(3, _bed.Send(Beat("a", 2, _bed.Member("a").AssignedPartitions.Keys)).MemberEpoch);
    }

    [Fact]
    public void GROUP_MAX_SIZE_REACHED_but_not_for_those_who_are_in_it()
    {
        var bed = new ConsumerGroupTestBed(7, ("group.consumer.max.size", "2"));
        var join = Join("a", "foo");
        join.InstanceId = "i";
        bed.Send(join);
        bed.Send(Join("b", "foo"));
        Assert.Equal(ErrorCode.GroupMaxSizeReached, bed.Fails(Join("c", "foo")).Code);
        Assert.Equal(ErrorCode.GroupMaxSizeReached, bed.Fails(Join("", "foo"), version: 0).Code);
        bed.Send(Join("b", "foo"));
        var leave = Beat("a", -2);
        leave.InstanceId = "i";
        bed.Send(leave);
        join.MemberId = "c";
        Assert.Equal("c", bed.Send(join).MemberId);
    }

    [Theory]
    [InlineData("foo(")]
    [InlineData("(?=foo)")]
    [InlineData("(a)\\1")]
    public void INVALID_REGULAR_EXPRESSION_says_why(string regex)
    {
        var error = _bed.Fails(JoinByRegex("a", regex));
        Assert.Equal(ErrorCode.InvalidRegularExpression, error.Code);
        Assert.StartsWith($"SubscribedTopicRegex `{regex}` is not a valid regular expression: ", error.Message);
        Assert.Empty(_bed.Log);
    }

    [Fact]
    public void GROUP_ID_NOT_FOUND_when_a_group_that_is_not_there_is_described() =>
        Assert.Equal(
            ErrorCode.GroupIdNotFound, Assert.Throws<ApiException>(() => _bed.Do(new ConsumerGroupDescribeCommand("other"))).Error.Code);

    [Fact]
    public void A_commit_is_refused_for_strangers_wrong_epochs_and_old_versions()
    {
        _bed.Send(Join("a", "foo"));
        var group = _bed.Group;
        group.ValidateOffsetCommit("a", null, 2, false, 9);
        group.ValidateOffsetCommit("", null, -1, true, 5);
        Assert.Equal(ErrorCode.UnknownMemberId, Code(() => group.ValidateOffsetCommit("b", null, 2, false, 9)));
        Assert.Equal(ErrorCode.UnknownMemberId, Code(() => group.ValidateOffsetCommit("", null, -1, false, 9)));
        Assert.Equal(ErrorCode.StaleMemberEpoch, Code(() => group.ValidateOffsetCommit("a", null, 3, false, 9)));
        Assert.Equal(ErrorCode.UnsupportedVersion, Code(() => group.ValidateOffsetCommit("a", null, 2, false, 8)));
        Assert.Equal(ErrorCode.NonEmptyGroup, Code(group.ValidateDelete));
        group.ValidateOffsetFetch("a", 2);
        group.ValidateOffsetFetch(null, -1);
        Assert.Equal(ErrorCode.StaleMemberEpoch, Code(() => group.ValidateOffsetFetch("a", 1)));
        Assert.Equal(ErrorCode.UnknownMemberId, Code(() => group.ValidateOffsetFetch("b", 1)));
        _bed.Send(Beat("a", -1));
        group.ValidateOffsetCommit("", null, -1, false, 8);
        group.ValidateDelete();
    }

    [Fact]
    public void A_commit_in_an_older_epoch_is_taken_for_what_the_member_has_had_since()
    {
        _bed.Send(Join("a", "foo"));
        _bed.Send(Join("b", "foo"));
        _bed.Send(Beat("a", 2));
        _bed.Send(Beat("a", 2, _bed.Member("a").AssignedPartitions.Keys));
        _bed.CreateTopic("bar", 2);
        var all = Beat("a", 3);
        all.SubscribedTopicNames = ["foo", "bar"];
        _bed.Send(all);
        _bed.Send(Beat("a", 3, _bed.Member("a").AssignedPartitions.Keys));
        var (kept, epochOfKept) = _bed.Member("a").AssignedPartitions.First(entry => entry.Value == 2);
        var (got, _) = _bed.Member("a").AssignedPartitions.First(entry => entry.Value > 3);
        Assert.Equal(2, epochOfKept);
        _bed.Group.ValidateOffsetCommit("a", null, 2, false, 9);
        Check(kept, 2);
        Assert.Equal(ErrorCode.StaleMemberEpoch, Code(() => Check(kept, 1)));
        Assert.Equal(ErrorCode.StaleMemberEpoch, Code(() => Check(kept, -1)));
        Assert.Equal(ErrorCode.StaleMemberEpoch, Code(() => Check(got, 3)));
        Assert.Equal(ErrorCode.StaleMemberEpoch, Code(() => Check(new TopicIdPartition(TopicId("foo"), 99), 3)));

        void Check(TopicIdPartition partition, int epoch) =>
            _bed.Group.ValidatePartitionCommit("a", epoch, "topic", partition.TopicId, partition.Partition);
    }

    private static ErrorCode Code(Action action) => Assert.Throws<ApiException>(action).Error.Code;
}
