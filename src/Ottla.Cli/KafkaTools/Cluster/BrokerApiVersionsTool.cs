namespace Ottla.Cli.KafkaTools.Cluster;

/// <summary>kafka-broker-api-versions: tells which versions of the APIs brokers have.</summary>
internal static class BrokerApiVersionsTool
{
    /// <summary>Runs the tool.</summary>
    public static async Task<int> RunAsync(ToolContext context)
    {
        var options = JoptTool.Parse(context, "This tool helps to retrieve broker version information.");
        options.Require("bootstrap-server");
        await using var client = ToolClient.Open(options.Value("bootstrap-server"), commandConfig: options.Value("command-config"));
        await ApiVersionsText.WriteAsync(client, context.Output);
        return 0;
    }
}
