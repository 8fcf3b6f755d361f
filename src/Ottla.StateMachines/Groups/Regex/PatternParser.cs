using System.Globalization;

namespace Ottla.StateMachines.Groups.Regex;

/// <summary>Parses the syntax of RE2 with Perl's extensions, which is what Kafka's brokers accept. Lives for one text.</summary>
/// <remarks>Constructs that need backtracking (backreferences, lookaround, possessive repetition) are invalid, as in RE2.</remarks>
internal sealed partial class PatternParser
{
    private const int RepetitionsMax = 1000;
    private const int NestingDepthMax = 1000;

    private readonly string _text;
    private readonly HashSet<string> _groupNames = new(StringComparer.Ordinal);
    private int _position;
    private int _depth;
    private bool _ignoresCase;
    private bool _dotMatchesNewline;

    private PatternParser(string text) => _text = text;

    private bool AtEnd => _position >= _text.Length;

    private char Current => _text[_position];

    /// <summary>Parses an expression into a tree.</summary>
    /// <exception cref="TopicPatternException">The text is not in RE2's syntax.</exception>
    public static PatternNode Parse(string text)
    {
        var parser = new PatternParser(text);
        var node = parser.ParseChoice();
        return parser.AtEnd ? node : throw new TopicPatternException("unexpected )");
    }

    private PatternNode ParseChoice()
    {
        if (++_depth > NestingDepthMax)
            throw new TopicPatternException("expression nests too deeply");
        var alternatives = new List<PatternNode> { ParseSequence() };
        while (TryTake('|'))
            alternatives.Add(ParseSequence());
        _depth--;
        return alternatives.Count == 1 ? alternatives[0] : new PatternNode.Choice(alternatives);
    }

    private PatternNode ParseSequence()
    {
        var items = new List<PatternNode>();
        var afterRepetition = false;
        while (!AtEnd && Current is not ('|' or ')'))
        {
            if (TryParseRepetition() is var (min, max, isCounted))
            {
                if (afterRepetition)
                    throw new TopicPatternException("invalid nested repetition operator");
                if (items.Count == 0)
                    throw new TopicPatternException("missing argument to repetition operator");
                Repeat(items, min, max, isCounted);
                afterRepetition = true;
            }
            else
            {
                ParseItem(items);
                afterRepetition = false;
            }
        }

        return items.Count == 1 ? items[0] : new PatternNode.Sequence(items);
    }

    private static void Repeat(List<PatternNode> items, int min, int? max, bool isCounted)
    {
        var repetition = new PatternNode.Repetition(items[^1], min, max, isCounted);
        if (isCounted && (min >= 2 || max >= 2) && !repetition.RepeatsWithin(RepetitionsMax))
            throw new TopicPatternException("bad repetition operator");
        items[^1] = repetition;
    }

    /// <summary>
    /// Parses a repetition operator. A question mark after it (lazy) is skipped, because it does not change whether the whole name matches.
    /// </summary>
    private (int Min, int? Max, bool IsCounted)? TryParseRepetition()
    {
        (int, int?, bool)? repetition = Current switch
        {
            '*' => (0, null, false),
            '+' => (1, null, false),
            '?' => (0, 1, false),
            _ => null,
        };
        if (repetition is not null)
            _position++;
        else if (Current != '{' || (repetition = TryParseCount()) is null)
            return null;
        TryTake('?');
        return repetition;
    }

    /// <summary>Parses <c>{n}</c>, <c>{n,}</c> or <c>{n,m}</c>. Other text in braces is ordinary.</summary>
    private (int Min, int? Max, bool IsCounted)? TryParseCount()
    {
        var start = _position++;
        int? max = null;
        if (TryParseNumber() is { } min
            && (TryTake(',') ? !AtEnd && (Current == '}' || (max = TryParseNumber()) is not null) : (max = min) is not null)
            && TryTake('}'))
        {
            return min <= RepetitionsMax && !(max > RepetitionsMax) && !(max < min)
                ? (min, max, true)
                : throw new TopicPatternException("bad repetition operator");
        }

        _position = start;
        return null;
    }

