using System.Text.Json;
using System.Text.Json.Serialization;

namespace Ottla.HistoryChecker.History;

/// <summary>Histories as text: an operation per line, in JSON.</summary>
/// <remarks>
/// <c>{"process":3,"outcome":"ok","isTransaction":true,"steps":[{"do":"send","partition":"orders-0","value":7,"offset":12},
/// {"do":"poll","records":[{"partition":"orders-1","offset":4,"value":2}]}]}</c>
/// </remarks>
public static class HistoryFile
{
    private static readonly JsonSerializerOptions Options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        Converters = { new JsonStringEnumConverter<Outcome>(JsonNamingPolicy.CamelCase, allowIntegerValues: false) },
    };

    /// <summary>Writes an operation and ends its line.</summary>
    public static void Write(TextWriter writer, Operation operation) => writer.WriteLine(JsonSerializer.Serialize(operation, Options));

    /// <summary>Writes a history.</summary>
    public static void Write(TextWriter writer, IEnumerable<Operation> history)
    {
        foreach (var operation in history)
            Write(writer, operation);
    }

    /// <summary>Reads a history. Empty lines are skipped.</summary>
    /// <exception cref="InvalidDataException">A line is no operation; the message says which.</exception>
    public static List<Operation> Read(TextReader reader)
    {
        var history = new List<Operation>();
        for (var number = 1; reader.ReadLine() is { } line; number++)
        {
            if (string.IsNullOrWhiteSpace(line))
                continue;
            try
            {
                history.Add(JsonSerializer.Deserialize<Operation>(line, Options) ?? throw new JsonException("null is no operation"));
            }
            catch (JsonException e)
            {
                throw new InvalidDataException($"Line {number} of the history: {e.Message}", e);
            }
        }

        return history;
    }
}
