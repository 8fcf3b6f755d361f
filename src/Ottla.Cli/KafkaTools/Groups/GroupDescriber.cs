using System.Globalization;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.Kernel;

namespace Ottla.Cli.KafkaTools.Groups;

/// <summary>Prints groups as kafka-consumer-groups --describe does.</summary>
internal sealed class GroupDescriber(ToolContext context, bool isVerbose)
{
    private const string Missing = "-";
    private const int WidthMin = 15;

    /// <summary>Prints how far groups are.</summary>
    public void PrintOffsets(
        IEnumerable<ConsumerGroupDescription> groups, IReadOnlyDictionary<string, IReadOnlyList<GroupPartition>> offsets)
    {
        foreach (var group in groups)
        {
            var rows = offsets[group.GroupId];
            if (!ReportsState(group, rows.Count))
                continue;
            var groupWidth = Width(rows.Select(row => row.GroupId));
            var topicWidth = Width(rows.Select(row => row.Partition.Topic));
            var memberWidth = Width(rows.Select(row => row.Member?.MemberId ?? Missing));
            var hostWidth = Width(rows.Select(row => row.Member?.Host ?? Missing));
            Line("GROUP", "TOPIC", "PARTITION", "LEADER-EPOCH", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "CONSUMER-ID", "HOST",
                "CLIENT-ID");
            foreach (var row in rows)
            {
                Line(
                    row.GroupId, row.Partition.Topic, Text(row.Partition.Partition),
                    row.Committed is { LeaderEpoch: >= 0 } known ? Text(known.LeaderEpoch) : Missing, Text(row.Committed?.Offset),
                    Text(row.LogEndOffset), Text(row.LogEndOffset - row.Committed?.Offset), row.Member?.MemberId ?? Missing,
                    row.Member?.Host ?? Missing, row.Member?.ClientId ?? Missing);
            }

            context.Output.WriteLine();

            void Line(
                string groupId, string topic, string partition, string epoch, string current, string end, string lag, string member,
                string host, string client)
            {
                const int partitionWidth = 10;
                List<(string, int)> cells = [(groupId, groupWidth), (topic, topicWidth), (partition, partitionWidth)];
                if (isVerbose)
                    cells.Add((epoch, WidthMin));
                cells.AddRange([(current, WidthMin), (end, WidthMin), (lag, WidthMin), (member, memberWidth), (host, hostWidth),
                    (client, 0)]);
                context.Output.Write($"\n{ColumnText.Line([.. cells])}");
            }
        }
    }

    /// <summary>Prints the states of groups.</summary>
    public void PrintStates(IEnumerable<ConsumerGroupDescription> groups)
    {
        foreach (var group in groups)
        {
            if (!ReportsState(group, rows: 1))
                continue;
            const int coordinatorWidthMin = 25;
            var coordinator = group.Coordinator is { } node ? $"{node.Host}:{node.Port}  ({node.Id})" : Missing;
            var coordinatorWidth = Math.Max(coordinatorWidthMin, coordinator.Length);
            var groupWidth = Width([group.GroupId]);
            Line("GROUP", "COORDINATOR (ID)", "ASSIGNMENT-STRATEGY", "STATE", "GROUP-EPOCH", "TARGET-ASSIGNMENT-EPOCH", "#MEMBERS");
            Line(
                group.GroupId, coordinator, group.Assignor.Length > 0 ? group.Assignor : Missing, group.State, Text(group.GroupEpoch),
                Text(group.AssignmentEpoch), Text(group.Members.Count));
            context.Output.WriteLine();

            void Line(string groupId, string node, string assignor, string state, string epoch, string target, string members)
            {
                const int width = 20;
                const int targetWidth = 25;
                List<(string, int)> cells = [(groupId, groupWidth), (node, coordinatorWidth), (assignor, width), (state, width)];
                if (isVerbose)
                    cells.AddRange([(epoch, WidthMin), (target, targetWidth)]);
                cells.Add((members, 0));
                context.Output.Write($"\n{ColumnText.Line([.. cells])}");
            }
        }
    }

