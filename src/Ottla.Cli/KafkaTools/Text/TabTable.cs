using System.Text;

namespace Ottla.Cli.KafkaTools.Text;

/// <summary>A table whose columns are as wide as their widest cell, each with a tab behind it (<c>prettyPrintTable</c>).</summary>
internal static class TabTable
{
    /// <summary>Lays a table out.</summary>
    /// <param name="header">The names of the columns.</param>
    /// <param name="rows">The rows.</param>
    public static string Of(IReadOnlyList<string> header, IReadOnlyList<IReadOnlyList<string>> rows)
    {
        var text = new StringBuilder();
        var widths = header.Select((name, column) => rows.Select(row => row[column].Length).Append(name.Length).Max()).ToArray();
        foreach (var row in rows.Prepend(header))
        {
            for (var column = 0; column < row.Count; column++)
                text.Append(row[column].PadRight(widths[column])).Append('\t');
            text.Append('\n');
        }

        return text.ToString();
    }
}
