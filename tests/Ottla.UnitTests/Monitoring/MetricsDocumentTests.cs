using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Broker.Monitoring;
using Ottla.Cli.Monitoring;
using Ottla.Cli.Monitoring.Otlp;
using Ottla.Configuration;
using Ottla.UnitTests.Broker;
using Ottla.UnitTests.Repository;

namespace Ottla.UnitTests.Monitoring;

/// <summary>Keeps the table of docs/metrics.md equal to the metrics of a node. <c>OTTLA_UPDATE_DOCS=1</c> writes it anew.</summary>
public sealed class MetricsDocumentTests
{
    private const string Begin = "<!-- table: generated, do not edit -->";

    private static readonly string Document = RepositoryFiles.Path("docs/metrics.md");

    [Fact]
    public async Task The_table_has_every_metric_of_a_node()
    {
        await using var node = await TestNode.StartAsync();
        node.Node.Metrics.Add(new ProcessMetrics(TimeProvider.System, () => 0));
        var config = BrokerConfig.LoadDevMode(overrides: [new(BrokerConfig.OtlpEndpointName, "http://127.0.0.1:4318")]);
        await using var exporter = OtlpExporter.Start(config, "1", TimeProvider.System, NullLogger.Instance)!;
        node.Node.Metrics.Add(exporter);
        var document = File.ReadAllText(Document);
        var at = document.IndexOf(Begin, StringComparison.Ordinal);
        Assert.True(at >= 0, "docs/metrics.md has lost its marker");
        var expected = document[..at] + Begin + "\n\n" + Table(node.Node.Metrics.Families);
        if (Environment.GetEnvironmentVariable("OTTLA_UPDATE_DOCS") == "1")
            File.WriteAllText(Document, expected);
        else
            Assert.True(expected == document, "docs/metrics.md is out of date: run './dev docs'");
    }

    private static string Table(IEnumerable<MetricFamily> families)
    {
        var text = new StringBuilder("| Metric | Kind | Labels | In | What it is |\n|---|---|---|---|---|\n");
        foreach (var family in families.OrderBy(family => family.Name, StringComparer.Ordinal))
        {
            var labels = string.Join(", ", family.Labels.Select(label => $"`{label}`"));
            var path = family.IsDetailed ? "`/metrics/detailed`" : "both";
            text.Append(
                $"| `{family.Name}` | {family.Kind.ToString().ToLowerInvariant()} | {labels} | {path} | {family.Help} |\n");
        }

        return text.ToString();
    }
}
