namespace Ottla.StateMachines.Groups.Regex;

/// <summary>The kinds of instructions of a <see cref="PatternProgram"/>.</summary>
internal enum PatternOpcode
{
    /// <summary>The whole expression has matched.</summary>
    Match,

    /// <summary>Reads one character of a set.</summary>
    Take,

    /// <summary>Continues at two instructions.</summary>
    Fork,

    /// <summary>Continues if the assertion holds.</summary>
    Check,
}

/// <summary>An instruction. <see cref="Opcode"/> determines which fields it uses.</summary>
internal readonly record struct PatternInstruction(PatternOpcode Opcode, int Next, int Other, AsciiSet Set, PatternAssertion Assertion);

/// <summary>A regular expression as a nondeterministic automaton. Immutable.</summary>
internal sealed class PatternProgram
{
    /// <summary>
    /// The most instructions of an expression: far more than people write, and few enough for indexes of type <see cref="char"/>.
    /// </summary>
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

    /// <summary>The number of instructions.</summary>
    public int Count => _instructions.Count;

    public PatternInstruction this[int index] => _instructions[index];

    /// <summary>Compiles a tree that continues at <paramref name="next"/>, and returns its first instruction.</summary>
    private int Emit(PatternNode node, int next) => node switch
    {
        PatternNode.Characters characters => Add(new PatternInstruction(PatternOpcode.Take, next, 0, characters.Set, default)),
        PatternNode.Place place => Add(new PatternInstruction(PatternOpcode.Check, next, 0, default, place.Assertion)),
        PatternNode.Sequence sequence => sequence.Items.Reverse().Aggregate(next, (after, item) => Emit(item, after)),
        PatternNode.Choice choice => choice.Alternatives.Select(alternative => Emit(alternative, next)).ToArray().Aggregate(Fork),
        PatternNode.Repetition repetition => Emit(repetition, next),
        _ => throw new InvalidOperationException($"Cannot compile a pattern node of type {node.GetType().Name}"),
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
