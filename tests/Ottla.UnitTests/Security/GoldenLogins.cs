using System.IO.Compression;
using System.Text;
using System.Text.Json;

namespace Ottla.UnitTests.Security;

/// <summary>
/// Logins on Apache Kafka 4.4.0, byte by byte (tests/golden/security/sasl.jsonl.gz). Passwords and tokens are test values.
/// </summary>
internal static class GoldenLogins
{
    private static readonly Lazy<List<JsonElement>> s_all = new(Read);

    /// <summary>The connections.</summary>
    public static IEnumerable<JsonElement> All => s_all.Value.Where(line => line.TryGetProperty("case", out _));

    /// <summary>The users of SCRAM.</summary>
    public static JsonElement ScramUsers =>
        s_all.Value.Single(line => line.TryGetProperty("scramCredentials", out _)).GetProperty("scramCredentials");

    /// <summary>The name of a case.</summary>
    public static string NameOf(JsonElement line) => line.GetProperty("case").GetString()!;

    /// <summary>A case by its name.</summary>
    public static JsonElement Get(string name) => All.Single(line => NameOf(line) == name);

    /// <summary>A text of a step; null when it has none.</summary>
    public static string? Text(JsonElement step, string name) =>
        step.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    /// <summary>The error that a mechanism's message was answered with, and its text.</summary>
    public static (int Code, string? Message) ErrorOf(JsonElement step)
    {
        var body = step.GetProperty("response").GetProperty("body");
        return (body.GetProperty("errorCode").GetInt32(), Text(body, "errorMessage"));
    }

    private static List<JsonElement> Read()
    {
        using var file = File.OpenRead(GoldenData.Path("security/sasl.jsonl.gz"));
        using var reader = new StreamReader(new GZipStream(file, CompressionMode.Decompress), Encoding.UTF8);
        var lines = new List<JsonElement>();
        while (reader.ReadLine() is { } line)
        {
            if (line.Length > 0)
                lines.Add(JsonDocument.Parse(line).RootElement.Clone());
        }

        return lines;
    }
}
