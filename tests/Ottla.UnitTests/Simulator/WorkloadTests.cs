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
