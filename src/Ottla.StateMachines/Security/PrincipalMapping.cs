using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Ottla.Configuration;

namespace Ottla.StateMachines.Security;

/// <summary>Makes the name of a principal from the subject of a certificate (<c>ssl.principal.mapping.rules</c>, KIP-371).</summary>
/// <remarks>Rules are separated by commas: <c>DEFAULT</c>, or <c>RULE:pattern/replacement/</c> with L or U behind it. Immutable.</remarks>
public sealed class PrincipalMapping
{
    private const string ConfigName = "ssl.principal.mapping.rules";
    private const string Default = "DEFAULT";
    private const string RulePrefix = "RULE:";

    /// <summary>A pattern of the operator may take long for a name that a client chose.</summary>
    private static readonly TimeSpan PatternTimeout = TimeSpan.FromSeconds(1);

    private readonly List<Rule> _rules;

    private PrincipalMapping(List<Rule> rules) => _rules = rules;

    /// <summary>The mapping that takes the whole subject.</summary>
    public static PrincipalMapping WholeSubject { get; } = Parse(Default);

    /// <summary>Reads rules.</summary>
    /// <exception cref="ConfigException">They are malformed.</exception>
    public static PrincipalMapping Parse(string text)
    {
        var rules = new List<Rule>();
        for (var position = 0; position < text.Length;)
        {
            var rest = text.AsSpan(position);
            if (rest[0] is ',' || char.IsWhiteSpace(rest[0]))
            {
                position++;
                continue;
            }

            if (rest.StartsWith(Default))
            {
                position += Default.Length;
                rules.Add(new Rule(null, "", '\0'));
            }
            else if (rest.StartsWith(RulePrefix))
            {
                rules.Add(ParseRule(text, ref position));
            }
            else
            {
                throw Malformed(text, $"'{rest}' begins neither with DEFAULT nor with RULE:");
            }

            while (position < text.Length && char.IsWhiteSpace(text[position]))
                position++;
            if (position < text.Length && text[position] != ',')
                throw Malformed(text, $"a comma is expected before '{text[position..]}'");
        }

        return new PrincipalMapping(rules);
    }

    /// <summary>The name for a subject; null when no rule applies, and the client must be refused.</summary>
    public string? NameOf(string subject)
    {
        foreach (var rule in _rules)
        {
            if (rule.Apply(subject) is { } name)
                return name;
        }

        return null;
    }

    private static Rule ParseRule(string text, ref int position)
    {
        position += RulePrefix.Length;
        var pattern = ReadToSlash(text, ref position);
        var replacement = ReadToSlash(text, ref position);
        var letterCase = position < text.Length && text[position] is 'L' or 'U' ? text[position++] : '\0';
        try
        {
            return new Rule(pattern, replacement, letterCase);
        }
        catch (ArgumentException e)
        {
            throw Malformed(text, $"the pattern {pattern} is malformed: {e.Message}");
        }
    }

    private static string ReadToSlash(string text, ref int position)
    {
        var start = position;
        for (; position < text.Length; position++)
        {
            if (text[position] == '\\')
                position++;
            else if (text[position] == '/')
                return text[start..position++];
        }

        throw Malformed(text, "a rule lacks a slash; write RULE:pattern/replacement/ or RULE:pattern/replacement/L");
    }

    private static ConfigException Malformed(string text, string reason) => new(ConfigName, text, reason);

    private sealed class Rule
    {
        private readonly Regex? _whole;
        private readonly Regex? _pattern;
        private readonly string _replacement;
        private readonly char _letterCase;

        public Rule(string? pattern, string replacement, char letterCase)
        {
            _replacement = replacement;
            _letterCase = letterCase;
            if (pattern is null)
                return;
            _whole = new Regex($@"\A(?:{pattern})\z", RegexOptions.CultureInvariant, PatternTimeout);
            _pattern = new Regex(pattern, RegexOptions.CultureInvariant, PatternTimeout);
        }

        public string? Apply(string subject)
        {
            if (_whole is null)
                return subject;
            try
            {
                if (!_whole.IsMatch(subject))
                    return null;
                var name = _pattern!.Replace(subject, match => Expand(match));
                return _letterCase switch
                {
                    'L' => name.ToLowerInvariant(),
                    'U' => name.ToUpperInvariant(),
                    _ => name,
                };
            }
            catch (RegexMatchTimeoutException)
            {
                return null;
            }
        }

        /// <summary>
        /// Replaces $1 and the like, as Java does: as many digits as there are groups for; without such a group it is text.
        /// </summary>
        private string Expand(Match match)
        {
            var name = new StringBuilder();
            for (var i = 0; i < _replacement.Length; i++)
            {
                var c = _replacement[i];
                if (c == '\\' && i + 1 < _replacement.Length)
                {
                    name.Append(_replacement[++i]);
                    continue;
                }

                if (c != '$' || i + 1 == _replacement.Length || !char.IsAsciiDigit(_replacement[i + 1]))
                {
                    name.Append(c);
                    continue;
                }

                var length = 1;
                while (i + 1 + length < _replacement.Length && char.IsAsciiDigit(_replacement[i + 1 + length])
                    && NumberAt(i + 1, length + 1) < match.Groups.Count)
                    length++;
                if (NumberAt(i + 1, length) is var number && number < match.Groups.Count)
                    name.Append(match.Groups[number].Value);
                else
                    name.Append(_replacement, i, length + 1);
                i += length;
            }

            return name.ToString();
        }

        private int NumberAt(int start, int length) =>
            int.TryParse(_replacement.AsSpan(start, length), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
                ? number : int.MaxValue;
    }
}
