using System.Text;

namespace Ottla.Cli.Partitions;

/// <summary>A table for a terminal: columns as wide as their widest cell, two blanks between them.</summary>
internal static class TextTable
{
    /// <param name="rows">The rows, the headings first, all of the same length.</param>
    public static string Of(IReadOnlyList<string[]> rows)
    {
        var widths = Enumerable.Range(0, rows[0].Length).Select(column => rows.Max(row => row[column].Length)).ToArray();
        var text = new StringBuilder();
        foreach (var row in rows)
        {
            var line = string.Join("  ", row.Select((cell, column) => cell.PadRight(widths[column])));
            text.Append(line.TrimEnd()).Append('\n');
        }

        return text.ToString();
    }
}
