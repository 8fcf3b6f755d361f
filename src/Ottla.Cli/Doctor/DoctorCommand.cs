using System.CommandLine;
using System.Runtime.InteropServices;
using System.Text;
using Ottla.Cli.Commands;
using Ottla.Cli.Framework;
using Ottla.Cli.KafkaTools;
using Ottla.Cli.KafkaTools.Cluster;
using Ottla.Cli.Monitoring;
using Ottla.Cli.Nouns;
using Ottla.Client;
using Ottla.Configuration;

namespace Ottla.Cli.Doctor;

/// <summary><c>ottla doctor</c>: collects what a bug report needs into an archive, without secrets.</summary>
internal static class DoctorCommand
{
    private const int TailBytes = 1024 * 1024;

    /// <summary>What the machine says of itself, where it does.</summary>
    private static readonly string[] MachineFiles =
    [
        "/etc/os-release", "/proc/version", "/proc/meminfo", "/proc/loadavg", "/proc/self/limits", "/proc/self/cgroup", "/proc/mounts",
        "/proc/sys/vm/max_map_count", "/proc/sys/net/core/somaxconn", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/cpu.max",
    ];

    public static Command Create()
    {
        var output = CommonOptions.Text("--output", "The archive. Default: ottla-doctor-TIME.tar.gz here.", "FILE");
        var config = CommonOptions.Text("--config", "Also the configuration file of a node, without secrets.", "FILE", "-c");
        var logs = CommonOptions.Texts("--log", "Also the end of a node's log (it logs to standard error); may be repeated.", "FILE");
        var address = CommonOptions.Text(
            "--metrics-address", $"The monitoring listener of a node. Default: {MetricsCommand.DefaultAddress}.", "HOST:PORT");
        return new ClusterCommand(
            "doctor", "Collect what a bug report needs into an archive: versions, the cluster's description and configs, metrics, facts of "
                + "this machine, the end of logs. Secrets are left out. What cannot be had is named in it.",
            "doctor --log node.log --config server.properties", async context =>
            {
                var now = context.Time.GetUtcNow();
                var path = context.Value(output) ?? $"ottla-doctor-{now:yyyyMMdd-HHmmss}.tar.gz";
                var redaction = new Redaction();
                redaction.Learn(context.Properties);
                redaction.Learn(Variables());
                var file = context.Value(config) is { } name ? ConfigurationOptions.ReadFile(new FileInfo(name)) : null;
                redaction.Learn(file ?? new Dictionary<string, string>());
                var bundle = new Bundle(new FileInfo(path).Create(), redaction, now);
                using (bundle)
                {
                    bundle.Add("report.txt", Report(now));
                    bundle.Add("client.properties", Text(context.Properties));
                    if (file is not null)
                        bundle.Add("server.properties", Text(file));
                    foreach (var each in MachineFiles)
                        AddFile(bundle, $"machine{each.Replace('/', '-')}", each);
                    foreach (var (log, index) in (context.Value(logs) ?? []).Select((log, index) => (log, index)))
                        AddFile(bundle, $"log-{index}.txt", log);
                    await TryAsync(context, bundle, "metrics.txt", async () => await MonitoringClient.GetAsync(
                        context.Value(address) ?? MetricsCommand.DefaultAddress, "/metrics", TimeSpan.FromSeconds(5), context.Stopped));
                    if (await TryAsync(context, bundle, "cluster.jsonl", () => ClusterAsync(context)))
                        await AddClusterAsync(context, bundle);
                }

                context.Done(
                    $"{path} has {bundle.Names.Count} files. Look through it before you send it: it has names of topics, groups and hosts.",
                    ("archive", path), ("files", bundle.Names));
            }, output, config, logs, address);
    }

    private static async Task AddClusterAsync(CommandContext context, Bundle bundle)
    {
        await TryAsync(context, bundle, "features.jsonl", async () =>
        {
            var features = await context.Admin.DescribeFeaturesAsync();
            return Rows(["feature", "minimum", "maximum", "level"], features.Supported.Select(each => new object?[]
            {
                each.Key, each.Value.Minimum, each.Value.Maximum,
                features.Finalized.TryGetValue(each.Key, out var level) ? level.Maximum : null,
            }));
        });
        await TryAsync(context, bundle, "quorum.txt", async () =>
        {
            var quorum = await context.Admin.DescribeMetadataQuorumAsync();
            return QuorumDescriptionText.Replication(quorum, context.Time.GetUtcNow());
        });
        await TryAsync(context, bundle, "topics.jsonl", () => TopicsAsync(context));
        await TryAsync(context, bundle, "groups.jsonl", async () => Rows(
            ["group", "type", "state"],
            (await context.Admin.ListGroupsAsync()).Items.Select(group => new object?[] { group.GroupId, group.Type, group.State })));
        await TryAsync(context, bundle, "configs.jsonl", () => ConfigsAsync(context));
        await TryAsync(context, bundle, "directories.jsonl", async () =>
        {
            var brokers = (await context.Admin.DescribeClusterAsync()).Brokers.Select(broker => broker.Id);
            return Rows(
                ["broker", "directory", "replicas", "bytes", "usableBytes", "error"],
                from broker in await context.Admin.DescribeLogDirsAsync(brokers)
                where broker.Value.IsSuccess
                from directory in broker.Value.Value
                select new object?[]
                {
                    broker.Key, directory.Key, directory.Value.Replicas.Count, directory.Value.Replicas.Values.Sum(each => each.SizeBytes),
                    directory.Value.UsableBytes, directory.Value.Error.ToString(),
                });
        });
    }

