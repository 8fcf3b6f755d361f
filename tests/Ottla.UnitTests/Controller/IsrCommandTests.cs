using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;
using BrokerState = Ottla.Protocol.Messages.AlterPartitionRequest.BrokerState;
using PartitionRequest = Ottla.Protocol.Messages.AlterPartitionRequest.PartitionData;
using PartitionResponse = Ottla.Protocol.Messages.AlterPartitionResponse.PartitionData;

namespace Ottla.UnitTests.Controller;

/// <summary>AlterPartition: each error, in the order in which Kafka checks for them, and what a good proposal changes.</summary>
public sealed class IsrCommandTests
{
    private readonly ControllerTestBed _bed = ControllerTestBed.WithBrokers(4);

    public IsrCommandTests() => _bed.Create("t", assignments: [[1, 2, 3]]);

    private TopicImage Topic => _bed.Image.Topics.Find("t")!;

    private PartitionRegistration Partition => Topic.Partitions[0];

    [Fact]
    public void Leader_shrinks_and_expands_the_isr()
    {
        var shrunk = Alter([1, 3]);
        Assert.Equal((ErrorCode.None, 1, 0, 1), Facts(shrunk));
        Assert.Equal([1, 3], shrunk.Isr);
        var change = Assert.IsType<PartitionChangeRecord>(Assert.Single(_bed.LastRecords).Message);
        Assert.Equal((PartitionRegistration.NoLeaderChange, (sbyte)-1), (change.Leader, change.LeaderRecoveryState));
        Assert.Equal([1, 2, 3], Alter([1, 2, 3]).Isr);
        Assert.Equal(2, Partition.PartitionEpoch);
        _bed.CheckInvariants();
    }

    [Fact]
    public void Proposal_that_changes_nothing_is_answered_and_not_written()
    {
        Assert.Equal((ErrorCode.None, 1, 0, 0), Facts(Alter([1, 2, 3])));
        Assert.Empty(_bed.LastRecords);
    }

    [Fact]
    public void Sender_must_be_the_registered_process() =>
        Assert.Equal(ErrorCode.StaleBrokerEpoch, _bed.Fails(Command(Request([1, 2]), brokerEpoch: 1)));

    [Theory]
    [InlineData(1, 0, 1, ErrorCode.NotController)]
    [InlineData(0, 1, 1, ErrorCode.NotController)]
    [InlineData(-1, 1, 1, ErrorCode.NotController)]
    [InlineData(-1, 0, 1, ErrorCode.FencedLeaderEpoch)]
    [InlineData(-1, -1, 2, ErrorCode.FencedLeaderEpoch)]
    [InlineData(0, 0, 2, ErrorCode.InvalidRequest)]
    [InlineData(0, -1, 2, ErrorCode.InvalidRequest)]
    [InlineData(0, -1, 1, ErrorCode.InvalidUpdateVersion)]
    public void Epochs_and_leader_are_checked_in_order(int leaderEpoch, int partitionEpoch, int sender, ErrorCode expected)
    {
        _bed.Do(new ElectLeadersCommand(new ElectLeadersRequest { ElectionType = 0, TopicPartitions = null }));
        var request = Request([1, 2]);
        request.LeaderEpoch += leaderEpoch;
        request.PartitionEpoch += partitionEpoch;
        Assert.Equal(expected, (ErrorCode)Alter(request, sender).ErrorCode);
        Assert.Empty(_bed.LastRecords);
    }

    [Fact]
    public void Isr_must_be_replicas_with_the_leader_each_once()
    {
        Assert.Equal(ErrorCode.InvalidRequest, (ErrorCode)Alter([]).ErrorCode);
        Assert.Equal(ErrorCode.InvalidRequest, (ErrorCode)Alter([1, 1]).ErrorCode);
        Assert.Equal(ErrorCode.InvalidRequest, (ErrorCode)Alter([1, 4]).ErrorCode);
        Assert.Equal(ErrorCode.InvalidRequest, (ErrorCode)Alter([2, 3]).ErrorCode);
    }

    [Fact]
    public void Recovering_leader_is_alone_and_a_recovered_one_stays_so()
    {
        var request = Request([1]);
        request.LeaderRecoveryState = 1;
        Assert.Equal(ErrorCode.InvalidRequest, (ErrorCode)Alter(request).ErrorCode);
        _bed.Write(new PartitionChangeRecord { TopicId = Topic.Id, PartitionId = 0, Isr = [1], LeaderRecoveryState = 1 });
        request = Request([1, 2]);
        request.LeaderRecoveryState = 1;
        Assert.Equal(ErrorCode.InvalidRequest, (ErrorCode)Alter(request).ErrorCode);
        Assert.Equal((ErrorCode.None, 1, 0, 2), Facts(Alter([1, 2])));
        Assert.Equal((sbyte)0, ((PartitionChangeRecord)_bed.LastRecords[0].Message).LeaderRecoveryState);
        Assert.Equal(LeaderRecoveryState.Recovered, Partition.LeaderRecoveryState);
    }

