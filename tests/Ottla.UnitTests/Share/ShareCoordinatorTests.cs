using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Simulator.Groups;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Share;
using Ottla.StateMachines.Share.Coordinator;
using static Ottla.UnitTests.Share.ShareCoordinatorTestBed;

namespace Ottla.UnitTests.Share;

/// <summary>What a share coordinator keeps, and what it refuses. The bugs that Kafka's had are named by their numbers.</summary>
public sealed class ShareCoordinatorTests
{
    private static readonly DeliveryBatch[] Accepted = [new(0, 4, DeliveryState.Acknowledged, 1)];

    [Fact]
    public void Nothing_is_read_or_written_before_the_partition_is_initialised()
    {
        var bed = new ShareCoordinatorTestBed();
        Assert.Equal(ErrorCode.InvalidRequest, bed.Error(new ReadShareStateCommand(Key(), 0)));
        Assert.Equal(ErrorCode.InvalidRequest, bed.Write(0, 0, []));
        Assert.Same(ShareState.None, bed.Ask(new ReadShareStateSummaryCommand(Key())).Value<ShareState>());
        Assert.Equal(ErrorCode.None, bed.Error(new DeleteShareStateCommand(Key())));
        Assert.Empty(bed.Log);
    }

    [Fact]
    public void Initialising_again_keeps_what_was_written_since() // PR 23190
    {
        var bed = new ShareCoordinatorTestBed();
        bed.Initialize();
        bed.Write(0, 5, Accepted);
        Assert.Equal(ErrorCode.None, bed.Initialize());
        Assert.Equal(Accepted, bed.State().Batches);
        Assert.Equal(ErrorCode.None, bed.Initialize(stateEpoch: 2));
        Assert.Empty(bed.State().Batches);
        Assert.Equal(ErrorCode.FencedStateEpoch, bed.Initialize(stateEpoch: 1));
        Assert.Equal(ErrorCode.FencedStateEpoch, bed.Write(0, 5, Accepted, stateEpoch: 1)); // KAFKA-19954: a write from before
    }

    [Fact]
    public void A_leader_that_has_read_fences_those_before() // KAFKA-20023
    {
        var bed = new ShareCoordinatorTestBed();
        bed.Initialize();
        Assert.Equal(ErrorCode.None, bed.Error(new ReadShareStateCommand(Key(), 5)));
        Assert.Equal(5, bed.State().LeaderEpoch);
        Assert.Equal(ErrorCode.FencedLeaderEpoch, bed.Write(0, 0, [], leaderEpoch: 4));
        Assert.Equal(ErrorCode.FencedLeaderEpoch, bed.Error(new ReadShareStateCommand(Key(), 4)));
        Assert.Equal(ErrorCode.None, bed.Write(0, 0, [], leaderEpoch: 5));
        bed.Initialize(stateEpoch: 2);
        Assert.Equal(ErrorCode.FencedLeaderEpoch, bed.Write(0, 0, [], stateEpoch: 2, leaderEpoch: 4)); // a new beginning lowers nothing
    }

    [Fact]
    public void Reading_again_with_the_same_epoch_writes_nothing()
    {
        var bed = new ShareCoordinatorTestBed();
        bed.Initialize();
        bed.Error(new ReadShareStateCommand(Key(), 0));
        Assert.Single(bed.Log);
        bed.Error(new ReadShareStateCommand(Key(), 1));
        bed.Error(new ReadShareStateCommand(Key(), 1));
        Assert.Equal(2, bed.Log.Count);
    }

    [Theory]
    [InlineData(-1, 0, 0)]
    [InlineData(0, -1, 0)]
    [InlineData(0, 0, -1)]
    public void Negative_numbers_are_refused(int partition, int stateEpoch, int leaderEpoch) // KAFKA-20743
    {
        var bed = new ShareCoordinatorTestBed();
        bed.Initialize(stateEpoch: 0);
        Assert.Equal(
            ErrorCode.InvalidRequest, bed.Write(0, 0, [], stateEpoch: stateEpoch, leaderEpoch: leaderEpoch, partition: partition));
    }

    [Fact]
    public void Offsets_out_of_order_or_range_are_refused()
    {
        var bed = new ShareCoordinatorTestBed();
        bed.Initialize();
        Assert.Equal(ErrorCode.InvalidRequest, bed.Write(0, 0, [new(5, 4, DeliveryState.Available, 1)]));
        Assert.Equal(ErrorCode.InvalidRequest, bed.Write(0, 0, [new(5, long.MaxValue, DeliveryState.Available, 1)]));
    }

    [Fact]
    public void The_start_offset_never_goes_back_and_a_count_belongs_to_its_start_offset() // PR 23074, PR 23112
    {
        var bed = new ShareCoordinatorTestBed();
        bed.Initialize();
        bed.Write(10, 3, []);
        Assert.Equal(ErrorCode.None, bed.Write(5, 8, []));
        Assert.Equal((10, 3), (bed.State().StartOffset, bed.State().DeliveryCompleteCount));
        bed.Write(10, 2, []);
        Assert.Equal(3, bed.State().DeliveryCompleteCount);
        bed.Write(12, 1, []);
        Assert.Equal((12, 1), (bed.State().StartOffset, bed.State().DeliveryCompleteCount));
    }

