using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;

namespace Ottla.UnitTests.Controller;

/// <summary>
/// Faults that controllers have had, each with the ticket that tells of it. Those of sessions, of ISR changes, of the timer and of
/// failover are in <see cref="BrokerSessionTests"/>, <see cref="IsrCommandTests"/>, <see cref="PeriodicWorkTests"/> and
/// <see cref="ControllerFailoverTests"/>.
/// </summary>
public sealed class KnownFaultsTests
{
    private ControllerTestBed _bed = ControllerTestBed.WithBrokers(3);

    /// <summary>KAFKA-18635: a broker that may have lost records stayed among the eligible leaders.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Unclean_restart_costs_the_eligibility_and_a_clean_one_does_not(bool isClean)
    {
        _bed.Create("t", assignments: [[1, 2]], configs: [("min.insync.replicas", "2")]);
        _bed.Do(new BrokerHeartbeatCommand(_bed.Heartbeat(2, wantShutDown: true)));
        Assert.Equal([2], Partition("t").EligibleLeaderReplicas.AsEnumerable());
        var again = ControllerTestBed.Registration(2, incarnation: 2);
        again.PreviousBrokerEpoch = isClean ? _bed.Image.Cluster.Broker(2)!.Epoch : -1;
        _bed.Do(new RegisterBrokerCommand(again));
        Assert.Equal(isClean ? [2] : [], Partition("t").EligibleLeaderReplicas.AsEnumerable());
        Assert.IsType<RegisterBrokerRecord>(_bed.LastRecords[^1].Message); // last, so that it is repeated if only a part is written
    }

    /// <summary>KAFKA-19522: the last known leader was elected while it was still fenced.</summary>
    [Fact]
    public void Last_known_leader_is_elected_when_it_is_unfenced_and_not_before()
    {
        _bed.Create("t", assignments: [[1, 2]]);
        Fence(1);
        _bed.Write(new PartitionChangeRecord
        {
            TopicId = Topic("t").Id,
            PartitionId = 0,
            Isr = [],
            EligibleLeaderReplicas = [],
            LastKnownElr = [1],
            Leader = -1,
        });
        Unfence(3);
        _bed.Do(new ElectLeadersCommand(new ElectLeadersRequest { ElectionType = 0, TopicPartitions = null }));
        Assert.Equal(PartitionRegistration.NoLeader, Partition("t").Leader);
        Unfence(1);
        Assert.Equal((1, LeaderRecoveryState.Recovering), (Partition("t").Leader, Partition("t").LeaderRecoveryState));
        _bed.CheckInvariants();
    }

    /// <summary>KAFKA-16540, 19383: eligible leaders of another min.insync.replicas were kept, and deleted topics came back.</summary>
    [Fact]
    public void Change_of_min_isr_clears_every_topic_and_brings_none_back()
    {
        _bed.Create("a", assignments: [[1, 2]], configs: [("min.insync.replicas", "2")]);
        _bed.Create("b", assignments: [[1, 2]]);
        Fence(2);
        Assert.NotEmpty(Partition("a").EligibleLeaderReplicas);
        _bed.Do(new DeleteTopicsCommand(new DeleteTopicsRequest { TopicNames = ["b"] }, 6));
        var epoch = Partition("a").PartitionEpoch;
        _bed.Do(new AlterConfigsCommand(
            [new ConfigChange(
                ConfigResource.DefaultBroker,
                [new("min.insync.replicas", Ottla.Configuration.AlterConfigOperation.Set, "1")],
                ReplacesAll: false)],
            ValidateOnly: false));
        Assert.Empty(Partition("a").EligibleLeaderReplicas);
        Assert.Equal(epoch + 1, Partition("a").PartitionEpoch);
        Assert.Null(_bed.Image.Topics.Find("b"));
    }

    /// <summary>KAFKA-16624: a partition whose ISR cannot become empty was written again at each event.</summary>
    [Fact]
    public void Change_that_changes_nothing_is_not_written()
    {
        _bed = At(MetadataVersion.V3_5_IV2);
        _bed.Create("t", assignments: [[1]]);
        Fence(1);
        Assert.Equal(2, _bed.LastRecords.Count); // the leader goes, and the broker is fenced
        Assert.Equal([1], Partition("t").Isr.AsEnumerable());
        Fence(2);
        Assert.Single(_bed.LastRecords);
        _bed.Do(new UnregisterBrokerCommand(2));
        Assert.Single(_bed.LastRecords);
    }

    /// <summary>KAFKA-15021: the leader epoch rose with every shrink of an ISR, or (KAFKA-15109) no more for old versions.</summary>
    [Theory]
    [InlineData(11, 1)]
    [InlineData(12, 0)]
    public void Leader_epoch_rises_with_a_shrink_only_before_3_6(short level, int epoch)
    {
        _bed = At(new MetadataVersion(level));
        _bed.Create("t", assignments: [[1, 2]]);
        Fence(2);
        Assert.Equal([1], Partition("t").Isr.AsEnumerable());
        Assert.Equal((1, epoch), (Partition("t").Leader, Partition("t").LeaderEpoch));
    }

