using System.IO.Compression;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Ottla.SystemTests.Harness;

namespace Ottla.SystemTests.KafkaTools;

/// <summary>An invocation of a tool of Apache Kafka 4.4.0, and what it printed (tests/golden/kafka-tools.jsonl.gz).</summary>
public sealed partial record ToolRow
{
    public required string Section { get; init; }

    public required int Sequence { get; init; }

    public required string Id { get; init; }

    /// <summary><c>run</c>, <c>start</c>, <c>stop</c>, or <c>sh</c> for a preparation.</summary>
    public required string Kind { get; init; }

    public required string Command { get; init; }

    public required string Output { get; init; }

    public int? ExitCode { get; init; }

    /// <summary>Whether two runs of Kafka differed: lines are compared in any order.</summary>
    public bool IsUnstable { get; init; }

    /// <summary>How long Kafka was given before, in seconds: what the row shows settles meanwhile.</summary>
    public int WaitSeconds { get; init; }

    /// <summary>The group whose records alone were kept of what a formatter of <c>__consumer_offsets</c> printed; null for all.</summary>
    public string? OnlyGroup { get; init; }

    public string Input { get; init; } = "";

    /// <summary>The row that started what this one stops.</summary>
    public string? Of { get; init; }

    public IReadOnlyDictionary<string, string> Files { get; init; } = new Dictionary<string, string>();

    /// <summary>Names and expressions: the first group stands later for <c>${name}</c>.</summary>
    public IReadOnlyDictionary<string, string> Captures { get; init; } = new Dictionary<string, string>();

    /// <summary>The rows of a section in their order.</summary>
    public static IReadOnlyList<ToolRow> Read(string section)
    {
        var path = Path.Combine(RepositoryPaths.Root, "tests", "golden", "kafka-tools.jsonl.gz");
        using var reader = new StreamReader(new GZipStream(File.OpenRead(path), CompressionMode.Decompress), Encoding.UTF8);
        var rows = new List<ToolRow>();
        while (reader.ReadLine() is { } line)
        {
            using var json = JsonDocument.Parse(line);
            if (json.RootElement.GetProperty("section").GetString() == section)
                rows.Add(Parse(json.RootElement));
        }

        return [.. rows.OrderBy(row => row.Sequence)];
    }

    private static ToolRow Parse(JsonElement json) => new()
    {
        Section = json.GetProperty("section").GetString()!,
        Sequence = json.GetProperty("seq").GetInt32(),
        Id = json.GetProperty("id").GetString()!,
        Kind = json.GetProperty("kind").GetString()!,
        Command = json.GetProperty("cmd").GetString()!,
        Output = Text(json, "stdout") ?? "",
        ExitCode = json.TryGetProperty("exit", out var exit) && exit.ValueKind == JsonValueKind.Number ? exit.GetInt32() : null,
        IsUnstable = json.TryGetProperty("unstable", out var unstable) && unstable.GetBoolean(),
        WaitSeconds = json.TryGetProperty("wait", out var wait) ? wait.GetInt32() : 0,
        Of = Text(json, "of"),
        OnlyGroup = KeptGroup().Match(Text(json, "note") ?? "") is { Success: true } kept ? kept.Groups[1].Value : null,
        Input = json.TryGetProperty("stdin_repeat", out var repeat)
            ? string.Concat(Enumerable.Repeat(repeat.GetProperty("text").GetString(), repeat.GetProperty("count").GetInt32())) + "\n"
            : Text(json, "stdin") ?? "",
        Files = Map(json, "files"),
        Captures = Map(json, "capture"),
    };

    private static string? Text(JsonElement json, string name) =>
        json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static Dictionary<string, string> Map(JsonElement json, string name) => json.TryGetProperty(name, out var map)
        ? map.EnumerateObject().ToDictionary(each => each.Name, each => each.Value.GetString()!) : [];

    [GeneratedRegex("only records of the group ([^ ]+) kept")]
    private static partial Regex KeptGroup();
}
