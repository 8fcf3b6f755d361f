using Ottla.Protocol;

namespace Ottla.UnitTests.Replication;

/// <summary>How far a leader takes its records for committed.</summary>
public sealed class HighWatermarkTests
{
    [Fact]
    public void It_is_the_least_end_of_the_in_sync_replicas()
    {
        var bed = new LeaderBed();
        bed.Append(10);
        bed.Fetch(2, 10);
        Assert.Equal(0, bed.HighWatermark); // 3 has not fetched yet
        bed.Fetch(3, 4);
        Assert.Equal(4, bed.HighWatermark);
        bed.Fetch(3, 10);
        Assert.Equal(10, bed.HighWatermark);
    }

    [Fact]
    public void A_leader_that_is_alone_in_sync_commits_what_it_appends()
    {
        var bed = new LeaderBed(isr: [1]);
        bed.Append(7);
        Assert.Equal(7, bed.HighWatermark);
    }

    /// <summary>With too few replicas in sync, what consumers see could be lost with one broker (KIP-966).</summary>
    [Fact]
    public void It_stands_still_below_min_insync_replicas()
    {
        var bed = new LeaderBed(isr: [1], minInSync: 2);
        bed.Append(7);
        Assert.Equal(0, bed.HighWatermark);
        bed.MinInSync = 1;
        bed.Advance();
        Assert.Equal(7, bed.HighWatermark);
    }

    [Fact]
    public void No_more_in_sync_replicas_are_needed_than_there_are()
    {
        var bed = new LeaderBed(isr: [1, 2], replicas: [1, 2], minInSync: 3);
        bed.Append(7);
        bed.Fetch(2);
        Assert.Equal(7, bed.HighWatermark);
    }

    /// <summary>The controller may have added it already, and may elect it: so it counts from the proposal on.</summary>
    [Fact]
    public void A_follower_that_is_proposed_counts()
    {
        var bed = new LeaderBed(isr: [1, 2]);
        bed.Append(10);
        bed.Fetch(2);
        Assert.NotNull(bed.Fetch(3)); // proposed
        Assert.Equal(3, bed.State.MaximalIsrCount);
        bed.Append(5);
        bed.Fetch(2);
        bed.Pass(10 * LeaderBed.LagMaxMs); // so long that it counts for nothing else any more
        bed.Advance();
        Assert.Equal(10, bed.HighWatermark);
        bed.Fetch(3);
        Assert.Equal(15, bed.HighWatermark);
    }

    /// <summary>A shrink may be refused: until it is granted, the one who leaves counts.</summary>
    [Fact]
    public void A_follower_that_is_to_leave_counts_until_the_controller_has_agreed()
    {
        var bed = new LeaderBed();
        bed.Append(10);
        bed.Fetch(2);
        bed.Pass(LeaderBed.LagMaxMs + 1);
        var shrink = bed.State.ProposeShrink(bed.Moment)!;
        bed.Fetch(2);
        Assert.Equal((0, 3), (bed.HighWatermark, bed.State.MaximalIsrCount));
        bed.Grant(shrink);
        Assert.Equal(10, bed.HighWatermark); // without any other event (KAFKA-13091)
    }

    [Fact]
    public void It_moves_when_the_metadata_takes_a_follower_out()
    {
        var bed = new LeaderBed();
        bed.Append(10);
        bed.Fetch(2);
        bed.Publish(isr: [1, 2]);
        Assert.Equal(10, bed.HighWatermark);
    }

    /// <summary>If the high watermark kept ahead of it, a follower that is about to join could never do so.</summary>
    [Fact]
    public void A_follower_that_is_caught_up_and_may_join_is_waited_for()
    {
        var bed = new LeaderBed(isr: [1, 2]);
        bed.Append(10);
        bed.Fetch(2);
        bed.SetBroker(3, fenced: true);
        Assert.Null(bed.Fetch(3)); // caught up, but not alive to the controller
        bed.Append(5);
        bed.Fetch(2);
        Assert.Equal(15, bed.HighWatermark);
        bed.Fetch(3);
        bed.Append(5);
        bed.SetBroker(3); // alive again
        bed.Fetch(2);
        Assert.Equal(15, bed.HighWatermark);
        bed.Fetch(3);
        Assert.Equal(20, bed.HighWatermark);
    }

    [Fact]
    public void A_follower_that_has_fallen_behind_is_not_waited_for()
    {
        var bed = new LeaderBed(isr: [1, 2]);
        bed.Append(10);
        bed.Fetch(2);
        Assert.Equal(10, bed.HighWatermark); // 3 has never fetched
        bed.Fetch(3, 3);
        bed.Append(10);
        bed.Fetch(2);
        Assert.Equal(20, bed.HighWatermark);
    }

