using System.Text.Json;
using System.Text.Json.Serialization;

namespace Ottla.SystemTests.Clients;

/// <summary>What a member of a group tells: a line of the drivers' contract.</summary>
public sealed record GroupEvent
{
    /// <summary>All its partitions, after each change.</summary>
    public const string Assigned = "assigned";

    /// <summary>It got a record.</summary>
    public const string Record = "record";

    /// <summary>The broker acknowledged that this offset is committed.</summary>
    public const string Committed = "committed";

    /// <summary>A transaction begins that copies the <see cref="Records"/>: told before anything is sent.</summary>
    public const string Transaction = "transaction";

    /// <summary>The broker acknowledged that the transaction is aborted.</summary>
    public const string Aborted = "aborted";

    [JsonPropertyName("event")]
    public required string Event { get; init; }

    [JsonPropertyName("partitions")]
    public IReadOnlyList<int> Partitions { get; init; } = [];

    [JsonPropertyName("partition")]
    public int Partition { get; init; }

    [JsonPropertyName("offset")]
    public long Offset { get; init; }

    /// <summary>Of a transaction: what was read, each as partition, offset and value.</summary>
    [JsonPropertyName("records")]
    public IReadOnlyList<long[]> Records { get; init; } = [];

    /// <inheritdoc/>
    public override string ToString() => Event == Transaction ? $"{Event} of {Records.Count}" : Event == Assigned
        ? $"{Event} {string.Join(',', Partitions)}" : $"{Event} {Partition}@{Offset}";

    /// <summary>Writes it to the standard output, as a driver does.</summary>
    public void Tell() => Console.Out.WriteLine(JsonSerializer.Serialize(this));

    /// <summary>Reads a line of a driver; null when it is something else, such as a client's log in JSON.</summary>
    public static GroupEvent? ParseJson(string line) =>
        line.StartsWith("{\"event\":", StringComparison.Ordinal) ? JsonSerializer.Deserialize<GroupEvent>(line) : null;
}

/// <summary>How a member of a group is started.</summary>
/// <param name="Program">The program.</param>
/// <param name="Arguments">Its arguments.</param>
/// <param name="Environment">Variables on top of the test's.</param>
/// <param name="Parse">Reads a line of its output; null when the line is no event.</param>
/// <param name="EndsWithInput">Whether it leaves in order at the end of its input; else at SIGTERM.</param>
public sealed record MemberCommand(
    string Program, IReadOnlyList<string> Arguments, IReadOnlyDictionary<string, string> Environment, Func<string, GroupEvent?> Parse,
    bool EndsWithInput);
