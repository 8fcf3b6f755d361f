using System.CommandLine;
using Ottla.Cli.Framework;
using Ottla.Cli.KafkaTools.Groups;
using Ottla.Configuration;
using Ottla.Kernel;

namespace Ottla.Cli.Nouns;

/// <summary><c>ottla group export</c> and <c>import</c>: offsets of groups in files that kafka-consumer-groups reads too.</summary>
internal static class GroupOffsetFiles
{
    private const string StandardInput = "-";

    public static ClusterCommand CreateExport()
    {
        var groups = new Argument<string[]>("group")
        {
            Description = "The groups.",
            HelpName = CommonOptions.GroupName,
            Arity = ArgumentArity.OneOrMore,
        };
        return new ClusterCommand(
            "export",
            "Print the offsets of groups as lines 'group,topic,partition,offset', which 'ottla group import' and kafka-consumer-groups "
                + "--from-file read.",
            "group export billing > billing.csv", async context =>
            {
                var offsets = new GroupOffsets(context.Cluster);
                var rows = context.Rows("group", "topic", "partition", "offset", "leaderEpoch", "metadata");
                foreach (var group in context.Value(groups)!.Distinct())
                {
                    var committed = await offsets.CommittedAsync(group);
                    if (committed.Count == 0)
                        context.Fail($"The group {group} has no offsets.");
                    foreach (var (partition, offset) in committed.OrderBy(each => each.Key.Topic, StringComparer.Ordinal)
                        .ThenBy(each => each.Key.Partition))
                    {
                        if (context.Format == RowFormat.Text)
                            context.Output.WriteLine(OffsetCsv.Line(group, partition, offset.Offset));
                        else
                            rows.Add(
                                group, partition.Topic, partition.Partition, offset.Offset, offset.LeaderEpoch, offset.Metadata);
                    }
                }

                if (context.Format != RowFormat.Text)
                    rows.End();
            }, groups);
    }

    public static ClusterCommand CreateImport()
    {
        var file = new Argument<string>("file")
        {
            Description = "The file that 'ottla group export' wrote; '-' for standard input.",
            HelpName = "FILE",
        };
        var target = CommonOptions.Text(
            "--group", "Give the offsets to this group. The file then names one group or none.", CommonOptions.GroupName, "-g");
        return new ClusterCommand(
            "import", "Set offsets of groups without members to those of a file; the topics may be those of another cluster.",
            "group import billing.csv --yes", async context =>
            {
                var planner = new OffsetPlanner(
                    context.Cluster,
                    (partition, offset, why, moved) => context.Note($"{partition}: offset {offset} is {why} the log; it will be {moved}."),
                    _ => { });
                var changes = new List<GroupOffsetChange>();
                foreach (var (group, offsets) in Read(context.Value(file)!, context.Value(target)))
                {
                    changes.Add(new GroupOffsetChange(
                        group, await planner.CommittedAsync(group), await planner.WithinLogAsync(offsets)));
                }

                await GroupOffsetChange.ApplyAsync(context, changes);
            }, file, target, CommonOptions.Yes, CommonOptions.DryRun);
    }

    /// <summary>Reads a file.</summary>
    /// <param name="path">Its path; <c>-</c> for standard input.</param>
    /// <param name="target">The group that gets the offsets; null for those that the file names.</param>
    /// <exception cref="ConfigException">It says nothing, or of more groups than one for the target.</exception>
    private static IReadOnlyDictionary<string, IReadOnlyDictionary<TopicPartition, long>> Read(string path, string? target)
    {
        using var reader = path == StandardInput ? Console.In : new FileInfo(path).OpenText();
        var read = OffsetCsv.Parse(reader.ReadToEnd(), target is null ? [] : [target]);
        if (read.Count == 0)
            throw new ConfigException($"{path} has no lines. Expected group,topic,partition,offset.");
        if (target is null || read.ContainsKey(target))
            return read;
        return read.Count == 1
            ? new Dictionary<string, IReadOnlyDictionary<TopicPartition, long>> { [target] = read.Values.Single() }
            : throw new ConfigException(
                $"--group: {path} has offsets of {string.Join(", ", read.Keys)}; only those of one can be given away.");
    }
}