    /// <summary>Prints the members of groups.</summary>
    public void PrintMembers(IEnumerable<ConsumerGroupDescription> groups)
    {
        foreach (var group in groups)
            PrintMembers(group);
    }

    private void PrintMembers(ConsumerGroupDescription group)
    {
        const int assignmentWidthMin = 20;
        const int instanceWidthMin = 17;
        var members = ReportsState(group, group.Members.Count) ? group.Members : [];
        var hasInstances = members.Any(member => !string.IsNullOrEmpty(member.GroupInstanceId));
        var hasBothKinds = members.Any(member => member.IsClassic == true) && members.Any(member => member.IsClassic == false);
        var groupWidth = Width(members.Select(_ => group.GroupId));
        var memberWidth = Width(members.Select(member => member.MemberId));
        var instanceWidth = members.Select(member => member.GroupInstanceId?.Length ?? 0).Append(instanceWidthMin).Max();
        var hostWidth = Width(members.Select(member => member.Host));
        var clientWidth = Width(members.Select(member => member.ClientId));
        var currentWidth = members.Select(member => AssignmentText(member.Assignment).Length).Append(assignmentWidthMin).Max();
        var targetWidth = members.Select(member => AssignmentText(member.TargetAssignment).Length).Append(assignmentWidthMin).Max();
        context.Output.WriteLine();
        Line(
            "GROUP", "CONSUMER-ID", "GROUP-INSTANCE-ID", "HOST", "CLIENT-ID", "#PARTITIONS", "CURRENT-EPOCH", "CURRENT-ASSIGNMENT",
            "TARGET-EPOCH", "TARGET-ASSIGNMENT", "UPGRADED");
        foreach (var member in members)
        {
            Line(
                group.GroupId, member.MemberId, member.GroupInstanceId ?? "", member.Host, member.ClientId, Text(member.Assignment.Count),
                Text(member.Epoch), AssignmentText(member.Assignment), Text(group.AssignmentEpoch), AssignmentText(member.TargetAssignment),
                member.IsClassic is { } isClassic ? (isClassic ? "false" : "true") : Missing);
        }

        void Line(
            string groupId, string member, string instance, string host, string client, string count, string epoch, string current,
            string targetEpoch, string target, string upgraded)
        {
            List<(string, int)> cells = [(groupId, groupWidth), (member, memberWidth)];
            if (hasInstances)
                cells.Add((instance, instanceWidth));
            cells.AddRange([(host, hostWidth), (client, clientWidth), (count, WidthMin)]);
            if (isVerbose)
                cells.AddRange([(epoch, WidthMin), (current, currentWidth), (targetEpoch, WidthMin), (target, targetWidth)]);
            if (isVerbose && hasBothKinds)
                cells.Add((upgraded, 0));
            context.Output.WriteLine(ColumnText.Line([.. cells]) + (isVerbose ? "" : " "));
        }
    }

    /// <summary>Says what is remarkable about a group's state.</summary>
    /// <returns>Whether there is something to print.</returns>
    private bool ReportsState(ConsumerGroupDescription group, int rows)
    {
        context.Output.Flush();
        switch (group.State)
        {
            case "Dead":
                context.Output.WriteLine($"\nError: Consumer group '{group.GroupId}' does not exist.");
                return false;
            case "Empty":
                context.Error.WriteLine($"\nConsumer group '{group.GroupId}' has no active members.");
                break;
            case "PreparingRebalance" or "CompletingRebalance" or "Assigning" or "Reconciling":
                context.Error.WriteLine($"\nWarning: Consumer group '{group.GroupId}' is rebalancing.");
                break;
        }

        return rows > 0;
    }

    private static int Width(IEnumerable<string> cells) => cells.Select(cell => cell.Length).Append(WidthMin).Max();

    private static string Text(long? number) => number?.ToString(CultureInfo.InvariantCulture) ?? Missing;

    private static string AssignmentText(IReadOnlyList<TopicPartition>? partitions) => partitions is null or [] ? Missing : string.Join(';',
        partitions.GroupBy(partition => partition.Topic)
            .Select(topic => $"{topic.Key}:{string.Join(',', topic.Select(partition => partition.Partition).Order())}")
            .Order(StringComparer.Ordinal));
}
