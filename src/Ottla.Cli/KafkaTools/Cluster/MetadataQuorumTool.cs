using Ottla.Broker.Directories;
using Ottla.Cli.KafkaTools.Options;
using Ottla.Client;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Storage.Files;
using Ottla.Storage.Log;

namespace Ottla.Cli.KafkaTools.Cluster;

/// <summary>kafka-metadata-quorum: shows and changes the quorum of controllers.</summary>
internal static class MetadataQuorumTool
{
    /// <summary>Runs the tool.</summary>
    public static async Task<int> RunAsync(ToolContext context)
    {
        var parsed = ArgparseParser.Parse(context, "describe", "add-controller", "remove-controller");
        var (main, options) = (parsed.Main, parsed.Sub);
        main.DemandOneOf(isRequired: true, "bootstrap-server", "bootstrap-controller");
        if (parsed.Command == "describe")
            CheckDescribe(options);
        if (parsed.Command == "remove-controller")
            options.Demand("controller-id", "controller-directory-id");
        if (parsed.Command == "add-controller" && !main.Has("command-config"))
        {
            throw new ToolException(
                "You must supply the configuration file of the controller you are adding when using add-controller.");
        }

        await using var client = ToolClient.Open(
            main.Value("bootstrap-server"), main.Value("bootstrap-controller"), main.Value("command-config"));
        switch (parsed.Command)
        {
            case "describe":
                await DescribeAsync(context, options, client);
                break;
            case "add-controller":
                await AddAsync(context, options, client, main.Value("command-config")!);
                break;
            default:
                await RemoveAsync(context, options, client);
                break;
        }

        return 0;
    }

    /// <summary>Reads what the configuration of a controller says about it: its node id, its directory and where it listens.</summary>
    /// <exception cref="ToolException">The configuration is no controller's, or its directory is not formatted.</exception>
    public static (BrokerConfig Config, MetaProperties Identity, IReadOnlyList<RaftVoterEndpoint> Endpoints) ReadController(
        BrokerConfig config)
    {
        if (!config.IsController)
        {
            throw new ToolException(
                "process.roles did not contain 'controller' in the configuration file. Is this a valid controller configuration file?");
        }

        var path = LogDirectories.MetadataPath(config);
        try
        {
            var identity = MetaProperties.Read(new RealFileSystem(), path);
            if (identity?.DirectoryId is null)
                throw new ToolException($"Unable to read meta.properties from {path}: run this on the controller's machine, after "
                    + "formatting.");
            return (config, identity, [.. config.AdvertisedControllerListeners.Select(
                each => new RaftVoterEndpoint(each.Name, each.Host ?? "localhost", each.Port))]);
        }
        catch (Exception e) when (e is IOException or InvalidDataException or UnauthorizedAccessException)
        {
            throw new ToolException($"Unable to read meta.properties from {path}: {e.Message}");
        }
    }

    private static void CheckDescribe(ParsedOptions options)
    {
        if (options.Has("status") && options.Has("replication"))
            throw new ToolException("Only one of --status or --replication should be specified with describe sub-command");
        if (!options.Has("status") && !options.Has("replication"))
            throw new ToolException("One of --status or --replication must be specified with describe sub-command");
        if (options.Has("status") && options.Has("human-readable"))
            throw new ToolException("The option --human-readable is only supported along with --replication");
    }

    private static async Task DescribeAsync(ToolContext context, ParsedOptions options, ToolClient client)
    {
        if (options.Has("status"))
        {
            var cluster = await client.CallAsync("listNodes", admin => admin.DescribeClusterAsync());
            var quorum = await client.CallAsync("describeMetadataQuorum", admin => admin.DescribeMetadataQuorumAsync());
            context.Output.Write(QuorumDescriptionText.Status(cluster.ClusterId, quorum));
            return;
        }

        var described = await client.CallAsync("describeMetadataQuorum", admin => admin.DescribeMetadataQuorumAsync());
        context.Output.Write(QuorumDescriptionText.Replication(
            described, options.Has("human-readable") ? TimeProvider.System.GetUtcNow() : null));
    }

    private static async Task AddAsync(ToolContext context, ParsedOptions options, ToolClient client, string file)
    {
        BrokerConfig loaded;
        try
        {
            loaded = BrokerConfig.Load(ToolClient.ReadFile(file));
        }
        catch (ConfigException e)
        {
            throw new ToolException(e.Message);
        }

        var (config, identity, endpoints) = ReadController(loaded);
        if (!options.Has("dry-run"))
        {
            await client.CallAsync("addRaftVoter", admin => admin.AddRaftVoterAsync(
                config.NodeId, identity.DirectoryId!.Value, [.. endpoints], identity.ClusterId));
        }

        context.Output.WriteLine(
            $"{(options.Has("dry-run") ? "DRY RUN of adding" : "Added")} controller {config.NodeId} with directory id "
                + $"{identity.DirectoryId} and "
                + $"endpoints: {string.Join(", ", endpoints.Select(QuorumDescriptionText.Endpoint))}");
    }

    private static async Task RemoveAsync(ToolContext context, ParsedOptions options, ToolClient client)
    {
        var id = options.Int("controller-id")!.Value;
        var text = options.Value("controller-directory-id")!;
        if (id < 0)
            throw new ToolException($"Invalid negative --controller-id: {id}");
        if (!Uuid.TryParse(text, out var directoryId))
        {
            throw new ToolException(
                $"Failed to parse --controller-directory-id: Input string `{text}` decoded as {text.Length * 6 / 8} bytes, which is not "
                    + "equal to the expected 16 bytes of a base64-encoded UUID");
        }

        if (!options.Has("dry-run"))
        {
            await client.CallAsync("removeRaftVoter", admin => admin.RemoveRaftVoterAsync(id, directoryId));
            if (options.Has("unregister"))
                await client.CallAsync("unregisterController", admin => admin.UnregisterControllerAsync(id));
        }

        context.Output.WriteLine(
            $"{(options.Has("dry-run") ? "DRY RUN of removing " : "Removed ")}KRaft controller {id} with directory id {directoryId}");
    }
}