    /// <summary>KAFKA-16757: registering again after an upgrade fenced the broker and changed its epoch.</summary>
    [Fact]
    public void Broker_that_adds_its_directories_stays_what_it_is()
    {
        _bed = At(MetadataVersion.V3_6_IV2);
        _bed.Create("t", assignments: [[1, 2]]);
        var before = _bed.Image.Cluster.Broker(1)!;
        Assert.Empty(before.LogDirs);
        _bed.Quorum = ControllerQuorum.Unknown;
        Upgrade(MetadataVersion.V3_7_IV2);
        _bed.Do(new RegisterBrokerCommand(ControllerTestBed.Registration(1)));
        var after = _bed.Image.Cluster.Broker(1)!;
        Assert.Equal((before.Epoch, false, false), (after.Epoch, after.Fenced, after.InControlledShutdown));
        Assert.Equal([new Uuid(1, 1000)], after.LogDirs.AsEnumerable());
        Assert.Single(_bed.LastRecords);
        Fence(2);
        Assert.All(Partition("t").Directories, directory => Assert.Equal(DirectoryIds.Migrating, directory));
    }

    /// <summary>KAFKA-17492, 17305: a broker that lacks a finalized feature was admitted.</summary>
    [Fact]
    public void Broker_must_support_every_finalized_feature()
    {
        var lacking = ControllerTestBed.Registration(9);
        lacking.Features = [.. lacking.Features.Where(feature => feature.Name != Feature.KRaftVersion)];
        Assert.Equal(ErrorCode.UnsupportedVersion, _bed.Fails(new RegisterBrokerCommand(lacking)));
        _bed.Quorum = new ControllerQuorum(0, [1]);
        Assert.True(_bed.Do(new RegisterBrokerCommand(lacking)).BrokerEpoch > 0);
        var without = ControllerTestBed.Registration(10);
        without.Features = [.. without.Features.Where(feature => feature.Name != MetadataVersion.FeatureName)];
        Assert.Equal(ErrorCode.InvalidRegistration, _bed.Fails(new RegisterBrokerCommand(without)));
    }

    /// <summary>KAFKA-15665, 19975: a reassignment ended without its targets in sync, or never because of one that is sick.</summary>
    [Fact]
    public void Reassignment_waits_for_those_that_come_and_for_no_others()
    {
        _bed = ControllerTestBed.WithBrokers(4);
        _bed.Create("t", assignments: [[1, 2, 3]]);
        Fence(2);
        Reassign("t", [1, 2, 3, 4]);
        Alter([1, 3]);
        Assert.Equal([4], Partition("t").AddingReplicas.AsEnumerable());
        Alter([1, 3, 4]);
        Assert.Empty(Partition("t").AddingReplicas); // 2 is not in sync, and was not before
        Assert.Equal([1, 2, 3, 4], Partition("t").Replicas.AsEnumerable());
        _bed.CheckInvariants();
    }

    /// <summary>KAFKA-13972: brokers whose replicas were taken away again did not learn of it.</summary>
    [Fact]
    public void Cancelling_raises_the_leader_epoch()
    {
        _bed.Create("t", assignments: [[1]]);
        Reassign("t", [2]);
        var epoch = Partition("t").LeaderEpoch;
        Reassign("t", null);
        Assert.Equal((1, epoch + 1), (Partition("t").Leader, Partition("t").LeaderEpoch));
        Assert.Equal([1], Partition("t").Replicas.AsEnumerable());
    }

    /// <summary>KAFKA-13841: a fenced broker that a new controller knew from the log alone got no replicas.</summary>
    [Fact]
    public void Fenced_broker_is_placed_on_by_a_new_controller()
    {
        Fence(3);
        _bed.Controller.Resign();
        _bed.Do(new ActivateCommand([], -1));
        Assert.Equal(0, _bed.Create("t", 1, 3).ErrorCode);
        Assert.Equal([1, 2, 3], Partition("t").Replicas.Order());
        Assert.Equal([1, 2], Partition("t").Isr.Order());
    }

    /// <summary>KAFKA-20832: cordoned directories were not honoured where brokers are named.</summary>
    [Fact]
    public void Broker_with_only_cordoned_directories_gets_no_replicas()
    {
        var heartbeat = _bed.Heartbeat(3);
        heartbeat.CordonedLogDirs = [new Uuid(3, 1000)];
        _bed.Do(new BrokerHeartbeatCommand(heartbeat));
        Assert.Equal(ErrorCode.InvalidReplicaAssignment, (ErrorCode)_bed.Create("t", assignments: [[3]]).ErrorCode);
        Assert.Equal(ErrorCode.InvalidReplicationFactor, (ErrorCode)_bed.Create("t", 1, 3).ErrorCode);
        _bed.Create("t");
        var grow = new CreatePartitionsRequest { Topics = [new() { Name = "t", Count = 2, Assignments = [new() { BrokerIds = [3] }] }] };
        var grown = _bed.Do(new CreatePartitionsCommand(grow)).Results.Single();
        Assert.Equal(ErrorCode.InvalidReplicaAssignment, (ErrorCode)grown.ErrorCode);
    }

