using Ottla.Cli.Nouns;

namespace Ottla.UnitTests.Cli.CommandLine;

/// <summary>Which quota holds for a client, and what <c>top</c> and <c>metrics</c> make of what they read.</summary>
public sealed class QuotaLevelsTests
{
    [Fact]
    public void Levels_are_looked_at_from_the_most_special_to_the_most_general() => Assert.Equal(
        [
            "client-id=c, user=u", "client-id=<default>, user=u", "user=u", "client-id=c, user=<default>",
            "client-id=<default>, user=<default>", "user=<default>", "client-id=c", "client-id=<default>",
        ],
        QuotaNoun.Levels("u", "c").Select(level => level.ToString()));

    [Fact]
    public void Rates_are_those_of_the_time_between_two_looks()
    {
        var rates = TopCommand.Rates(
            new Dictionary<Ottla.Kernel.TopicPartition, long> { [new("a", 0)] = 10, [new("a", 1)] = 5, [new("b", 0)] = 100 },
            new Dictionary<Ottla.Kernel.TopicPartition,
                long>
            { [new("a", 0)] = 30, [new("a", 1)] = 5, [new("b", 0)] = 0, [new("c", 0)] = 9 },
            seconds: 2);
        Assert.Equal([("a", 10.0), ("b", 0.0), ("c", 0.0)], rates);
    }

    [Fact]
    public void Samples_of_metrics_are_read() => Assert.Equal(
        [("a_total", "", 3.0), ("b", "topic=\"x y\",partition=\"0\"", 0.5)],
        MetricLines.Read("# HELP a_total what\n# TYPE a_total counter\na_total 3\nb{topic=\"x y\",partition=\"0\"} 0.5\nc NaN\n\n"));
}
