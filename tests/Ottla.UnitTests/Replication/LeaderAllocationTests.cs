namespace Ottla.UnitTests.Replication;

/// <summary>What a leader does for each append and each fetch leaves nothing to the garbage collector.</summary>
public sealed class LeaderAllocationTests
{
    [Fact]
    public void Appends_and_fetches_allocate_nothing()
    {
        var bed = new LeaderBed(isr: [1, 2], minInSync: 2);
        bed.SetBroker(3, shuttingDown: true); // it may not join, and is looked at each time
        var cluster = bed.Cluster;
        var state = bed.State;
        long allocated = 0;
        for (var i = 0; i < 200; i++)
        {
            var moment = bed.Moment with { EndOffset = i + 1, HighWatermark = i, Cluster = cluster };
            var before = GC.GetAllocatedBytesForCurrentThread();
            state.OnAppend(i, bed.Now);
            state.HighWatermark(moment);
            state.OnFetch(new(2, LeaderBed.EpochOf(2), state.LeaderEpoch, i + 1, 0, i + 1, bed.Now), cluster);
            state.OnFetch(new(3, LeaderBed.EpochOf(3), state.LeaderEpoch, i, 0, i + 1, bed.Now), cluster);
            var proposal = state.ProposeExpansion(moment);
            var highWatermark = state.HighWatermark(moment);
            if (i >= 100)
                allocated += GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.Null(proposal);
            Assert.Equal(i + 1, highWatermark);
        }

        Assert.Equal(0, allocated);
    }
}
