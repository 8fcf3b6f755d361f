using System.Text.Json;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.Kernel;

namespace Ottla.Cli.KafkaTools.Placement;

/// <summary>A partition in a file of moves.</summary>
/// <param name="Partition">The partition.</param>
/// <param name="Replicas">Its brokers, the preferred leader first.</param>
/// <param name="LogDirs">The directory on each broker; <c>any</c> for the broker's choice.</param>
internal sealed record MovedPartition(TopicPartition Partition, IReadOnlyList<int> Replicas, IReadOnlyList<string> LogDirs);

/// <summary>Reads and writes the JSON files of kafka-reassign-partitions.</summary>
internal static class ReassignmentJson
{
    /// <summary>What stands for a directory that the broker chooses.</summary>
    public const string AnyLogDir = "any";

    private const string OperationException = "org.apache.kafka.tools.AdminOperationException";

    /// <summary>Reads a file of moves.</summary>
    /// <exception cref="JavaException">It cannot be read.</exception>
    public static IReadOnlyList<MovedPartition> ReadMoves(string path) => Read(path, "partitions", each =>
    {
        var partition = new TopicPartition(each.GetProperty("topic").GetString()!, each.GetProperty("partition").GetInt32());
        var replicas = each.GetProperty("replicas").EnumerateArray().Select(id => id.GetInt32()).ToList();
        var directories = each.TryGetProperty("log_dirs", out var given)
            ? given.EnumerateArray().Select(text => text.GetString()!).ToList() : [.. replicas.Select(_ => AnyLogDir)];
        return replicas.Count == directories.Count ? new MovedPartition(partition, replicas, directories) : throw Failed(
            $"Size of replicas list [{string.Join(", ", replicas)}] is different from size of log dirs list "
                + $"[{string.Join(", ", directories)}] for partition {partition}");
    });

    /// <summary>Reads a file of topics.</summary>
    /// <exception cref="JavaException">It cannot be read.</exception>
    public static IReadOnlyList<string> ReadTopics(string path) => Read(path, "topics", each => each.GetProperty("topic").GetString()!);

    /// <summary>Writes partitions as such a file, in the order of topics and indexes.</summary>
    /// <param name="partitions">The brokers by partition.</param>
    /// <param name="directoryOf">The directory of a replica; null for any.</param>
    public static string Write(
        IEnumerable<KeyValuePair<TopicPartition, IReadOnlyList<int>>> partitions, Func<PartitionReplica, string?> directoryOf)
    {
        var list = partitions.OrderBy(each => each.Key.Topic, StringComparer.Ordinal).ThenBy(each => each.Key.Partition).Select(each =>
        {
            var directories = each.Value.Select(id => JsonFile.Quote(directoryOf(new PartitionReplica(each.Key, id)) ?? AnyLogDir));
            return $"{{\"topic\":{JsonFile.Quote(each.Key.Topic)},\"partition\":{each.Key.Partition},"
                + $"\"replicas\":[{string.Join(',', each.Value)}],\"log_dirs\":[{string.Join(',', directories)}]}}";
        });
        return $"{{\"version\":1,\"partitions\":[{string.Join(',', list)}]}}";
    }

    /// <summary>The command cannot be carried out.</summary>
    public static JavaException Failed(string message) => new("org.apache.kafka.tools.AdminCommandFailedException", message);

    private static List<T> Read<T>(string path, string list, Func<JsonElement, T> read)
    {
        try
        {
            using var json = JsonDocument.Parse(JsonFile.ReadText(path));
            var version = json.RootElement.TryGetProperty("version", out var given) ? given.GetInt32() : 1;
            if (version != 1)
                throw new JavaException(OperationException, $"Not supported version field value {version}");
            return json.RootElement.TryGetProperty(list, out var items) ? [.. items.EnumerateArray().Select(read)] : [];
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new JavaException(OperationException, $"{path} cannot be read: {e.Message}");
        }
    }
}
