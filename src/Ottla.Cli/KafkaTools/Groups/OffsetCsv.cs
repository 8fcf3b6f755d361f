using System.Globalization;
using System.Text.RegularExpressions;
using Ottla.Kernel;

namespace Ottla.Cli.KafkaTools.Groups;

/// <summary>Reads the CSV files of <c>--from-file</c>: <c>topic,partition,offset</c> for one group, or with the group before it.</summary>
internal static partial class OffsetCsv
{
    private const int CellsWithoutGroup = 3;

    /// <summary>Reads a file.</summary>
    /// <param name="text">The text.</param>
    /// <param name="groups">The groups that the command names.</param>
    /// <returns>The offsets by group.</returns>
    /// <exception cref="JavaException">A line cannot be read.</exception>
    public static IReadOnlyDictionary<string, IReadOnlyDictionary<TopicPartition, long>> Parse(string text, IReadOnlyList<string> groups)
    {
        var lines = text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => CellsOf(line.TrimEnd('\r'))).ToList();
        var group = groups.Count == 1 && lines.Count > 0 && lines[0].Length <= CellsWithoutGroup ? groups[0] : null;
        return lines.Select(cells => group is null ? cells : [group, .. cells]).GroupBy(cells => cells[0]).ToDictionary(
            each => each.Key, IReadOnlyDictionary<TopicPartition, long> (each) => each.ToDictionary(
                cells => new TopicPartition(Cell(cells, 1), (int)Number(cells, 2)), cells => Number(cells, 3)));
    }

    /// <summary>A line of a file.</summary>
    public static string Line(string groupId, TopicPartition partition, long offset) =>
        string.Create(CultureInfo.InvariantCulture, $"{Quoted(groupId)},{partition.Topic},{partition.Partition},{offset}");

    private static string Quoted(string text) => text.AsSpan().ContainsAny(',', '"')
        ? $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : text;

    private static string[] CellsOf(string line) => [.. CsvCell().Matches(line).Select(cell => cell.Groups["quoted"].Success
        ? cell.Groups["quoted"].Value.Replace("\"\"", "\"", StringComparison.Ordinal) : cell.Groups["plain"].Value)];

    [GeneratedRegex("(?:^|,)(?:\"(?<quoted>(?:[^\"]|\"\")*)\"(?=,|$)|(?<plain>[^,]*))")]
    private static partial Regex CsvCell();

    private static string Cell(string[] cells, int index) => index < cells.Length ? cells[index] : "";

    /// <summary>A number; 0 when the line is too short, as Kafka has it.</summary>
    private static long Number(string[] cells, int index)
    {
        var text = Cell(cells, index);
        if (text.Length == 0)
            return 0;
        return long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
            ? number
            : throw new JavaException(
                "java.lang.RuntimeException", $"Cannot read '{text}' of '{string.Join(',', cells)}': a number is expected");
    }
}
