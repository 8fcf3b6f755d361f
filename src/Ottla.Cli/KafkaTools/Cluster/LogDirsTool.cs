using System.Globalization;
using System.Text;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Cli.KafkaTools.Cluster;

/// <summary>kafka-log-dirs: tells what is in the log directories of brokers, as JSON.</summary>
internal static class LogDirsTool
{
    /// <summary>Runs the tool.</summary>
    public static async Task<int> RunAsync(ToolContext context)
    {
        var options = JoptTool.Parse(context, "This tool helps to query log directory usage on the specified brokers.");
        options.Require("bootstrap-server", "describe");
        var topics = List(options.Value("topic-list")).ToHashSet();
        var asked = List(options.Value("broker-list")).Select(
            text => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var id)
                ? id : throw new JavaException("java.lang.NumberFormatException", $"For input string: \"{text}\"")).ToList();
        await using var client = ToolClient.Open(
            options.Value("bootstrap-server"), commandConfig: options.Value("command-config"), clientId: "log-dirs-tool");
        var known = (await client.CallAsync("listNodes", admin => admin.DescribeClusterAsync())).Brokers.Select(
            broker => broker.Id).ToList();
        var missing = asked.Except(known).ToList();
        if (missing.Count > 0)
        {
            throw new ToolException(
                $"ERROR: The given brokers do not exist from --broker-list: {string.Join(',', missing)}. Current existent brokers: "
                    + string.Join(',', known));
        }

        var brokers = asked.Count > 0 ? asked : known;
        context.Output.WriteLine("Querying brokers for log directories information");
        var described = await client.CallAsync("describeLogDirs", admin => admin.DescribeLogDirsAsync(brokers));
        foreach (var result in described.Values)
            result.ThrowIfFailed("describeLogDirs");
        context.Output.WriteLine($"Received log directory information from brokers {string.Join(',', brokers)}");
        context.Output.WriteLine(
            $"{{\"brokers\":[{string.Join(',', brokers.Select(id => BrokerJson(id, described[id].Value, topics)))}],\"version\":1}}");
        return 0;
    }

    private static string[] List(string? text) =>
        text?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) ?? [];

    private static string BrokerJson(int id, IReadOnlyDictionary<string, LogDirDescription> directories, HashSet<string> topics) =>
        $"{{\"broker\":{id},\"logDirs\":[{string.Join(',', directories.Select(each => DirectoryJson(each.Key, each.Value, topics)))}]}}";

    private static string DirectoryJson(string path, LogDirDescription directory, HashSet<string> topics)
    {
        var json = new StringBuilder("{\"partitions\":[");
        var partitions = directory.Replicas.Keys.Where(partition => topics.Count == 0 || topics.Contains(partition.Topic));
        json.AppendJoin(',', JavaHashOrder.Of(partitions, JavaHashOrder.HashOf).Select(partition =>
        {
            var replica = directory.Replicas[partition];
            return $"{{\"partition\":{JsonFile.Quote(partition.ToString())},\"size\":{replica.SizeBytes},\"offsetLag\":{replica.OffsetLag},"
                + $"\"isFuture\":{(replica.IsFuture ? "true" : "false")}}}";
        }));
        var error = directory.Error == ErrorCode.None ? "null" : JsonFile.Quote(JavaErrors.Of(directory.Error, null).Class);
        return json.Append($"],\"error\":{error},\"logDir\":{JsonFile.Quote(path)}}}").ToString();
    }
}
