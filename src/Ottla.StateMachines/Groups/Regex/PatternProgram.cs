namespace Ottla.StateMachines.Groups.Regex;

/// <summary>What one instruction of a <see cref="PatternProgram"/> does.</summary>
internal enum PatternOpcode
{
    /// <summary>The whole expression has matched.</summary>
    Match,

    /// <summary>Takes one character of a set.</summary>
    Take,

    /// <summary>Goes on in two places.</summary>
    Fork,

    /// <summary>Goes on if the place is right.</summary>
    Check,
}

/// <summary>An instruction. Which fields mean something depends on <see cref="Opcode"/>.</summary>
internal readonly record struct PatternInstruction(PatternOpcode Opcode, int Next, int Other, AsciiSet Set, PatternAssertion Assertion);

/// <summary>A regular expression as a nondeterministic automaton. Immutable.</summary>
internal sealed class PatternProgram
{
    /// <summary>A bound on what an expression may cost: far above what people write, and within what a <see cref="char"/> can count.</summary>
    private const int InstructionsMax = 20_000;

    private readonly List<PatternInstruction> _instructions = [];

    /// <summary>Compiles a tree.</summary>
    /// <exception cref="TopicPatternException">The expression is too large.</exception>
    public PatternProgram(PatternNode node)
    {
        var match = Add(new PatternInstruction(PatternOpcode.Match, 0, 0, default, default));
        Start = Emit(node, match);
    }

    /// <summary>The first instruction.</summary>
    public int Start { get; }

    /// <summary>How many instructions there are.</summary>
    public int Count => _instructions.Count;

    public PatternInstruction this[int index] => _instructions[index];

    /// <summary>Compiles a tree that goes on at <paramref name="next"/>; tells where it begins.</summary>
    private int Emit(PatternNode node, int next) => node switch
    {
        PatternNode.Characters characters => Add(new PatternInstruction(PatternOpcode.Take, next, 0, characters.Set, default)),
        PatternNode.Place place => Add(new PatternInstruction(PatternOpcode.Check, next, 0, default, place.Assertion)),
        PatternNode.Sequence sequence => sequence.Items.Reverse().Aggregate(next, (after, item) => Emit(item, after)),
        PatternNode.Choice choice => choice.Alternatives.Select(alternative => Emit(alternative, next)).ToArray().Aggregate(Fork),
        PatternNode.Repetition repetition => Emit(repetition, next),
        _ => throw new InvalidOperationException($"{node.GetType().Name} is not compiled"),
    };

    private int Emit(PatternNode.Repetition repetition, int next)
    {
        var start = next;
        if (repetition.Max is { } max)
        {
            for (var i = repetition.Min; i < max; i++)
                start = Fork(Emit(repetition.Body, start), next);
        }
        else
        {
            start = Fork(next, next);
            _instructions[start] = _instructions[start] with { Next = Emit(repetition.Body, start) };
        }

        for (var i = 0; i < repetition.Min; i++)
            start = Emit(repetition.Body, start);
        return start;
    }

    private int Fork(int first, int second) => Add(new PatternInstruction(PatternOpcode.Fork, first, second, default, default));

    private int Add(in PatternInstruction instruction)
    {
        if (_instructions.Count == InstructionsMax)
            throw new TopicPatternException("expression is too large");
        _instructions.Add(instruction);
        return _instructions.Count - 1;
    }
}
