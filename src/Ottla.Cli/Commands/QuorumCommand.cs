using System.CommandLine;
using Ottla.Broker.Directories;
using Ottla.Cli.Admin;
using Ottla.Cli.Quorum;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Storage.Files;
using Ottla.Storage.Log;

namespace Ottla.Cli.Commands;

/// <summary><c>ottla quorum</c>: shows and changes the quorum of controllers, as kafka-metadata-quorum does.</summary>
internal static class QuorumCommand
{
    private const string Topic = "__cluster_metadata";

    public static Command Create() => new("quorum", "Show and change the quorum of controllers (KIP-853).")
    {
        CreateStatus(), CreateReplication(), CreateAdd(), CreateRemove(),
    };

    private static Command CreateStatus()
    {
        var options = new AdminOptions();
        var command = new Command("status", "Print leader, voters and observers, as kafka-metadata-quorum describe --status does.");
        options.AddTo(command);
        command.SetAction((arguments, _) => options.RunAsync(arguments, async connection =>
        {
            var (quorum, nodes) = await DescribeAsync(connection);
            Console.Write(QuorumText.Status(await connection.ClusterIdAsync(), quorum, nodes));
        }));
        return command;
    }

    private static Command CreateReplication()
    {
        var options = new AdminOptions();
        var humanReadable = new Option<bool>(
            "--human-readable")
        { Description = "Print times as milliseconds ago, not since 1970." };
        var command = new Command(
            "replication",
            "Print how much of the log each voter and observer has, as kafka-metadata-quorum describe --replication does.")
        {
            humanReadable
        };
        options.AddTo(command);
        command.SetAction((arguments, _) => options.RunAsync(arguments, async connection =>
        {
            var (quorum, _) = await DescribeAsync(connection);
            Console.Write(QuorumText.Replication(quorum, arguments.GetValue(humanReadable) ? Instant.Now(TimeProvider.System) : null));
        }));
        return command;
    }

    private static Command CreateAdd()
    {
        var options = new AdminOptions();
        var configuration = new ConfigurationOptions();
        var dryRun = DryRun();
        var command = new Command(
            "add-controller",
            "Make a running controller a voter. Run it on the controller's machine, with its configuration file: it says the node id, "
            + "the directory (whose id meta.properties has) and the advertised controller listeners. Without --config, --command-config "
                + "is that file.")
        {
            dryRun,
        };
        options.AddTo(command);
        configuration.AddTo(command);
        command.SetAction((arguments, _) => options.RunAsync(
            arguments, connection => AddAsync(connection, ConfigOf(configuration, options, arguments), arguments.GetValue(dryRun))));
        return command;
    }

    private static Command CreateRemove()
    {
        var options = new AdminOptions();
        var id = new Option<int>(
            "--controller-id", "-i")
        { Description = "The node id of the controller.", Required = true, HelpName = "ID" };
        var directoryId = new Option<string>("--controller-directory-id", "-d")
        {
            Description = "The id of its metadata directory: 'ottla quorum status' prints it.",
            Required = true,
            HelpName = "ID",
        };
        var unregister = new Option<bool>("--unregister") { Description = "Also remove its registration, when it is no voter any more." };
        var dryRun = DryRun();
        var command = new Command("remove-controller", "Take a controller's vote away.") { id, directoryId, dryRun, unregister };
        options.AddTo(command);
        command.SetAction((arguments, _) => options.RunAsync(arguments, connection => RemoveAsync(
            connection, arguments.GetValue(id), arguments.GetValue(directoryId)!, arguments.GetValue(dryRun),
            arguments.GetValue(unregister))));
        return command;
    }

    private static Option<bool> DryRun() => new("--dry-run") { Description = "Print what the command would do, and change nothing." };

    private static async Task<(DescribeQuorumResponse.PartitionData Quorum, DescribeQuorumResponse.Node[] Nodes)> DescribeAsync(
        AdminConnection connection)
    {
        var request = new DescribeQuorumRequest { Topics = [new() { TopicName = Topic, Partitions = [new() { PartitionIndex = 0 }] }] };
        var response = await connection.SendAsync<DescribeQuorumRequest, DescribeQuorumResponse>(_ => request, answer =>
            answer.ErrorCode != (short)ErrorCode.None ? ((ErrorCode)answer.ErrorCode, answer.ErrorMessage)
            : answer.Topics is [{ Partitions: [var partition] }] ? ((ErrorCode)partition.ErrorCode, partition.ErrorMessage)
            : throw new AdminException($"The answer names {answer.Topics.Length} topics instead of {Topic} alone."));
        return (response.Topics[0].Partitions[0], response.Nodes);
    }

