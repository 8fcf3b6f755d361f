using Ottla.Benchmarks.Churn;

namespace Ottla.UnitTests.Benchmarks;

public sealed class ChurnTests
{
    [Fact]
    public void Level_memory_and_descriptors_are_no_finding_whatever_the_warm_up_was()
    {
        var levels = new ChurnLevels();
        for (var i = 0; i < 30; i++)
            levels.Add(new ChurnSample(i < 10 ? i * 20_000_000 : 200_000_000 + i % 3 * 1_000_000, i < 10 ? i * 10 : 100 + i % 5));
        Assert.Empty(levels.Findings());
    }

    [Fact]
    public void What_grows_is_found()
    {
        var levels = new ChurnLevels();
        for (var i = 0; i < 30; i++)
            levels.Add(new ChurnSample(100_000_000 + i * 10_000_000, 100 + i * 20));
        Assert.Collection(
            levels.Findings(), memory => Assert.Contains("memory", memory, StringComparison.Ordinal), files =>
            Assert.Contains("files", files, StringComparison.Ordinal));
    }

    [Fact]
    public void A_short_run_says_nothing_of_levels()
    {
        var levels = new ChurnLevels();
        levels.Add(new ChurnSample(1, 1));
        levels.Add(new ChurnSample(1_000_000_000, 10_000));
        Assert.Empty(levels.Findings());
    }
}
