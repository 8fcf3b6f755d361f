using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Ottla.Storage.Inspection;

/// <summary>How bad a finding is.</summary>
public enum FindingSeverity
{
    /// <summary>For information: an unclean shutdown explains it, and the next start repairs it.</summary>
    Info,

    /// <summary>Something is wrong, but no record is lost.</summary>
    Warning,

    /// <summary>The files contradict each other or themselves.</summary>
    Error,
}

/// <summary>A problem in the files of a log.</summary>
/// <param name="Severity">The severity.</param>
/// <param name="File">The path of the file or directory.</param>
/// <param name="Position">The position in the file, in bytes; null for the whole file.</param>
/// <param name="Offset">The offset in the log, or null.</param>
/// <param name="Problem">The problem, in words.</param>
public sealed record LogFinding(FindingSeverity Severity, string File, long? Position, long? Offset, string Problem)
{
    /// <summary>The finding as one line: <c>severity: file, position, offset: problem</c>.</summary>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{Name}: {File}{(Position is { } position ? $", position {position}" : "")}{(Offset is { } offset ? $", offset {offset}" : "")}: "
            + $"{Problem}");

    /// <summary>The finding as one JSON object on one line.</summary>
    public string ToJson()
    {
        using var bytes = new MemoryStream();
        using (var json = new Utf8JsonWriter(bytes, RecordJson.Options))
        {
            json.WriteStartObject();
            json.WriteString("severity", Name);
            json.WriteString("file", File);
            if (Position is { } position)
                json.WriteNumber("position", position);
            if (Offset is { } offset)
                json.WriteNumber("offset", offset);
            json.WriteString("problem", Problem);
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(bytes.GetBuffer().AsSpan(0, (int)bytes.Length));
    }

    private string Name => Severity switch
    {
        FindingSeverity.Info => "info",
        FindingSeverity.Warning => "warning",
        _ => "error",
    };
}
