using System.CommandLine;
using Ottla.Cli.Framework;
using Ottla.Client;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Cli.Nouns;

/// <summary><c>ottla topic</c>: topics and their partitions.</summary>
internal static class TopicNoun
{
    private static readonly string[] PartitionColumns =
        ["topic", "partition", "leader", "replicas", "isr", "offline", "leaderEpoch", "elr", "lastKnownElr"];

    public static Command Create() => ClusterCommand.Noun(
        "topic", "Create, list, describe, change and delete topics.", CreateList(), CreateDescribe(), CreateCreate(), CreateDelete(),
        CreateAddPartitions(), CreateTrim(), CreateOffsets("offsets", "topic offsets orders --time -1h"));

    /// <summary>The command that prints offsets: <c>topic offsets</c>, and <c>offsets</c>.</summary>
    public static Command CreateOffsets(string name, string example)
    {
        var topics = CommonOptions.Topics(mayBeNone: true);
        var time = CommonOptions.Text(
            "--time", "Print the first offsets at or after a time, instead of those of start and end.", "TIME");
        var committed = CommonOptions.Flag("--committed", "Print the last stable offset as the end: what a read_committed consumer sees.");
        return new ClusterCommand(name, "Print the offsets of partitions: start, end and count, or those of a time.", example,
            async context =>
        {
            var names = (await TopicNames.ResolveAsync(context, context.Value(topics)!)).ToList();
            var partitions = await TopicNames.PartitionsAsync(context, names);
            if (context.Value(time) is { } text)
            {
                await PrintAtAsync(context, partitions, CommonOptions.Time(text, "--time", context.Time.GetUtcNow()));
                return;
            }

            var isolation = context.Value(committed) ? IsolationLevel.ReadCommitted : IsolationLevel.ReadUncommitted;
            var starts = await LookUpAsync(context, partitions, OffsetSpec.Earliest, IsolationLevel.ReadUncommitted);
            var ends = await LookUpAsync(context, partitions, OffsetSpec.Latest, isolation);
            var rows = context.Rows("topic", "partition", "start", "end", "count");
            foreach (var partition in partitions)
            {
                if (context.Failed($"{partition}", starts[partition]) || context.Failed($"{partition}", ends[partition]))
                    continue;
                var (start, end) = (starts[partition].Value.Offset, ends[partition].Value.Offset);
                rows.Add(partition.Topic, partition.Partition, start, end, end - start);
            }

            rows.End("There are no partitions.");
        }, topics, time, committed);
    }

    private static async Task PrintAtAsync(CommandContext context, IReadOnlyList<TopicPartition> partitions, DateTimeOffset time)
    {
        var found = await LookUpAsync(context, partitions, OffsetSpec.ForTimestamp(time), IsolationLevel.ReadUncommitted);
        var rows = context.Rows("topic", "partition", "offset", "timestamp");
        foreach (var partition in partitions)
        {
            if (context.Failed($"{partition}", found[partition]))
                continue;
            var at = found[partition].Value;
            rows.Add(
                partition.Topic, partition.Partition, at.Offset < 0 ? null : at.Offset,
                at.Offset < 0 ? null : DateTimeOffset.FromUnixTimeMilliseconds(Math.Max(0, at.TimestampMs)));
        }

        rows.End("There are no partitions.");
    }

    private static Task<AdminResults<TopicPartition, TimestampedOffset>> LookUpAsync(
        CommandContext context, IReadOnlyList<TopicPartition> partitions, OffsetSpec spec, IsolationLevel isolation) =>
        context.Admin.ListOffsetsAsync(partitions.ToDictionary(each => each, _ => spec), isolation);

    private static ClusterCommand CreateList()
    {
        var topics = CommonOptions.Topics(mayBeNone: true);
        var isInternal = CommonOptions.Flag("--internal", "Also list the topics of the cluster itself.", "-i");
        return new ClusterCommand(
            "list", "List topics with their partitions and replicas.", "topic list 'logs-*' --format json", async context =>
            {
                var names = await TopicNames.ResolveAsync(context, context.Value(topics)!, context.Value(isInternal));
                var rows = context.Rows("topic", "partitions", "replicas", "underReplicated", "id", "internal");
                if (names.Count > 0)
                {
                    foreach (var (name, described) in Ordered(await context.Admin.DescribeTopicsAsync(names)))
                    {
                        if (context.Failed($"topic {name}", described))
                            continue;
                        var topic = described.Value;
                        rows.Add(
                            name, topic.Partitions.Count, topic.Partitions.Count == 0 ? 0 : topic.Partitions[0].Replicas.Count,
                            topic.Partitions.Count(IsUnderReplicated), topic.Id.ToString(), topic.IsInternal);
                    }
                }

                rows.End("There are no topics.");
            }, topics, isInternal);
    }