    /// <summary>Epochs of brokers began anew with the controller, and a process was registered unfenced.</summary>
    [Fact]
    public void Epochs_rise_over_controllers_and_a_new_process_begins_fenced()
    {
        var epochs = new List<long>();
        for (var i = 0UL; i < 4; i++)
        {
            _bed.Controller.Resign();
            _bed.Do(new ActivateCommand([], -1));
            epochs.Add(_bed.Do(new RegisterBrokerCommand(ControllerTestBed.Registration(1, incarnation: 2 + i))).BrokerEpoch);
            Assert.True(_bed.Image.Cluster.Broker(1)!.Fenced);
        }

        Assert.Equal(epochs.Distinct().Order(), epochs);
    }

    /// <summary>KAFKA-20395: a live voter was unregistered, and an upgrade that it did not support went through.</summary>
    [Fact]
    public void Voters_and_the_active_controller_stay_registered()
    {
        _bed.Quorum = new ControllerQuorum(1, [1, 2]);
        foreach (var id in (int[])[1, 2, 3])
        {
            var max = id == 2 ? MetadataVersion.V4_3_IV0.Level : MetadataVersion.Latest.Level;
            _bed.Do(new RegisterControllerCommand(new ControllerRegistrationRequest
            {
                ControllerId = id,
                Features = [new() { Name = MetadataVersion.FeatureName, MinSupportedVersion = 7, MaxSupportedVersion = max }],
            }));
        }

        Assert.Equal("Controller cannot unregister itself while it is active.", Refusal(1));
        Assert.Equal("Cannot unregister controller 2 because it is part of the voter set.", Refusal(2));
        _bed.Do(new UnregisterControllerCommand(3));
        Assert.Null(_bed.Image.Cluster.Controllers.GetValueOrDefault(3));

        string? Refusal(int id)
        {
            var refused = Assert.Throws<ApiException>(() => _bed.Do(new UnregisterControllerCommand(id)));
            Assert.Equal(ErrorCode.InvalidRequest, refused.Error.Code);
            return refused.Error.Message;
        }
    }

    private static ControllerTestBed At(MetadataVersion version)
    {
        var bed = new ControllerTestBed { Quorum = new ControllerQuorum(0, [1]) };
        var level = new FeatureLevelRecord { Name = MetadataVersion.FeatureName, FeatureLevel = version.Level };
        bed.Do(new ActivateCommand([new MetadataRecord(level, 0)], -1));
        for (var id = 1; id <= 3; id++)
            bed.AddBroker(id);
        return bed;
    }

    private TopicImage Topic(string name) => _bed.Image.Topics.Find(name)!;

    private PartitionRegistration Partition(string topic) => Topic(topic).Partitions[0];

    private void Fence(int id) => _bed.Do(new BrokerHeartbeatCommand(_bed.Heartbeat(id, wantFence: true)));

    private void Unfence(int id) => _bed.Do(new BrokerHeartbeatCommand(_bed.Heartbeat(id)));

    private void Upgrade(MetadataVersion version)
    {
        var response = _bed.Do(new UpdateFeaturesCommand(
            new UpdateFeaturesRequest
            {
                FeatureUpdates = [new() { Feature = MetadataVersion.FeatureName, MaxVersionLevel = version.Level, UpgradeType = 1 }],
            },
            2));
        Assert.Equal((0, null), (response.ErrorCode, response.ErrorMessage));
    }

    private void Reassign(string topic, int[]? replicas)
    {
        var response = _bed.Do(new AlterPartitionReassignmentsCommand(new AlterPartitionReassignmentsRequest
        {
            Topics = [new() { Name = topic, Partitions = [new() { PartitionIndex = 0, Replicas = replicas }] }],
        }));
        Assert.Equal(0, response.Responses[0].Partitions[0].ErrorCode);
    }

    private void Alter(int[] isr)
    {
        var partition = Partition("t");
        var response = _bed.Do(new AlterPartitionCommand(
            new AlterPartitionRequest
            {
                BrokerId = partition.Leader,
                BrokerEpoch = _bed.Image.Cluster.Broker(partition.Leader)!.Epoch,
                Topics =
                [
                    new()
                    {
                        TopicId = Topic("t").Id,
                        Partitions =
                        [
                            new()
                            {
                                LeaderEpoch = partition.LeaderEpoch,
                                PartitionEpoch = partition.PartitionEpoch,
                                NewIsrWithEpochs = [.. isr.Select(id => new AlterPartitionRequest.BrokerState { BrokerId = id })],
                            },
                        ],
                    },
                ],
            },
            3));
        Assert.Equal(0, response.Topics[0].Partitions[0].ErrorCode);
    }
}