    /// <summary>A fetch that was answered by the leader of another epoch says nothing about this one's log.</summary>
    [Fact]
    public void A_fetch_of_another_epoch_says_nothing()
    {
        var bed = new LeaderBed(isr: [1, 2]);
        bed.Append(10);
        bed.Fetch(2, 10, leaderEpoch: 4);
        Assert.Equal(0, bed.HighWatermark);
        bed.LeadAnew(isr: [1, 2]);
        bed.Fetch(2, 10, leaderEpoch: 5);
        Assert.Equal(0, bed.HighWatermark);
        bed.Fetch(2, 10);
        Assert.Equal(10, bed.HighWatermark);
    }

    /// <summary>It was answered before the broker died; what it says of the log may be lost by now.</summary>
    [Fact]
    public void A_fetch_of_a_former_registration_says_nothing()
    {
        var bed = new LeaderBed(isr: [1, 2]);
        bed.Append(10);
        bed.SetBroker(2, epoch: 500);
        Assert.Equal(ErrorCode.NotLeaderOrFollower, bed.State.Check(2, LeaderBed.EpochOf(2), bed.Cluster));
        bed.Fetch(2, 10, brokerEpoch: LeaderBed.EpochOf(2));
        Assert.Equal(0, bed.HighWatermark);
        Assert.Equal(ErrorCode.None, bed.State.Check(2, 500, bed.Cluster));
        Assert.Equal(ErrorCode.None, bed.State.Check(2, 501, bed.Cluster)); // it knows more than this broker's metadata
        Assert.Equal(ErrorCode.None, bed.State.Check(2, -1, bed.Cluster)); // a version without broker epochs
        bed.Fetch(2, 10, brokerEpoch: 500);
        Assert.Equal(10, bed.HighWatermark);
    }

    [Fact]
    public void Who_has_no_replica_may_not_fetch()
    {
        var bed = new LeaderBed(isr: [1, 2]);
        Assert.Equal(ErrorCode.UnknownLeaderEpoch, bed.State.Check(4, LeaderBed.EpochOf(4), bed.Cluster));
        Assert.Null(bed.Fetch(4));
        bed.Publish(replicas: [1, 2, 3, 4]);
        Assert.Equal(ErrorCode.None, bed.State.Check(4, LeaderBed.EpochOf(4), bed.Cluster));
        bed.Publish(replicas: [1, 2, 4]);
        Assert.Equal(ErrorCode.UnknownLeaderEpoch, bed.State.Check(3, LeaderBed.EpochOf(3), bed.Cluster));
    }

    /// <summary>What is known of the followers outlives a change of the replicas: else nobody would hold the high watermark back.</summary>
    [Fact]
    public void A_reassignment_forgets_no_follower_that_stays()
    {
        var bed = new LeaderBed();
        bed.Append(10);
        bed.Fetch(2, 10);
        bed.Fetch(3, 4);
        bed.Publish(replicas: [1, 2, 3, 4]);
        Assert.Equal((4, 10), (bed.State.Find(3)!.EndOffset, bed.State.Find(2)!.EndOffset));
        Assert.Equal(4, bed.HighWatermark);
    }

    [Fact]
    public void A_leader_that_is_elected_again_goes_on_from_what_it_knows_and_a_new_one_does_not()
    {
        var bed = new LeaderBed();
        bed.Append(10);
        bed.Fetch(2);
        bed.Fetch(3, 8);
        bed.Publish(leaderEpoch: 6);
        bed.Fetch(3);
        Assert.Equal(10, bed.HighWatermark);
        bed.Append(5);
        bed.LeadAnew([1, 2, 3]);
        bed.Fetch(2);
        Assert.Equal(10, bed.HighWatermark); // 3 has said nothing yet
    }

    [Fact]
    public void Records_are_deleted_everywhere_once_all_live_replicas_start_behind_them()
    {
        var bed = new LeaderBed();
        bed.Append(10);
        Assert.Equal(-1, bed.State.LowWatermark(6, bed.Cluster));
        bed.Fetch(2, start: 6);
        bed.Fetch(3, start: 2);
        Assert.Equal(2, bed.State.LowWatermark(6, bed.Cluster));
        bed.SetBroker(3, fenced: true);
        Assert.Equal(6, bed.State.LowWatermark(6, bed.Cluster));
        bed.RemoveBroker(3);
        Assert.Equal(6, bed.State.LowWatermark(6, bed.Cluster));
        Assert.Equal(5, bed.State.LowWatermark(5, bed.Cluster));
    }
}
