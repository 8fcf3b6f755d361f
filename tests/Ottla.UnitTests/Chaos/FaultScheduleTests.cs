using Ottla.Chaos;
using Ottla.Chaos.Faults;
using Ottla.Chaos.Network;

namespace Ottla.UnitTests.Chaos;

/// <summary>The faults of a run follow from its options, and a rule of the network matches what it says.</summary>
public sealed class FaultScheduleTests
{
    [Fact]
    public void The_same_seed_gives_the_same_faults()
    {
        var (first, second, other) = (Describe("7"), Describe("7"), Describe("8"));
        Assert.Equal(first, second);
        Assert.NotEqual(first, other);
        Assert.Equal(60, first.Count);
    }

    [Fact]
    public void Every_kind_is_drawn_and_mended_before_the_next_begins()
    {
        var options = ChaosOptions.Parse(["--seconds", "3000", "--every", "10"]);
        var faults = FaultSchedule.Create(options, FaultSchedule.Kinds);
        Assert.Equal(
            FaultSchedule.Kinds.Order(StringComparer.Ordinal),
            faults.Select(each => each.Fault.Kind).Distinct().Order(StringComparer.Ordinal));
        Assert.All(faults, each => Assert.InRange(each.Hold, TimeSpan.Zero, TimeSpan.FromSeconds(7)));
        Assert.All(faults.Zip(faults.Skip(1)), pair => Assert.Equal(TimeSpan.FromSeconds(10), pair.Second.At - pair.First.At));
    }

    [Fact]
    public void A_cluster_of_one_can_be_cut_too()
    {
        var options = ChaosOptions.Parse(["--seconds", "3000", "--every", "10", "--nodes", "1"]);
        Assert.Equal(300, FaultSchedule.Create(options, ["cut"]).Count);
        Assert.Equal(1, options.Replication);
    }

    [Fact]
    public void A_rule_matches_its_direction_and_its_listener_only()
    {
        var toListener = new PacketHeader(From: 1, To: 2, SourcePort: 40000, TargetPort: 9094);
        var answer = new PacketHeader(From: 2, To: 1, SourcePort: 9094, TargetPort: 40000);
        var oneWay = new LinkRule(1, 2, 9094);
        Assert.True(oneWay.Matches(toListener));
        Assert.False(oneWay.Matches(answer));
        Assert.True(new LinkRule(2, null, 9094).Matches(answer));
        Assert.False(new LinkRule(1, 2, 9092).Matches(toListener));
        Assert.False(new LinkRule(3, null).Matches(toListener));
        Assert.True(new LinkRule(null, null).Matches(answer));
    }

    [Theory]
    [InlineData("--seconds")]
    [InlineData("--seconds", "0")]
    [InlineData("--config", "nothing")]
    [InlineData("--unheard-of", "1")]
    public void What_cannot_be_read_is_refused(params string[] words) => Assert.Throws<UsageException>(() => ChaosOptions.Parse(words));

    private static List<string> Describe(string seed)
    {
        var options = ChaosOptions.Parse(["--seed", seed, "--seconds", "600", "--every", "10"]);
        return [.. FaultSchedule.Create(options, FaultSchedule.Kinds).Select(each => $"{each.At} {each.Hold} {each.Fault}")];
    }
}
