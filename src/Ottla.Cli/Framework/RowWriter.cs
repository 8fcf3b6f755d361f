using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Ottla.Cli.Partitions;
using Ottla.Configuration;
using Ottla.Kernel;

namespace Ottla.Cli.Framework;

/// <summary>How rows are printed.</summary>
internal enum RowFormat
{
    /// <summary>A table with headings.</summary>
    Text,

    /// <summary>An object for each row, each on a line.</summary>
    Json,

    /// <summary>The cells of a row with tabs between them, without headings.</summary>
    Tsv,

    /// <summary>A list of maps; a single map for one thing.</summary>
    Yaml,
}

/// <summary>The names of formats.</summary>
internal static class RowFormats
{
    /// <summary>Text whose tables are not cut to fit the terminal.</summary>
    public const string Wide = "wide";

    /// <summary>All names.</summary>
    public static readonly string[] Names = ["text", Wide, "json", "yaml", "tsv"];

    /// <summary>The format of a name; text for none.</summary>
    public static RowFormat Of(string? name) => name switch
    {
        "json" => RowFormat.Json,
        "tsv" => RowFormat.Tsv,
        "yaml" => RowFormat.Yaml,
        _ => RowFormat.Text,
    };
}

/// <summary>
/// Prints rows of named columns. JSON, YAML and tab-separated rows are printed as they come; a table when all are there, because columns
/// are as wide as their widest cell.
/// </summary>
/// <remarks>
/// A cell is null, text, a number, a bool, a time, a list of numbers or texts, or a map of texts. The names of columns and the types of
/// their cells are what scripts rely on: they stay.
/// </remarks>
internal sealed class RowWriter
{
    private static readonly JsonWriterOptions Json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly TextWriter _output;
    private readonly RowFormat _format;
    private readonly string[] _columns;
    private readonly int[] _chosen;
    private readonly bool _isRecord;
    private readonly int _widthMax;
    private readonly List<string[]> _rows = [];
    private readonly ArrayBufferWriter<byte> _buffer = new();
    private bool _hasRows;

    /// <summary>Makes a writer.</summary>
    /// <param name="output">Where to.</param>
    /// <param name="format">How.</param>
    /// <param name="columns">The columns that there are, by their JSON names.</param>
    /// <param name="chosen">Those that are wanted; null for all.</param>
    /// <param name="isRecord">Whether there is only one row, which text shows a line a cell.</param>
    /// <param name="widthMax">How wide a table may be.</param>
    /// <exception cref="ConfigException">There is no such column.</exception>
    public RowWriter(
        TextWriter output, RowFormat format, string[] columns, string? chosen, bool isRecord = false, int widthMax = int.MaxValue)
    {
        (_output, _format, _columns, _isRecord, _widthMax) = (output, format, columns, isRecord, widthMax);
        _chosen = chosen is null
            ? [.. Enumerable.Range(0, columns.Length)]
            : [.. chosen.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Select(Find)];
    }

    /// <summary>Prints a row.</summary>
    /// <param name="cells">Its cells, one a column.</param>
    public void Add(params object?[] cells)
    {
        if (cells.Length != _columns.Length)
            throw new ArgumentException($"{cells.Length} cells for {_columns.Length} columns", nameof(cells));
        if (_format is RowFormat.Json or RowFormat.Yaml)
        {
            _output.WriteLine(_format == RowFormat.Json ? JsonOf(cells) : YamlOf(cells));
            _hasRows = true;
            return;
        }

        var row = _chosen.Select(column => TextOf(cells[column])).ToArray();
        if (_format == RowFormat.Tsv)
            _output.WriteLine(string.Join('\t', row.Select(Flat)));
        else
            _rows.Add(row);
    }

