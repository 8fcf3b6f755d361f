using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Cli.KafkaTools.Groups;

/// <summary>Deletes offsets of a group, as kafka-consumer-groups --delete-offsets does.</summary>
internal sealed class OffsetDeleter(TextWriter output, ToolClient client)
{
    private const int WholeTopic = -1;

    /// <summary>Deletes, and says what became of it.</summary>
    /// <param name="groupId">The group.</param>
    /// <param name="topics">The topics, or partitions of them.</param>
    public async Task RunAsync(string groupId, IReadOnlyList<string> topics)
    {
        var outcomes = new Dictionary<TopicPartition, string?>();
        var partitions = TopicArguments.Named(topics).ToHashSet();
        var whole = TopicArguments.Whole(topics);
        if (whole.Count > 0)
        {
            foreach (var (topic, described) in await TopicArguments.DescribeAsync(client, whole))
            {
                if (described.IsSuccess)
                    partitions.UnionWith(described.Value.Partitions.Select(each => new TopicPartition(topic, each.Index)));
                else
                    outcomes[new TopicPartition(topic, WholeTopic)] = TopicArguments.ErrorOf(described).Text;
            }
        }

        AdminResult? first = null;
        if (partitions.Count > 0)
        {
            var results = await client.CallAsync(
                "deleteConsumerGroupOffsets", admin => admin.DeleteConsumerGroupOffsetsAsync(groupId, partitions));
            first = results.Values.FirstOrDefault(result => !result.IsSuccess);
            foreach (var (partition, result) in results)
                outcomes[partition] = result.IsSuccess ? null : JavaErrors.Of(result, "deleteConsumerGroupOffsets").Text;
        }

        output.WriteLine(Summary(groupId, first));
        Print(outcomes);
    }

    private static string Summary(string groupId, AdminResult? failure) => failure?.Error switch
    {
        null => $"Request succeeded for deleting offsets from group {groupId}.",
        ErrorCode.InvalidGroupId or ErrorCode.GroupIdNotFound or ErrorCode.GroupAuthorizationFailed or ErrorCode.NonEmptyGroup =>
            $"\nError: {JavaErrors.Of(failure.Error, null).Message}",
        ErrorCode.GroupSubscribedToTopic or ErrorCode.TopicAuthorizationFailed or ErrorCode.UnknownTopicOrPartition =>
            "\nError: Encountered some partition-level error, see the follow-up details.",
        var other => $"\nError: Encountered some unknown error: {other.Value.ToKafkaName()}",
    };

    private void Print(Dictionary<TopicPartition, string?> outcomes)
    {
        const int widthMin = 15;
        const int partitionWidth = 10;
        var width = outcomes.Keys.Select(partition => partition.Topic.Length).Append(widthMin).Max();
        output.Write($"\n{ColumnText.Line(("TOPIC", width), ("PARTITION", partitionWidth), ("STATUS", widthMin))}");
        foreach (var (partition, error) in outcomes.OrderBy(each => $"{each.Key.Topic}{each.Key.Partition}", StringComparer.Ordinal))
        {
            var index = partition.Partition == WholeTopic ? "-" : $"{partition.Partition}";
            var status = error is null ? "Successful" : $"Error: {error}";
            output.Write($"\n{ColumnText.Line((partition.Topic, width), (index, partitionWidth), (status, widthMin))}");
        }

        output.WriteLine();
    }
}
