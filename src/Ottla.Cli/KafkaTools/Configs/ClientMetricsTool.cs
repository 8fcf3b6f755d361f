using Ottla.Cli.KafkaTools.Options;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.Kernel;

namespace Ottla.Cli.KafkaTools.Configs;

/// <summary>kafka-client-metrics: subscriptions to metrics of clients (KIP-714).</summary>
internal sealed class ClientMetricsTool
{
    private static readonly string[] Actions = ["alter", "delete", "describe", "list"];

    private static readonly (string Option, string Config)[] Configs =
        [("interval", "interval.ms"), ("metrics", "metrics"), ("match", "match")];

    private readonly ToolContext _context;
    private readonly ParsedOptions _options;
    private readonly ToolClient _client;

    private ClientMetricsTool(ToolContext context, ParsedOptions options, ToolClient client) =>
        (_context, _options, _client) = (context, options, client);

    /// <summary>Runs the tool.</summary>
    public static async Task<int> RunAsync(ToolContext context)
    {
        var options = JoptTool.Parse(context, "This tool helps to manipulate and describe client metrics configurations.");
        if (!options.Has("bootstrap-server"))
            throw new UsageException("Missing required option(s) [bootstrap-server]");
        if (Actions.Count(options.Has) != 1)
            throw new UsageException("Command must include exactly one action: --alter, --delete, --describe or --list.");
        if (options.Has("alter") && options.Has("name") == options.Has("generate-name"))
            throw JavaException.IllegalArgument("One of --name or --generate-name must be specified with --alter.");
        if (options.Has("delete") && !options.Has("name"))
            throw JavaException.IllegalArgument("A client metrics resource name must be specified with --delete.");
        await using var client = ToolClient.Open(options.Value("bootstrap-server"), commandConfig: options.Value("command-config"));
        try
        {
            var tool = new ClientMetricsTool(context, options, client);
            await (options.Has("alter") ? tool.AlterAsync() : options.Has("delete") ? tool.DeleteAsync()
                : options.Has("describe") ? tool.DescribeAsync() : tool.ListAsync());
            return 0;
        }
        catch (JavaException e)
        {
            context.Output.WriteLine($"Error while executing client metrics command : {e.Message}");
            context.Log("ERROR", e.Text, "org.apache.kafka.tools.ClientMetricsCommand");
            return 1;
        }
    }

    private async Task AlterAsync()
    {
        var name = _options.Value("name") ?? Uuid.NewRandom().ToString();
        await ChangeAsync(name, [.. Configs.Where(each => _options.Has(each.Option)).Select(each =>
            _options.Value(each.Option) is { Length: > 0 } value ? new ConfigChange(each.Config, value)
                : ConfigChange.Delete(each.Config))]);
        _context.Output.WriteLine($"Altered client metrics config for {name}.");
    }

    private async Task DeleteAsync()
    {
        var name = _options.Value("name")!;
        await ChangeAsync(name, [.. (await EntriesAsync(name)).Select(entry => ConfigChange.Delete(entry.Name))]);
        _context.Output.WriteLine($"Deleted client metrics config for {name}.");
    }

    private async Task DescribeAsync()
    {
        var all = await NamesAsync();
        if (_options.Value("name") is { } wanted && !all.Contains(wanted))
        {
            _context.Output.WriteLine($"The client metric resource {wanted} doesn't exist and doesn't have dynamic config.");
            return;
        }

        foreach (var name in _options.Value("name") is { } one ? [one] : all)
        {
            _context.Output.WriteLine($"Client metrics configs for {name} are:");
            foreach (var entry in (await EntriesAsync(name)).OrderBy(entry => entry.Name, StringComparer.Ordinal))
                _context.Output.WriteLine($"  {entry.Name}={entry.Value}");
        }
    }

    private async Task ListAsync() => _context.Output.WriteLine(string.Join('\n', await NamesAsync()));

    private async Task<IReadOnlyList<string>> NamesAsync() => [.. (await _client.CallAsync(
        "listConfigResources", admin => admin.ListConfigResourcesAsync([ConfigResourceType.ClientMetrics]))).Select(each => each.Name)];

    private async Task<IReadOnlyList<ConfigEntry>> EntriesAsync(string name)
    {
        var resource = new ConfigResource(ConfigResourceType.ClientMetrics, name);
        var result = (await _client.CallAsync("describeConfigs", admin => admin.DescribeConfigsAsync([resource])))[resource];
        result.ThrowIfFailed("describeConfigs");
        return result.Value;
    }

    private async Task ChangeAsync(string name, IReadOnlyList<ConfigChange> changes)
    {
        var resource = new ConfigResource(ConfigResourceType.ClientMetrics, name);
        var results = await _client.CallAsync("incrementalAlterConfigs", admin => admin.IncrementalAlterConfigsAsync(
            new Dictionary<ConfigResource, IReadOnlyList<ConfigChange>> { [resource] = changes }));
        results[resource].ThrowIfFailed("incrementalAlterConfigs");
    }
}
