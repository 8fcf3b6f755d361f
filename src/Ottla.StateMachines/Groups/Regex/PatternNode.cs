namespace Ottla.StateMachines.Groups.Regex;

/// <summary>An assertion about a position in the topic name.</summary>
internal enum PatternAssertion
{
    TextBegins,
    TextEnds,
    WordBoundary,
    NoWordBoundary,
}

/// <summary>A regular expression as a tree, without capture groups.</summary>
internal abstract record PatternNode
{
    /// <summary>One character of a set.</summary>
    public sealed record Characters(AsciiSet Set) : PatternNode;

    /// <summary>An assertion; takes no character.</summary>
    public sealed record Place(PatternAssertion Assertion) : PatternNode;

    /// <summary>Items one after the other; without items it matches the empty text.</summary>
    public sealed record Sequence(IReadOnlyList<PatternNode> Items) : PatternNode;

    /// <summary>One of several alternatives.</summary>
    public sealed record Choice(IReadOnlyList<PatternNode> Alternatives) : PatternNode;

    /// <summary>A repeated expression.</summary>
    /// <param name="Body">The expression.</param>
    /// <param name="Min">The smallest number of repetitions.</param>
    /// <param name="Max">The largest number; null for no limit.</param>
    /// <param name="IsCounted">Whether it is written with braces: RE2 limits the product of nested counts.</param>
    public sealed record Repetition(PatternNode Body, int Min, int? Max, bool IsCounted) : PatternNode;

    /// <summary>Whether the product of nested counts is at most <paramref name="limit"/>.</summary>
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
