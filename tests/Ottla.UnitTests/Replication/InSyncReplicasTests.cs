using Ottla.Protocol;
using Ottla.StateMachines.Replication;

namespace Ottla.UnitTests.Replication;

/// <summary>Whom a leader takes for in sync, and what the controller's answers and the metadata make of its proposals.</summary>
public sealed class InSyncReplicasTests
{
    [Fact]
    public void A_follower_joins_when_it_has_what_is_committed()
    {
        var bed = new LeaderBed(isr: [1, 2]);
        bed.Append(10);
        bed.Fetch(2);
        Assert.Null(bed.Fetch(3, 9));
        var proposal = bed.Fetch(3, 10)!;
        Assert.Equal((5, 10, 3), (proposal.LeaderEpoch, proposal.PartitionEpoch, proposal.Added));
        Assert.Equal([new IsrMember(1, 101), new(2, 102), new(3, 103)], proposal.Isr.ToArray());
        Assert.True(bed.State.IsProposalOpen);
        Assert.Equal(ProposalFate.Committed, bed.Grant(proposal));
        Assert.Equal([1, 2, 3], bed.State.Isr.ToArray());
        Assert.Equal((11, null), (bed.State.PartitionEpoch, bed.State.Proposal));
    }

    /// <summary>Between the high watermark and the start of the epoch may be what the former leader had committed.</summary>
    [Fact]
    public void A_follower_joins_only_with_all_from_before_the_epoch()
    {
        var bed = new LeaderBed(isr: [1, 2], end: 20);
        Assert.Equal(0, bed.HighWatermark);
        Assert.Null(bed.Fetch(3, 19));
        Assert.NotNull(bed.Fetch(3, 20));
    }

    [Fact]
    public void Who_is_fenced_or_leaves_or_has_registered_anew_does_not_join()
    {
        var bed = new LeaderBed(isr: [1, 2]);
        bed.SetBroker(3, fenced: true);
        Assert.Null(bed.Fetch(3));
        bed.SetBroker(3, shuttingDown: true);
        Assert.Null(bed.Fetch(3));
        bed.SetBroker(3, epoch: 99); // the metadata is behind: the controller may know more, or less
        Assert.Null(bed.Fetch(3));
        bed.RemoveBroker(3);
        Assert.Null(bed.Fetch(3));
        bed.SetBroker(3);
        Assert.NotNull(bed.State.ProposeExpansion(bed.Moment)); // known to be caught up: it need not fetch again
    }

    [Fact]
    public void A_version_without_broker_epochs_may_join()
    {
        var bed = new LeaderBed(isr: [1, 2]);
        Assert.Equal([new IsrMember(1, 101), new(2, -1), new(3, -1)], bed.Fetch(3, brokerEpoch: -1)!.Isr.ToArray());
    }

    [Fact]
    public void One_change_is_proposed_at_a_time_and_the_next_follows_it()
    {
        var bed = new LeaderBed(isr: [1]);
        var first = bed.Fetch(2)!;
        Assert.Null(bed.Fetch(3));
        Assert.Null(bed.State.ProposeShrink(bed.Moment));
        bed.Grant(first);
        Assert.Equal(3, bed.State.ProposeExpansion(bed.Moment)!.Added); // without another fetch
    }

    [Fact]
    public void A_follower_leaves_when_it_has_not_caught_up_for_too_long()
    {
        var bed = new LeaderBed();
        bed.Fetch(2);
        bed.Fetch(3);
        bed.Append();
        bed.Pass(LeaderBed.LagMaxMs);
        bed.Fetch(2);
        Assert.Null(bed.State.ProposeShrink(bed.Moment));
        bed.Pass(1);
        var shrink = bed.State.ProposeShrink(bed.Moment)!;
        Assert.Equal([1, 2], shrink.Isr.Select(member => member.BrokerId));
        Assert.Null(shrink.Added);
        bed.Grant(shrink);
        Assert.Equal([1, 2], bed.State.Isr.ToArray());
    }

    [Fact]
    public void All_who_lag_leave_together()
    {
        var bed = new LeaderBed();
        bed.Append();
        bed.Pass(LeaderBed.LagMaxMs + 1);
        Assert.Equal([new IsrMember(1, 101)], bed.State.ProposeShrink(bed.Moment)!.Isr.ToArray());
    }

    /// <summary>However long nothing was written: who has everything is in sync (KAFKA-7152).</summary>
    [Fact]
    public void Who_has_everything_stays_for_ever_and_has_its_full_time_after_the_next_append()
    {
        var bed = new LeaderBed();
        bed.Append();
        bed.Fetch(2);
        bed.Fetch(3);
        bed.Pass(100 * LeaderBed.LagMaxMs);
        Assert.Null(bed.State.ProposeShrink(bed.Moment));
        bed.Append();
        Assert.Null(bed.State.ProposeShrink(bed.Moment));
        bed.Pass(LeaderBed.LagMaxMs);
        Assert.Null(bed.State.ProposeShrink(bed.Moment));
        bed.Pass(1);
        Assert.NotNull(bed.State.ProposeShrink(bed.Moment));
    }

