using System.CommandLine;
using Ottla.Cli.Framework;
using Ottla.Cli.KafkaTools.Groups;
using Ottla.Client;
using Ottla.Configuration;
using Ottla.Kernel;

namespace Ottla.Cli.Nouns;

/// <summary><c>ottla group</c>: groups of consumers, and how far they are.</summary>
internal static class GroupNoun
{
    public static Command Create() => ClusterCommand.Noun(
        "group", "List and describe groups, see how far behind they are, set and delete their offsets.", CreateList(), CreateDescribe(),
        CreateLag(), CreateMembers(), CreateReset(), GroupOffsetFiles.CreateExport(), GroupOffsetFiles.CreateImport(), CreateDelete(),
        CreateDeleteOffsets(), CreateRemoveMember());

    private static Argument<string[]> Groups(bool mayBeNone) => new("group")
    {
        Description = mayBeNone ? "The groups; all without it." : "The groups.",
        HelpName = CommonOptions.GroupName,
        Arity = mayBeNone ? ArgumentArity.ZeroOrMore : ArgumentArity.OneOrMore,
    };

    private static Argument<string> Group() => new("group") { Description = "The group.", HelpName = CommonOptions.GroupName };

    private static ClusterCommand CreateList()
    {
        var states = CommonOptions.Texts("--state", "Only groups in this state, as Stable or Empty; may be repeated.", "STATE");
        var types =
            CommonOptions.Texts("--type", "Only groups of this type: classic, consumer, share or streams; may be repeated.", "TYPE");
        return new ClusterCommand("list", "List groups.", "group list --state Stable", async context =>
        {
            var listing = await context.Admin.ListGroupsAsync(NullIfEmpty(context.Value(states)), NullIfEmpty(context.Value(types)));
            var rows = context.Rows("group", "type", "protocolType", "state");
            foreach (var group in listing.Items.OrderBy(group => group.GroupId, StringComparer.Ordinal))
                rows.Add(group.GroupId, group.Type, group.ProtocolType, group.State);
            rows.End("There are no groups.");
            foreach (var (broker, failure) in listing.Failures)
                context.Failed($"broker {broker}", failure);
        }, states, types);

        static IReadOnlyCollection<string>? NullIfEmpty(string[]? values) => values is { Length: > 0 } ? values : null;
    }

    private static ClusterCommand CreateDescribe()
    {
        var groups = Groups(mayBeNone: true);
        return new ClusterCommand(
            "describe", "Print state, members, coordinator and lag of groups.", "group describe billing", async context =>
            {
                var described = await DescribeAsync(context, context.Value(groups)!);
                var offsets = await new GroupOffsets(context.Cluster).OfAsync(described);
                var rows = context.Rows(
                    "group", "state", "protocol", "assignor", "members", "partitions", "lag", "coordinator", "groupEpoch",
                        "assignmentEpoch");
                foreach (var group in described)
                {
                    var partitions = offsets[group.GroupId];
                    rows.Add(
                        group.GroupId, group.State, group.Protocol.ToString().ToLowerInvariant(), group.Assignor, group.Members.Count,
                        partitions.Count, partitions.Sum(partition => LagOf(partition) ?? 0), group.Coordinator?.Id, group.GroupEpoch,
                        group.AssignmentEpoch);
                }

                rows.End("There are no groups.");
            }, groups);
    }

    private static ClusterCommand CreateLag()
    {
        var groups = Groups(mayBeNone: true);
        var above = CommonOptions.Number("--above", "Only partitions that are more than so many records behind.");
        var perGroup = CommonOptions.Flag("--total", "Print one row a group, the one that is furthest behind first.");
        return new ClusterCommand(
            "lag", "Print how far groups are behind, by partition. Without a group: all groups.", "group lag --total", async context =>
            {
                var described = await DescribeAsync(context, context.Value(groups)!);
                var offsets = await new GroupOffsets(context.Cluster).OfAsync(described);
                if (context.Value(perGroup))
                {
                    var totals = context.Rows("group", "state", "partitions", "lag");
                    foreach (var group in described.OrderByDescending(group => offsets[group.GroupId].Sum(each => LagOf(each) ?? 0)))
                    {
                        var partitions = offsets[group.GroupId];
                        var lag = partitions.Sum(each => LagOf(each) ?? 0);
                        if (!(lag <= context.Value(above)))
                            totals.Add(group.GroupId, group.State, partitions.Count, lag);
                    }

                    totals.End("No group is behind.");
                    return;
                }

                var rows = context.Rows("group", "topic", "partition", "committed", "end", "lag", "member", "host", "clientId");
                foreach (var each in described.SelectMany(group => offsets[group.GroupId]))
                {
                    if (!(LagOf(each) <= context.Value(above)))
                    {
                        rows.Add(
                            each.GroupId, each.Partition.Topic, each.Partition.Partition, each.Committed?.Offset, each.LogEndOffset,
                            LagOf(each), each.Member?.MemberId, each.Member?.Host, each.Member?.ClientId);
                    }
                }

                rows.End("There are no offsets.");
            }, groups, above, perGroup);
    }

