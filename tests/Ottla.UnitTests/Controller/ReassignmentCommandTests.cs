using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;

namespace Ottla.UnitTests.Controller;

public sealed class ReassignmentCommandTests
{
    private readonly ControllerTestBed _bed = ControllerTestBed.WithBrokers(4);

    public ReassignmentCommandTests() => _bed.Create("a", assignments: [[1, 2, 3]]);

    private PartitionRegistration Partition => _bed.Image.Topics.Find("a")!.Partitions[0];

    [Fact]
    public void Another_order_and_fewer_replicas_take_effect_at_once()
    {
        var before = Partition;
        Assert.Equal((ErrorCode.None, (string?)null), Alter([3, 1, 2]));
        Assert.Equal("3,1,2", Text(Partition.Replicas));
        Assert.Equal(before.Replicas.Order().Select(before.DirectoryOf), Partition.Replicas.Order().Select(Partition.DirectoryOf));
        Assert.Equal((before.Leader, before.LeaderEpoch, before.PartitionEpoch + 1),
            (Partition.Leader, Partition.LeaderEpoch, Partition.PartitionEpoch));

        Assert.Equal((ErrorCode.None, (string?)null), Alter([1, 2]));
        Assert.Equal("1,2", Text(Partition.Replicas));
        Assert.Equal("1,2", Text(Partition.Isr));
        Assert.Equal((1, before.LeaderEpoch + 1), (Partition.Leader, Partition.LeaderEpoch)); // broker 3 must learn of it
        Assert.False(Partition.IsReassigned);
        Assert.Empty(List().Topics);

        Assert.Equal((ErrorCode.None, (string?)null), Alter([1, 2]));
        Assert.Empty(_bed.LastRecords);
        _bed.CheckInvariants();
    }

    [Fact]
    public void A_new_replica_is_waited_for_and_then_the_old_one_goes()
    {
        Assert.Equal((ErrorCode.None, (string?)null), Alter([4, 1, 2]));
        Assert.Equal("4,1,2,3", Text(Partition.Replicas));
        Assert.Equal(("4", "3"), (Text(Partition.AddingReplicas), Text(Partition.RemovingReplicas)));
        Assert.Equal(new Uuid(4, 1000), Partition.DirectoryOf(4)); // it has one directory only
        var ongoing = Assert.Single(Assert.Single(List().Topics).Partitions);
        Assert.Equal((0, "4,1,2,3", "4", "3"), (ongoing.PartitionIndex, Text(ongoing.Replicas), Text(ongoing.AddingReplicas),
            Text(ongoing.RemovingReplicas)));
        Assert.Empty(List(("a", [1])).Topics);
        Assert.Empty(List(("none", [0])).Topics);
        Assert.Single(List(("a", [0])).Topics);

        // The next change of the partition finds the new replica in sync, and completes the reassignment.
        _bed.Write(new PartitionChangeRecord { TopicId = _bed.Image.Topics.Find("a")!.Id, PartitionId = 0, Isr = [1, 2, 3, 4] });
        _bed.Do(new BrokerHeartbeatCommand(_bed.Heartbeat(3, wantFence: true)));
        Assert.Equal("4,1,2", Text(Partition.Replicas));
        Assert.Equal("1,2,4", Text(Partition.Isr));
        Assert.False(Partition.IsReassigned);
        _bed.CheckInvariants();
    }

    [Fact]
    public void A_reassignment_is_cancelled()
    {
        Assert.Equal((ErrorCode.NoReassignmentInProgress, "No partition reassignment is in progress."), Alter(null));
        Alter([4, 2]);
        var before = Partition;
        Assert.Equal((ErrorCode.None, (string?)null), Alter(null));
        Assert.Equal("2,1,3", Text(Partition.Replicas)); // as in Kafka, the order is not brought back
        Assert.False(Partition.IsReassigned);
        Assert.Equal((1, before.LeaderEpoch + 1), (Partition.Leader, Partition.LeaderEpoch)); // broker 4 must learn of it
        _bed.CheckInvariants();
    }

    [Fact]
    public void A_cancellation_that_would_lose_what_is_in_sync_is_refused()
    {
        Alter([4]);
        _bed.Write(new PartitionChangeRecord { TopicId = _bed.Image.Topics.Find("a")!.Id, PartitionId = 0, Isr = [4], Leader = 4 });
        Assert.Equal(
            (ErrorCode.InvalidReplicaAssignment,
                "Unable to revert partition assignment for a:0 because it would require an unclean leader election."), Alter(null));
        var isUnclean = new ConfigAlteration("unclean.leader.election.enable", AlterConfigOperation.Set, "true");
        _bed.Do(new AlterConfigsCommand(
            [new ConfigChange(ConfigResource.Topic("a"), [isUnclean], ReplacesAll: false)], ValidateOnly: false));
        Assert.Equal((ErrorCode.None, (string?)null), Alter(null));
        Assert.Equal((1, "1"), (Partition.Leader, Text(Partition.Isr)));
        _bed.CheckInvariants();
    }

