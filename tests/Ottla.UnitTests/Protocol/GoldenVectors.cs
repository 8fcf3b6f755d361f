using System.IO.Compression;
using System.Text.Json;

namespace Ottla.UnitTests.Protocol;

/// <summary>The messages that Apache Kafka's own classes encoded (tests/golden/messages.jsonl.gz), read once per test run.</summary>
public static class GoldenVectors
{
    private static readonly Lazy<Dictionary<string, List<GoldenVector>>> Vectors = new(Load);

    /// <summary>The vectors of every message type, by the type's name.</summary>
    public static IReadOnlyDictionary<string, List<GoldenVector>> ByMessage => Vectors.Value;

    private static Dictionary<string, List<GoldenVector>> Load()
    {
        using var file = File.OpenRead(GoldenData.Path("messages.jsonl.gz"));
        using var lines = new StreamReader(new GZipStream(file, CompressionMode.Decompress));
        var vectors = new Dictionary<string, List<GoldenVector>>();
        while (lines.ReadLine() is { } line)
        {
            var json = JsonDocument.Parse(line).RootElement;
            var message = json.GetProperty("message").GetString()!;
            var type = json.GetProperty("side")
                .GetString() switch
            { "request" => message + "Request", "response" => message + "Response", _ => message };
            if (!vectors.TryGetValue(type, out var list))
                vectors[type] = list = [];
            list.Add(new GoldenVector(
                type, json.GetProperty("version").GetInt16(), json.GetProperty("variant").GetString()!, json.GetProperty("json"),
                json.GetProperty("hex").GetString()!));
        }

        return vectors;
    }
}

/// <summary>A message as Apache Kafka encoded it.</summary>
/// <param name="Message">The name of its type.</param>
/// <param name="Version">The version it was encoded at.</param>
/// <param name="Variant">How its fields were filled.</param>
/// <param name="Json">Its fields.</param>
/// <param name="Hex">Its bytes.</param>
public sealed record GoldenVector(string Message, short Version, string Variant, JsonElement Json, string Hex)
{
    /// <summary>What to call it in a failure.</summary>
    public string Name => $"{Message} v{Version} {Variant}";
}