    private static ClusterCommand CreateMembers()
    {
        var groups = Groups(mayBeNone: true);
        return new ClusterCommand("members", "Print the members of groups and their partitions.", "group members billing", async context =>
        {
            var rows = context.Rows("group", "member", "instance", "clientId", "host", "epoch", "partitions");
            foreach (var group in await DescribeAsync(context, context.Value(groups)!))
            {
                foreach (var member in group.Members)
                {
                    rows.Add(
                        group.GroupId, member.MemberId, member.GroupInstanceId, member.ClientId, member.Host, member.Epoch,
                        member.Assignment.Select(partition => $"{partition.Topic}:{partition.Partition}").Order(StringComparer.Ordinal)
                            .ToList());
                }
            }

            rows.End("There are no members.");
        }, groups);
    }

    private static ClusterCommand CreateReset()
    {
        var group = Group();
        var topics = CommonOptions.Texts(
            "--topic", "The topic, or partitions as orders:0,1; may be repeated. Without it: what the group has offsets of.", "TOPIC");
        var to = CommonOptions.Text(
            "--to", "Where to: start, end, an offset, a time (2026-01-31T12:00:00Z or -2h), or by how much (+100, shift:-100).", "WHERE");
        to.Required = true;
        return new ClusterCommand(
            "reset", "Set the offsets of a group that has no members, or whose members are stopped.",
            "group reset billing --topic orders --to -2h", async context =>
            {
                var groupId = context.Value(group)!;
                var planner = new OffsetPlanner(
                    context.Cluster,
                    (partition, offset, why, moved) => context.Note($"{partition}: offset {offset} is {why} the log; it will be {moved}."),
                    partition => context.Note($"{partition} has no record so late: its end is taken."));
                var known = await planner.CommittedAsync(groupId);
                var partitions = await ResetPartitionsAsync(context, context.Value(topics) ?? [], known);
                if (partitions.Count == 0)
                    throw new ConfigException($"The group {groupId} has no offsets: say for which --topic they are to be set.");
                var plan = await PlanAsync(context, planner, groupId, partitions, context.Value(to)!);
                await GroupOffsetChange.ApplyAsync(context, [new GroupOffsetChange(groupId, known, plan)]);
            }, group, topics, to, CommonOptions.Yes, CommonOptions.DryRun);
    }

    private static async Task<IReadOnlyList<TopicPartition>> ResetPartitionsAsync(
        CommandContext context, string[] topics, IReadOnlyDictionary<TopicPartition, CommitOffset> known)
    {
        if (topics.Length == 0)
            return [.. known.Keys];
        return await TopicNames.OfPartitionsAsync(context, topics, "--topic");
    }

    private static Task<IReadOnlyDictionary<TopicPartition, long>> PlanAsync(
        CommandContext context, OffsetPlanner planner, string groupId, IReadOnlyList<TopicPartition> partitions, string to)
    {
        const string shift = "shift:";
        if (to is "start" or "earliest")
            return planner.AtAsync(partitions, OffsetSpec.Earliest);
        if (to is "end" or "latest")
            return planner.AtAsync(partitions, OffsetSpec.Latest);
        if (to.StartsWith('+') || to.StartsWith(shift, StringComparison.Ordinal))
        {
            return long.TryParse(to.StartsWith('+') ? to[1..] : to[shift.Length..], out var by)
                ? planner.ShiftedAsync(groupId, partitions, by)
                : throw new ConfigException($"--to: cannot read '{to}'. Expected a number of records: +100 or shift:-100.");
        }

        return long.TryParse(to, out var offset) && offset >= 0
            ? planner.WithinLogAsync(partitions.ToDictionary(partition => partition, _ => offset))
            : planner.AtTimeAsync(partitions, CommonOptions.Time(to, "--to", context.Time.GetUtcNow()));
    }