    [Fact]
    public void A_second_reassignment_takes_the_place_of_the_first()
    {
        Alter([1, 4]);
        Alter([1, 2, 3]);
        Assert.Equal("1,2,3", Text(Partition.Replicas)); // back, and at once: all of them are in sync
        Assert.False(Partition.IsReassigned);
        Alter([1, 4]);
        Alter([2, 4]);
        Assert.Equal(("4", "1,3"), (Text(Partition.AddingReplicas), Text(Partition.RemovingReplicas))); // 4 is still to come
        _bed.CheckInvariants();
    }

    [Fact]
    public void One_request_may_name_a_partition_twice()
    {
        var response = _bed.Do(Command(true, [4, 1, 2, 3], [2, 1]));
        Assert.All(Assert.Single(response.Responses).Partitions, partition => Assert.Equal(0, partition.ErrorCode));
        Assert.Equal("2,1", Text(Partition.Replicas));
        _bed.CheckInvariants();
    }

    [Theory]
    [InlineData(new int[0], "The manual partition assignment includes an empty replica list.")]
    [InlineData(new[] { 1, 9 }, "The manual partition assignment includes broker 9, but no such broker is registered.")]
    [InlineData(new[] { 1, 1 }, "The manual partition assignment includes the broker 1 more than once.")]
    public void Replicas_that_cannot_be_are_refused(int[] replicas, string message)
    {
        Assert.Equal((ErrorCode.InvalidReplicaAssignment, message), Alter(replicas));
        Assert.Empty(_bed.LastRecords);
    }

    [Fact]
    public void Another_replication_factor_may_be_refused()
    {
        var response = _bed.Do(Command(false, [1, 2]));
        var partition = Assert.Single(Assert.Single(response.Responses).Partitions);
        Assert.Equal((ErrorCode.InvalidReplicationFactor, "The replication factor is changed from 3 to 2"),
            ((ErrorCode)partition.ErrorCode, partition.ErrorMessage));
        Assert.False(response.AllowReplicationFactorChange);
        Assert.Equal(0, Assert.Single(Assert.Single(_bed.Do(Command(false, [4, 1, 2])).Responses).Partitions).ErrorCode);
        Assert.Equal(0, Assert.Single(Assert.Single(_bed.Do(
            Command(false, [4, 1, 3])).Responses).Partitions).ErrorCode); // three as well, with what is under way
    }

    [Fact]
    public void What_does_not_exist_fails_alone()
    {
        var response = _bed.Do(new AlterPartitionReassignmentsCommand(new AlterPartitionReassignmentsRequest
        {
            Topics = [new() { Name = "none", Partitions = [new() { Replicas = [1] }] },
                new() { Name = "a", Partitions = [new() { PartitionIndex = 5, Replicas = [1] }, new() { Replicas = [2, 1, 3] }] }],
        }));
        Assert.Equal(
            [
                ("none", ErrorCode.UnknownTopicOrPartition, "Unable to find a topic named none."),
                ("a", ErrorCode.UnknownTopicOrPartition, "Unable to find partition a:5."),
                ("a", ErrorCode.None, null),
            ],
            response.Responses.SelectMany(topic => topic.Partitions.Select(partition =>
                (topic.Name, (ErrorCode)partition.ErrorCode, partition.ErrorMessage))));
        Assert.Equal("2,1,3", Text(Partition.Replicas));
    }

    private static string Text(IEnumerable<int> brokers) => string.Join(',', brokers);

    private static AlterPartitionReassignmentsCommand Command(bool allowsOtherFactor, params int[]?[] replicas) =>
        new(new AlterPartitionReassignmentsRequest
        {
            AllowReplicationFactorChange = allowsOtherFactor,
            Topics = [new() { Name = "a", Partitions = [.. replicas.Select(each =>
            new AlterPartitionReassignmentsRequest.ReassignablePartition { Replicas = each })] }],
        });

    private (ErrorCode, string?) Alter(int[]? replicas)
    {
        var partition = Assert.Single(Assert.Single(_bed.Do(Command(true, replicas)).Responses).Partitions);
        return ((ErrorCode)partition.ErrorCode, partition.ErrorMessage);
    }

    private ListPartitionReassignmentsResponse List(params (string Topic, int[] Partitions)[] topics) =>
        _bed.Do(new ListPartitionReassignmentsCommand(
        new ListPartitionReassignmentsRequest
        {
            Topics = topics.Length == 0 ? null : [.. topics.Select(topic =>
                new ListPartitionReassignmentsRequest.ListPartitionReassignmentsTopics { Name = topic.Topic,
                    PartitionIndexes = topic.Partitions })],
        }));
}