    private static ClusterCommand CreateDescribe()
    {
        var topics = CommonOptions.Topics(mayBeNone: true);
        var underReplicated = CommonOptions.Flag("--under-replicated", "Only partitions with replicas that are not in sync.");
        var unavailable = CommonOptions.Flag("--unavailable", "Only partitions without a leader.");
        return new ClusterCommand(
            "describe", "Print the leader and the replicas of each partition. 'config get topic NAME' prints the configs.",
            "topic describe orders", async context =>
            {
                var names = await TopicNames.ResolveAsync(context, context.Value(topics)!);
                var rows = context.Rows(PartitionColumns);
                if (names.Count > 0)
                {
                    foreach (var (name, described) in Ordered(await context.Admin.DescribeTopicsAsync(names)))
                    {
                        if (context.Failed($"topic {name}", described))
                            continue;
                        foreach (var partition in described.Value.Partitions.Where(each =>
                            (!context.Value(underReplicated) || IsUnderReplicated(each))
                            && (!context.Value(unavailable) || each.LeaderId is null)))
                        {
                            rows.Add(
                                name, partition.Index, partition.LeaderId, partition.Replicas, partition.InSyncReplicas,
                                partition.OfflineReplicas, partition.LeaderEpoch, partition.EligibleLeaderReplicas,
                                partition.LastKnownEligibleReplicas);
                        }
                    }
                }

                rows.End("There are no such partitions.");
            }, topics, underReplicated, unavailable);
    }

    private static ClusterCommand CreateCreate()
    {
        var topics = CommonOptions.Topics(mayBeNone: false);
        var partitions = CommonOptions.Number("--partitions", "How many partitions. Default: the cluster's num.partitions.", "-p");
        var replicas =
            CommonOptions.Number("--replicas", "How many replicas of each. Default: the cluster's.", "-r", "--replication-factor");
        var configs = CommonOptions.Configs();
        var assignment = CommonOptions.Texts(
            "--assign", "The brokers of a partition, the preferred leader first; once for each partition, in order.", "BROKER,...");
        var ifNotExists = CommonOptions.Flag("--if-not-exists", "A topic that is there already is no error.");
        return new ClusterCommand(
            "create", "Create topics.", "topic create orders --partitions 6 --replicas 3 --config retention.ms=86400000", async context =>
            {
                var assigned = (context.Value(assignment) ?? []).Select((text, index) =>
                    KeyValuePair.Create(index, CommonOptions.Numbers(text, "--assign"))).ToDictionary();
                if (assigned.Count > 0 && (context.Value(partitions) ?? context.Value(replicas)) is not null)
                    throw new ConfigException("--assign says how many partitions and replicas there are: leave the others out.");
                if (context.Value(replicas) is < 1 or > short.MaxValue)
                    throw new ConfigException($"--replicas: 1 to {short.MaxValue} is expected.");
                var isDryRun = context.Value(CommonOptions.DryRun);
                var created = await context.Admin.CreateTopicsAsync(context.Value(topics)!.Select(name => new NewTopic(name)
                {
                    Partitions = context.Value(partitions),
                    ReplicationFactor = (short?)context.Value(replicas),
                    ReplicaAssignments = assigned.Count > 0 ? assigned : null,
                    Configs = ConnectionOptions.Assignments(context.Value(configs), "--config")
                        .ToDictionary(each => each.Key, each => (string?)each.Value),
                }), isDryRun);
                foreach (var (name, result) in created)
                {
                    if (context.Value(ifNotExists) && result.Error == ErrorCode.TopicAlreadyExists)
                        context.Done($"Topic {name} is there already.", ("topic", name), ("created", false), ("id", null));
                    else if (!context.Failed($"topic {name}", result))
                        TellCreated(context, name, result.Value, isDryRun);
                }
            }, topics, partitions, replicas, configs, assignment, ifNotExists, CommonOptions.DryRun);
    }

    private static void TellCreated(CommandContext context, string name, CreatedTopic topic, bool isDryRun) => context.Done(
        $"{(isDryRun ? "Would create" : "Created")} topic {name}"
            + (topic.Partitions is { } count ? $" with {Count(count, "partition")} and {Count(topic.ReplicationFactor ?? 0, "replica")}."
                : "."),
        ("topic", name), ("created", !isDryRun), ("id", isDryRun ? null : topic.Id.ToString()));

