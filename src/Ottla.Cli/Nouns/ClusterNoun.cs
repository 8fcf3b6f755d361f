using System.CommandLine;
using Ottla.Cli.Framework;
using Ottla.Client;
using Ottla.Protocol.Messages;

namespace Ottla.Cli.Nouns;

/// <summary><c>ottla cluster</c>: the cluster as a whole.</summary>
internal static class ClusterNoun
{
    public static Command Create() => ClusterCommand.Noun(
        "cluster", "See the cluster, its nodes and its health.", CreateInfo(), CreateNodes(), CreateHealth(), CreateApiVersions(),
        CreateUnregister());

    private static ClusterCommand CreateInfo() => new(
        "info", "Print the cluster's id, its controller and how much it has.", "cluster info", async context =>
        {
            var cluster = await context.Admin.DescribeClusterAsync();
            var topics = await DescribeAllAsync(context);
            context.Print(
                ("clusterId", cluster.ClusterId), ("controller", cluster.ControllerId), ("brokers", cluster.Brokers.Count),
                ("topics", topics.Count(topic => !topic.IsInternal)), ("partitions", topics.Sum(topic => topic.Partitions.Count)),
                ("replicas", topics.Sum(topic => topic.Partitions.Sum(partition => partition.Replicas.Count))));
        });

    private static ClusterCommand CreateNodes() => new(
        "nodes", "List the brokers, fenced ones too; with --bootstrap-controller the controllers.", "cluster nodes", async context =>
        {
            var areControllers = context.Value(ConnectionOptions.Controller) is not null;
            var cluster = await context.Admin.DescribeClusterAsync(includeFencedBrokers: !areControllers);
            var rows = context.Rows("id", "host", "port", "rack", "fenced", "controller");
            foreach (var node in cluster.Brokers.OrderBy(node => node.Id))
                rows.Add(node.Id, node.Host, node.Port, node.Rack, node.IsFenced, node.Id == cluster.ControllerId);
            rows.End();
        });

    private static ClusterCommand CreateHealth() => new(
        "health", "Look for what is wrong: fenced brokers, failed disks, partitions without a leader or with replicas that are behind. The "
            + "exit code is 1 when there is something.", "cluster health", async context =>
        {
            var cluster = await context.Admin.DescribeClusterAsync(includeFencedBrokers: true);
            var problems = cluster.Brokers.Where(broker => broker.IsFenced)
                .Select(broker => ("fenced-broker", $"broker {broker.Id}", "it has fallen silent")).ToList();
            foreach (var topic in await DescribeAllAsync(context))
            {
                foreach (var partition in topic.Partitions)
                {
                    var name = $"{topic.Name}:{partition.Index}";
                    if (partition.LeaderId is null)
                        problems.Add(("no-leader", name, $"replicas {string.Join(',', partition.Replicas)}"));
                    else if (partition.InSyncReplicas.Count < partition.Replicas.Count)
                        problems.Add(
                            ("under-replicated", name, $"behind: {string.Join(',', partition.Replicas.Except(partition.InSyncReplicas))}"));
                    else if (partition.LeaderId != partition.Replicas[0])
                        problems.Add(("not-preferred-leader", name, $"{partition.LeaderId} leads instead of {partition.Replicas[0]}"));
                }
            }

            var alive = cluster.Brokers.Where(broker => !broker.IsFenced).Select(broker => broker.Id).ToList();
            foreach (var (broker, directories) in await context.Admin.DescribeLogDirsAsync(alive, []))
            {
                if (context.Failed($"broker {broker}", directories))
                    continue;
                problems.AddRange(directories.Value.Where(each => each.Value.Error != Ottla.Protocol.ErrorCode.None)
                    .Select(each => ("failed-directory", $"broker {broker}", each.Key)));
            }

            var rows = context.Rows("problem", "where", "detail");
            foreach (var (problem, where, detail) in problems)
                rows.Add(problem, where, detail);
            rows.End($"{cluster.ClusterId} is healthy: {alive.Count} brokers, nothing is behind.");
            if (problems.Count > 0)
                context.Fail($"{problems.Count} problems.");
        });

    private static ClusterCommand CreateApiVersions() => new(
        "api-versions", "Print the versions of each API that each broker has.", "cluster api-versions --format json", async context =>
        {
            var rows = context.Rows("broker", "api", "key", "minimum", "maximum");
            foreach (var broker in (await context.Admin.DescribeClusterAsync()).Brokers.OrderBy(broker => broker.Id))
            {
                foreach (var api in (await context.Admin.ListApiVersionsAsync(broker.Id)).OrderBy(api => api.ApiKey))
                {
                    var name = Enum.IsDefined((ApiKey)api.ApiKey) ? ((ApiKey)api.ApiKey).ToString() : null;
                    rows.Add(broker.Id, name, api.ApiKey, api.Minimum, api.Maximum);
                }
            }

            rows.End();
        });

    private static ClusterCommand CreateUnregister()
    {
        var broker = CommonOptions.Number("--broker", "The id of a broker that is gone for good.");
        var controller = CommonOptions.Number("--controller-id", "The id of a controller that is gone for good.");
        return new ClusterCommand(
            "unregister", "Remove the registration of a node that is gone for good.", "cluster unregister --broker 3 --yes",
                async context =>
            {
                var (id, isBroker) = (context.Value(broker), context.Value(controller)) switch
                {
                    ({ } one, null) => (one, true),
                    (null, { } one) => (one, false),
                    _ => throw new Ottla.Configuration.ConfigException("Which node? Say --broker or --controller-id."),
                };
                var what = isBroker ? "broker" : "controller";
                if (!context.Confirm($"Remove the registration of {what} {id}?"))
                    return;
                await (isBroker ? context.Admin.UnregisterBrokerAsync(id) : context.Admin.UnregisterControllerAsync(id));
                context.Done($"The {what} {id} is no longer registered.", ("node", id), ("unregistered", true));
            }, broker, controller, CommonOptions.Yes);
    }

    private static async Task<IReadOnlyList<TopicDescription>> DescribeAllAsync(CommandContext context)
    {
        var names = (await context.Admin.ListTopicsAsync(includeInternal: true)).Select(topic => topic.Name).Order(StringComparer.Ordinal)
            .ToList();
        if (names.Count == 0)
            return [];
        var described = await context.Admin.DescribeTopicsAsync(names);
        return [.. names.Where(name => !context.Failed($"topic {name}", described[name])).Select(name => described[name].Value)];
    }
}
