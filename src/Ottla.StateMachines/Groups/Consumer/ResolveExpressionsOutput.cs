using System.Collections.Immutable;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Groups.Regex;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Groups.Consumer;

/// <summary>
/// Asks the host to look up which topics a group's regular expressions match, because that takes time. The host answers with an
/// <see cref="ExpressionsResolvedCommand"/>.
/// </summary>
/// <param name="GroupId">The group.</param>
/// <param name="Expressions">The regular expressions; all are valid.</param>
/// <param name="Image">The metadata with the topics.</param>
public sealed record ResolveExpressionsOutput(string GroupId, IReadOnlyList<string> Expressions, MetadataImage Image) : CoordinatorOutput
{
    /// <inheritdoc cref="ConsumerGroupHeartbeatCommand.MayDescribe"/>
    public Func<string, bool>? MayDescribe { get; init; }

    /// <summary>The topics that each regular expression matches. Pure; any thread may call it.</summary>
    public IReadOnlyDictionary<string, ImmutableSortedSet<string>> Resolve() =>
        Expressions.ToDictionary(expression => expression, Resolve, StringComparer.Ordinal);

    private ImmutableSortedSet<string> Resolve(string expression)
    {
        var pattern = TopicPattern.Parse(expression);
        return GroupSubscription.NoTopics.Union(Image.Topics.ByName.Keys.Where(
            topic => pattern.Matches(topic) && MayDescribe?.Invoke(topic) != false));
    }
}
