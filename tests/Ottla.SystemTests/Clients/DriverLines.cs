using System.Text.Json;
using System.Text.Json.Serialization;

namespace Ottla.SystemTests.Clients;

/// <summary>The lines of the drivers' contract: one JSON object each, without blanks.</summary>
internal static class DriverLines
{
    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        DefaultIgnoreCondition = JsonIgnoreCondition.Never,
    };

    private static readonly JsonSerializerOptions OperationJson = new(
        Json)
    { DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull };

    /// <summary>Reads the lines to their end.</summary>
    public static List<T> Read<T>(TextReader lines)
    {
        var items = new List<T>();
        while (lines.ReadLine() is { } line)
        {
            if (line.Length > 0)
                items.Add(JsonSerializer.Deserialize<T>(line, Json) ?? throw new JsonException("A line is null."));
        }

        return items;
    }

    /// <summary>Writes a line for each item. Operations and their answers leave out what they do not have; records say null.</summary>
    public static void Write<T>(TextWriter lines, IEnumerable<T> items)
    {
        var options = typeof(T) == typeof(AdminOperation) || typeof(T) == typeof(AdminAnswer) ? OperationJson : Json;
        foreach (var item in items)
        {
            lines.Write(JsonSerializer.Serialize(item, options));
            lines.Write('\n');
        }

        lines.Flush();
    }
}
