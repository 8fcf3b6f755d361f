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

    /// <summary>What KIP-890 is for: without it a request that comes late counts for whatever transaction is open then. So the simulation can find such things.</summary>
    [Fact]
    public void The_older_protocol_mistakes_late_requests_for_those_of_later_transactions()
    {
        const ulong seeds = 30;
        var found = new List<string>();
        for (ulong seed = 1; seed <= seeds; seed++)
        {
            try
            {
                TransactionWorkload.RunSession(seed, isVersion2: false, hasLateRequests: true);
            }
            catch (Ottla.Simulator.SimulationException e)
            {
                found.Add(e.Message);
            }
        }

        Assert.Contains(found, message => message.Contains("AbortedRead", StringComparison.Ordinal) || message.Contains("LostWrite", StringComparison.Ordinal));
    }

    private static void RunGroup(Ottla.Simulator.ISimulation workload, ulong first)
    {
        for (var seed = first; seed < first + SeedsPerGroup; seed++)
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