    private static ClusterCommand CreateDelete()
    {
        var groups = Groups(mayBeNone: false);
        return new ClusterCommand("delete", "Delete groups without members, and their offsets.", "group delete billing --yes",
            async context =>
        {
            var names = context.Value(groups)!;
            if (!context.Confirm($"Delete {string.Join(", ", names)} and all offsets?"))
                return;
            foreach (var (name, result) in await context.Admin.DeleteConsumerGroupsAsync(names))
            {
                if (!context.Failed($"group {name}", result))
                    context.Done($"Deleted group {name}.", ("group", name), ("deleted", true));
            }
        }, groups, CommonOptions.Yes);
    }

    private static ClusterCommand CreateDeleteOffsets()
    {
        var group = Group();
        var topics = CommonOptions.Texts("--topic", "The topic, or partitions as orders:0,1; may be repeated.", "TOPIC");
        topics.Required = true;
        return new ClusterCommand(
            "delete-offsets", "Delete offsets of a group in topics that it does not read any more.",
            "group delete-offsets billing --topic old-orders --yes", async context =>
            {
                var partitions = await ResetPartitionsAsync(
                    context, context.Value(topics)!, new Dictionary<TopicPartition, CommitOffset>());
                if (partitions.Count == 0
                    || !context.Confirm($"Delete the offsets of {context.Value(group)} in {partitions.Count} partitions?"))
                    return;
                foreach (var (partition, result) in await context.Admin.DeleteConsumerGroupOffsetsAsync(context.Value(group)!, partitions))
                {
                    if (!context.Failed($"{partition}", result))
                    {
                        context.Done(
                            $"Deleted the offset of {partition}.", ("group", context.Value(group)), ("topic", partition.Topic),
                            ("partition", partition.Partition));
                    }
                }
            }, group, topics, CommonOptions.Yes);
    }

    private static ClusterCommand CreateRemoveMember()
    {
        var group = Group();
        var members = CommonOptions.Texts("--member", "The id of a member; may be repeated.", "ID");
        var instances = CommonOptions.Texts("--instance", "The instance id of a static member; may be repeated.", "ID");
        var all = CommonOptions.Flag("--all", "All members.");
        return new ClusterCommand(
            "remove-member", "Have members leave a group; running ones join again.", "group remove-member billing --instance worker-3",
            async context =>
            {
                var named = (context.Value(members) ?? []).Select(id => new GroupMemberIdentity(id, null))
                    .Concat((context.Value(instances) ?? []).Select(GroupMemberIdentity.Static)).ToList();
                if (named.Count == 0 != context.Value(all))
                    throw new ConfigException("Name members with --member or --instance, or say --all.");
                var results = await context.Admin.RemoveMembersFromConsumerGroupAsync(
                    context.Value(group)!, named.Count == 0 ? null : named, "removed by ottla group remove-member");
                foreach (var (member, result) in results)
                {
                    if (!context.Failed($"member {member}", result))
                        context.Done($"Removed {member}.", ("group", context.Value(group)), ("member", member.ToString()));
                }
            }, group, members, instances, all);
    }

    private static async Task<IReadOnlyList<ConsumerGroupDescription>> DescribeAsync(CommandContext context, string[] names)
    {
        var wanted = names;
        if (names.Length == 0)
        {
            var listing = await context.Admin.ListGroupsAsync();
            foreach (var (broker, failure) in listing.Failures)
                context.Failed($"broker {broker}", failure);
            wanted = [.. listing.Items.Where(group => group.Type.ToLowerInvariant() is "classic" or "consumer" or "")
                .Where(group => group.ProtocolType is "consumer" or "").Select(group => group.GroupId).Order(StringComparer.Ordinal)];
        }

        if (wanted.Length == 0)
            return [];
        var described = await context.Admin.DescribeConsumerGroupsAsync(wanted.Distinct());
        return [.. described.OrderBy(each => each.Key, StringComparer.Ordinal)
            .Where(each => !context.Failed($"group {each.Key}", each.Value)).Select(each => each.Value.Value)];
    }

    private static long? LagOf(GroupPartition partition) =>
        partition.Committed is { } committed && partition.LogEndOffset is { } end ? Math.Max(0, end - committed.Offset) : null;
}
