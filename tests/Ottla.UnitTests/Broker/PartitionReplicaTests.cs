using Ottla.Broker.Replicas;
using Ottla.Protocol;
using Ottla.StateMachines.Replication;
using Ottla.Storage.Log;

namespace Ottla.UnitTests.Broker;

/// <summary>A replica that leads, follows, and changes its role while requests are under way.</summary>
public sealed class PartitionReplicaTests
{
    [Fact]
    public async Task Records_are_acknowledged_when_all_in_sync_replicas_have_them()
    {
        var bed = new ReplicaBed();
        var committed = bed.Commit();
        bed.Fetch(2);
        Assert.False(committed.IsCompleted);
        bed.Fetch(3);
        Assert.Equal(ErrorCode.None, await committed.WaitAsync(Waiting.Patience));
        Assert.Equal(1, bed.Log.HighWatermark);
    }

    [Fact]
    public async Task A_wait_ends_at_its_deadline()
    {
        var bed = new ReplicaBed();
        var committed = bed.Commit(timeoutMs: 500);
        bed.Clock.AdvanceMs(500);
        Assert.Equal(ErrorCode.RequestTimedOut, await committed.WaitAsync(Waiting.Patience));
    }

    [Fact]
    public void Too_few_in_sync_replicas_refuse_before_the_append()
    {
        var bed = new ReplicaBed(isr: [1], minInSync: 2);
        Assert.Equal(ErrorCode.NotEnoughReplicas, bed.Append().ErrorCode);
        Assert.Equal(ErrorCode.NotEnoughReplicas, bed.Replica.CheckCoordinatorAppend(leaderEpoch: 1).ErrorCode);
        Assert.Equal(0, bed.Log.LogEndOffset);
        Assert.Equal(ErrorCode.None, bed.Append(acksAll: false).ErrorCode);
        Assert.Equal((1, 0), (bed.Log.LogEndOffset, bed.Log.HighWatermark));
    }

    /// <summary>They are where they belong, but a broker that is lost now may lose them: the producer learns that.</summary>
    [Fact]
    public async Task Too_few_in_sync_replicas_after_the_append_are_told()
    {
        var bed = new ReplicaBed(isr: [1, 2], replicas: [1, 2], minInSync: 2);
        var wait = bed.Wait(bed.Append());
        bed.Fetch(2);
        Assert.Equal(ErrorCode.None, wait.Look());
        bed.Surroundings.Cluster = ReplicaBed.Brokers(1, 3); // the controller has fenced 2
        bed.Publish(isr: [1]);
        Assert.Equal(ErrorCode.NotEnoughReplicasAfterAppend, await wait.WaitAsync(bed.Now.AddMilliseconds(1), bed.Clock, default));
        var second = bed.Append(acksAll: false);
        Assert.Null(bed.Wait(second).Look()); // nothing is committed below the minimum
    }

    /// <summary>A follower that is proposed counts for the minimum, as in Kafka: it has the records.</summary>
    [Fact]
    public void A_proposed_follower_counts_for_the_minimum_after_the_append()
    {
        var bed = new ReplicaBed(isr: [1, 2], minInSync: 2);
        var wait = bed.Wait(bed.Append());
        bed.Fetch(2);
        bed.Surroundings.Cluster = ReplicaBed.Brokers(1, 3);
        bed.Publish(isr: [1]);
        Assert.Equal(ErrorCode.NotEnoughReplicasAfterAppend, wait.Look());
        bed.Fetch(3);
        Assert.Equal((1, 3), (bed.Requests, bed.Replica.OpenProposal!.Added));
        Assert.Equal(ErrorCode.None, wait.Look());
    }

    [Fact]
    public async Task A_demotion_ends_the_waits_at_once()
    {
        var bed = new ReplicaBed();
        var committed = bed.Commit();
        Assert.True(bed.Publish(leader: 2, leaderEpoch: 2));
        Assert.Equal(ErrorCode.NotLeaderOrFollower, await committed.WaitAsync(Waiting.Patience));
        Assert.Equal(ErrorCode.NotLeaderOrFollower, bed.Append().ErrorCode);
    }

