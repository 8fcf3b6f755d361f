namespace Ottla.UnitTests.Raft;

/// <summary>Quorums of several voters under faults. A failure names the seed that repeats it.</summary>
public sealed class RaftSimulationTests
{
    [Theory]
    [InlineData(3, 60)]
    [InlineData(5, 40)]
    public void Quorum_IsSafeUnderFaults_AndGoesOnOnceHealed(int nodes, int seeds)
    {
        long committed = 0;
        long leaders = 0;
        long snapshots = 0;
        for (var seed = 1UL; seed <= (ulong)seeds; seed++)
        {
            var simulation = new RaftSimulation(nodes, seed);
            simulation.RunFaulty(60_000);
            simulation.HealAndDemandProgress(30_000);
            committed += simulation.CommittedCount;
            leaders += simulation.LeaderCount;
            snapshots += simulation.SnapshotsFetched;
        }

        // The faults must have bitten, or the test says nothing.
        Assert.True(committed > seeds * 100L, $"only {committed} records were committed");
        Assert.True(leaders > seeds * 3L, $"only {leaders} leaders were elected");
        Assert.True(snapshots > 0, "no snapshot was ever needed");
    }
}
