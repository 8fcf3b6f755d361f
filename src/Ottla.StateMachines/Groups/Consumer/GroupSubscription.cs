using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Groups.Consumer;

/// <summary>The topics that a regular expression matched. Immutable.</summary>
/// <param name="Topics">Their names.</param>
/// <param name="Version">The offset of the metadata image used.</param>
/// <param name="Timestamp">The time of the resolution.</param>
public sealed record ResolvedRegularExpression(ImmutableSortedSet<string> Topics, long Version, Instant Timestamp);

/// <summary>The combined subscription of the members of a group. Immutable.</summary>
public sealed class GroupSubscription
{
    /// <summary>The empty set of topics, in the order of all sets of names.</summary>
    public static readonly ImmutableSortedSet<string> NoTopics = ImmutableSortedSet.Create<string>(StringComparer.Ordinal);

    private GroupSubscription(ImmutableSortedSet<string> topics, bool isHomogeneous) => (Topics, IsHomogeneous) = (topics, isHomogeneous);

    /// <summary>The names of all subscribed topics, existing or not.</summary>
    public ImmutableSortedSet<string> Topics { get; }

    /// <summary>Whether all members subscribe to the same topics.</summary>
    public bool IsHomogeneous { get; }

    /// <summary>Combines the subscriptions of members. An unresolved regular expression matches nothing.</summary>
    public static GroupSubscription Of(
        IEnumerable<ConsumerGroupMember> members, IReadOnlyDictionary<string, ResolvedRegularExpression> resolved)
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

    /// <summary>The topic names that a member subscribes to, including the matches of its regular expression.</summary>
    public static ImmutableSortedSet<string> TopicsOf(
        ConsumerGroupMember member, IReadOnlyDictionary<string, ResolvedRegularExpression> resolved)
    {
        if (member.SubscribedTopicRegex.Length == 0 || !resolved.TryGetValue(member.SubscribedTopicRegex, out var matched))
            return member.SubscribedTopicNames;
        return member.SubscribedTopicNames.IsEmpty ? matched.Topics : member.SubscribedTopicNames.Union(matched.Topics);
    }

    /// <summary>The ids of the topics that exist.</summary>
    public static ImmutableSortedSet<Uuid> IdsOf(ImmutableSortedSet<string> topics, TopicsImage image) =>
        [.. topics.Select(image.Find).OfType<TopicImage>().Select(topic => topic.Id)];
}
