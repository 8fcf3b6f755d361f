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

    /// <summary>A client of a broker that stops without a controller was once told UNKNOWN_SERVER_ERROR.</summary>
    [Theory]
    [InlineData(700010)]
    public void Seeds_that_once_failed_pass(ulong seed) => new ClusterSimulation().Run(seed);
}