    /// <summary>
    /// The new leader has other records there, and its high watermark passes their offset: that is no commit of ours (KAFKA-20634).
    /// </summary>
    [Fact]
    public void A_high_watermark_of_another_leader_commits_nothing_of_ours()
    {
        var bed = new ReplicaBed();
        var wait = bed.Wait(bed.Append());
        bed.Publish(leader: 2, leaderEpoch: 2);
        Assert.Equal(FollowerTruncation.Truncated, bed.Log.TruncateAsFollower(0, leaderEpoch: 2));
        Assert.True(bed.Replicate(leaderEpoch: 2));
        Assert.True(bed.Log.AdvanceHighWatermark(1, leaderEpoch: 2));
        Assert.False(wait.IsCommitted);
        bed.Publish(leader: 1, leaderEpoch: 3); // leads again before anybody has looked
        Assert.Equal(ErrorCode.NotLeaderOrFollower, wait.Look());
    }

    [Fact]
    public void A_leader_that_is_elected_again_goes_on_with_its_waits()
    {
        var bed = new ReplicaBed();
        var wait = bed.Wait(bed.Append());
        Assert.True(bed.Publish(leaderEpoch: 2));
        Assert.Null(wait.Look());
        bed.Fetch(2);
        bed.Fetch(3);
        Assert.Equal(ErrorCode.None, wait.Look());
    }

    /// <summary>Whoever looked at the role before it changed comes too late: the log itself refuses.</summary>
    [Fact]
    public void The_log_refuses_what_another_role_would_do()
    {
        var bed = new ReplicaBed();
        bed.Append();
        bed.Publish(leader: 2, leaderEpoch: 2);
        Assert.Equal(
            ErrorCode.NotLeaderOrFollower,
            Assert.Throws<LogException>(() => bed.Log.AppendAsLeader(
                Requests.Batch(), 1, Ottla.Protocol.Batches.AppendOrigin.Client, bed.Now)).ErrorCode);
        Assert.False(bed.Replicate(leaderEpoch: 1)); // a fetcher of the former epoch
        Assert.False(bed.Replicate(leaderEpoch: 2, at: 5)); // an answer to a former fetch
        Assert.Equal(FollowerTruncation.TooLate, bed.Log.TruncateAsFollower(0, leaderEpoch: 1));
        Assert.False(bed.Log.TryTruncateFullyAsFollower(0, leaderEpoch: 1));
        Assert.False(bed.Log.AdvanceHighWatermark(1, leaderEpoch: 1));
        Assert.False(bed.Log.AdvanceLogStartOffset(0, leaderEpoch: 1));
        Assert.Throws<InvalidOperationException>(() => bed.Log.TruncateTo(0));
        bed.Publish(leader: 1, leaderEpoch: 3);
        Assert.False(bed.Replicate(leaderEpoch: 2));
        Assert.False(bed.Replicate(leaderEpoch: 3));
        Assert.Equal(FollowerTruncation.TooLate, bed.Log.TruncateAsFollower(0, leaderEpoch: 2));
        Assert.Equal((1, 0), (bed.Log.LogEndOffset, bed.Log.HighWatermark));
    }

    [Fact]
    public void A_new_leader_begins_its_epoch_where_its_log_ends()
    {
        var bed = new ReplicaBed(leader: 2);
        Assert.True(bed.Replicate(leaderEpoch: 1));
        bed.Publish(leader: 1, leaderEpoch: 2);
        Assert.Equal([new EpochEntry(1, 0), new(2, 1)], bed.Log.LeaderEpochs);
        bed.Append();
        Assert.Equal(new EpochEndOffset(1, 1), bed.Log.EndOffsetForEpoch(1));
    }

