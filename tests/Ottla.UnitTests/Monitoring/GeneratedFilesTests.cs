using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Ottla.Broker.Monitoring;
using Ottla.Cli.Generate;
using Ottla.Cli.Monitoring;
using Ottla.Configuration;
using Ottla.UnitTests.Broker;
using Ottla.UnitTests.Repository;

namespace Ottla.UnitTests.Monitoring;

/// <summary>What <c>ottla generate</c> prints for the programs around a cluster.</summary>
public sealed partial class GeneratedFilesTests
{
    private const string Begin = "<!-- alerts: generated, do not edit -->";

    [Fact]
    public async Task Rules_and_dashboard_name_only_series_that_a_node_has_with_labels_that_it_has()
    {
        await using var node = await TestNode.StartAsync();
        node.Node.Metrics.Add(new ProcessMetrics(TimeProvider.System, () => 0));
        var families = node.Node.Metrics.Families.Where(family => !family.IsDetailed).ToDictionary(family => family.Name);
        var selectors = Expressions().SelectMany(expression => Selector().Matches(expression)).ToList();
        Assert.NotEmpty(selectors);
        foreach (var selector in selectors)
        {
            var name = selector.Groups["name"].Value;
            if (name is "up" or "ottla_metrics_dropped_samples")
                continue;
            Assert.True(families.TryGetValue(name, out var family), $"no node has {name}");
            var labels = Label().Matches(selector.Groups["labels"].Value).Select(label => label.Groups["name"].Value);
            string[] known = [.. family.Labels, "job", .. family.Kind == MetricKind.Summary ? ["quantile"] : Array.Empty<string>()];
            Assert.Empty(labels.Except(known));
        }

        foreach (var expression in Expressions())
            Assert.DoesNotMatch(@"\b(kafka|ottla|process|dotnet)_\w+\b(?!\{)", expression); // each one is of the job
    }

    [Fact]
    public void Every_alert_is_explained_in_the_document()
    {
        var path = RepositoryFiles.Path("docs/monitoring.md");
        var document = File.ReadAllText(path);
        var at = document.IndexOf(Begin, StringComparison.Ordinal);
        Assert.True(at >= 0, "docs/monitoring.md has lost its marker");
        var expected = document[..at] + Begin + "\n" + Explanations();
        if (Environment.GetEnvironmentVariable("OTTLA_UPDATE_DOCS") == "1")
            File.WriteAllText(path, expected);
        else
            Assert.True(expected == document, "docs/monitoring.md is out of date: run './dev docs'");
    }

    [Fact]
    public void Alerts_have_names_of_their_own_and_rules_are_for_a_job()
    {
        Assert.Equal(Alerts.All.Count, Alerts.All.Select(alert => alert.Name).Distinct().Count());
        var rules = PrometheusRules.Write("my \"job\"");
        Assert.DoesNotContain("$job", rules, StringComparison.Ordinal);
        Assert.Contains("""expr: "up{job=\"my \\\"job\\\"\"} == 0" """.TrimEnd(), rules, StringComparison.Ordinal);
        Assert.All(Alerts.All, alert => Assert.Contains($"- alert: {alert.Name}\n", rules, StringComparison.Ordinal));
    }

    [Fact]
    public void The_dashboard_is_JSON_whose_panels_do_not_overlap()
    {
        using var dashboard = JsonDocument.Parse(GrafanaDashboard.Write());
        var taken = new HashSet<(int X, int Y)>();
        var panels = dashboard.RootElement.GetProperty("panels").EnumerateArray().ToList();
        Assert.Equal(panels.Count, panels.Select(panel => panel.GetProperty("id").GetInt32()).Distinct().Count());
        foreach (var place in panels.Select(panel => panel.GetProperty("gridPos")))
        {
            var (x, y) = (place.GetProperty("x").GetInt32(), place.GetProperty("y").GetInt32());
            Assert.True(x + place.GetProperty("w").GetInt32() <= 24);
            for (var column = 0; column < place.GetProperty("w").GetInt32(); column++)
            {
                for (var line = 0; line < place.GetProperty("h").GetInt32(); line++)
                    Assert.True(taken.Add((x + column, y + line)));
            }
        }
    }

    [Fact]
    public void The_nodes_of_a_composed_cluster_have_a_configuration_that_is_one()
    {
        var files = new ClusterFiles("ottla:1", 3, "HhPIqxNdR0-vSl4KDQNNtQ");
        for (var node = 1; node <= 3; node++)
        {
            var environment = files.ComposeEnvironment(node).ToDictionary(each => each.Name, each => each.Value);
            var config = BrokerConfig.LoadDevMode(environment, []);
            Assert.Equal((node, true, true), (config.NodeId, config.IsBroker, config.IsController));
            Assert.Equal("HhPIqxNdR0-vSl4KDQNNtQ", config.ClusterId);
            Assert.Empty(config.Warnings);
        }

        var compose = files.WriteCompose();
        Assert.Equal(3, Regex.Count(compose, "image: ottla:1|<<: \\*node") - 1);
        Assert.DoesNotContain("\t", compose + files.WriteKubernetes(), StringComparison.Ordinal);
        Assert.Contains("0@ottla-0.ottla-nodes:9093,1@ottla-1", files.WriteKubernetes(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_unit_of_systemd_runs_the_executable_with_its_configuration()
    {
        var unit = SystemdUnit.Write("/opt/ottla", "/etc/o.properties", "/data");
        Assert.Contains("\nExecStart=/opt/ottla start --config /etc/o.properties\n", unit, StringComparison.Ordinal);
        Assert.Contains("\nReadWritePaths=/data\n", unit, StringComparison.Ordinal);
    }

    private static IEnumerable<string> Expressions() =>
        Alerts.All.Select(alert => alert.Expression)
            .Concat(
                GrafanaDashboard.Rows.SelectMany(row => row.Panels).SelectMany(panel => panel.Queries).Select(query => query.Expression))
            .Select(expression => expression.Replace("$job", "job=\"j\"", StringComparison.Ordinal));

    private static string Explanations()
    {
        var text = new StringBuilder();
        foreach (var alert in Alerts.All)
        {
            text.Append($"\n### {alert.Name}\n\n{(alert.IsCritical ? "Critical" : "Warning")}, ");
            text.Append(alert.For == "0m" ? "at once" : $"after {alert.For}");
            var expression = alert.Expression.Replace("{$job}", "", StringComparison.Ordinal)
                .Replace("$job,", "", StringComparison.Ordinal);
            text.Append($": `{expression}`\n\n");
            text.Append($"{alert.Meaning}\n\n**Do this:** {alert.Action}\n");
        }

        return text.ToString();
    }

    [GeneratedRegex(@"(?<name>[a-z_:]+)\{(?<labels>[^}]*)\}")]
    private static partial Regex Selector();

    [GeneratedRegex(@"(?<name>\w+)(=~|!=|=)")]
    private static partial Regex Label();
}