    /// <summary>Prints what is left: the table.</summary>
    /// <param name="whenEmpty">What text says when there are no rows; null for nothing.</param>
    public void End(string? whenEmpty = null)
    {
        if (_format == RowFormat.Yaml && !_hasRows)
            _output.WriteLine("[]"); // nothing at all would be read as null
        if (_format != RowFormat.Text)
            return;
        if (_rows.Count == 0)
        {
            if (whenEmpty is not null)
                _output.WriteLine(whenEmpty);
            return;
        }

        string[] headings = [.. _chosen.Select(column => HeadingOf(_columns[column]))];
        if (_isRecord)
        {
            var width = headings.Max(heading => heading.Length);
            foreach (var (heading, cell) in headings.Zip(_rows[0]))
                _output.WriteLine($"{heading.PadRight(width)}  {cell}".TrimEnd());
        }
        else
        {
            _output.Write(TextTable.Of([headings, .. _rows], _widthMax));
        }

        _rows.Clear();
    }

    /// <summary><c>HIGH-WATERMARK</c> for <c>highWatermark</c>.</summary>
    private static string HeadingOf(string column) =>
        string.Concat(column.Select(c => char.IsUpper(c) ? $"-{c}" : $"{char.ToUpperInvariant(c)}"));

    /// <summary>A cell as text.</summary>
    public static string TextOf(object? cell) => cell switch
    {
        null => "-",
        string text => text,
        bool value => value ? "yes" : "no",
        DateTimeOffset time => time.ToUniversalTime().ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture),
        IEnumerable<int> list => string.Join(',', list),
        IEnumerable<string> list => string.Join(',', list),
        IEnumerable<KeyValuePair<string, string>> map => string.Join(',', map.Select(each => $"{each.Key}={each.Value}")),
        double number => number.ToString("0.###", CultureInfo.InvariantCulture),
        IFormattable value => value.ToString(null, CultureInfo.InvariantCulture),
        _ => cell.ToString() ?? "",
    };

    private static string Flat(string cell) => cell.Replace('\t', ' ').Replace('\n', ' ');

    private int Find(string name)
    {
        var index = Array.FindIndex(_columns, column => string.Equals(column, name, StringComparison.OrdinalIgnoreCase));
        return index >= 0 ? index : throw new ConfigException($"There is no column '{name}'. There are {string.Join(", ", _columns)}.");
    }

    /// <summary>A map, each of whose values is written as JSON, which YAML contains.</summary>
    private string YamlOf(object?[] cells)
    {
        var lines = _chosen.Select(column => $"{_columns[column]}: {JsonOf(json => Write(json, cells[column]))}");
        return _isRecord ? string.Join('\n', lines) : $"- {string.Join("\n  ", lines)}";
    }

    private string JsonOf(object?[] cells) => JsonOf(json =>
    {
        json.WriteStartObject();
        foreach (var column in _chosen)
        {
            json.WritePropertyName(_columns[column]);
            Write(json, cells[column]);
        }

        json.WriteEndObject();
    });

    private string JsonOf(Action<Utf8JsonWriter> write)
    {
        _buffer.ResetWrittenCount();
        using (var json = new Utf8JsonWriter(_buffer, Json))
            write(json);
        return Encoding.UTF8.GetString(_buffer.WrittenSpan);
    }

    private static void Write(Utf8JsonWriter json, object? cell)
    {
        switch (cell)
        {
            case null:
                json.WriteNullValue();
                break;
            case bool value:
                json.WriteBooleanValue(value);
                break;
            case sbyte or short or int or long:
                json.WriteNumberValue(Convert.ToInt64(cell, CultureInfo.InvariantCulture));
                break;
            case double number:
                json.WriteNumberValue(number);
                break;
            case IEnumerable<int> list:
                json.WriteStartArray();
                foreach (var each in list)
                    json.WriteNumberValue(each);
                json.WriteEndArray();
                break;
            case IEnumerable<string> list when cell is not string:
                json.WriteStartArray();
                foreach (var each in list)
                    json.WriteStringValue(each);
                json.WriteEndArray();
                break;
            case IEnumerable<KeyValuePair<string, string>> map:
                json.WriteStartObject();
                foreach (var (name, value) in map)
                    json.WriteString(name, value);
                json.WriteEndObject();
                break;
            case TopicPartition or Uuid or string or DateTimeOffset:
                json.WriteStringValue(TextOf(cell));
                break;
            default:
                throw new ArgumentException($"A cell cannot be a {cell.GetType()}.", nameof(cell));
        }
    }
}
