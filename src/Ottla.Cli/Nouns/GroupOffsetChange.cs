using Ottla.Cli.Framework;
using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Cli.Nouns;

/// <summary>Offsets that a group is to have.</summary>
/// <param name="GroupId">The group.</param>
/// <param name="Before">What it has.</param>
/// <param name="After">What it is to have.</param>
internal sealed record GroupOffsetChange(
    string GroupId, IReadOnlyDictionary<TopicPartition, CommitOffset> Before, IReadOnlyDictionary<TopicPartition, long> After)
{
    /// <summary>Asks, sets the offsets and prints them; with <c>--dry-run</c> it only prints.</summary>
    public static async Task ApplyAsync(CommandContext context, IReadOnlyList<GroupOffsetChange> changes)
    {
        var isDryRun = context.Value(CommonOptions.DryRun);
        if (!isDryRun && !context.Confirm(
            $"Set the offsets of {string.Join(", ", changes.Select(each => each.GroupId))} in {changes.Sum(each => each.After.Count)} "
                + "partitions?"))
            return;
        var rows = context.Rows("group", "topic", "partition", "before", "after");
        foreach (var change in changes)
        {
            var set = isDryRun ? change.After : await change.SetAsync(context);
            foreach (var (partition, offset) in set.OrderBy(each => each.Key.Topic, StringComparer.Ordinal)
                .ThenBy(each => each.Key.Partition))
            {
                rows.Add(
                    change.GroupId, partition.Topic, partition.Partition,
                    change.Before.TryGetValue(partition, out var old) ? old.Offset : null, offset);
            }
        }

        rows.End();
        if (isDryRun)
            context.Note("Nothing was changed: this is what would be.");
    }

    /// <summary>Sets the offsets.</summary>
    /// <returns>Those that are set; the others are told.</returns>
    private async Task<IReadOnlyDictionary<TopicPartition, long>> SetAsync(CommandContext context)
    {
        var results = await context.Admin.AlterConsumerGroupOffsetsAsync(
            GroupId, [.. After.Select(each => new PartitionOffset(each.Key, new CommitOffset(each.Value)))]);
        foreach (var (partition, result) in results)
        {
            if (result.Error == ErrorCode.UnknownMemberId)
                context.Fail($"{partition}: the group {GroupId} has members. Stop them first; 'ottla group members {GroupId}' names them.");
            else
                context.Failed($"{partition}", result);
        }

        return After.Where(each => results[each.Key].IsSuccess).ToDictionary();
    }
}
