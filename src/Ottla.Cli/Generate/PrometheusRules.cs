using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Ottla.Cli.Generate;

/// <summary>Writes the alerts as a file of rules for Prometheus.</summary>
internal static class PrometheusRules
{
    /// <summary>The rules, in YAML.</summary>
    /// <param name="job">The name of the job that scrapes the nodes.</param>
    public static string Write(string job)
    {
        var text = new StringBuilder("# Alerts for a cluster of Ottla. docs/monitoring.md says of each what to do.\n");
        text.Append("groups:\n  - name: ottla\n    rules:\n");
        foreach (var alert in Alerts.All)
        {
            text.Append(CultureInfo.InvariantCulture, $"      - alert: {alert.Name}\n");
            text.Append(CultureInfo.InvariantCulture, $"        expr: {Quoted(For(alert.Expression, job))}\n");
            text.Append(CultureInfo.InvariantCulture, $"        for: {alert.For}\n");
            var severity = alert.IsCritical ? "critical" : "warning";
            text.Append(CultureInfo.InvariantCulture, $"        labels:\n          severity: {severity}\n");
            text.Append(CultureInfo.InvariantCulture, $"        annotations:\n          summary: {Quoted(alert.Summary)}\n");
            text.Append(CultureInfo.InvariantCulture, $"          description: {Quoted(alert.Meaning)}\n");
            text.Append(CultureInfo.InvariantCulture, $"          action: {Quoted(alert.Action)}\n");
        }

        return text.ToString();
    }

    /// <summary>An expression for a job.</summary>
    public static string For(string expression, string job) =>
        expression.Replace("$job", $"job={Quoted(job)}", StringComparison.Ordinal);

    /// <summary>A text of JSON is one of YAML, and a string of Prometheus.</summary>
    private static string Quoted(string text) => $"\"{JsonEncodedText.Encode(text, JavaScriptEncoder.UnsafeRelaxedJsonEscaping)}\"";
}
