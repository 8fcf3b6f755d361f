using System.Runtime.InteropServices;

namespace Ottla.StateMachines.Groups.Regex;

/// <summary>A regular expression in RE2's syntax that matches whole topic names, in time linear in the length of the name.</summary>
/// <remarks>
/// It builds a deterministic automaton on demand: the successor of a set of instructions by a character is computed once and cached, for up
/// to <see cref="StatesMax"/> states. Not thread-safe. Lives for one resolution of a group's expressions.
/// </remarks>
public sealed class TopicPattern
{
    /// <summary>The most cached states; beyond that the cache is cleared.</summary>
    private const int StatesMax = 1000;

    private readonly PatternProgram _program;
    private readonly Dictionary<string, State> _states = new(StringComparer.Ordinal);
    private readonly Stack<int> _pending = new();
    private readonly HashSet<int> _visited = [];
    private readonly SortedSet<int> _reached = [];

    private TopicPattern(PatternProgram program) => _program = program;

    private enum Before
    {
        Nothing,
        WordCharacter,
        OtherCharacter,
    }

    /// <summary>Compiles an expression.</summary>
    /// <exception cref="TopicPatternException">The text is not in RE2's syntax, or the expression is too large.</exception>
    public static TopicPattern Parse(string text) => new(new PatternProgram(PatternParser.Parse(text)));

    /// <summary>Whether the pattern matches the whole name.</summary>
    public bool Matches(string topic)
    {
        if (_states.Count > StatesMax)
            _states.Clear();
        var state = StateOf([(char)_program.Start], Before.Nothing);
        foreach (var character in topic)
        {
            if (character >= AsciiSet.Size || state.Instructions.Length == 0)
                return false;
            state = state.Next[character] ??= After(state, character);
        }

        return state.MatchesAtEnd ??= MatchesAtEnd(state);
    }

    private State After(State state, char character)
    {
        _reached.Clear();
        foreach (var index in Follow(state, character))
        {
            var instruction = _program[index];
            if (instruction.Opcode == PatternOpcode.Take && instruction.Set.Contains(character))
                _reached.Add(instruction.Next);
        }

        char[] instructions = [.. _reached.Select(index => (char)index)];
        return StateOf(instructions, AsciiSet.Word.Contains(character) ? Before.WordCharacter : Before.OtherCharacter);
    }

    private bool MatchesAtEnd(State state)
    {
        foreach (var index in Follow(state, null))
        {
            if (_program[index].Opcode == PatternOpcode.Match)
                return true;
        }

        return false;
    }

    /// <summary>All instructions that can be reached before <paramref name="next"/> is read (null for the end).</summary>
    private HashSet<int> Follow(State state, char? next)
    {
        _visited.Clear();
        foreach (var index in state.Instructions)
            _pending.Push(index);
        while (_pending.TryPop(out var index))
        {
            if (!_visited.Add(index))
                continue;
            var instruction = _program[index];
            if (instruction.Opcode == PatternOpcode.Fork)
                _pending.Push(instruction.Other);
            if (instruction.Opcode == PatternOpcode.Fork
                || (instruction.Opcode == PatternOpcode.Check && Holds(instruction.Assertion, state.Before, next)))
                _pending.Push(instruction.Next);
        }

        return _visited;
    }

    private static bool Holds(PatternAssertion assertion, Before before, char? next)
    {
        var isBoundary = (before == Before.WordCharacter) != (next is { } character && AsciiSet.Word.Contains(character));
        return assertion switch
        {
            PatternAssertion.TextBegins => before == Before.Nothing,
            PatternAssertion.TextEnds => next is null,
            PatternAssertion.WordBoundary => isBoundary,
            _ => !isBoundary,
        };
    }

    private State StateOf(ReadOnlySpan<char> instructions, Before before)
    {
        var key = string.Concat([(char)before], instructions);
        ref var state = ref CollectionsMarshal.GetValueRefOrAddDefault(_states, key, out _);
        return state ??= new State(instructions.ToString(), before);
    }

    /// <summary>A state of the automaton: its instructions, and the kind of the character before them.</summary>
    private sealed class State(string instructions, Before before)
    {
        /// <summary>The indexes of the instructions, each as a character.</summary>
        public string Instructions { get; } = instructions;

        public Before Before { get; } = before;

        public State?[] Next { get; } = new State?[AsciiSet.Size];

        public bool? MatchesAtEnd { get; set; }
    }
}
