using System.Collections.Frozen;
using System.Text;

namespace Ottla.Configuration.Security;

/// <summary>
/// A login of <c>sasl.jaas.config</c>: the module's class and its options, which are data here. No class is ever loaded by its name.
/// </summary>
/// <remarks>
/// The form is that of Kafka's files: <c>CLASS required name="value" name="value";</c> with comments as in Java. Immutable. Options are
/// secrets: neither <see cref="object.ToString"/> nor an error shows a value.
/// </remarks>
public sealed class JaasLogin
{
    private const string PlainModule = "PlainLoginModule";
    private const string ScramModule = "ScramLoginModule";
    private const string OAuthBearerModule = "OAuthBearerLoginModule";
    private const string UserPrefix = "user_";

    private static readonly FrozenDictionary<string, string> s_modules = new Dictionary<string, string>
    {
        ["org.apache.kafka.common.security.plain.PlainLoginModule"] = PlainModule,
        ["org.apache.kafka.common.security.scram.ScramLoginModule"] = ScramModule,
        ["org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule"] = OAuthBearerModule,
    }.ToFrozenDictionary(StringComparer.Ordinal);

    private readonly string _module;
    private readonly FrozenDictionary<string, string> _options;

    private JaasLogin(string module, Dictionary<string, string> options)
    {
        _module = module;
        _options = options.ToFrozenDictionary(StringComparer.Ordinal);
    }

    /// <summary>The user of this side's own logins.</summary>
    public string? UserName => Option("username");

    /// <summary>Its password: a secret.</summary>
    public string? Password => Option("password");

    /// <summary>Whether <see cref="UserName"/> and <see cref="Password"/> are those of a delegation token.</summary>
    public bool IsToken => string.Equals(Option("tokenauth"), "true", StringComparison.OrdinalIgnoreCase);

    /// <summary>The users of a server with their passwords: the options <c>user_NAME</c>.</summary>
    public IEnumerable<KeyValuePair<string, string>> Users => _options
        .Where(option => option.Key.StartsWith(UserPrefix, StringComparison.Ordinal))
        .Select(option => KeyValuePair.Create(option.Key[UserPrefix.Length..], option.Value));

    /// <summary>The value of an option; null when it is not set.</summary>
    public string? Option(string name) => _options.GetValueOrDefault(name);

    /// <summary>Reads the value of a <c>sasl.jaas.config</c>.</summary>
    /// <param name="key">The config's name, for errors.</param>
    /// <param name="text">Its value.</param>
    /// <param name="mechanism">The mechanism that it is for; null when any will do.</param>
    /// <exception cref="ConfigException">It is malformed, or names a module that does not go with the mechanism.</exception>
    public static JaasLogin Parse(string key, string text, string? mechanism)
    {
        var tokens = new Tokenizer(key, text);
        var className = tokens.Next() is { IsWord: true } first ? first.Text : throw Malformed(key, "it names no login module");
        if (!s_modules.TryGetValue(className, out var module))
        {
            var known = string.Join(", ", s_modules.Keys.Order(StringComparer.Ordinal));
            throw Malformed(key, $"the login module {className} is unknown; use one of {known}");
        }

        if (mechanism is not null && ModuleOf(mechanism) is var needed && module != needed)
            throw Malformed(key, $"{module} does not go with {mechanism}; use {needed}");
        if (tokens.Next() is not { IsWord: true } flag
            || flag.Text.ToUpperInvariant() is not ("REQUIRED" or "REQUISITE" or "SUFFICIENT" or "OPTIONAL"))
            throw Malformed(key, "the control flag is missing: write 'required' behind the login module");
        var options = new Dictionary<string, string>(StringComparer.Ordinal);
        while (true)
        {
            if (tokens.Next() is not { } name)
                throw Malformed(key, "it does not end with a semicolon");
            if (name is { IsWord: false, Text: ";" })
                break;
            if (!name.IsWord || tokens.Next() is not { IsWord: false, Text: "=" } || tokens.Next() is not { IsWord: true } value)
                throw Malformed(
                    key, $"the option {(name.IsWord ? name.Text : "behind the control flag")} has no value; write name=\"value\"");
            options[name.Text] = value.Text;
        }

        return tokens.Next() is null
            ? new JaasLogin(module, options)
            : throw Malformed(key, "it has several login modules, and there must be one");
    }

    /// <inheritdoc/>
    public override string ToString() => $"{_module} with {_options.Count} options";

    private static string ModuleOf(string mechanism) => mechanism switch
    {
        "PLAIN" => PlainModule,
        "OAUTHBEARER" => OAuthBearerModule,
        _ => ScramModule,
    };

    private static ConfigException Malformed(string key, string reason) =>
        new($"Invalid value {ConfigValue.Hidden} for configuration {key}: {reason}.");

    private readonly record struct Token(string Text, bool IsWord);

    /// <summary>Splits a text into words, quoted texts, and single characters.</summary>
    private sealed class Tokenizer(string key, string text)
    {
        private int _position;

        public Token? Next()
        {
            SkipBlanks();
            if (_position == text.Length)
                return null;
            var first = text[_position];
            if (first is '"' or '\'')
                return new Token(Quoted(first), IsWord: true);
            if (!IsWordCharacter(first))
            {
                _position++;
                return new Token(first.ToString(), IsWord: false);
            }

            var start = _position;
            while (_position < text.Length && IsWordCharacter(text[_position]))
                _position++;
            return new Token(text[start.._position], IsWord: true);
        }

        private static bool IsWordCharacter(char c) => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_' or '$' || c >= 0xa0;

        private void SkipBlanks()
        {
            while (_position < text.Length)
            {
                var rest = text.AsSpan(_position);
                if (rest[0] <= ' ')
                    _position++;
                else if (rest.StartsWith("//"))
                    _position += rest.IndexOf('\n') is >= 0 and var end ? end : rest.Length;
                else if (rest.StartsWith("/*"))
                    _position += rest.IndexOf("*/") is >= 0 and var close ? close + 2 : throw Malformed(key, "a comment does not end");
                else
                    return;
            }
        }

        /// <summary>A text in quotes, with Java's escapes.</summary>
        private string Quoted(char quote)
        {
            var value = new StringBuilder();
            for (_position++; _position < text.Length && text[_position] is not ('\n' or '\r'); _position++)
            {
                var c = text[_position];
                if (c == quote)
                {
                    _position++;
                    return value.ToString();
                }

                if (c == '\\' && _position + 1 < text.Length)
                {
                    c = text[++_position];
                    if (c is >= '0' and <= '7')
                    {
                        value.Append(Octal());
                        continue;
                    }

                    c = c switch { 'n' => '\n', 't' => '\t', 'r' => '\r', 'b' => '\b', 'f' => '\f', 'a' => '\a', 'v' => '\v', _ => c };
                }

                value.Append(c);
            }

            throw Malformed(key, "a text in quotes does not end on its line");
        }

        private char Octal()
        {
            var value = text[_position] - '0';
            var digitsMax = value <= 3 ? 3 : 2;
            for (var digits = 1; digits < digitsMax && _position + 1 < text.Length && text[_position + 1] is >= '0' and <= '7'; digits++)
                value = (value * 8) + (text[++_position] - '0');
            return (char)value;
        }
    }
}
