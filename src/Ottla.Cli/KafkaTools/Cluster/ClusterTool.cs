using Ottla.Cli.KafkaTools.Options;
using Ottla.Cli.KafkaTools.Text;

namespace Ottla.Cli.KafkaTools.Cluster;

/// <summary>kafka-cluster: the cluster's id, its nodes, their versions, and registrations of nodes that are gone.</summary>
internal static class ClusterTool
{
    /// <summary>Runs the tool.</summary>
    public static async Task<int> RunAsync(ToolContext context)
    {
        var parsed = ArgparseParser.Parse(
            context, "cluster-id", "unregister", "unregister-controller", "list-endpoints", "api-versions");
        var options = parsed.Sub;
        options.DemandOneOf(isRequired: true, "bootstrap-server", "bootstrap-controller");
        if (parsed.Command is "unregister" or "unregister-controller")
            options.Demand("id");
        if (options.Has("config") && options.Has("command-config"))
            throw new ArgumentParserException("--config and --command-config cannot be specified together.");
        if (options.Has("config"))
        {
            context.Output.WriteLine(
                "Option --config has been deprecated and will be removed in a future version. Use --command-config instead.");
        }

        await using var client = ToolClient.Open(
            options.Value("bootstrap-server"), options.Value("bootstrap-controller"),
                options.Value("command-config") ?? options.Value("config"));
        switch (parsed.Command)
        {
            case "cluster-id":
                var cluster = await client.CallAsync("listNodes", admin => admin.DescribeClusterAsync());
                context.Output.WriteLine($"Cluster ID: {cluster.ClusterId}");
                break;
            case "unregister":
                await client.CallAsync("unregisterBroker", admin => admin.UnregisterBrokerAsync(options.Int("id")!.Value));
                context.Output.WriteLine($"Broker {options.Int("id")} is no longer registered.");
                break;
            case "unregister-controller":
                await client.CallAsync("unregisterController", admin => admin.UnregisterControllerAsync(options.Int("id")!.Value));
                context.Output.WriteLine($"Controller {options.Int("id")} is no longer registered.");
                break;
            case "list-endpoints":
                await ListEndpointsAsync(context, options, client);
                break;
            default:
                await ApiVersionsText.WriteAsync(client, context.Output);
                break;
        }

        return 0;
    }

    private static async Task ListEndpointsAsync(ToolContext context, ParsedOptions options, ToolClient client)
    {
        var areControllers = options.Has("bootstrap-controller");
        if (areControllers && options.Has("include-fenced-brokers"))
        {
            throw JavaException.IllegalArgument("The option --include-fenced-brokers is only supported with --bootstrap-server option");
        }

        const int width = 10;
        const int typeWidth = 15;
        var nodes = (await client.CallAsync(
            "listNodes", admin => admin.DescribeClusterAsync(options.Has("include-fenced-brokers")))).Brokers;
        var hostWidth = nodes.Count == 0 ? 0 : nodes.Max(node => node.Host.Length);
        var rackWidth = nodes.Where(node => node.Rack is not null).Select(node => node.Rack!.Length).DefaultIfEmpty(width).Max();
        Line("ID", "HOST", "PORT", "RACK", "STATE", "ENDPOINT_TYPE");
        foreach (var node in nodes)
        {
            Line(
                $"{node.Id}", node.Host, $"{node.Port}", node.Rack ?? "null", node.IsFenced ? "fenced" : "unfenced",
                areControllers ? "controller" : "broker");
        }

        void Line(string id, string host, string port, string rack, string state, string type)
        {
            List<(string, int)> cells = [(id, width), (host, hostWidth), (port, width), (rack, rackWidth)];
            if (!areControllers)
                cells.Add((state, width));
            cells.Add((type, typeWidth));
            context.Output.WriteLine(ColumnText.Line([.. cells]));
        }
    }
}
