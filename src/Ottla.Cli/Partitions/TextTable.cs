using System.Text;

namespace Ottla.Cli.Partitions;

/// <summary>A table for a terminal: columns as wide as their widest cell, two blanks between them.</summary>
internal static class TextTable
{
    private const string Gap = "  ";
    private const string CutMark = "…";
    private const int CutWidthMin = 8;

    /// <param name="rows">The rows, the headings first, all of the same length.</param>
    /// <param name="widthMax">
    /// How wide it may be: the widest columns are cut until it fits, as far as that leaves something of them.
    /// </param>
    public static string Of(IReadOnlyList<string[]> rows, int widthMax = int.MaxValue)
    {
        var widths = Enumerable.Range(0, rows[0].Length).Select(column => rows.Max(row => row[column].Length)).ToArray();
        for (var tooWide = widths.Sum(width => (long)width + Gap.Length) - Gap.Length - widthMax; tooWide > 0; tooWide--)
        {
            var widest = Array.IndexOf(widths, widths.Max());
            if (widths[widest] <= CutWidthMin)
                break;
            widths[widest]--;
        }

        var text = new StringBuilder();
        foreach (var row in rows)
            text.Append(string.Join(Gap, row.Select((cell, column) => Cell(cell, widths[column]))).TrimEnd()).Append('\n');
        return text.ToString();
    }

    private static string Cell(string cell, int width) =>
        cell.Length <= width ? cell.PadRight(width) : $"{cell[..(width - CutMark.Length)]}{CutMark}";
}
