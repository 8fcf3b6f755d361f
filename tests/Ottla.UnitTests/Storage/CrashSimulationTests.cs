using Ottla.Simulator;
using Ottla.Simulator.Crash;

namespace Ottla.UnitTests.Storage;

/// <summary>
/// A few hundred seeds of the crash simulation, and that it finds what it is there for. More seeds: <c>./dev sim crash 1..5000</c>.
/// </summary>
public sealed class CrashSimulationTests
{
    private const ulong CleanSeeds = 400;
    private const ulong SeedsToFindABug = 200;

    public static TheoryData<string> Bugs => [.. InjectedBug.All.Select(bug => bug.Name)];

    [Fact]
    public void Recovered_logs_are_what_was_written()
    {
        var simulation = new CrashSimulation();
        for (var seed = 1UL; seed <= CleanSeeds; seed++)
        {
            var finding = Run(simulation, seed);
            Assert.True(finding is null, $"seed {seed}: {finding}");
        }
    }

    [Theory]
    [InlineData(312)] // the time index of a segment that was rolled after a truncation into a batch
    [InlineData(2249)]
    [InlineData(638)] // a time index that was made anew
    [InlineData(784)] // leader epochs after a segment that was recovered for its transaction index
    [InlineData(1158)] // the producers of a log that was stopped in order, after a segment was recovered for its transaction index
    [InlineData(2859)] // damage of what is flushed, while a truncation is under way
    [InlineData(10445)] // a process that is started again after a flush failed
    [InlineData(15298)] // a marker above the high watermark, and a restart
    [InlineData(19885)] // an offset index that was made anew
    [InlineData(502303)] // a marker that power loss took from between two segments: its transaction is open again
    [InlineData(508341)] // an empty batch that may be left of either of two, from before and after a truncation
    [InlineData(512233)] // a marker that was truncated after compaction had gone by it
    [InlineData(515106)] // a deletion that failed, of a log that had lost its oldest records since it was opened
    [InlineData(623593)] // a torn write that lost the leader epoch of a batch, and nothing else
    [InlineData(604237)] // an aborted transaction whose first records were deleted, and are back
    public void Seeds_that_found_something_do_so_no_more(ulong seed)
    {
        var finding = Run(new CrashSimulation(), seed);
        Assert.True(finding is null, $"{finding}");
    }

    [Theory]
    [MemberData(nameof(Bugs))]
    public void Injected_bugs_are_found(string name)
    {
        var simulation = new CrashSimulation(InjectedBug.All.Single(bug => bug.Name == name).Inject);
        var found = false;
        for (var seed = 1UL; seed <= SeedsToFindABug && !found; seed++)
            found = Run(simulation, seed) is not null;
        Assert.True(found, $"{SeedsToFindABug} seeds find nothing wrong when {name}");
    }

    [Fact]
    public void The_same_seed_is_the_same_run()
    {
        using var first = new StringWriter();
        using var second = new StringWriter();
        new CrashSimulation().Run(7, first);
        new CrashSimulation().Run(7, second);
        Assert.Equal(first.ToString(), second.ToString());
        Assert.Contains("recovered", first.ToString(), StringComparison.Ordinal);
    }

    private static SimulationException? Run(CrashSimulation simulation, ulong seed)
    {
        try
        {
            simulation.Run(seed);
            return null;
        }
        catch (SimulationException finding)
        {
            return finding;
        }
    }
}