    [Fact]
    public void The_write_after_the_last_update_is_a_snapshot() // PR 21426
    {
        var bed = new ShareCoordinatorTestBed(configs: [("share.coordinator.snapshot.update.records.per.snapshot", "2")]);
        bed.Initialize();
        for (var i = 0; i < 7; i++)
            bed.Write(0, i + 1, [new(i, i, DeliveryState.Acknowledged, 1)]);
        Assert.Equal([true, false, false, true, false, false, true, false], bed.Log.Select(entry => entry.Record.Key is ShareSnapshotKey));
        Assert.Equal(2, bed.State().SnapshotEpoch);
        Assert.Equal([new DeliveryBatch(0, 6, DeliveryState.Acknowledged, 1)], bed.State().Batches);
    }

    [Fact]
    public void A_refused_write_changes_nothing()
    {
        var bed = new ShareCoordinatorTestBed();
        bed.Initialize();
        bed.IsDiskFull = true;
        Assert.Equal(ErrorCode.CoordinatorNotAvailable, bed.Write(0, 5, Accepted));
        Assert.Empty(bed.State().Batches);
        bed.IsDiskFull = false;
        Assert.Equal(ErrorCode.None, bed.Write(0, 5, Accepted));
    }

    [Fact]
    public void A_loaded_machine_knows_what_the_one_before_knew()
    {
        var bed = new ShareCoordinatorTestBed(configs: [("share.coordinator.snapshot.update.records.per.snapshot", "3")]);
        bed.Initialize();
        bed.Initialize(partition: 1);
        bed.Error(new ReadShareStateCommand(Key(), 2));
        for (var i = 0; i < 8; i++)
            bed.Write(0, i, [new(i, i, DeliveryState.Acknowledged, (short)(i % 2))], leaderEpoch: 2);
        bed.Error(new DeleteShareStateCommand(Key(1)));
        var before = bed.Machine.States.ToDictionary();
        bed.Load();
        Assert.Equal(before.Keys, bed.Machine.States.Select(state => state.Key));
        Assert.Equal(before[Key()] with { Batches = [] }, bed.State() with { Batches = [] });
        Assert.Equal(before[Key()].Batches, bed.State().Batches);
        Assert.Equal(ErrorCode.FencedLeaderEpoch, bed.Write(0, 0, [], leaderEpoch: 1));
    }

    [Fact]
    public void Partitions_that_are_written_no_more_are_snapshotted_so_that_the_log_can_be_pruned()
    {
        var bed = new ShareCoordinatorTestBed(configs:
            [("share.coordinator.cold.partition.snapshot.interval.ms", "4000"), ("share.coordinator.state.topic.prune.interval.ms", "3000"),
                ("share.coordinator.snapshot.update.records.per.snapshot", "2")]);
        bed.Initialize(partition: 1); // cold
        bed.Initialize();
        for (var i = 0; i < 6; i++)
            bed.Write(0, i, [new(i, i, DeliveryState.Acknowledged, 1)]);
        bed.Advance(3_000);
        Assert.Null(bed.PrunedTo); // partition 1 is at the beginning
        bed.Advance(6_000);
        Assert.Equal(1, bed.State(1).SnapshotEpoch);
        var oldest = bed.Log.Last(entry => entry.Record.Key is ShareSnapshotKey { Partition: 1 }).Offset;
        Assert.Equal(oldest, bed.PrunedTo);

        var count = bed.Log.Count;
        bed.Advance(60_000);
        Assert.Equal(count, bed.Log.Count); // all are cold: nothing is gained by more snapshots
        var states = bed.Machine.States.ToDictionary();
        bed.Log.RemoveAll(entry => entry.Offset < bed.PrunedTo);
        bed.Load();
        Assert.Equal(states.Keys.ToHashSet(), bed.Machine.States.Select(state => state.Key).ToHashSet());
        Assert.Equal(states[Key()].Batches, bed.State().Batches);
    }

    [Fact]
    public void A_log_without_share_partitions_is_pruned_up_to_the_last_deletion()
    {
        var bed = new ShareCoordinatorTestBed();
        bed.Initialize();
        bed.Write(0, 5, Accepted);
        bed.Error(new DeleteShareStateCommand(Key()));
        Assert.Equal(CoordinatorRecord.Tombstone(bed.LastRecords[0].Key), bed.LastRecords[0]);
        bed.Advance(400_000);
        Assert.Equal(2, bed.PrunedTo);
    }

    [Fact]
    public void States_of_deleted_topics_are_deleted_also_those_that_were_deleted_while_nobody_coordinated() // KAFKA-19454, 19201, 19198
    {
        var bed = new ShareCoordinatorTestBed();
        bed.Initialize();
        bed.Initialize(partition: 1);
        bed.DeleteTopic();
        Assert.Equal(ErrorCode.UnknownTopicOrPartition, bed.Write(0, 5, Accepted));
        bed.IsDiskFull = true;
        bed.Advance(1_000);
        Assert.Equal(2, bed.Machine.States.Count());
        bed.IsDiskFull = false;
        bed.Load();
        bed.Advance(1_000);
        Assert.Empty(bed.Machine.States);
        Assert.True(bed.Machine.NextDeadline > bed.Now);
    }

    [Fact]
    public void Many_states_of_a_deleted_topic_take_several_steps()
    {
        var bed = new ShareCoordinatorTestBed(partitions: 250);
        for (var i = 0; i < 250; i++)
            bed.Initialize(partition: i);
        bed.DeleteTopic();
        bed.RunDeadline();
        Assert.Equal(150, bed.Machine.States.Count());
        bed.Advance(1_000);
        Assert.Empty(bed.Machine.States);
    }
}
