using Ottla.Simulator.Groups;
using Ottla.Simulator.Workloads;

namespace Ottla.UnitTests.Simulator;

/// <summary>Some seeds of the simulated workloads; <c>./dev sim</c> runs as many as one likes, and shows one.</summary>
public sealed class WorkloadTests
{
    private const ulong SeedsPerGroup = 10;

    /// <summary>The first seeds of groups, so that a failure names few and the groups can be run apart.</summary>
    public static TheoryData<ulong> Groups => [.. Enumerable.Range(0, 6).Select(group => 1 + ((ulong)group * SeedsPerGroup))];

    [Theory]
    [MemberData(nameof(Groups))]
    public void Idempotent_producers_lose_nothing_and_repeat_nothing(ulong first) => RunGroup(new ProduceWorkload(), first);

    [Theory]
    [MemberData(nameof(Groups))]
    public void Transactions_are_whole_and_exactly_once(ulong first) => RunGroup(new TransactionWorkload(), first);

    /// <summary>A seed whose feeders' late requests came in after all was thought to be over.</summary>
    [Fact]
    public void Late_requests_of_the_feeders_are_piped_too() => RunGroup(new TransactionWorkload(), 451, count: 1);

    /// <summary>
    /// The protocol before <c>transaction.version</c> 2 takes a late EndTxn or AddPartitionsToTxn for one of a later transaction: the
    /// workload has to see what comes of it.
    /// </summary>
    [Fact]
    public void Late_requests_of_the_older_protocol_are_found()
    {
        const ulong first = 1, last = 300;
        var found = new List<string>();
        for (var seed = first; seed <= last && found.Count == 0; seed++)
        {
            try
            {
                TransactionWorkload.RunSession(
                    seed, new TransactionConditions { Versions = (0, 0), HasLateRequests = true, HasRepeatedEnds = true });
            }
            catch (Ottla.Simulator.SimulationException e)
            {
                found.Add($"seed {seed}: {e.Message}");
            }
        }

        Assert.True(found.Count > 0, "none of these seeds finds anything wrong");
    }

    /// <summary>Five seeds, for each kind of storm.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(6)]
    [InlineData(11)]
    public void Storms_of_group_members_settle(ulong first) => RunGroup(new GroupStorm(), first, count: 5);

    private static void RunGroup(Ottla.Simulator.ISimulation workload, ulong first, ulong count = SeedsPerGroup)
    {
        for (var seed = first; seed < first + count; seed++)
        {
            try
            {
                workload.Run(seed);
            }
            catch (Ottla.Simulator.SimulationException e)
            {
                Assert.Fail($"./dev sim {workload.Name} {seed}: {e.Message}");
            }
        }
    }
}
