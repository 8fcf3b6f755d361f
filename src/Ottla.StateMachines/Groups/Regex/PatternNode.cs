namespace Ottla.StateMachines.Groups.Regex;

/// <summary>What a place in a topic's name must be.</summary>
internal enum PatternAssertion
{
    TextBegins,
    TextEnds,
    WordBoundary,
    NoWordBoundary,
}

/// <summary>A regular expression as a tree. Groups are gone: nobody asks what they captured.</summary>
internal abstract record PatternNode
{
    /// <summary>One character of a set.</summary>
    public sealed record Characters(AsciiSet Set) : PatternNode;

    /// <summary>No character, but a place.</summary>
    public sealed record Place(PatternAssertion Assertion) : PatternNode;

    /// <summary>One after the other; nothing at all when there are none.</summary>
    public sealed record Sequence(IReadOnlyList<PatternNode> Items) : PatternNode;

    /// <summary>One of several.</summary>
    public sealed record Choice(IReadOnlyList<PatternNode> Alternatives) : PatternNode;

    /// <summary>Many times.</summary>
    /// <param name="Body">What.</param>
    /// <param name="Min">How often at least.</param>
    /// <param name="Max">How often at most; null for any number.</param>
    /// <param name="IsCounted">Whether it is written with braces: RE2 limits the product of nested counts.</param>
    public sealed record Repetition(PatternNode Body, int Min, int? Max, bool IsCounted) : PatternNode;

    /// <summary>Whether nested counts multiply to at most <paramref name="limit"/>.</summary>
    public bool RepeatsWithin(int limit) => this switch
    {
        Repetition { IsCounted: true, Max: 0 } => true,
        Repetition { IsCounted: true } repetition =>
            (repetition.Max ?? repetition.Min) is var count && count <= limit && repetition.Body.RepeatsWithin(limit / Math.Max(count, 1)),
        Repetition repetition => repetition.Body.RepeatsWithin(limit),
        Sequence sequence => sequence.Items.All(item => item.RepeatsWithin(limit)),
        Choice choice => choice.Alternatives.All(alternative => alternative.RepeatsWithin(limit)),
        _ => true,
    };
}
