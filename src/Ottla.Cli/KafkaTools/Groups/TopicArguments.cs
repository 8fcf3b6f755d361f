using System.Globalization;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Cli.KafkaTools.Groups;

/// <summary>Reads <c>--topic</c> of the tools for groups: a topic, or some of its partitions as <c>topic:0,2</c>.</summary>
internal static class TopicArguments
{
    /// <summary>The partitions that arguments name one by one.</summary>
    public static IReadOnlyList<TopicPartition> Named(IEnumerable<string> arguments) =>
        [.. arguments.Where(argument => argument.Contains(':')).SelectMany(Parse)];

    /// <summary>The topics that arguments name as a whole.</summary>
    public static IReadOnlyList<string> Whole(IEnumerable<string> arguments) =>
        [.. arguments.Where(argument => !argument.Contains(':')).Distinct()];

    /// <summary>Describes topics.</summary>
    /// <returns>The partitions by topic; the error of a topic that has none.</returns>
    public static async Task<AdminResults<string, TopicDescription>> DescribeAsync(ToolClient client, IEnumerable<string> topics) =>
        await client.CallAsync("describeTopics", admin => admin.DescribeTopicsAsync(topics));

    /// <summary>The error of a topic, in the words of the Java client.</summary>
    public static JavaException ErrorOf(AdminResult topic) =>
        JavaErrors.Of(topic.Error, topic.Error == ErrorCode.UnknownTopicOrPartition ? null : topic.Message);

    private static IEnumerable<TopicPartition> Parse(string argument)
    {
        if (argument.Split(':') is not [var topic, var partitions])
            throw JavaException.IllegalArgument($"Invalid topic arg '{argument}', expected topic name and partitions");
        return partitions.Split(',').Select(text => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var partition)
            ? new TopicPartition(topic, partition)
            : throw JavaException.IllegalArgument($"Invalid partition '{text}' specified in topic arg '{argument}''"));
    }
}
