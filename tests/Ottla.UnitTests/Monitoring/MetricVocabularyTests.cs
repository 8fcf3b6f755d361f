using Ottla.Broker.Monitoring;
using Ottla.UnitTests.Broker;

namespace Ottla.UnitTests.Monitoring;

/// <summary>The other names of metrics.</summary>
public sealed class MetricVocabularyTests
{
    public static TheoryData<string> Names => [.. MetricVocabulary.All.Select(each => each.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Other_names_are_as_different_as_the_own_ones_and_have_as_many_labels(string name)
    {
        await using var node = await TestNode.StartAsync();
        var vocabulary = MetricVocabulary.Find(name)!;
        var own = node.Node.Metrics.Families;
        var renamed = own.Select(vocabulary.Rename).ToList();
        Assert.Equal(own.Count, renamed.Select(family => family.Name).Distinct().Count());
        Assert.True(own.Zip(renamed).Count(pair => pair.First.Name != pair.Second.Name) >= 9);
        Assert.All(own.Zip(renamed), pair => Assert.Equal(pair.First.Labels.Count, pair.Second.Labels.Count));
        Assert.All(own.Zip(renamed), pair => Assert.Equal(
            (pair.First.Kind, pair.First.IsDetailed, pair.First.Help), (pair.Second.Kind, pair.Second.IsDetailed, pair.Second.Help)));
    }
}
