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
    /// 33: a host lost power, with it the bytes of one segment, and kept the file of the next one: its replica took the gap for compacted,
    /// and was in sync without what was committed there.
    /// </summary>
    [Theory]
    [InlineData(33)]
    public void Seeds_that_once_failed_pass(ulong seed) => new ReplicationSimulation().Run(seed);
}
