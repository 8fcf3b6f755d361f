namespace Ottla.StateMachines.Groups.Regex;

// Characters, escapes and character classes.
internal sealed partial class PatternParser
{
    private const int CodePointMax = 0x10FFFF;

    // Two characters outside ASCII are the other case of an ASCII letter.
    private const int LongS = 0x17F;
    private const int KelvinSign = 0x212A;

    private PatternNode.Characters Literal(int codePoint) => new(Range(codePoint, codePoint));

    private AsciiSet Range(int low, int high)
    {
        var set = AsciiSet.Range(low, high);
        if (!_ignoresCase)
            return set;
        if (low <= LongS && high >= LongS)
            set |= AsciiSet.Of('s');
        if (low <= KelvinSign && high >= KelvinSign)
            set |= AsciiSet.Of('k');
        return set.WithBothCases();
    }

    private AsciiSet InCase(AsciiSet set) => _ignoresCase ? set.WithBothCases() : set;

    private void ParseBackslash(List<PatternNode> items)
    {
        if (TryTake("\\Q"))
        {
            var end = _text.IndexOf("\\E", _position, StringComparison.Ordinal);
            var stop = end < 0 ? _text.Length : end;
            while (_position < stop)
                items.Add(Literal(TakeCodePoint()));
            _position = end < 0 ? stop : stop + 2;
        }
        else if (TryParseAssertion() is { } assertion)
        {
            items.Add(new PatternNode.Place(assertion));
        }
        else
        {
            items.Add(TryParseEscapedClass() is { } set ? new PatternNode.Characters(set) : Literal(ParseEscape()));
        }
    }

    private PatternAssertion? TryParseAssertion()
    {
        PatternAssertion? assertion = PeekEscaped() switch
        {
            'A' => PatternAssertion.TextBegins,
            'z' => PatternAssertion.TextEnds,
            'b' => PatternAssertion.WordBoundary,
            'B' => PatternAssertion.NoWordBoundary,
            _ => null,
        };
        if (assertion is not null)
            _position += 2;
        return assertion;
    }

    private char? PeekEscaped() => Current == '\\' && _position + 1 < _text.Length ? _text[_position + 1] : null;

    /// <summary>Parses <c>\d</c> and the like, or <c>\pL</c>, <c>\p{Lu}</c>, <c>\P{^Lu}</c>.</summary>
    private AsciiSet? TryParseEscapedClass()
    {
        if (PeekEscaped() is not { } letter)
            return null;
        if (CharacterClasses.Perl(letter) is { } perl)
        {
            // Each of these classes is equal in both cases.
            _position += 2;
            return perl;
        }

        if (letter is not ('p' or 'P'))
            return null;
        _position += 2;
        var (name, isNegated) = (TakeUnicodeName(), letter == 'P');
        if (name.StartsWith('^'))
            (name, isNegated) = (name[1..], !isNegated);
        var set = InCase(CharacterClasses.Unicode(name) ?? throw InvalidRange());
        return isNegated ? ~set : set;
    }

    private string TakeUnicodeName()
    {
        if (AtEnd)
            throw InvalidRange();
        if (!TryTake('{'))
            return _text[_position++].ToString();
        var end = _text.IndexOf('}', _position);
        if (end < 0)
            throw InvalidRange();
        var name = _text[_position..end];
        _position = end + 1;
        return name;
    }

    /// <summary>Parses <c>[...]</c>.</summary>
    private AsciiSet ParseClass()
    {
        _position++;
        var isNegated = TryTake('^');
        var set = AsciiSet.Empty;
        for (var isFirst = true; isFirst || AtEnd || Current != ']'; isFirst = false)
        {
            if (AtEnd)
                throw new TopicPatternException("missing closing ]");
            set |= TryParsePosixClass() ?? TryParseEscapedClass() ?? ParseRange();
        }

        _position++;
        return isNegated ? ~set : set;
    }

    /// <summary>Parses <c>[:alpha:]</c> or <c>[:^alpha:]</c>. Without an end, the bracket is an ordinary character.</summary>
    private AsciiSet? TryParsePosixClass()
    {
        var start = _position + 2;
        if (string.CompareOrdinal(_text, _position, "[:", 0, 2) != 0 || _text.IndexOf(":]", start, StringComparison.Ordinal) is var end
            && end < 0)
            return null;
        var isNegated = _text[start] == '^';
        var set = InCase(CharacterClasses.Posix(_text[(isNegated ? start + 1 : start)..end]) ?? throw InvalidRange());
        _position = end + 2;
        return isNegated ? ~set : set;
    }

    private AsciiSet ParseRange()
    {
        var low = ParseClassCharacter();
        var high = low;
        if (_position + 1 < _text.Length && Current == '-' && _text[_position + 1] != ']')
        {
            _position++;
            high = ParseClassCharacter();
        }

        return low <= high ? Range(low, high) : throw InvalidRange();
    }

    private int ParseClassCharacter() => Current == '\\' ? ParseEscape() : TakeCodePoint();

    private int ParseEscape()
    {
        _position++;
        if (AtEnd)
            throw new TopicPatternException("trailing backslash at end of expression");
        var letter = TakeCodePoint();
        return letter switch
        {
            'a' => '\a',
            'f' => '\f',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\v',
            'x' => ParseHexadecimal(),
            '0' => ParseOctal(0),
            >= '1' and <= '7' when !AtEnd && IsOctal(Current) => ParseOctal(letter - '0'),
            < AsciiSet.Size when !char.IsAsciiLetterOrDigit((char)letter) => letter,
            _ => throw InvalidEscape(),
        };
    }

    private static bool IsOctal(char character) => character is >= '0' and <= '7';

    private int ParseOctal(int value)
    {
        const int moreDigits = 2;
        for (var i = 0; i < moreDigits && !AtEnd && IsOctal(Current); i++)
            value = (value * 8) + _text[_position++] - '0';
        return value;
    }

    /// <summary>Parses the two digits of <c>\x7F</c>, or the braces of <c>\x{10FFFF}</c>.</summary>
    private int ParseHexadecimal()
    {
        var start = _position;
        if (!TryTake('{'))
            return (TakeHexadecimalDigit() * 16) + TakeHexadecimalDigit();
        var value = TakeHexadecimalDigit();
        while (!TryTake('}'))
        {
            value = (value * 16) + TakeHexadecimalDigit();
            if (value > CodePointMax)
                throw InvalidEscape();
        }

        return value;
    }

    private int TakeHexadecimalDigit() =>
        !AtEnd && char.IsAsciiHexDigit(Current) ? Convert.ToInt32(_text[_position++].ToString(), 16) : throw InvalidEscape();

    private static TopicPatternException InvalidEscape() => new("invalid escape sequence");

    private static TopicPatternException InvalidRange() => new("invalid character class range");
}