    private static async Task<string> ClusterAsync(CommandContext context)
    {
        var cluster = await context.Admin.DescribeClusterAsync(includeFencedBrokers: true);
        return Rows(
            ["clusterId", "controller", "broker", "host", "port", "rack", "fenced"],
            cluster.Brokers.Select(broker => new object?[]
            {
                cluster.ClusterId, cluster.ControllerId, broker.Id, broker.Host, broker.Port, broker.Rack, broker.IsFenced,
            }));
    }

    private static async Task<string> TopicsAsync(CommandContext context)
    {
        var names = (await context.Admin.ListTopicsAsync(includeInternal: true)).Select(topic => topic.Name).ToList();
        if (names.Count == 0)
            return "";
        return Rows(
            ["topic", "partition", "leader", "leaderEpoch", "replicas", "isr", "offline"],
            from topic in (await context.Admin.DescribeTopicsAsync(names)).OrderBy(each => each.Key, StringComparer.Ordinal)
            where topic.Value.IsSuccess
            from partition in topic.Value.Value.Partitions
            select new object?[]
            {
                topic.Key, partition.Index, partition.LeaderId, partition.LeaderEpoch, partition.Replicas, partition.InSyncReplicas,
                partition.OfflineReplicas,
            });
    }

    /// <summary>What is set on brokers and topics. A cluster never tells the values of secrets; they are hidden here all the
    /// same.</summary>
    private static async Task<string> ConfigsAsync(CommandContext context)
    {
        var brokers = (await context.Admin.DescribeClusterAsync()).Brokers.Select(broker => ConfigResource.Broker(broker.Id));
        var topics = (await context.Admin.ListTopicsAsync(includeInternal: true)).Select(topic => ConfigResource.Topic(topic.Name));
        var described = await context.Admin.DescribeConfigsAsync([.. brokers, .. topics]);
        return Rows(
            ["type", "name", "config", "value", "source"],
            from resource in described
            where resource.Value.IsSuccess
            from entry in resource.Value.Value
            where !entry.IsDefault
            select new object?[]
            {
                resource.Key.Type.ToString(), resource.Key.Name, entry.Name,
                entry.IsSensitive ? Secrets.Hidden : Secrets.Show(entry.Name, entry.Value ?? ""), entry.Source.ToString(),
            });
    }

    private static async Task<bool> TryAsync(CommandContext context, Bundle bundle, string name, Func<Task<string>> collect)
    {
        try
        {
            bundle.Add(name, await collect());
            return true;
        }
        catch (Exception e) when (e is KafkaException or ToolException or JavaException or IOException or ConfigException)
        {
            bundle.Fail(name, e.Message);
            context.Note($"{name}: {e.Message}");
            return false;
        }
    }

    private static void AddFile(Bundle bundle, string name, string path)
    {
        try
        {
            using var file = new FileInfo(path).Open(FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            if (file.CanSeek && file.Length > TailBytes)
                file.Seek(-TailBytes, SeekOrigin.End);
            using var reader = new StreamReader(file, Encoding.UTF8);
            bundle.Add(name, reader.ReadToEnd());
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            bundle.Fail(name, e.Message);
        }
    }

    private static string Report(DateTimeOffset now)
    {
        var text = new StringBuilder();
        text.Append($"ottla {VersionCommand.Version}\ntime {RowWriter.TextOf(now)}\nsystem {RuntimeInformation.OSDescription}\n");
        text.Append($"architecture {RuntimeInformation.ProcessArchitecture}\nruntime {RuntimeInformation.FrameworkDescription}\n");
        text.Append($"processors {Environment.ProcessorCount}\n");
        text.Append($"memory {GC.GetGCMemoryInfo().TotalAvailableMemoryBytes}\n");
        foreach (var (name, value) in Variables().OrderBy(each => each.Key, StringComparer.Ordinal))
            text.Append($"{name}={Secrets.Show(name, value)}\n");
        return text.ToString();
    }

    /// <summary>The variables of the environment that configure Ottla.</summary>
    private static IEnumerable<KeyValuePair<string, string>> Variables()
    {
        foreach (System.Collections.DictionaryEntry each in Environment.GetEnvironmentVariables())
        {
            if ((string)each.Key is var name && (name.StartsWith("OTTLA_", StringComparison.Ordinal)
                || name.StartsWith("KAFKA_", StringComparison.Ordinal) || name.StartsWith("DOTNET_", StringComparison.Ordinal)))
                yield return KeyValuePair.Create(name, each.Value as string ?? "");
        }
    }

    private static string Text(IEnumerable<KeyValuePair<string, string>> properties) => string.Concat(
        properties.OrderBy(each => each.Key, StringComparer.Ordinal).Select(each => $"{each.Key}={Secrets.Show(each.Key, each.Value)}\n"));

    private static string Rows(string[] columns, IEnumerable<object?[]> rows)
    {
        using var text = new StringWriter();
        var writer = new RowWriter(text, RowFormat.Json, columns, null);
        foreach (var row in rows)
            writer.Add(row);
        return text.ToString();
    }
}