    /// <summary>Parses a number without leading zeros. A number beyond the limit is capped, because any such number is rejected.</summary>
    private int? TryParseNumber()
    {
        var start = _position;
        while (!AtEnd && char.IsAsciiDigit(Current))
            _position++;
        var digits = _text.AsSpan(start, _position - start);
        if (digits.IsEmpty || (digits.Length > 1 && digits[0] == '0'))
            return null;
        return int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : int.MaxValue;
    }

    private void ParseItem(List<PatternNode> items)
    {
        switch (Current)
        {
            case '(':
                if (ParseGroup() is { } group)
                    items.Add(group);
                break;
            case '[':
                items.Add(new PatternNode.Characters(ParseClass()));
                break;
            case '.':
                _position++;
                items.Add(new PatternNode.Characters(_dotMatchesNewline ? AsciiSet.All : ~AsciiSet.Of('\n')));
                break;
            case '^':
                // Topic names have no line breaks, so a line is the whole text.
                _position++;
                items.Add(new PatternNode.Place(PatternAssertion.TextBegins));
                break;
            case '$':
                _position++;
                items.Add(new PatternNode.Place(PatternAssertion.TextEnds));
                break;
            case '\\':
                ParseBackslash(items);
                break;
            default:
                items.Add(Literal(TakeCodePoint()));
                break;
        }
    }

    private PatternNode? ParseGroup()
    {
        _position++;
        var (ignoresCase, dotMatchesNewline) = (_ignoresCase, _dotMatchesNewline);
        if (TryTake('?') && !ParseGroupKind())
            return null;
        var body = ParseChoice();
        if (!TryTake(')'))
            throw new TopicPatternException("missing closing )");
        (_ignoresCase, _dotMatchesNewline) = (ignoresCase, dotMatchesNewline);
        return body;
    }

    /// <summary>Parses the text after <c>(?</c>. Returns false when it has only flags, which apply from here on.</summary>
    private bool ParseGroupKind()
    {
        if (TryTake("P<") || TryTake('<'))
        {
            ParseGroupName();
            return true;
        }

        var (isNegated, sawFlag) = (false, false);
        while (!AtEnd)
        {
            var flag = _text[_position++];
            switch (flag)
            {
                case 'i':
                    _ignoresCase = !isNegated;
                    sawFlag = true;
                    break;
                case 's':
                    _dotMatchesNewline = !isNegated;
                    sawFlag = true;
                    break;
                case 'm' or 'U':
                    sawFlag = true;
                    break;
                case '-' when !isNegated:
                    isNegated = true;
                    sawFlag = false;
                    break;
                case ':' or ')' when !isNegated || sawFlag:
                    return flag == ':';
                default:
                    throw new TopicPatternException("invalid or unsupported Perl syntax");
            }
        }

        throw new TopicPatternException("missing closing )");
    }

    private void ParseGroupName()
    {
        var end = _text.IndexOf('>', _position);
        var name = end < 0 ? "" : _text[_position..end];
        if (name.Length == 0 || !name.All(character => AsciiSet.Word.Contains(character)))
            throw new TopicPatternException("invalid named capture");
        if (!_groupNames.Add(name))
            throw new TopicPatternException("duplicate capture group name");
        _position = end + 1;
    }

    private bool TryTake(char character)
    {
        if (AtEnd || Current != character)
            return false;
        _position++;
        return true;
    }

    private bool TryTake(string text)
    {
        if (string.CompareOrdinal(_text, _position, text, 0, text.Length) != 0)
            return false;
        _position += text.Length;
        return true;
    }

    private int TakeCodePoint()
    {
        var isPair = _position + 1 < _text.Length && char.IsSurrogatePair(_text, _position);
        var codePoint = isPair ? char.ConvertToUtf32(_text, _position) : Current;
        _position += isPair ? 2 : 1;
        return codePoint;
    }
}