    private static ClusterCommand CreateDelete()
    {
        var topics = CommonOptions.Topics(mayBeNone: false);
        return new ClusterCommand("delete", "Delete topics and their records.", "topic delete orders --yes", async context =>
        {
            var names = await TopicNames.ResolveAsync(context, context.Value(topics)!, includeInternal: true);
            if (context.Value(CommonOptions.DryRun))
            {
                foreach (var name in names)
                    context.Done($"Would delete topic {name}.", ("topic", name), ("deleted", false));
                return;
            }

            if (names.Count == 0
                || !context.Confirm($"Delete {string.Join(", ", names)} and all records of {(names.Count == 1 ? "it" : "them")}?"))
                return;
            foreach (var (name, result) in await context.Admin.DeleteTopicsAsync(names))
            {
                if (!context.Failed($"topic {name}", result))
                    context.Done($"Deleted topic {name}.", ("topic", name), ("deleted", true));
            }
        }, topics, CommonOptions.Yes, CommonOptions.DryRun);
    }

    private static ClusterCommand CreateAddPartitions()
    {
        var topics = CommonOptions.Topics(mayBeNone: false);
        var total = new Option<int>("--total", "-t")
        {
            Description = "How many partitions there are to be in all.",
            HelpName = "N",
            Required = true
        };
        return new ClusterCommand(
            "add-partitions", "Add partitions to topics. Keys go to other partitions afterwards.", "topic add-partitions orders --total 12",
            async context =>
            {
                var isDryRun = context.Value(CommonOptions.DryRun);
                var results = await context.Admin.CreatePartitionsAsync(
                    context.Value(topics)!.Distinct().ToDictionary(name => name, _ => new NewPartitions(context.Value(total))), isDryRun);
                foreach (var (name, result) in results)
                {
                    if (!context.Failed($"topic {name}", result))
                    {
                        context.Done(
                            $"Topic {name} {(isDryRun ? "would have" : "has")} {Count(context.Value(total), "partition")}.",
                                ("topic", name),
                            ("partitions", context.Value(total)));
                    }
                }
            }, topics, total, CommonOptions.DryRun);
    }

    private static ClusterCommand CreateTrim()
    {
        var partitions = new Argument<string[]>("partition")
        {
            Description = "Topics, or single partitions as orders:0.",
            HelpName = CommonOptions.TopicName,
            Arity = ArgumentArity.OneOrMore,
        };
        var before = CommonOptions.Text("--before", "Delete the records before this offset, 'end', or a time as -2h.", "OFFSET|TIME");
        before.Required = true;
        return new ClusterCommand(
            "trim", "Delete the oldest records of partitions.", "topic trim orders:0 --before 1000 --yes", async context =>
            {
                var targets = new List<TopicPartition>();
                foreach (var text in context.Value(partitions)!)
                {
                    targets.AddRange(text.Contains(':')
                        ? CommonOptions.Partitions(text, "partition") : await TopicNames.PartitionsAsync(context, [text]));
                }

                var offsets = await TrimOffsetsAsync(context, [.. targets.Distinct()], context.Value(before)!);
                if (context.Value(CommonOptions.DryRun))
                {
                    foreach (var (partition, offset) in offsets)
                        context.Done($"Would delete the records of {partition} before {Before(offset)}.", Fields(partition, offset));
                    return;
                }

                if (!context.Confirm($"Delete records of {offsets.Count} partitions before {context.Value(before)}?"))
                    return;
                foreach (var (partition, result) in await context.Admin.DeleteRecordsAsync(offsets))
                {
                    if (!context.Failed($"{partition}", result))
                        context.Done($"{partition} begins at {result.Value}.", Fields(partition, result.Value));
                }
            }, partitions, before, CommonOptions.Yes, CommonOptions.DryRun);

        static string Before(long offset) => offset < 0 ? "its end" : $"offset {offset}";

        static (string, object?)[] Fields(TopicPartition partition, long start) =>
            [("topic", partition.Topic), ("partition", partition.Partition), ("start", start)];
    }

    private static async Task<IReadOnlyDictionary<TopicPartition, long>> TrimOffsetsAsync(
        CommandContext context, IReadOnlyList<TopicPartition> partitions, string before)
    {
        const long end = -1;
        if (before is "end")
            return partitions.ToDictionary(each => each, _ => end);
        if (long.TryParse(before, out var offset) && offset >= 0)
            return partitions.ToDictionary(each => each, _ => offset);
        var time = CommonOptions.Time(before, "--before", context.Time.GetUtcNow());
        var found = (await LookUpAsync(context, partitions, OffsetSpec.ForTimestamp(time), IsolationLevel.ReadUncommitted)).GetValues();
        return partitions.ToDictionary(each => each, each => found[each].Offset < 0 ? end : found[each].Offset);
    }

    private static IEnumerable<KeyValuePair<string,
        AdminResult<TopicDescription>>> Ordered(AdminResults<string, TopicDescription> topics) =>
        topics.OrderBy(topic => topic.Key, StringComparer.Ordinal);

    private static bool IsUnderReplicated(PartitionDescription partition) => partition.InSyncReplicas.Count < partition.Replicas.Count;

    private static string Count(int count, string what) => count == 1 ? $"1 {what}" : $"{count} {what}s";
}
