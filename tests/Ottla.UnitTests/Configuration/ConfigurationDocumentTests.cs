using System.Text;
using Ottla.Configuration;

namespace Ottla.UnitTests.Configuration;

/// <summary>
/// Keeps the tables of docs/configuration.md equal to the registry. <c>OTTLA_UPDATE_DOCS=1</c> writes them anew.
/// </summary>
public sealed class ConfigurationDocumentTests
{
    private const string Begin = "<!-- tables: generated, do not edit -->";

    private static readonly string s_path = Path.Combine(ConfigTestData.RepositoryRoot, "docs", "configuration.md");

    [Fact]
    public void TablesAreThoseOfTheRegistry()
    {
        var document = File.ReadAllText(s_path);
        var at = document.IndexOf(Begin, StringComparison.Ordinal);
        Assert.True(at >= 0, "docs/configuration.md has lost its marker");
        var expected = document[..at] + Begin + "\n" + Tables();
        if (Environment.GetEnvironmentVariable("OTTLA_UPDATE_DOCS") == "1")
            File.WriteAllText(s_path, expected);
        else
            Assert.True(expected == document, "docs/configuration.md is out of date: run this test with OTTLA_UPDATE_DOCS=1");
    }

    private static string Tables()
    {
        var text = new StringBuilder();
        var own = ConfigRegistry.Broker.All.Where(config => config.Name.StartsWith("ottla.", StringComparison.Ordinal));
        foreach (var section in ConfigRegistry.Broker.Public.Concat(own).GroupBy(config => config.Section))
            Table(text, $"Broker: {section.Key}", section, withUpdate: true);
        Table(text, "Topic", ConfigRegistry.Topic.Public, withUpdate: false);
        Table(text, "Group", ConfigRegistry.Group.Public, withUpdate: false);
        Table(text, "Client metrics", ConfigRegistry.ClientMetrics.Public, withUpdate: false);
        return text.ToString();
    }

    private static void Table(StringBuilder text, string heading, IEnumerable<ConfigDefinition> configs, bool withUpdate)
    {
        text.Append("\n## ").Append(heading).Append("\n\n");
        text.Append("| Name | Type | Default | Allowed |").Append(withUpdate ? " Update |" : " Broker default |")
            .Append(" In effect | Meaning |\n");
        text.Append("|---|---|---|---|---|---|---|\n");
        foreach (var config in configs)
        {
            string[] cells =
            [
                $"`{config.Name}`",
                config.Type.ToString().ToLowerInvariant(),
                Default(config),
                config.ValidValues,
                withUpdate ? Update(config.UpdateMode) : string.Join(", ", config.Synonyms.Select(rule => $"`{rule.Name}`")),
                config.HasEffect ? "yes" : "",
                config.Documentation,
            ];
            text.Append("| ").Append(string.Join(" | ", cells.Select(cell => cell.Replace("|", "\\|", StringComparison.Ordinal))))
                .Append(" |\n");
        }
    }

    private static string Default(ConfigDefinition config) => config switch
    {
        { IsRequired: true } => "(required)",
        { DefaultText: null } => "",
        { DefaultText: "" } => "(empty)",
        { DefaultText: var text } => $"`{text}`",
    };

    private static string Update(ConfigUpdateMode mode) => mode switch
    {
        ConfigUpdateMode.PerBroker => "per broker",
        ConfigUpdateMode.ClusterWide => "cluster",
        ConfigUpdateMode.DynamicOnly => "dynamic only",
        _ => "at start",
    };
}
