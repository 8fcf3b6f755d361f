using Ottla.Cli.KafkaTools.Text;

namespace Ottla.Cli.KafkaTools.Perf;

/// <summary>Writes the events of kafka-verifiable-producer and -consumer: one JSON object a line. Lines do not mix.</summary>
internal sealed class VerifiableJson(TextWriter output)
{
    private readonly Lock _lock = new();

    /// <summary>Writes an event.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="fields">The JSON of its fields behind time and name; empty for none.</param>
    public void Write(string name, string fields = "")
    {
        var now = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();
        lock (_lock)
        {
            output.WriteLine($"{{\"timestamp\":{now},\"name\":\"{name}\"{(fields.Length > 0 ? $",{fields}" : "")}}}");
            output.Flush();
        }
    }

    /// <summary>A text as JSON; null as null.</summary>
    public static string Quote(string? text) => text is null ? "null" : JsonFile.Quote(text);
}