    /// <summary>Under load it never has everything when it asks, but it had all of its last question.</summary>
    [Fact]
    public void Who_keeps_up_with_its_last_fetch_stays()
    {
        var bed = new LeaderBed(isr: [1, 2]);
        bed.Append();
        for (var i = 0; i < 10; i++)
        {
            var end = bed.End;
            bed.Append();
            bed.Fetch(2, end);
            bed.Pass(LeaderBed.LagMaxMs / 2);
            Assert.Null(bed.State.ProposeShrink(bed.Moment));
        }

        for (var i = 0; i < 3; i++)
        {
            bed.Append(); // it falls behind more and more
            bed.Fetch(2, bed.End - (20 * (i + 2)));
            bed.Pass(LeaderBed.LagMaxMs - 1);
        }

        Assert.NotNull(bed.State.ProposeShrink(bed.Moment));
    }

    /// <summary>Right after an election nobody has fetched yet: the clock begins there (KAFKA-4485).</summary>
    [Fact]
    public void A_new_leader_gives_its_followers_their_full_time()
    {
        var bed = new LeaderBed();
        bed.Append();
        bed.Pass(100 * LeaderBed.LagMaxMs);
        bed.LeadAnew([1, 2, 3]);
        bed.Append();
        Assert.Null(bed.State.ProposeShrink(bed.Moment));
        bed.Publish(leaderEpoch: bed.State.LeaderEpoch + 1);
        bed.Pass(LeaderBed.LagMaxMs);
        Assert.Null(bed.State.ProposeShrink(bed.Moment));
        bed.Pass(1);
        Assert.NotNull(bed.State.ProposeShrink(bed.Moment));
    }

    /// <summary>A change of the metadata that is no election does not set the clock back.</summary>
    [Fact]
    public void The_same_epoch_keeps_the_time()
    {
        var bed = new LeaderBed();
        bed.Append();
        bed.Pass(LeaderBed.LagMaxMs);
        bed.Publish(replicas: [1, 2, 3, 4]);
        bed.Pass(1);
        Assert.NotNull(bed.State.ProposeShrink(bed.Moment));
    }

    /// <summary>
    /// Below min.insync.replicas the high watermark stands still: a slow follower would reach it, join, and be taken out again, for ever
    /// (KAFKA-19996).
    /// </summary>
    [Fact]
    public void Below_the_minimum_a_follower_joins_only_when_it_keeps_up()
    {
        var bed = new LeaderBed(isr: [1], replicas: [1, 2], minInSync: 2);
        bed.Append(1000);
        Assert.Equal(0, bed.HighWatermark);
        Assert.Null(bed.Fetch(2, 10));
        bed.Append(1000);
        Assert.Null(bed.Fetch(2, 500));
        Assert.NotNull(bed.Fetch(2, 2000));
    }

    [Theory]
    [InlineData(ErrorCode.IneligibleReplica)]
    [InlineData(ErrorCode.OperationNotAttempted)]
    public void What_was_certainly_not_done_is_withdrawn(ErrorCode error)
    {
        var bed = new LeaderBed(isr: [1, 2]);
        bed.Append();
        bed.Fetch(2);
        var proposal = bed.Fetch(3)!;
        bed.Append();
        bed.SetBroker(3, fenced: true);
        bed.Fetch(2);
        Assert.Equal(10, bed.HighWatermark);
        Assert.Equal(ProposalFate.Withdrawn, bed.Refuse(proposal, error));
        Assert.Equal((20, 2), (bed.HighWatermark, bed.State.MaximalIsrCount));
        Assert.Null(bed.State.Proposal);
        bed.SetBroker(3);
        Assert.NotNull(bed.Fetch(3));
    }

    [Theory]
    [InlineData(ErrorCode.UnknownTopicId)]
    [InlineData(ErrorCode.UnknownTopicOrPartition)]
    [InlineData(ErrorCode.FencedLeaderEpoch)]
    [InlineData(ErrorCode.InvalidUpdateVersion)]
    [InlineData(ErrorCode.InvalidRequest)]
    [InlineData(ErrorCode.NewLeaderElected)]
    public void What_may_have_been_done_stays_pending_until_the_metadata_tells(ErrorCode error)
    {
        var bed = new LeaderBed(isr: [1, 2]);
        bed.Append();
        bed.Fetch(2);
        var proposal = bed.Fetch(3)!;
        Assert.Equal(ProposalFate.AwaitsMetadata, bed.Refuse(proposal, error));
        Assert.False(bed.State.IsProposalOpen);
        Assert.Same(proposal, bed.State.Proposal);
        bed.Append();
        bed.Fetch(2);
        bed.Pass(100 * LeaderBed.LagMaxMs);
        bed.Advance();
        Assert.Equal(10, bed.HighWatermark); // 3 may be in the ISR
        Assert.Null(bed.State.ProposeShrink(bed.Moment));
        bed.Publish(isr: [1, 2, 3]);
        Assert.Null(bed.State.Proposal);
        Assert.Equal([1, 2, 3], bed.State.Isr.ToArray());
    }

