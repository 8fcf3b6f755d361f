using System.Numerics;
using System.Runtime.InteropServices;

namespace Ottla.StateMachines.Authorization;

/// <summary>
/// What entries say about names, found by a name: of the name itself, and of each prefix of it. Not changed once it is made.
/// </summary>
/// <remarks>
/// One hash table for names and prefixes. A search goes through a name once: it stops at each length that a prefix has, and at the end,
/// and looks there whether what lies behind it is in the table. So it costs a look for each different length of prefixes, of which there
/// are few, however many prefixes there are; and it compares texts only where it has found something.
/// </remarks>
internal sealed class PatternTable
{
    private const ulong Multiplier = 0x9E37_79B9_7F4A_7C15;

    private readonly int[] _prefixLengths;
    private readonly Pattern[] _patterns;
    private readonly Slot[] _slots;
    private readonly int _shift;

    /// <param name="literals">What entries say about names.</param>
    /// <param name="prefixes">What entries say about names that begin so.</param>
    public PatternTable(Dictionary<string, PatternRules> literals, Dictionary<string, PatternRules> prefixes)
    {
        _prefixLengths = [.. prefixes.Keys.Select(prefix => prefix.Length).Distinct().Order()];
        _patterns =
        [
            .. literals.Keys.Union(prefixes.Keys, StringComparer.Ordinal).Select(
                text => new Pattern(text, literals.GetValueOrDefault(text), prefixes.GetValueOrDefault(text))),
        ];
        // At least half of the slots are empty, so that a search that finds nothing is short.
        var slots = BitOperations.RoundUpToPowerOf2((uint)Math.Max(2 * _patterns.Length, 2));
        _slots = new Slot[slots];
        _shift = 64 - BitOperations.Log2(slots);
        for (var i = 0; i < _patterns.Length; i++)
            Add(i);
    }

    /// <summary>The names.</summary>
    public IEnumerable<string> Literals => _patterns.Where(pattern => pattern.Literal is not null).Select(pattern => pattern.Text);

    /// <summary>The prefixes.</summary>
    public IEnumerable<string> Prefixes => _patterns.Where(pattern => pattern.Prefix is not null).Select(pattern => pattern.Text);

    /// <summary>What is there of a name and of its prefixes, from the shortest on. Allocates nothing.</summary>
    public Search Matching(string name) => new(this, name);

    private void Add(int index)
    {
        var text = _patterns[index].Text;
        var hash = 0UL;
        var start = 0;
        foreach (var length in _prefixLengths.AsSpan())
        {
            if (length >= text.Length)
                break;
            hash = Mix(hash, text.AsSpan(start, length - start));
            start = length;
        }

        hash = Mix(hash, text.AsSpan(start));
        var slot = (int)(hash >> _shift);
        while (_slots[slot].Number != 0)
            slot = (slot + 1) & (_slots.Length - 1);
        _slots[slot] = new Slot(TagOf(hash), index + 1);
    }

    private int Find(ulong hash, ReadOnlySpan<char> text)
    {
        var tag = TagOf(hash);
        for (var slot = (int)(hash >> _shift); ; slot = (slot + 1) & (_slots.Length - 1))
        {
            var (slotTag, number) = _slots[slot];
            if (number == 0)
                return -1;
            if (slotTag == tag && text.SequenceEqual(_patterns[number - 1].Text))
                return number - 1;
        }
    }

    private static uint TagOf(ulong hash) => (uint)(hash >> 16);

    /// <summary>Goes on with the hash of a text, four characters at a time.</summary>
    private static ulong Mix(ulong hash, ReadOnlySpan<char> text)
    {
        var blocks = MemoryMarshal.Cast<char, ulong>(text);
        foreach (var block in blocks)
            hash = Mix(hash, block);
        var rest = text[(blocks.Length * 4)..];
        if (rest.IsEmpty)
            return hash;
        var last = 0UL;
        foreach (var c in rest)
            last = (last << 16) | c;
        return Mix(hash, last);
    }

    private static ulong Mix(ulong hash, ulong block) => (BitOperations.RotateLeft(hash, 29) ^ block) * Multiplier;

    /// <summary>Goes through the patterns that a name matches.</summary>
    public ref struct Search
    {
        private readonly PatternTable _table;
        private readonly ReadOnlySpan<char> _name;
        private ulong _hash;
        private int _hashed;
        private int _stop;
        private bool _isOver;
        private int _found;

        internal Search(PatternTable table, ReadOnlySpan<char> name)
        {
            _table = table;
            _name = name;
            _isOver = table._patterns.Length == 0;
        }

        /// <summary>What was found.</summary>
        public readonly Match Current
        {
            get
            {
                ref readonly var pattern = ref _table._patterns[_found];
                return new Match(pattern.Literal, pattern.Prefix, pattern.Text.Length == _name.Length);
            }
        }

        /// <summary>This search, which a loop goes through once.</summary>
        public readonly Search GetEnumerator() => this;

        /// <summary>Goes on to the next pattern.</summary>
        public bool MoveNext()
        {
            var lengths = _table._prefixLengths;
            while (!_isOver)
            {
                var length = _name.Length;
                if (_stop < lengths.Length && lengths[_stop] < length)
                    length = lengths[_stop++];
                else
                    _isOver = true;
                _hash = Mix(_hash, _name[_hashed..length]);
                _hashed = length;
                _found = _table.Find(_hash, _name[..length]);
                if (_found >= 0)
                    return true;
            }

            return false;
        }
    }

    /// <summary>A pattern that a name matches.</summary>
    /// <param name="Literal">What entries say about the pattern's text as a name.</param>
    /// <param name="Prefix">What entries say about names that begin with it.</param>
    /// <param name="IsWhole">Whether the text is the whole name.</param>
    public readonly record struct Match(PatternRules? Literal, PatternRules? Prefix, bool IsWhole);

    private readonly record struct Pattern(string Text, PatternRules? Literal, PatternRules? Prefix);

    /// <summary>A place of the table: a part of the hash, and the pattern's index plus 1; 0 when it is empty.</summary>
    private readonly record struct Slot(uint Tag, int Number);
}
