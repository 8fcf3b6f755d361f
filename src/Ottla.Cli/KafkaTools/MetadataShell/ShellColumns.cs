using System.Text;

namespace Ottla.Cli.KafkaTools.MetadataShell;

/// <summary>Writes names in as many columns as the terminal has room for, downwards as <c>ls</c> does.</summary>
internal static class ShellColumns
{
    private const int Gap = 2;
    private const int ColumnWidthMin = 4;

    /// <summary>Writes names.</summary>
    /// <param name="output">Where to.</param>
    /// <param name="screenWidth">The columns of the terminal; 0 for one name a line.</param>
    /// <param name="names">The names.</param>
    public static void Write(TextWriter output, int screenWidth, IReadOnlyList<string> names)
    {
        if (names.Count == 0)
            return;
        var columns = Math.Max(1, Math.Min(names.Count, screenWidth / ColumnWidthMin));
        while (columns > 1 && Widths(names, columns).Sum() > screenWidth)
            columns--;
        var widths = Widths(names, columns);
        var lines = LinesOf(names, columns);
        for (var line = 0; line < lines; line++)
        {
            var text = new StringBuilder();
            for (var column = 0; line + (column * lines) < names.Count; column++)
                text.Append(names[line + (column * lines)].PadRight(widths[column]));
            output.WriteLine(text.ToString().TrimEnd());
        }
    }

    private static int LinesOf(IReadOnlyList<string> names, int columns) => (names.Count + columns - 1) / columns;

    private static List<int> Widths(IReadOnlyList<string> names, int columns) =>
        [.. names.Chunk(LinesOf(names, columns)).Select(column => column.Max(name => name.Length) + Gap)];
}