    [Theory]
    [InlineData(ErrorCode.NotController)]
    [InlineData(ErrorCode.UnknownServerError)]
    [InlineData(ErrorCode.RequestTimedOut)]
    public void Other_errors_are_tried_again(ErrorCode error)
    {
        var bed = new LeaderBed(isr: [1, 2]);
        var proposal = bed.Fetch(3)!;
        Assert.Equal(ProposalFate.Retried, bed.Refuse(proposal, error));
        Assert.True(bed.State.IsProposalOpen);
        Assert.Equal(ProposalFate.Committed, bed.Grant(proposal));
    }

    [Fact]
    public void The_metadata_may_come_before_the_answer()
    {
        var bed = new LeaderBed(isr: [1, 2]);
        var proposal = bed.Fetch(3)!;
        Assert.True(bed.Publish(isr: [1, 2, 3]));
        Assert.Null(bed.State.Proposal);
        Assert.Equal(ProposalFate.Settled, bed.Grant(proposal));
        Assert.Equal(11, bed.State.PartitionEpoch);
    }

    /// <summary>
    /// The answer came first, and the next proposal is under way: the metadata of the first settles nothing of the second, of which the
    /// controller may have agreed to already.
    /// </summary>
    [Fact]
    public void The_metadata_of_an_answered_proposal_leaves_the_next_one_pending()
    {
        var bed = new LeaderBed(isr: [1]);
        bed.Append();
        bed.Grant(bed.Fetch(2)!);
        var next = bed.Fetch(3)!;
        Assert.True(bed.Publish(isr: [1, 2], partitionEpoch: 11));
        Assert.Same(next, bed.State.Proposal);
        Assert.Equal(3, bed.State.MaximalIsrCount);
        Assert.Equal(ProposalFate.Committed, bed.Grant(next));
    }

    [Fact]
    public void Older_metadata_than_the_answers_is_passed_over()
    {
        var bed = new LeaderBed(isr: [1]);
        bed.Grant(bed.Fetch(2)!);
        Assert.False(bed.Publish(isr: [1], partitionEpoch: 10));
        Assert.Equal([1, 2], bed.State.Isr.ToArray());
    }

    [Fact]
    public void Metadata_of_another_change_settles_what_is_pending()
    {
        var bed = new LeaderBed(isr: [1, 2]);
        bed.Append();
        var proposal = bed.Fetch(3)!;
        bed.Publish(isr: [1], partitionEpoch: 11); // the controller has fenced 2 meanwhile
        Assert.Null(bed.State.Proposal);
        Assert.Equal([1], bed.State.Isr.ToArray());
        Assert.Equal(ProposalFate.Settled, bed.Refuse(proposal, ErrorCode.InvalidUpdateVersion));
        Assert.Equal([1, 3], bed.State.ProposeExpansion(bed.Moment)!.Isr.Select(member => member.BrokerId));
    }

    [Fact]
    public void A_new_epoch_settles_what_is_pending()
    {
        var bed = new LeaderBed(isr: [1, 2]);
        bed.Append();
        var proposal = bed.Fetch(3)!;
        bed.Publish(isr: [1, 2], leaderEpoch: 6);
        Assert.Null(bed.State.Proposal);
        Assert.Equal(ProposalFate.Settled, bed.Grant(proposal));
    }

    /// <summary>It is of another leader, or of a partition epoch that is past: the metadata tells what is true.</summary>
    [Fact]
    public void An_answer_of_another_epoch_is_not_believed()
    {
        var bed = new LeaderBed(isr: [1, 2]);
        var proposal = bed.Fetch(3)!;
        Assert.Equal(ProposalFate.AwaitsMetadata, bed.State.OnAnswer(proposal, new IsrAnswer(ErrorCode.None, 6, 11, [1, 2, 3])));
        Assert.Equal(ProposalFate.AwaitsMetadata, bed.State.OnAnswer(proposal, new IsrAnswer(ErrorCode.None, 5, 9, [1, 2, 3])));
        Assert.Equal([1, 2], bed.State.Isr.ToArray());
        Assert.Equal(3, bed.State.MaximalIsrCount);
    }

    /// <summary>The controller found nothing to do: the ISR was so already.</summary>
    [Fact]
    public void An_answer_of_the_same_partition_epoch_is_believed()
    {
        var bed = new LeaderBed(isr: [1, 2]);
        var proposal = bed.Fetch(3)!;
        Assert.Equal(ProposalFate.Committed, bed.State.OnAnswer(proposal, new IsrAnswer(ErrorCode.None, 5, 10, [1, 2, 3])));
        Assert.Equal([1, 2, 3], bed.State.Isr.ToArray());
    }
}