    [Fact]
    public void Members_must_be_active_and_of_the_registered_process()
    {
        Alter([1]);
        _bed.Do(new BrokerHeartbeatCommand(_bed.Heartbeat(2, wantFence: true)));
        Assert.Equal(ErrorCode.IneligibleReplica, (ErrorCode)Alter([1, 2]).ErrorCode);
        var request = Request([1, 3]);
        request.NewIsrWithEpochs[1].BrokerEpoch = _bed.Image.Cluster.Broker(3)!.Epoch - 1;
        Assert.Equal(ErrorCode.IneligibleReplica, (ErrorCode)Alter(request).ErrorCode);
        request.NewIsrWithEpochs[1].BrokerEpoch = _bed.Image.Cluster.Broker(3)!.Epoch;
        Assert.Equal(ErrorCode.None, (ErrorCode)Alter(request).ErrorCode);
    }

    [Fact]
    public void Version_2_has_no_broker_epochs()
    {
        var request = Request([]);
        request.NewIsr = [1, 2];
        var response = _bed.Do(Command(request, version: 2));
        Assert.Equal([1, 2], response.Topics[0].Partitions[0].Isr);
    }

    [Fact]
    public void What_does_not_exist_is_named()
    {
        var request = Request([1]);
        request.PartitionIndex = 7;
        Assert.Equal(ErrorCode.UnknownTopicOrPartition, (ErrorCode)Alter(request).ErrorCode);
        var unknown = Command(Request([1]));
        unknown.Request.Topics[0].TopicId = new Ottla.Kernel.Uuid(9, 9);
        Assert.Equal(ErrorCode.UnknownTopicId, (ErrorCode)_bed.Do(unknown).Topics[0].Partitions[0].ErrorCode);
    }

    [Fact]
    public void Change_that_ends_the_senders_leadership_is_made_and_says_so()
    {
        _bed.Do(new AlterPartitionReassignmentsCommand(new AlterPartitionReassignmentsRequest
        {
            Topics = [new() { Name = "t", Partitions = [new() { PartitionIndex = 0, Replicas = [4, 2] }] }],
        }));
        Assert.Equal([4, 2, 1, 3], Partition.Replicas.AsEnumerable());
        Assert.Equal(ErrorCode.NewLeaderElected, (ErrorCode)Alter([1, 2, 3, 4]).ErrorCode);
        Assert.Equal((4, 1), (Partition.Leader, Partition.LeaderEpoch));
        Assert.Equal([4, 2], Partition.Replicas.AsEnumerable());
        Assert.Empty(Partition.AddingReplicas);
        _bed.CheckInvariants();
    }

    [Fact]
    public void Partition_that_is_named_twice_is_decided_in_order()
    {
        var command = Command(Request([1, 2]));
        command.Request.Topics[0].Partitions = [Request([1, 2]), Request([1, 3])];
        var partitions = _bed.Do(command).Topics[0].Partitions;
        Assert.Equal(
            [ErrorCode.None, ErrorCode.InvalidUpdateVersion], partitions.Select(partition => (ErrorCode)partition.ErrorCode));
        Assert.Equal([1, 2], Partition.Isr.AsEnumerable());
    }

    private static (ErrorCode, int, int, int) Facts(PartitionResponse response) =>
        ((ErrorCode)response.ErrorCode, response.LeaderId, response.LeaderEpoch, response.PartitionEpoch);

    private PartitionResponse Alter(int[] isr) => Alter(Request(isr));

    private PartitionResponse Alter(PartitionRequest request, int sender = 1) =>
        _bed.Do(Command(request, sender: sender)).Topics[0].Partitions[0];

    private AlterPartitionCommand Command(PartitionRequest request, short version = 3, int sender = 1, long? brokerEpoch = null) => new(
        new AlterPartitionRequest
        {
            BrokerId = sender,
            BrokerEpoch = brokerEpoch ?? _bed.Image.Cluster.Broker(sender)!.Epoch,
            Topics = [new() { TopicId = Topic.Id, Partitions = [request] }],
        },
        version);

    private PartitionRequest Request(int[] isr) => new()
    {
        PartitionIndex = 0,
        LeaderEpoch = Partition.LeaderEpoch,
        PartitionEpoch = Partition.PartitionEpoch,
        NewIsrWithEpochs = [.. isr.Select(id => new BrokerState { BrokerId = id, BrokerEpoch = -1 })],
    };
}
