using Ottla.Simulator.Interleaving;

namespace Ottla.UnitTests.Simulator;

/// <summary>
/// Some seeds of the interleaving simulation; <c>./dev sim interleaving</c> runs as many as one likes, <c>./dev mutate</c> shows what it
/// finds.
/// </summary>
public sealed class InterleavingTests
{
    private const ulong SeedsPerGroup = 8;

    public static TheoryData<ulong> Groups => [.. Enumerable.Range(0, 4).Select(group => 1 + ((ulong)group * SeedsPerGroup))];

    [Theory]
    [MemberData(nameof(Groups))]
    public void Order_of_threads_costs_no_records_and_no_directory(ulong first)
    {
        for (var seed = first; seed < first + SeedsPerGroup; seed++)
            new InterleavingSimulation().Run(seed);
    }

    [Fact]
    public void Seed_gives_the_same_run_again()
    {
        Assert.Equal(Tell(3), Tell(3));

        static string Tell(ulong seed)
        {
            using var log = new StringWriter();
            new InterleavingSimulation().Run(seed, log);
            return log.ToString();
        }
    }
}
