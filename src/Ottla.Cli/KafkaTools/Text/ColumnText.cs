using System.Text;

namespace Ottla.Cli.KafkaTools.Text;

/// <summary>Lines of columns, as Java's <c>%-15s %-10s</c> makes them.</summary>
internal static class ColumnText
{
    /// <summary>A line: each cell as wide as its column at least, with a blank between them.</summary>
    /// <param name="cells">The cells and the widths of their columns; 0 for no padding.</param>
    public static string Line(params ReadOnlySpan<(string Text, int Width)> cells)
    {
        var line = new StringBuilder();
        foreach (var (text, width) in cells)
        {
            if (line.Length > 0)
                line.Append(' ');
            line.Append(text.PadRight(width));
        }

        return line.ToString();
    }
}
