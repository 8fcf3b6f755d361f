using Ottla.Protocol;
using Ottla.UnitTests.Broker;

namespace Ottla.UnitTests.Replicas;

/// <summary>Requests that wait for a commit: who wakes them, when, and what becomes of them otherwise.</summary>
public sealed class CommitWaiterTests
{
    [Fact]
    public async Task Each_wait_ends_when_its_own_records_are_committed()
    {
        var bed = new ReplicaBed();
        Task<ErrorCode>[] waits = [bed.Commit(), bed.Commit(), bed.Commit()];
        bed.Fetch(2);
        bed.Fetch(3, offset: 2);
        Assert.Equal(ErrorCode.None, await waits[0].WaitAsync(Waiting.Patience));
        Assert.Equal(ErrorCode.None, await waits[1].WaitAsync(Waiting.Patience));
        Assert.Equal(1, bed.Surroundings.CommitDeadlines.Count);
        Assert.False(waits[2].IsCompleted);
        bed.Fetch(3, offset: 3);
        Assert.Equal(ErrorCode.None, await waits[2].WaitAsync(Waiting.Patience));
        Assert.Equal(0, bed.Surroundings.CommitDeadlines.Count);
    }

    [Fact]
    public async Task Each_wait_has_its_own_deadline()
    {
        var bed = new ReplicaBed();
        var late = bed.Commit(timeoutMs: 1500);
        var early = bed.Commit(timeoutMs: 500);
        var latest = bed.Commit(timeoutMs: 30_000);
        bed.Clock.AdvanceMs(499);
        Assert.Equal(3, bed.Surroundings.CommitDeadlines.Count);
        bed.Clock.AdvanceMs(1);
        Assert.Equal(ErrorCode.RequestTimedOut, await early.WaitAsync(Waiting.Patience));
        Assert.Equal(2, bed.Surroundings.CommitDeadlines.Count);
        bed.Clock.AdvanceMs(1000);
        Assert.Equal(ErrorCode.RequestTimedOut, await late.WaitAsync(Waiting.Patience));
        bed.Fetch(2);
        bed.Fetch(3);
        Assert.Equal(ErrorCode.None, await latest.WaitAsync(Waiting.Patience));
        bed.Clock.AdvanceMs(60_000); // the timer finds nobody
        Assert.Equal(0, bed.Surroundings.CommitDeadlines.Count);
    }

    [Fact]
    public async Task A_deadline_that_has_passed_ends_the_wait_at_once()
    {
        var bed = new ReplicaBed();
        Assert.Equal(ErrorCode.RequestTimedOut, await bed.Commit(timeoutMs: 0).WaitAsync(Waiting.Patience));
        Assert.Equal(0, bed.Surroundings.CommitDeadlines.Count);
    }

    [Fact]
    public async Task A_new_leader_ends_all_waits()
    {
        var bed = new ReplicaBed();
        Task<ErrorCode>[] waits = [bed.Commit(), bed.Commit()];
        bed.Publish(leader: 2, leaderEpoch: 2);
        foreach (var wait in waits)
            Assert.Equal(ErrorCode.NotLeaderOrFollower, await wait.WaitAsync(Waiting.Patience));
        Assert.Equal(0, bed.Surroundings.CommitDeadlines.Count);
    }

    [Fact]
    public async Task A_smaller_ISR_that_commits_nothing_leaves_the_waits_alone()
    {
        var bed = new ReplicaBed();
        var wait = bed.Commit();
        bed.TakeChanges();
        bed.Publish(isr: [1, 2]);
        Assert.Equal(Ottla.Broker.Replicas.ReplicaChange.None, bed.TakeChanges());
        Assert.False(wait.IsCompleted);
        bed.Fetch(2);
        Assert.Equal(ErrorCode.None, await wait.WaitAsync(Waiting.Patience));
    }

    [Fact]
    public async Task A_connection_that_closes_ends_its_waits()
    {
        using var closing = new CancellationTokenSource();
        var bed = new ReplicaBed();
        var wait = bed.Wait(bed.Append()).WaitAsync(bed.Now.AddMilliseconds(1000), bed.Clock, closing.Token).AsTask();
        var other = bed.Commit();
        Assert.False(wait.IsCompleted);
        await closing.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => wait.WaitAsync(Waiting.Patience));
        Assert.Equal(1, bed.Surroundings.CommitDeadlines.Count);
        bed.Fetch(2);
        bed.Fetch(3);
        Assert.Equal(ErrorCode.None, await other.WaitAsync(Waiting.Patience));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => bed.Wait(bed.Append()).WaitAsync(bed.Now.AddMilliseconds(1000), bed.Clock, closing.Token).AsTask());
    }
}
