using System.Text.Json;
using Ottla.Cli.KafkaTools.Options;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Cli.KafkaTools.Placement;

/// <summary>kafka-leader-election: has leaders elected.</summary>
internal static class LeaderElectionTool
{
    private const string CommandFailed = "org.apache.kafka.tools.AdminCommandFailedException";

    private static readonly string[] Required = ["bootstrap-server", "election-type"];
    private static readonly string[] Scopes = ["topic", "all-topic-partitions", "path-to-json-file"];

    /// <summary>Runs the tool.</summary>
    public static async Task<int> RunAsync(ToolContext context)
    {
        var options = JoptTool.Parse(
            context, "This tool attempts to elect a new leader for a set of topic partitions. The type of elections supported are "
                + "preferred replicas and unclean replicas.");
        var type = Check(options);
        var partitions = options.Value("path-to-json-file") is { } file ? ReadPartitions(file)
            : options.Value("topic") is { } topic ? [new TopicPartition(topic, options.Int("partition")!.Value)] : null;
        await using var client = ToolClient.Open(
            options.Value("bootstrap-server"), commandConfig: options.Value("command-config") ?? options.Value("admin.config"));
        Print(context.Output, type, await client.CallAsync("electLeaders", admin => admin.ElectLeadersAsync(type, partitions)));
        return 0;
    }

    private static ElectionType Check(ParsedOptions options)
    {
        var missing = Required.Where(name => !options.Has(name)).ToList();
        if (missing.Count > 0)
            throw new JavaException(CommandFailed, $"Missing required option(s): {string.Join(", ", missing)}");
        if (Scopes.Count(options.Has) != 1)
        {
            throw new JavaException(
                CommandFailed, "One and only one of the following options is required: topic, all-topic-partitions, path-to-json-file");
        }

        if (options.Has("topic") && !options.Has("partition"))
            throw new JavaException(CommandFailed, "Missing required option(s): partition");
        if (options.Has("partition") && !options.Has("topic"))
            throw new JavaException(CommandFailed, "Option partition is only allowed if topic is used");
        var text = options.Value("election-type")!;
        return text.ToLowerInvariant() switch
        {
            "preferred" => ElectionType.Preferred,
            "unclean" => ElectionType.Unclean,
            _ => throw new OptionException($"Cannot parse argument '{text}' of option election-type"),
        };
    }

    private static List<TopicPartition> ReadPartitions(string path)
    {
        try
        {
            using var json = JsonDocument.Parse(JsonFile.ReadText(path));
            if (!json.RootElement.TryGetProperty("partitions", out var list))
                throw new JavaException(CommandFailed, "Replica election data is missing \"partitions\" field");
            var partitions = list.EnumerateArray().Select(each => new TopicPartition(
                each.GetProperty("topic").GetString()!, each.GetProperty("partition").GetInt32())).ToList();
            var twice = partitions.GroupBy(each => each).Where(group => group.Count() > 1).Select(group => group.Key).ToList();
            return twice.Count == 0 ? partitions : throw new JavaException(
                CommandFailed, $"Replica election data contains duplicate partitions: {string.Join(',', twice)}");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            throw new JavaException("java.lang.RuntimeException", $"{path} cannot be read: {e.Message}");
        }
    }

    private static void Print(TextWriter output, ElectionType type, AdminResults<TopicPartition> results)
    {
        var name = type == ElectionType.Preferred ? "PREFERRED" : "UNCLEAN";
        var all = JavaHashOrder.Of(results.Keys, JavaHashOrder.HashOf).ToList();
        var elected = all.Where(partition => results[partition].IsSuccess).ToList();
        var valid = all.Where(partition => results[partition].Error == ErrorCode.ElectionNotNeeded).ToList();
        if (elected.Count > 0)
            output.WriteLine($"Successfully completed leader election ({name}) for partitions {string.Join(", ", elected)}");
        if (valid.Count > 0)
            output.WriteLine($"Valid replica already elected for partitions {string.Join(", ", valid)}");
        var failed = all.Except(elected).Except(valid).ToList();
        foreach (var partition in failed)
        {
            output.WriteLine(
                $"Error completing leader election ({name}) for partition: {partition}: "
                    + $"{JavaErrors.Of(results[partition], "electLeaders").Text}");
        }

        if (failed.Count > 0)
            throw new JavaException(CommandFailed, $"{failed.Count} replica(s) could not be elected");
    }
}
