using System.Text.Json;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Kernel;

namespace Ottla.Cli.KafkaTools.Topics;

/// <summary>kafka-delete-records: deletes the records before offsets.</summary>
internal static class DeleteRecordsTool
{
    private const string OperationException = "org.apache.kafka.tools.AdminOperationException";
    private const int VersionMax = 1;

    /// <summary>Runs the tool.</summary>
    public static async Task<int> RunAsync(ToolContext context)
    {
        var options = JoptTool.Parse(context, "This tool helps to delete records of the given partitions down to the specified offset.");
        options.Require("bootstrap-server", "offset-json-file");
        var offsets = ReadOffsets(options.Value("offset-json-file")!);
        await using var client = ToolClient.Open(options.Value("bootstrap-server"), commandConfig: options.Value("command-config"));
        context.Output.WriteLine("Executing records delete operation");
        var results = await client.CallAsync("deleteRecords", admin => admin.DeleteRecordsAsync(offsets.ToDictionary()));
        context.Output.WriteLine("Records delete operation completed:");
        foreach (var partition in JavaHashOrder.Of(offsets.Select(each => each.Key), JavaHashOrder.HashOf))
        {
            var result = results[partition];
            context.Output.WriteLine($"partition: {partition.Topic}-{partition.Partition}\t" + (result.IsSuccess
                ? $"low_watermark: {result.Value}" : $"error: {JavaErrors.Of(result, "deleteRecords(api=METADATA)").Text}"));
        }

        return 0;
    }

    private static List<KeyValuePair<TopicPartition, long>> ReadOffsets(string path)
    {
        var text = JsonFile.ReadText(path);
        JsonElement root;
        try
        {
            root = JsonDocument.Parse(text).RootElement;
        }
        catch (JsonException)
        {
            throw new JavaException(OperationException, "The input string is not a valid JSON");
        }

        var version = root.TryGetProperty("version", out var given) ? given.GetInt32() : VersionMax;
        if (version != VersionMax)
            throw new JavaException(OperationException, $"Not supported version field value {version}");
        if (!root.TryGetProperty("partitions", out var partitions))
            throw new JavaException(OperationException, "Missing partitions field");
        var offsets = partitions.EnumerateArray().Select(each => KeyValuePair.Create(
            new TopicPartition(each.GetProperty("topic").GetString()!, each.GetProperty("partition").GetInt32()),
            each.GetProperty("offset").GetInt64())).ToList();
        var twice = offsets.GroupBy(each => each.Key).Where(group => group.Count() > 1).Select(group => group.Key).ToList();
        return twice.Count == 0 ? offsets : throw new JavaException(
            "org.apache.kafka.tools.AdminCommandFailedException",
            $"Offset json file contains duplicate topic partitions: "
                + $"{string.Join(",", twice.Select(each => $"{each.Topic}-{each.Partition}"))}");
    }
}
