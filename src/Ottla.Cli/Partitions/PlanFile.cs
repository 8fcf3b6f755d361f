using System.Buffers;
using System.Collections.Immutable;
using System.Text.Json;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.StateMachines.Balancing;

namespace Ottla.Cli.Partitions;

/// <summary>A partition in a plan's file.</summary>
/// <param name="Id">Its topic and number.</param>
/// <param name="Replicas">The brokers that are to have it, the preferred leader first.</param>
/// <param name="From">The brokers that had it when the plan was made; null when the file does not say.</param>
internal sealed record PlanEntry(TopicPartition Id, ImmutableArray<int> Replicas, ImmutableArray<int>? From);

/// <summary>
/// A plan as a file: the JSON of kafka-reassign-partitions (<c>--reassignment-json-file</c>), in which each partition also says where its
/// replicas were, how large it is and why it moves. Kafka's tool passes over what it does not know, and files of Kafka's are read here.
/// </summary>
/// <param name="Entries">What to move, in order.</param>
/// <param name="Elections">Partitions that stay where they are, whose preferred leader is to lead.</param>
/// <param name="NamesDirectories">Whether it names log directories, as a file for a rollback of Kafka's does. They are passed over.</param>
internal sealed record PlanFile(
    IReadOnlyList<PlanEntry> Entries, IReadOnlyList<TopicPartition> Elections, bool NamesDirectories = false)
{
    private const int Version = 1;
    private const string AnyDirectory = "any";

    /// <summary>The file of a plan.</summary>
    public static byte[] Write(ReassignmentPlan plan)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = true, NewLine = "\n" }))
        {
            json.WriteStartObject();
            json.WriteNumber("version", Version);
            json.WriteStartArray("partitions");
            foreach (var move in plan.Moves)
                Write(json, move);
            json.WriteEndArray();
            json.WriteStartArray("elections");
            foreach (var partition in plan.Elections)
            {
                json.WriteStartObject();
                WriteId(json, partition);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteNumber("bytesToCopy", plan.BytesToCopy);
            json.WriteStartArray("brokers");
            foreach (var broker in plan.Brokers)
                Write(json, broker);
            json.WriteEndArray();
            json.WriteEndObject();
        }

        return [.. buffer.WrittenSpan, (byte)'\n'];
    }

    /// <summary>Reads a file.</summary>
    /// <exception cref="ConfigException">It cannot be read, or makes no sense.</exception>
    public static PlanFile Read(FileInfo file)
    {
        try
        {
            using var stream = file.OpenRead();
            var content = new byte[stream.Length];
            stream.ReadExactly(content);
            return Parse(content);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ConfigException)
        {
            throw new ConfigException($"Cannot read the plan {file}: {e.Message}");
        }
    }

    /// <summary>Reads the content of a file.</summary>
    /// <exception cref="ConfigException">It makes no sense.</exception>
    public static PlanFile Parse(ReadOnlyMemory<byte> content)
    {
        try
        {
            using var document = JsonDocument.Parse(content);
            var root = document.RootElement;
            if (root.TryGetProperty("version", out var version) && version.GetInt32() != Version)
                throw new ConfigException($"version {version} is not known; {Version} is.");
            if (!root.TryGetProperty("partitions", out var partitions))
                throw new ConfigException("there are no 'partitions' in it.");
            var entries = partitions.EnumerateArray().Select(ReadEntry).ToList();
            Check(entries);
            return new PlanFile(
                entries,
                root.TryGetProperty("elections", out var elections) ? [.. elections.EnumerateArray().Select(ReadId)] : [],
                partitions.EnumerateArray().Any(NamesDirectory));
        }
        catch (JsonException e)
        {
            throw new ConfigException($"it is not valid JSON: {e.Message}");
        }
        catch (Exception e) when (e is InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new ConfigException(
                "each of its 'partitions' needs a 'topic' (text), a 'partition' (number) and 'replicas' (a list of broker ids).");
        }
    }

    private static PlanEntry ReadEntry(JsonElement json)
    {
        var id = ReadId(json);
        return new PlanEntry(id, Ids(json.GetProperty("replicas")), json.TryGetProperty("from", out var from) ? Ids(from) : null);
    }

    private static bool NamesDirectory(JsonElement json) =>
        json.TryGetProperty("log_dirs", out var directories)
        && directories.EnumerateArray().Any(directory => directory.GetString() != AnyDirectory);

    private static void Check(List<PlanEntry> entries)
    {
        if (entries.GroupBy(entry => entry.Id).FirstOrDefault(same => same.Skip(1).Any()) is { } repeated)
            throw new ConfigException($"{repeated.Key} is in it more than once.");
        foreach (var entry in entries)
        {
            if (entry.Replicas.IsEmpty)
                throw new ConfigException($"{entry.Id} is to have no replicas.");
            if (entry.Replicas.Distinct().Count() != entry.Replicas.Length)
                throw new ConfigException($"{entry.Id} is to be on a broker twice: {string.Join(',', entry.Replicas)}.");
        }
    }

    private static void Write(Utf8JsonWriter json, PartitionMove move)
    {
        json.WriteStartObject();
        WriteId(json, move.Partition);
        WriteIds(json, "replicas", move.To);
        json.WriteStartArray("log_dirs");
        foreach (var _ in move.To)
            json.WriteStringValue(AnyDirectory);
        json.WriteEndArray();
        WriteIds(json, "from", move.From);
        json.WriteNumber("bytes", move.Bytes);
        json.WriteStartArray("reasons");
        foreach (var reason in PlanText.Names(move.Reasons))
            json.WriteStringValue(reason);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, BrokerFigures figures)
    {
        json.WriteStartObject();
        json.WriteNumber("id", figures.Broker.Id);
        json.WriteString("rack", figures.Broker.Rack);
        Write(json, "before", figures.Before);
        Write(json, "after", figures.After);
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, string name, BrokerLoad load)
    {
        json.WriteStartObject(name);
        json.WriteNumber("replicas", load.Replicas);
        json.WriteNumber("leaders", load.Leaders);
        json.WriteNumber("bytes", load.Bytes);
        json.WriteEndObject();
    }

    private static void WriteId(Utf8JsonWriter json, TopicPartition partition)
    {
        json.WriteString("topic", partition.Topic);
        json.WriteNumber("partition", partition.Partition);
    }

    private static void WriteIds(Utf8JsonWriter json, string name, ImmutableArray<int> ids)
    {
        json.WriteStartArray(name);
        foreach (var id in ids)
            json.WriteNumberValue(id);
        json.WriteEndArray();
    }

    private static TopicPartition ReadId(JsonElement json) =>
        new(json.GetProperty("topic").GetString() ?? throw new FormatException(), json.GetProperty("partition").GetInt32());

    private static ImmutableArray<int> Ids(JsonElement json) => [.. json.EnumerateArray().Select(id => id.GetInt32())];
}
