using System.CommandLine;
using Ottla.Cli.Commands;
using Ottla.Cli.Framework;
using Ottla.Cli.KafkaTools.Cluster;
using Ottla.Configuration;
using Ottla.Kernel;

namespace Ottla.Cli.Nouns;

/// <summary><c>ottla quorum</c>: shows and changes the quorum of controllers, with the text of kafka-metadata-quorum.</summary>
internal static class QuorumNoun
{
    public static Command Create() => ClusterCommand.Noun(
        "quorum", "Show and change the quorum of controllers (KIP-853).", CreateStatus(), CreateReplication(), CreateAdd(), CreateRemove());

    private static ClusterCommand CreateStatus() => new(
        "status", "Print leader, voters and observers.", "quorum status", async context =>
        {
            var cluster = await context.Admin.DescribeClusterAsync();
            var quorum = await context.Admin.DescribeMetadataQuorumAsync();
            if (context.Format == RowFormat.Text)
            {
                context.Output.Write(QuorumDescriptionText.Status(cluster.ClusterId, quorum));
                return;
            }

            context.Print(
                ("clusterId", cluster.ClusterId), ("leader", quorum.LeaderId), ("leaderEpoch", quorum.LeaderEpoch),
                ("highWatermark", quorum.HighWatermark), ("voters", quorum.Voters.Select(voter => voter.Id).ToList()),
                ("observers", quorum.Observers.Select(observer => observer.Id).ToList()));
        });

    private static ClusterCommand CreateReplication()
    {
        var humanReadable = CommonOptions.Flag("--human-readable", "Print times as milliseconds ago, not since 1970.");
        return new ClusterCommand(
            "replication", "Print how much of the metadata log each voter and observer has.", "quorum replication --human-readable",
            async context =>
            {
                var quorum = await context.Admin.DescribeMetadataQuorumAsync();
                if (context.Format == RowFormat.Text)
                {
                    context.Output.Write(QuorumDescriptionText.Replication(
                        quorum, context.Value(humanReadable) ? context.Time.GetUtcNow() : null));
                    return;
                }

                var end = quorum.Voters.Concat(quorum.Observers).FirstOrDefault(each => each.Id == quorum.LeaderId)?.LogEndOffset;
                var rows = context.Rows("node", "directory", "role", "logEndOffset", "lag", "lastFetch", "lastCaughtUp");
                foreach (var (replica, isVoter) in quorum.Voters.Select(each => (each, true))
                    .Concat(quorum.Observers.Select(each => (each, false))))
                {
                    rows.Add(
                        replica.Id, replica.DirectoryId.ToString(), replica.Id == quorum.LeaderId ? "leader" : isVoter ? "voter"
                            : "observer",
                        replica.LogEndOffset, end - replica.LogEndOffset, replica.LastFetch, replica.LastCaughtUp);
                }

                rows.End();
            }, humanReadable);
    }

    private static ClusterCommand CreateAdd()
    {
        var configuration = new ConfigurationOptions();
        var command = new ClusterCommand(
            "add-controller",
            "Make a running controller a voter. Run it on the controller's machine, with its configuration file: it says the node id, the "
            + "directory (whose id meta.properties has) and the advertised controller listeners. Without --config, --command-config is "
            + "that file.", "quorum add-controller --config server.properties", async context =>
            {
                var config = configuration.IsDevMode(context.Arguments)
                    ? context.Value(ConnectionOptions.CommandConfig) is { } file
                        ? BrokerConfig.Load(ConfigurationOptions.ReadFile(new FileInfo(file)))
                        : throw new ConfigException(
                            "You must supply the configuration file of the controller you are adding: --config FILE.")
                    : configuration.Load(context.Arguments);
                var (controller, identity, endpoints) = MetadataQuorumTool.ReadController(config);
                if (identity.NodeId != controller.NodeId)
                    throw new ConfigException($"The directory belongs to node {identity.NodeId}, but node.id is {controller.NodeId}.");
                var isDryRun = context.Value(CommonOptions.DryRun);
                if (!isDryRun)
                    await context.Admin.AddRaftVoterAsync(controller.NodeId, identity.DirectoryId!.Value, [.. endpoints],
                        identity.ClusterId);
                context.Done(
                    $"{(isDryRun ? "DRY RUN of adding" : "Added")} controller {controller.NodeId} with directory id {identity.DirectoryId} "
                        + $"and endpoints: {string.Join(", ", endpoints.Select(QuorumDescriptionText.Endpoint))}",
                    ("node", controller.NodeId), ("directory", identity.DirectoryId.ToString()), ("added", !isDryRun));
            }, CommonOptions.DryRun);
        configuration.AddTo(command);
        return command;
    }

    private static ClusterCommand CreateRemove()
    {
        var id =
            new Option<int>("--controller-id", "-i") { Description = "The node id of the controller.", Required = true, HelpName = "ID" };
        var directoryId = new Option<string>("--controller-directory-id", "-d")
        {
            Description = "The id of its metadata directory: 'ottla quorum status' prints it.",
            Required = true,
            HelpName = "ID",
        };
        var unregister = CommonOptions.Flag("--unregister", "Also remove its registration, when it is no voter any more.");
        return new ClusterCommand(
            "remove-controller", "Take a controller's vote away.",
            "quorum remove-controller --controller-id 3 --controller-directory-id TzQpGkbNT4u6HPcqcJ8Khg", async context =>
            {
                if (context.Value(id) < 0)
                    throw new ConfigException($"Invalid negative --controller-id: {context.Value(id)}");
                if (!Uuid.TryParse(context.Value(directoryId)!, out var directory))
                {
                    throw new ConfigException(
                        $"Failed to parse --controller-directory-id: '{context.Value(directoryId)}' is no id of 22 characters of base64.");
                }

                var isDryRun = context.Value(CommonOptions.DryRun);
                if (!isDryRun)
                {
                    await context.Admin.RemoveRaftVoterAsync(context.Value(id), directory);
                    if (context.Value(unregister))
                        await context.Admin.UnregisterControllerAsync(context.Value(id));
                }

                context.Done(
                    $"{(isDryRun ? "DRY RUN of removing" : "Removed")} KRaft controller {context.Value(id)} with directory id {directory}",
                    ("node", context.Value(id)), ("directory", directory.ToString()), ("removed", !isDryRun));
            }, id, directoryId, unregister, CommonOptions.DryRun);
    }
}