    [Fact]
    public void A_follower_is_checked_in_Kafkas_order()
    {
        var bed = new ReplicaBed();
        Assert.Equal(ErrorCode.FencedLeaderEpoch, bed.Replica.CheckFollower(9, 0, 0));
        Assert.Equal(ErrorCode.UnknownLeaderEpoch, bed.Replica.CheckFollower(2, 0, 2));
        Assert.Equal(ErrorCode.UnknownLeaderEpoch, bed.Replica.CheckFollower(9, 0, 1));
        Assert.Equal(ErrorCode.NotLeaderOrFollower, bed.Replica.CheckFollower(2, 101, 1));
        Assert.Equal(ErrorCode.None, bed.Replica.CheckFollower(2, 102, 1));
        bed.Publish(leader: 2, leaderEpoch: 2);
        Assert.Equal(ErrorCode.NotLeaderOrFollower, bed.Replica.CheckFollower(3, 103, 2));
        bed.Publish(leader: 1, leaderEpoch: 3, isr: [1], replicas: [1]);
        Assert.Equal(ErrorCode.UnknownLeaderEpoch, bed.Replica.CheckFollower(2, 102, 3)); // no replica any more
    }

    [Fact]
    public void A_replica_without_others_commits_what_it_appends_in_the_same_step()
    {
        var bed = new ReplicaBed(isr: [1], replicas: [1]);
        Assert.Equal(ErrorCode.None, bed.Wait(bed.Append()).Look());
        Assert.Equal(ReplicaChange.Appended | ReplicaChange.HighWatermark, bed.TakeChanges());
    }

    [Fact]
    public void Replicas_that_come_and_go_hold_the_high_watermark_back_and_let_it_go()
    {
        var bed = new ReplicaBed(isr: [1], replicas: [1]);
        bed.Append();
        bed.Publish(replicas: [1, 2]);
        bed.Append();
        Assert.Equal(2, bed.Log.HighWatermark); // 2 is not in sync
        bed.Fetch(2);
        Assert.Equal([1, 2], bed.Replica.OpenProposal!.Isr.Select(member => member.BrokerId));
        bed.Append();
        Assert.Equal(2, bed.Log.HighWatermark);
        bed.Grant();
        bed.Publish(isr: [1], replicas: [1]);
        Assert.Equal(3, bed.Log.HighWatermark);
        bed.Append();
        Assert.Equal(4, bed.Log.HighWatermark);
    }

    [Fact]
    public void The_isr_of_an_answer_holds_at_once()
    {
        var bed = new ReplicaBed(isr: [1, 2], minInSync: 3);
        Assert.Equal(ErrorCode.NotEnoughReplicas, bed.Append().ErrorCode);
        bed.Fetch(3);
        Assert.Equal(ErrorCode.NotEnoughReplicas, bed.Append().ErrorCode); // proposed only
        Assert.Equal(ProposalFate.Committed, bed.Grant());
        Assert.Equal(ErrorCode.None, bed.Append().ErrorCode);
        Assert.Equal([1, 2, 3], bed.Replica.Leadership.InSyncReplicas.ToArray());
    }

    [Fact]
    public void A_second_follower_is_proposed_when_the_first_is_in()
    {
        var bed = new ReplicaBed(isr: [1]);
        bed.Fetch(2);
        bed.Fetch(3);
        Assert.Equal((1, 2), (bed.Requests, bed.Replica.OpenProposal!.Added));
        bed.Grant();
        Assert.Equal((2, 3), (bed.Requests, bed.Replica.OpenProposal!.Added));
        bed.Grant();
        Assert.Null(bed.Replica.OpenProposal);
    }

    /// <summary>It has fetched everything and does not fetch again: the metadata alone tells that it is alive.</summary>
    [Fact]
    public void A_follower_that_is_unfenced_later_joins_without_another_fetch()
    {
        var bed = new ReplicaBed(isr: [1, 2]);
        bed.Surroundings.Cluster = ReplicaBed.Brokers(1, 2);
        bed.Fetch(3);
        Assert.Equal(0, bed.Requests);
        bed.Surroundings.Cluster = ReplicaBed.Brokers(1, 2, 3);
        bed.Replica.OnBrokersChanged();
        Assert.Equal((1, 3), (bed.Requests, bed.Replica.OpenProposal!.Added));
    }

