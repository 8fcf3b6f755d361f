using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Groups.Consumer;

/// <summary>The topics that a regular expression was found to match. Immutable.</summary>
/// <param name="Topics">Their names.</param>
/// <param name="Version">The offset of the metadata image that was looked at.</param>
/// <param name="Timestamp">When.</param>
public sealed record ResolvedRegularExpression(ImmutableSortedSet<string> Topics, long Version, Instant Timestamp);

/// <summary>What the members of a group subscribe to, all in all. Immutable.</summary>
public sealed class GroupSubscription
{
    /// <summary>No topics, in the order that all sets of names have.</summary>
    public static readonly ImmutableSortedSet<string> NoTopics = ImmutableSortedSet.Create<string>(StringComparer.Ordinal);

    private GroupSubscription(ImmutableSortedSet<string> topics, bool isHomogeneous) => (Topics, IsHomogeneous) = (topics, isHomogeneous);

    /// <summary>The names of the topics that anyone subscribes to, existing or not.</summary>
    public ImmutableSortedSet<string> Topics { get; }

    /// <summary>Whether all subscribe to the same.</summary>
    public bool IsHomogeneous { get; }

    /// <summary>The subscription of some members; an expression that is not resolved matches nothing.</summary>
    public static GroupSubscription Of(IEnumerable<ConsumerGroupMember> members, IReadOnlyDictionary<string, ResolvedRegularExpression> resolved)
    {
        var topics = NoTopics.ToBuilder();
        var isHomogeneous = true;
        ConsumerGroupMember? first = null;
        foreach (var member in members)
        {
            var isSame = first is not null && member.SubscribesToSame(first);
            isHomogeneous &= isSame || first is null;
            first ??= member;
            if (!isSame)
                topics.UnionWith(TopicsOf(member, resolved));
        }

        return new GroupSubscription(topics.ToImmutable(), isHomogeneous);
    }

    /// <summary>The names that a member subscribes to, and those that its expression matches.</summary>
    public static ImmutableSortedSet<string> TopicsOf(ConsumerGroupMember member, IReadOnlyDictionary<string, ResolvedRegularExpression> resolved)
    {
        if (member.SubscribedTopicRegex.Length == 0 || !resolved.TryGetValue(member.SubscribedTopicRegex, out var matched))
            return member.SubscribedTopicNames;
        return member.SubscribedTopicNames.IsEmpty ? matched.Topics : member.SubscribedTopicNames.Union(matched.Topics);
    }

    /// <summary>The ids of those topics that exist.</summary>
    public static ImmutableSortedSet<Uuid> IdsOf(ImmutableSortedSet<string> topics, TopicsImage image) =>
        [.. topics.Select(image.Find).OfType<TopicImage>().Select(topic => topic.Id)];
}
