using System.Globalization;

namespace Ottla.Cli.Nouns;

/// <summary>Reads the samples of Prometheus' text format.</summary>
internal static class MetricLines
{
    /// <summary>The samples: their names, their labels, their values.</summary>
    public static IEnumerable<(string Name, string Labels, double Value)> Read(string text)
    {
        foreach (var line in text.Split('\n'))
        {
            if (line.Length == 0 || line[0] == '#')
                continue;
            var brace = line.IndexOf('{', StringComparison.Ordinal);
            var end = brace < 0 ? line.IndexOf(' ', StringComparison.Ordinal) : line.LastIndexOf('}') + 1;
            if (end <= 0)
                continue;
            var name = line[..(brace < 0 ? end : brace)];
            var labels = brace < 0 ? "" : line[(brace + 1)..(end - 1)];
            var value = line[end..].Trim().Split(' ')[0];
            if (double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number))
                yield return (name, labels, number);
        }
    }
}
