using Ottla.Simulator.Clusters;

namespace Ottla.UnitTests.Simulator;

/// <summary>A few seeds of the cluster's simulation; <c>./dev sim cluster</c> runs more.</summary>
public sealed class ClusterSimulationTests
{
    [Fact]
    public void What_is_answered_is_there_on_every_node_whatever_happens_to_the_nodes()
    {
        for (var seed = 1UL; seed <= 8; seed++)
            new ClusterSimulation().Run(seed);
    }

    [Fact]
    public void The_same_seed_goes_the_same_way_whether_somebody_looks_or_not()
    {
        var silent = ClusterSimulation.RunWorld(3).Scheduler;
        var told = ClusterSimulation.RunWorld(3, new StringWriter()).Scheduler;
        Assert.Equal(silent.Steps, told.Steps);
        Assert.Equal(silent.TraceHash, told.TraceHash);
    }

    /// <summary>A client of a broker that stops without a controller was once told UNKNOWN_SERVER_ERROR.</summary>
    [Theory]
    [InlineData(700010)]
    public void Seeds_that_once_failed_pass(ulong seed) => new ClusterSimulation().Run(seed);
}
