using Ottla.Cli.Framework;
using Ottla.Configuration;
using Ottla.Kernel;

namespace Ottla.Cli.Nouns;

/// <summary>Finds the topics that a command means.</summary>
internal static class TopicNames
{
    /// <summary>The topics of some names, in order. A name that ends with <c>*</c> means all that begin so; no name means all.</summary>
    /// <exception cref="ConfigException">A pattern meets nothing.</exception>
    public static async Task<IReadOnlyList<string>> ResolveAsync(CommandContext context, string[] names, bool includeInternal = false)
    {
        if (names.Length > 0 && !names.Any(name => name.EndsWith('*')))
            return [.. names.Distinct()];
        var all = (await context.Admin.ListTopicsAsync(includeInternal)).Select(topic => topic.Name).Order(StringComparer.Ordinal).ToList();
        if (names.Length == 0)
            return all;
        var found = new List<string>();
        foreach (var name in names)
        {
            if (!name.EndsWith('*'))
            {
                found.Add(name);
                continue;
            }

            var some = all.Where(topic => topic.StartsWith(name[..^1], StringComparison.Ordinal)).ToList();
            if (some.Count == 0)
                throw new ConfigException($"No topic begins with '{name[..^1]}'.");
            found.AddRange(some);
        }

        return [.. found.Distinct()];
    }

    /// <summary>
    /// The partitions that texts name: <c>orders:0,1</c>, or all of <c>orders</c>. Topics that are not there are told of.
    /// </summary>
    /// <exception cref="ConfigException">A text cannot be read.</exception>
    public static async Task<IReadOnlyList<TopicPartition>> OfPartitionsAsync(
        CommandContext context, IReadOnlyCollection<string> texts, string option)
    {
        var partitions = texts.Where(text => text.Contains(':')).SelectMany(text => CommonOptions.Partitions(text, option)).ToList();
        partitions.AddRange(await PartitionsAsync(context, [.. texts.Where(text => !text.Contains(':'))]));
        return [.. partitions.Distinct()];
    }

    /// <summary>The partitions of topics, in order. Topics that are not there are told of.</summary>
    public static async Task<IReadOnlyList<TopicPartition>> PartitionsAsync(CommandContext context, IReadOnlyCollection<string> topics)
    {
        var partitions = new List<TopicPartition>();
        if (topics.Count == 0)
            return partitions;
        foreach (var (name, described) in (await context.Admin.DescribeTopicsAsync(topics))
            .OrderBy(each => each.Key, StringComparer.Ordinal))
        {
            if (!context.Failed($"topic {name}", described))
                partitions.AddRange(described.Value.Partitions.Select(partition => new TopicPartition(name, partition.Index)));
        }

        return partitions;
    }
}
