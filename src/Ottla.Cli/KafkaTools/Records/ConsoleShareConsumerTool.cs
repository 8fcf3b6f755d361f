using Ottla.Cli.KafkaTools.Options;

namespace Ottla.Cli.KafkaTools.Records;

/// <summary>kafka-console-share-consumer: its command line. It says that this program has no share consumer (KIP-932).</summary>
internal static class ConsoleShareConsumerTool
{
    /// <summary>Runs the tool.</summary>
    public static Task<int> RunAsync(ToolContext context)
    {
        var options = JoptTool.Parse(
            context, "This tool helps to read data from Kafka topics using share groups and outputs it to standard output.");
        if (!options.Has("topic"))
            throw new UsageException("--topic is a required argument");
        options.Require("bootstrap-server");
        if (options.Has("reject") && options.Has("release"))
            throw new UsageException("At most one of --reject and --release may be specified.");
        throw JavaException.Kafka("UnsupportedVersionException", "This program has no share consumer (KIP-932).");
    }
}