    private static BrokerConfig ConfigOf(ConfigurationOptions configuration, AdminOptions options, ParseResult arguments)
    {
        if (!configuration.IsDevMode(arguments))
            return configuration.Load(arguments);
        return options.CommandConfig(arguments) is { } file
            ? BrokerConfig.Load(ConfigurationOptions.ReadFile(file))
            : throw new ConfigException("You must supply the configuration file of the controller you are adding: --config FILE.");
    }

    private static async Task AddAsync(AdminConnection connection, BrokerConfig config, bool isDryRun)
    {
        if (!config.IsController)
            throw new ConfigException(
                "process.roles did not contain 'controller' in the configuration file. Is this a valid controller configuration file?");
        var identity = IdentityOf(config);
        var listeners = config.AdvertisedControllerListeners
            .Select(listener => (listener.Name, Host: listener.Host ?? "localhost", listener.Port)).ToList();
        if (!isDryRun)
        {
            await connection.SendAsync<AddRaftVoterRequest, AddRaftVoterResponse>(
                timeout => new AddRaftVoterRequest
                {
                    ClusterId = identity.ClusterId,
                    TimeoutMs = (int)timeout.TotalMilliseconds,
                    VoterId = config.NodeId,
                    VoterDirectoryId = identity.DirectoryId!.Value,
                    Listeners = [
                        .. listeners.Select(
                            each => new AddRaftVoterRequest.Listener { Name = each.Name, Host = each.Host, Port = (ushort)each.Port })],
                },
                answer => ((ErrorCode)answer.ErrorCode, answer.ErrorMessage));
        }

        var endpoints = string.Join(", ", listeners.Select(each => QuorumText.Endpoint(each.Name, each.Host, each.Port)));
        Console.WriteLine(
            $"{(isDryRun ? "DRY RUN of adding" : "Added")} controller {config.NodeId} with directory id {identity.DirectoryId} and "
                + $"endpoints: {endpoints}");
    }

    /// <summary>Reads <c>meta.properties</c> of the metadata directory.</summary>
    private static MetaProperties IdentityOf(BrokerConfig config)
    {
        var path = LogDirectories.MetadataPath(config);
        try
        {
            var properties = MetaProperties.Read(new RealFileSystem(), path)
                ?? throw new AdminException(
                    $"Unable to read meta.properties from {path}: run this on the controller's machine, after 'ottla format "
                        + "--no-initial-controllers'.");
            if (properties.NodeId != config.NodeId)
                throw new AdminException($"{path} belongs to node {properties.NodeId}, but node.id is {config.NodeId}.");
            return properties.DirectoryId is not null ? properties : throw new AdminException($"No directory id found in {path}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            throw new AdminException($"Unable to read meta.properties from {path}: {e.Message}");
        }
    }

    private static async Task RemoveAsync(AdminConnection connection, int id, string directory, bool isDryRun, bool isUnregistered)
    {
        if (id < 0)
            throw new ConfigException($"Invalid negative --controller-id: {id}");
        if (!Uuid.TryParse(directory, out var directoryId))
            throw new ConfigException($"Failed to parse --controller-directory-id: '{directory}' is no id of 22 characters of base64.");
        if (!isDryRun)
        {
            await connection.SendAsync<RemoveRaftVoterRequest, RemoveRaftVoterResponse>(
                _ => new RemoveRaftVoterRequest { ClusterId = null, VoterId = id, VoterDirectoryId = directoryId },
                answer => ((ErrorCode)answer.ErrorCode, answer.ErrorMessage));
        }

        Console.WriteLine($"{(isDryRun ? "DRY RUN of removing" : "Removed")} KRaft controller {id} with directory id {directoryId}");
        if (!isUnregistered)
            return;
        if (!isDryRun)
        {
            await connection.SendAsync<UnregisterControllerRequest, UnregisterControllerResponse>(
                _ => new UnregisterControllerRequest { ControllerId = id }, answer => ((ErrorCode)answer.ErrorCode, answer.ErrorMessage));
        }

        Console.WriteLine($"{(isDryRun ? "DRY RUN of unregistering" : "Unregistered")} KRaft controller {id}");
    }
}
