using Ottla.Simulator;
using Ottla.Simulator.Bugs;
using Ottla.Simulator.Workloads;

namespace Ottla.UnitTests.Simulator;

/// <summary>
/// The workload of transactions finds what it is there for: every bug that is put in, within a few seeds that are clean without it.
/// </summary>
public sealed class BrokerBugTests
{
    /// <summary>The shyest bug shows in one seed of 40, and which one it is changes with every change of what the broker awaits.</summary>
    private const ulong SeedsToFindABug = 300;

    public static TheoryData<string> Bugs => [.. BrokerBugs.All.Select(bug => bug.Name)];

    [Theory]
    [MemberData(nameof(Bugs))]
    public void Injected_bugs_are_found(string name)
    {
        var bug = BrokerBugs.All.Single(bug => bug.Name == name);
        for (var seed = 1UL; seed <= SeedsToFindABug; seed++)
        {
            var conditions = TransactionConditions.Of(seed);
            if (Find(seed, conditions with { Bug = bug }) is null)
                continue;
            var finding = Find(seed, conditions);
            Assert.True(finding is null, $"./dev sim transactions {seed}: {finding?.Message}");
            return;
        }

        Assert.Fail($"{SeedsToFindABug} seeds find nothing wrong when {name}");
    }

    private static SimulationException? Find(ulong seed, TransactionConditions conditions)
    {
        try
        {
            TransactionWorkload.RunSession(seed, conditions);
            return null;
        }
        catch (SimulationException finding)
        {
            return finding;
        }
    }
}
