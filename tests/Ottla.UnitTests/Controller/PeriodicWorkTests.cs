using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;

namespace Ottla.UnitTests.Controller;

/// <summary>What the active controller does without being asked.</summary>
public sealed class PeriodicWorkTests
{
    [Fact]
    public void No_op_records_are_written_at_their_interval()
    {
        var bed = ControllerTestBed.WithBrokers();
        var before = bed.Log.Count;
        bed.Pass(2_000);
        Assert.Equal(4, bed.Log.Skip(before).Count(record => record.Message is NoOpRecord));
        Assert.Equal(before + 4, bed.Log.Count);
    }

    [Fact]
    public void No_op_records_can_be_turned_off()
    {
        var bed = ControllerTestBed.WithBrokers(1, 7, ("metadata.max.idle.interval.ms", "0"));
        var before = bed.Log.Count;
        bed.Pass(5_000);
        Assert.Equal(before, bed.Log.Count);
    }

    [Fact]
    public void Leaderships_go_back_to_the_preferred_replicas()
    {
        var bed = Unbalanced(("leader.imbalance.check.interval.seconds", "2"));
        bed.Pass(1_999);
        Assert.Equal(2, Leader(bed, "t"));
        bed.Pass(1);
        Assert.Equal(1, Leader(bed, "t"));
        var before = Changes(bed);
        bed.Pass(10_000);
        Assert.Equal(before, Changes(bed));
        bed.CheckInvariants();
    }

    [Fact]
    public void Leaderships_stay_where_they_are_if_balancing_is_off()
    {
        var bed = Unbalanced(("leader.imbalance.check.interval.seconds", "2"), ("auto.leader.rebalance.enable", "false"));
        bed.Pass(8_000);
        Assert.Equal(2, Leader(bed, "t"));
    }

    [Fact]
    public void Balancing_moves_a_thousand_at_a_time_and_goes_on_at_once()
    {
        var bed = Unbalanced(1_500, ("leader.imbalance.check.interval.seconds", "2"));
        bed.Pass(2_000);
        Assert.Equal(500, bed.Image.Topics.Find("t")!.Partitions.Count(partition => partition.Leader == 2));
        bed.Pass(10);
        Assert.Equal(0, bed.Image.Topics.Find("t")!.Partitions.Count(partition => partition.Leader == 2));
    }

    [Fact]
    public void Partition_without_a_leader_gets_any_replica_only_where_that_is_allowed()
    {
        var bed = ControllerTestBed.WithBrokers(
            3, 7, ("unclean.leader.election.interval.ms", "1000"), ("broker.session.timeout.ms", "100000000"));
        bed.Create("no", assignments: [[1, 2]]);
        bed.Create("yes", assignments: [[1, 2]]);
        foreach (var name in (string[])["no", "yes"])
        {
            var topic = bed.Image.Topics.Find(name)!;
            bed.Write(new PartitionChangeRecord
            {
                TopicId = topic.Id,
                PartitionId = 0,
                Isr = [],
                EligibleLeaderReplicas = [3],
                Leader = PartitionRegistration.NoLeader,
            });
        }

        bed.Do(new AlterConfigsCommand(
            [new ConfigChange(
                ConfigResource.Topic("yes"),
                [new ConfigAlteration("unclean.leader.election.enable", Ottla.Configuration.AlterConfigOperation.Set, "true")],
                ReplacesAll: false)],
            ValidateOnly: false));
        Assert.Equal(PartitionRegistration.NoLeader, Leader(bed, "yes"));
        bed.Pass(1_000);
        Assert.Equal(1, Leader(bed, "yes"));
        Assert.Equal(LeaderRecoveryState.Recovering, bed.Image.Topics.Find("yes")!.Partitions[0].LeaderRecoveryState);
        Assert.Equal(PartitionRegistration.NoLeader, Leader(bed, "no"));
    }

    private static ControllerTestBed Unbalanced(params (string, string)[] configs) => Unbalanced(1, configs);

    private static ControllerTestBed Unbalanced(int partitions, params (string, string)[] configs)
    {
        var bed = ControllerTestBed.WithBrokers(2, 7, [.. configs, ("broker.session.timeout.ms", "100000000")]);
        bed.Create("t", assignments: [.. Enumerable.Range(0, partitions).Select(_ => new[] { 1, 2 })]);
        var topic = bed.Image.Topics.Find("t")!;
        for (var i = 0; i < partitions; i++)
            bed.Write(new PartitionChangeRecord { TopicId = topic.Id, PartitionId = i, Leader = 2 });
        return bed;
    }

    private static int Leader(ControllerTestBed bed, string topic) => bed.Image.Topics.Find(topic)!.Partitions[0].Leader;

    private static int Changes(ControllerTestBed bed) => bed.Log.Count(record => record.Message is PartitionChangeRecord);
}
