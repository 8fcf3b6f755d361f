using System.Collections.Immutable;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Groups.Regex;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Groups.Consumer;

/// <summary>
/// A group subscribes to regular expressions: look up what they match, which costs time, and tell the group with an
/// <see cref="ExpressionsResolvedCommand"/>.
/// </summary>
/// <param name="GroupId">The group.</param>
/// <param name="Expressions">The expressions, all of them valid.</param>
/// <param name="Image">The metadata whose topics count.</param>
public sealed record ResolveExpressionsOutput(string GroupId, IReadOnlyList<string> Expressions, MetadataImage Image) : CoordinatorOutput
{
    /// <summary>The topics that each expression matches. Pure; may be called on any thread.</summary>
    public IReadOnlyDictionary<string, ImmutableSortedSet<string>> Resolve() =>
        Expressions.ToDictionary(expression => expression, Resolve, StringComparer.Ordinal);

    private ImmutableSortedSet<string> Resolve(string expression)
    {
        var pattern = TopicPattern.Parse(expression);
        return GroupSubscription.NoTopics.Union(Image.Topics.ByName.Keys.Where(pattern.Matches));
    }
}
