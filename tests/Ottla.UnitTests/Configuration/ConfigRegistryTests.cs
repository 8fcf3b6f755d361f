using System.Globalization;
using Ottla.Configuration;

namespace Ottla.UnitTests.Configuration;

public sealed class ConfigRegistryTests
{
    /// <summary>Configs that only Ottla has. Kafka's are counted without them.</summary>
    private const int OwnConfigs = 8;

    [Fact]
    public void HasEveryPublicConfigOfKafka()
    {
        Assert.Equal(353, ConfigRegistry.Broker.Public.Count);
        Assert.Equal(382 + OwnConfigs, ConfigRegistry.Broker.All.Count);
        Assert.Equal(37, ConfigRegistry.Topic.Public.Count);
        Assert.Equal(38, ConfigRegistry.Topic.All.Count);
        Assert.Equal(21, ConfigRegistry.Group.Public.Count);
        Assert.Equal(27, ConfigRegistry.Group.All.Count);
        Assert.Equal(3, ConfigRegistry.ClientMetrics.All.Count);
    }

    [Fact]
    public void BrokerConfigsAgreeWithTheReferenceTable()
    {
        var rows = ConfigTestData.Table("broker-configs.tsv");
        Assert.Equal(rows.Select(row => row[0]).Order(), ConfigRegistry.Broker.Public.Select(config => config.Name).Order());
        foreach (var row in rows)
        {
            var config = ConfigRegistry.Broker[row[0]];
            AssertRow(row, config);
            Assert.Equal(row[4], config.UpdateMode.ToString());
            Assert.Equal(row[2] == "<required>", config.IsRequired);
            if (row[3].Length > 0)
                Assert.Equal(row[3], config.ValidValues);
        }
    }

    [Fact]
    public void TopicConfigsAgreeWithTheReferenceTable()
    {
        var rows = ConfigTestData.Table("topic-configs.tsv");
        Assert.Equal(rows.Select(row => row[0]).Order(), ConfigRegistry.Topic.Public.Select(config => config.Name).Order());
        foreach (var row in rows)
        {
            var config = ConfigRegistry.Topic[row[0]];
            AssertRow(row, config);
            Assert.Equal(row[4], config.Synonyms.Count == 0 ? "" : config.Synonyms[0].Name);
            if (row[3].Length > 0)
                Assert.Equal(row[3], config.ValidValues);
        }
    }

    [Fact]
    public void GroupConfigsAgreeWithTheReferenceTable()
    {
        var rows = ConfigTestData.Table("group-configs.tsv");
        Assert.Equal(rows.Select(row => row[0]).Order(), ConfigRegistry.Group.Public.Select(config => config.Name).Order());
        foreach (var row in rows)
            AssertRow(row, ConfigRegistry.Group[row[0]]);
    }

    [Fact]
    public void DefaultsAreAllowedValues()
    {
        foreach (var config in Everything().Where(config => config.DefaultText is not null))
            Assert.Equal(config.DefaultText, config.Parse(config.DefaultText).ToRawText());
    }

    [Fact]
    public void TopicDefaultsAreTheBrokersDefaults()
    {
        var defaults = ConfigTestData.Broker().TopicDefaults;
        foreach (var config in ConfigRegistry.Topic.All)
            Assert.Equal(config.DefaultText, defaults.Get(config.Name).ToRawText());
    }

    [Fact]
    public void SynonymsAreBrokerConfigs()
    {
        foreach (var config in Everything())
            Assert.All(config.Synonyms, rule => Assert.NotNull(ConfigRegistry.Broker.Find(rule.Name)));
    }

    [Fact]
    public void EveryConfigIsDocumentedInOneSentence() =>
        Assert.All(Everything(), config => Assert.Matches("^[A-Z].*\\.$", config.Documentation));

    [Fact]
    public void EffectiveNamesExist()
    {
        foreach (var scope in (ConfigResourceType[])[
            ConfigResourceType.Broker, ConfigResourceType.Topic, ConfigResourceType.Group, ConfigResourceType.ClientMetrics])
        {
            Assert.All(EffectiveConfigs.Names(scope), name => Assert.True(ConfigRegistry.For(scope).Find(name)?.HasEffect, name));
        }
    }

    [Fact]
    public void EveryNumericBoundIsKeptExactly()
    {
        var seen = 0;
        foreach (var config in Everything().Where(config => config.ValidValues.StartsWith('[') && config.ValidValues.Contains("...")
            && config.Type is ConfigType.Int or ConfigType.Long or ConfigType.Short && !config.ValidValues.Contains("or")))
        {
            var bounds = config.ValidValues.Trim('[', ']').Split(",...");
            var min = long.Parse(bounds[0], CultureInfo.InvariantCulture);
            Assert.Equal(min, config.Parse(Text(min)).AsLong);
            Refused(config, min - 1, $"Value must be at least {min}");
            if (bounds[1].Length > 0)
            {
                var max = long.Parse(bounds[1].TrimStart(','), CultureInfo.InvariantCulture);
                Assert.Equal(max, config.Parse(Text(max)).AsLong);
                Refused(config, max + 1, $"Value must be no more than {max}");
            }

            seen++;
        }

        Assert.True(seen > 180, $"only {seen} bounds were seen");
    }

    [Fact]
    public void EveryListedWordIsAllowedAndNoOther()
    {
        var seen = 0;
        foreach (var config in Everything().Where(config => config.Type is ConfigType.String or ConfigType.List
            && config.ValidValues.StartsWith('[') && !config.ValidValues.Contains(':')))
        {
            foreach (var word in config.ValidValues.Trim('[', ']').Split(", "))
                Assert.Equal(word, config.Parse(word).ToText());
            var refused = Assert.Throws<ConfigException>(() => config.Parse("bogus"));
            Assert.StartsWith($"Invalid value bogus for configuration {config.Name}: String must be one of: ", refused.Message);
            seen++;
        }

        Assert.True(seen >= 10, $"only {seen} lists of words were seen");
    }

    private static IEnumerable<ConfigDefinition> Everything() =>
        [.. ConfigRegistry.Broker.All, .. ConfigRegistry.Topic.All, .. ConfigRegistry.Group.All, .. ConfigRegistry.ClientMetrics.All];

    private static void AssertRow(string[] row, ConfigDefinition config)
    {
        Assert.Equal(row[1], config.Type.ToString().ToUpperInvariant());
        var expected = row[2] is "<null>" or "<required>" ? null : row[2];
        Assert.Equal(expected, config.DefaultText);
    }

    private static void Refused(ConfigDefinition config, long value, string reason)
    {
        var error = Assert.Throws<ConfigException>(() => config.Parse(Text(value)));
        // One beyond the type's own range is no number of the type.
        Assert.Contains(error.Message, (string[])
        [
            $"Invalid value {value} for configuration {config.Name}: {reason}",
            $"Invalid value {value} for configuration {config.Name}: Not a number of type {config.Type.ToString().ToUpperInvariant()}",
        ]);
    }

    private static string Text(long value) => value.ToString(CultureInfo.InvariantCulture);
}