    [Fact]
    public async Task A_follower_that_lags_leaves_and_what_waited_for_it_is_acknowledged()
    {
        var bed = new ReplicaBed();
        var committed = bed.Commit(timeoutMs: 100_000);
        bed.Fetch(2);
        bed.Clock.AdvanceMs(30_001);
        bed.Fetch(2);
        bed.Replica.CheckLag();
        Assert.Equal([1, 2], bed.Replica.OpenProposal!.Isr.Select(member => member.BrokerId));
        Assert.False(committed.IsCompleted);
        bed.Grant();
        Assert.Equal(ErrorCode.None, await committed.WaitAsync(Waiting.Patience));
        Assert.Null(bed.Replica.OpenProposal); // it is not taken in again at once: the high watermark has passed it
    }

    [Fact]
    public void A_demotion_drops_what_was_proposed()
    {
        var bed = new ReplicaBed(isr: [1, 2]);
        bed.Fetch(3);
        var proposal = bed.Replica.OpenProposal!;
        bed.Publish(leader: 2, leaderEpoch: 2);
        Assert.Null(bed.Replica.OpenProposal);
        Assert.Equal(ProposalFate.Settled, bed.Replica.OnAnswer(proposal, new IsrAnswer(ErrorCode.None, 1, 2, [1, 2, 3])));
        Assert.Equal([1, 2], bed.Replica.Leadership.InSyncReplicas.ToArray());
    }

    [Fact]
    public void Metadata_that_is_older_than_an_answer_is_passed_over()
    {
        var bed = new ReplicaBed(isr: [1, 2]);
        var before = bed.Registration;
        bed.Fetch(3);
        bed.Grant();
        Assert.False(bed.Replica.Update(before));
        Assert.Equal([1, 2, 3], bed.Replica.Leadership.InSyncReplicas.ToArray());
    }

    [Fact]
    public async Task A_lower_minimum_lets_waiting_records_go()
    {
        var bed = new ReplicaBed(isr: [1], replicas: [1, 2], minInSync: 2);
        var wait = bed.Wait(bed.Append(acksAll: false)).WaitAsync(bed.Now.AddMilliseconds(1000), bed.Clock, default).AsTask();
        Assert.False(wait.IsCompleted);
        bed.Replica.Update(new ReplicaBed(minInSync: 1).Replica.Settings);
        Assert.Equal(ErrorCode.None, await wait.WaitAsync(Waiting.Patience));
    }

    [Fact]
    public void Observers_learn_what_has_changed()
    {
        var bed = new ReplicaBed();
        bed.Append();
        Assert.Equal(ReplicaChange.Appended, bed.TakeChanges());
        bed.Fetch(2);
        Assert.Equal(ReplicaChange.LogStart, bed.TakeChanges()); // it has told where its log starts
        bed.Fetch(3);
        Assert.Equal(ReplicaChange.LogStart | ReplicaChange.HighWatermark, bed.TakeChanges());
        Assert.Equal(ErrorCode.None, bed.Replica.DeleteRecordsBefore(1).ErrorCode);
        Assert.Equal(ReplicaChange.LogStart, bed.TakeChanges());
        Assert.Equal(0, bed.Replica.LowWatermark);
        bed.Fetch(2, start: 1);
        bed.Fetch(3, start: 1);
        Assert.Equal(ReplicaChange.LogStart, bed.TakeChanges());
        Assert.Equal(1, bed.Replica.LowWatermark);
        bed.Publish(leader: 2, leaderEpoch: 2);
        Assert.Equal(ReplicaChange.Leadership, bed.TakeChanges());
        bed.Replica.Retire();
        Assert.Equal(ReplicaChange.Leadership, bed.TakeChanges());
        bed.Replica.RemoveObserver(bed);
        bed.Publish(leader: 1, leaderEpoch: 3);
        Assert.Equal(ReplicaChange.None, bed.TakeChanges());
    }

    [Fact]
    public void A_retired_replica_takes_nothing()
    {
        var bed = new ReplicaBed();
        bed.Replica.Retire();
        Assert.Equal(ErrorCode.NotLeaderOrFollower, bed.Append().ErrorCode);
        Assert.Equal(ErrorCode.NotLeaderOrFollower, bed.Replica.CheckFollower(2, 102, 1));
        Assert.Throws<LogException>(() => bed.Log.AppendAsLeader(
            Requests.Batch(), 1, Ottla.Protocol.Batches.AppendOrigin.Client, bed.Now));
    }
}
