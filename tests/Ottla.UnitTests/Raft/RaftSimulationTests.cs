using Ottla.Simulator.Quorum;

namespace Ottla.UnitTests.Raft;

/// <summary>
/// Quorums under faults, with voters that come and go. A failure names the seed that repeats it: <c>./dev sim quorum SEED</c>.
/// </summary>
public sealed class RaftSimulationTests
{
    [Fact]
    public void Quorum_is_safe_under_faults_and_goes_on_once_healed()
    {
        const ulong seeds = 60;
        var total = new QuorumRun();
        for (var seed = 1UL; seed <= seeds; seed++)
        {
            var run = QuorumSimulation.Measure(seed);
            total = new QuorumRun(
                total.Committed + run.Committed,
                total.Leaders + run.Leaders,
                total.Snapshots + run.Snapshots,
                total.VoterChanges + run.VoterChanges,
                total.Truncations + run.Truncations);
        }

        // The faults must have bitten, or the test says nothing.
        Assert.True(
            total is { Committed: > 10_000, Leaders: > 200, Snapshots: > 50, VoterChanges: > 50, Truncations: > 50 },
            $"little happened: {total}");
    }
}
