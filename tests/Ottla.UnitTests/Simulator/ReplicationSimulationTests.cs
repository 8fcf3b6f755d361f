using Ottla.Simulator.Replication;

namespace Ottla.UnitTests.Simulator;

/// <summary>A few seeds of the simulation of replicated topics; <c>./dev sim replication</c> runs more.</summary>
public sealed class ReplicationSimulationTests
{
    /// <summary>One seed of each kind of work, with three replicas of each partition.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Nothing_that_was_acknowledged_is_lost_whatever_happens_to_the_nodes(ulong seed) => new ReplicationSimulation().Run(seed);

    /// <summary>
    /// 104: nodes with two directories, which were once closed on two threads; and with a log that limited its lines by timers, but only if
    /// somebody read it.
    /// </summary>
    [Theory]
    [InlineData(104)]
    public void The_same_seed_goes_the_same_way_whether_somebody_looks_or_not(ulong seed)
    {
        var silent = ReplicationSimulation.RunWorld(seed).Scheduler;
        var told = ReplicationSimulation.RunWorld(seed, new StringWriter()).Scheduler;
        Assert.Equal(silent.Steps, told.Steps);
        Assert.Equal(silent.TraceHash, told.TraceHash);
    }

    /// <summary>
    /// 33: a host lost power, with it the bytes of one segment, and kept the file of the next one: its replica took the gap for compacted,
    /// and was in sync without what was committed there.
    /// </summary>
    [Theory]
    [InlineData(33)]
    public void Seeds_that_once_failed_pass(ulong seed) => new ReplicationSimulation().Run(seed);
}
