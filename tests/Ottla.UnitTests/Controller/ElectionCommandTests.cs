using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;

namespace Ottla.UnitTests.Controller;

public sealed class ElectionCommandTests
{
    private const sbyte Preferred = 0;
    private const sbyte Unclean = 1;

    private readonly ControllerTestBed _bed = ControllerTestBed.WithBrokers(3);

    [Fact]
    public void The_preferred_replica_is_elected_once_it_is_in_sync()
    {
        _bed.Create("a", assignments: [[2, 1], [1, 2]]);
        Assert.Equal([(0, ErrorCode.ElectionNotNeeded), (1, ErrorCode.ElectionNotNeeded)], Elect(Preferred, "a", 0, 1));
        Assert.Empty(_bed.LastRecords);

        Fence(2);
        Assert.Equal(1, Partition("a", 0).Leader);
        Assert.Equal([(0, ErrorCode.PreferredLeaderNotAvailable)], Elect(Preferred, "a", 0));
        JoinsIsr("a", 0, 2);
        Unfence(2);
        var before = Partition("a", 0);
        Assert.Equal([(0, ErrorCode.None), (0, ErrorCode.ElectionNotNeeded)], Elect(Preferred, "a", 0, 0)); // the second sees the first
        Assert.Equal((2, before.LeaderEpoch + 1), (Partition("a", 0).Leader, Partition("a", 0).LeaderEpoch));
        Assert.Single(_bed.LastRecords);
        _bed.CheckInvariants();
    }

    [Fact]
    public void A_partition_without_a_leader_gets_one_uncleanly_only_when_asked()
    {
        _bed.Create("a", assignments: [[1, 2]]);
        Fence(2);
        Fence(1);
        Assert.Equal(PartitionRegistration.NoLeader, Partition("a", 0).Leader);
        Assert.Equal([(0, ErrorCode.EligibleLeadersNotAvailable)], Elect(Unclean, "a", 0));
        Unfence(2);
        var isElr = _bed.Image.Features.IsElrEnabled;
        Assert.Equal([(0, ErrorCode.None)], Elect(Unclean, "a", 0));
        Assert.Equal(2, Partition("a", 0).Leader);
        Assert.Equal(2, Assert.Single(Partition("a", 0).Isr));
        if (!isElr)
            Assert.Equal(LeaderRecoveryState.Recovering, Partition("a", 0).LeaderRecoveryState);
        Assert.Equal([(0, ErrorCode.ElectionNotNeeded)], Elect(Unclean, "a", 0));
        _bed.CheckInvariants();
    }

    [Fact]
    public void All_partitions_are_answered_without_those_that_need_nothing()
    {
        _bed.Create("a", assignments: [[2, 1], [1, 2]]);
        _bed.Create("b");
        Fence(2);
        JoinsIsr("a", 0, 2);
        Unfence(2);
        var response = _bed.Do(new ElectLeadersCommand(new ElectLeadersRequest { ElectionType = Preferred, TopicPartitions = null }));
        var result = response.ReplicaElectionResults.OrderBy(topic => topic.Topic).ToList();
        Assert.Equal(["a", "b"], result.Select(topic => topic.Topic));
        Assert.Equal((0, 0, null), result[0].PartitionResult.Select(partition =>
            (partition.PartitionId, (int)partition.ErrorCode, partition.ErrorMessage)).Single());
        Assert.Empty(result[1].PartitionResult);
    }

    [Fact]
    public void What_does_not_exist_fails_alone_and_an_unknown_type_fails_whole()
    {
        _bed.Create("a");
        var response = _bed.Do(new ElectLeadersCommand(Request(Preferred, ("none", [0]), ("a", [7, -1, 0]))));
        Assert.Equal(
            [
                ("none", 0, ErrorCode.UnknownTopicOrPartition, "No such topic as none"),
                ("a", 7, ErrorCode.UnknownTopicOrPartition, "No such partition as a-7"),
                ("a", -1, ErrorCode.UnknownTopicOrPartition, "No such partition as a--1"),
                ("a", 0, ErrorCode.ElectionNotNeeded, "Leader election not needed for topic partition."),
            ],
            response.ReplicaElectionResults.SelectMany(topic =>
                topic.PartitionResult.Select(partition => (topic.Topic, partition.PartitionId, (ErrorCode)partition.ErrorCode,
                    partition.ErrorMessage))));
        Assert.Equal(ErrorCode.InvalidRequest, _bed.Fails(new ElectLeadersCommand(Request(5, ("a", [0])))));
        Assert.Empty(_bed.Do(new ElectLeadersCommand(Request(5))).ReplicaElectionResults); // nothing asked, nothing wrong
    }

    private static ElectLeadersRequest Request(sbyte type, params (string Topic, int[] Partitions)[] topics) => new()
    {
        ElectionType = type,
        TopicPartitions = [.. topics.Select(topic => new ElectLeadersRequest.TopicPartitionsData { Topic = topic.Topic,
            Partitions = topic.Partitions })],
    };

    private List<(int, ErrorCode)> Elect(sbyte type, string topic, params int[] partitions) =>
    [
        .. Assert.Single(_bed.Do(new ElectLeadersCommand(Request(type, (topic, partitions)))).ReplicaElectionResults).PartitionResult
            .Select(result => (result.PartitionId, (ErrorCode)result.ErrorCode)),
    ];

    private PartitionRegistration Partition(string topic, int index) => _bed.Image.Topics.Find(topic)!.Partitions[index];

    private void Fence(int broker) => _bed.Do(new BrokerHeartbeatCommand(_bed.Heartbeat(broker, wantFence: true)));

    private void Unfence(int broker) => _bed.Do(new BrokerHeartbeatCommand(_bed.Heartbeat(broker)));

    /// <summary>What the leader would report of a follower that has caught up.</summary>
    private void JoinsIsr(string topic, int index, int broker) => _bed.Write(new PartitionChangeRecord
    {
        TopicId = _bed.Image.Topics.Find(topic)!.Id,
        PartitionId = index,
        Isr = [.. Partition(topic, index).Isr, broker],
    });
}
