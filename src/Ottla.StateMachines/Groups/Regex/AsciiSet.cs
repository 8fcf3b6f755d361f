namespace Ottla.StateMachines.Groups.Regex;

/// <summary>A set of ASCII characters. Topic names have no others, so character classes are reduced to ASCII.</summary>
internal readonly record struct AsciiSet(UInt128 Bits)
{
    /// <summary>The number of characters.</summary>
    public const int Size = 128;

    public static readonly AsciiSet Empty = new(UInt128.Zero);

    public static readonly AsciiSet All = new(UInt128.MaxValue);

    public static readonly AsciiSet Digits = Range('0', '9');

    public static readonly AsciiSet Lower = Range('a', 'z');

    public static readonly AsciiSet Upper = Range('A', 'Z');

    public static readonly AsciiSet Letters = Lower | Upper;

    /// <summary>The characters that <c>\w</c> matches and <c>\b</c> uses.</summary>
    public static readonly AsciiSet Word = Letters | Digits | Of('_');

    public static AsciiSet Of(int codePoint) => codePoint < Size ? new(UInt128.One << codePoint) : Empty;

    public static AsciiSet Of(ReadOnlySpan<char> characters)
    {
        var set = Empty;
        foreach (var character in characters)
            set |= Of(character);
        return set;
    }

    public static AsciiSet Range(int low, int high)
    {
        var set = Empty;
        for (var codePoint = low; codePoint <= Math.Min(high, Size - 1); codePoint++)
            set |= Of(codePoint);
        return set;
    }

    /// <summary>The characters for which <paramref name="includes"/> is true.</summary>
    public static AsciiSet Where(Func<char, bool> includes)
    {
        var set = Empty;
        for (var character = '\0'; character < Size; character++)
        {
            if (includes(character))
                set |= Of(character);
        }

        return set;
    }

    public bool Contains(int character) => character < Size && ((Bits >> character) & UInt128.One) != UInt128.Zero;

    /// <summary>The set with both cases of each of its letters.</summary>
    public AsciiSet WithBothCases()
    {
        const int caseDistance = 'a' - 'A';
        return this | new AsciiSet((this & Upper).Bits << caseDistance) | new AsciiSet((this & Lower).Bits >> caseDistance);
    }

    public static AsciiSet operator |(AsciiSet left, AsciiSet right) => new(left.Bits | right.Bits);

    public static AsciiSet operator &(AsciiSet left, AsciiSet right) => new(left.Bits & right.Bits);

    public static AsciiSet operator ~(AsciiSet set) => new(~set.Bits);
}
