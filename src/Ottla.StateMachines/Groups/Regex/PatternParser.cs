using System.Globalization;

namespace Ottla.StateMachines.Groups.Regex;

/// <summary>Parses the syntax of RE2 with Perl's extensions, which is what Kafka's brokers accept. Lives for one text.</summary>
/// <remarks>What needs backtracking (backreferences, looking around, possessive repetition) is refused, as RE2 does.</remarks>
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

    /// <summary>The tree of a text.</summary>
    /// <exception cref="TopicPatternException">It is not in RE2's syntax.</exception>
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
        while (Takes('|'))
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

    /// <summary>Takes a repetition operator, with the question mark that makes it lazy: it makes no difference to what matches as a whole.</summary>
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
        Takes('?');
        return repetition;
    }

    /// <summary>Takes <c>{n}</c>, <c>{n,}</c> or <c>{n,m}</c>; anything else in braces stands for itself.</summary>
    private (int Min, int? Max, bool IsCounted)? TryParseCount()
    {
        var start = _position++;
        int? max = null;
        if (TryParseNumber() is { } min && (Takes(',') ? !AtEnd && (Current == '}' || (max = TryParseNumber()) is not null) : (max = min) is not null)
            && Takes('}'))
        {
            return min <= RepetitionsMax && !(max > RepetitionsMax) && !(max < min)
                ? (min, max, true)
                : throw new TopicPatternException("bad repetition operator");
        }

        _position = start;
        return null;
    }

    /// <summary>Takes a number without leading zeros; one that is far too large is as good as any other that is too large.</summary>
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
                // Names have no line breaks: where a line begins or ends, the text does.
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
        if (Takes('?') && !ParseGroupKind())
            return null;
        var body = ParseChoice();
        if (!Takes(')'))
            throw new TopicPatternException("missing closing )");
        (_ignoresCase, _dotMatchesNewline) = (ignoresCase, dotMatchesNewline);
        return body;
    }

    /// <summary>Takes what follows <c>(?</c>. False when it was only flags, which hold from here on.</summary>
    private bool ParseGroupKind()
    {
        if (Takes("P<") || Takes('<'))
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

    private bool Takes(char character)
    {
        if (AtEnd || Current != character)
            return false;
        _position++;
        return true;
    }

    private bool Takes(string text)
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
