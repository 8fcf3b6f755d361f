using System.Globalization;
using System.Text;

namespace Ottla.Configuration;

/// <summary>Java's .properties format, for server.properties and for meta.properties.</summary>
public static class JavaProperties
{
    /// <summary>
    /// Parses a file: <c>#</c> and <c>!</c> comments, <c>=</c>, <c>:</c> or white space between key and value, backslash escapes with
    /// <c>\uXXXX</c>, and lines continued by a backslash. If a key appears twice, the last value counts.
    /// </summary>
    /// <exception cref="ConfigException">A <c>\u</c> is not followed by four hexadecimal digits.</exception>
    public static IReadOnlyDictionary<string, string> Parse(string text)
    {
        var properties = new OrderedDictionary<string, string>(StringComparer.Ordinal);
        var reader = new LogicalLines(text);
        while (reader.Next() is { } line)
        {
            var (key, value) = Split(line);
            properties[Unescape(key)] = Unescape(value);
        }

        return properties;
    }

    /// <summary>Formats properties in the given order, after an optional comment. Parsing the result returns the same properties.</summary>
    public static string Write(IEnumerable<KeyValuePair<string, string>> properties, string? comment = null)
    {
        var builder = new StringBuilder();
        if (comment is not null)
        {
            foreach (var line in comment.Split('\n'))
                builder.Append('#').Append(line.TrimEnd('\r')).Append('\n');
        }

        foreach (var (key, value) in properties)
        {
            Escape(builder, key, isKey: true);
            builder.Append('=');
            Escape(builder, value, isKey: false);
            builder.Append('\n');
        }

        return builder.ToString();
    }

    private static (string Key, string Value) Split(string line)
    {
        var end = 0;
        while (end < line.Length && line[end] is not ('=' or ':') && !IsSpace(line[end]))
            end += line[end] == '\\' ? 2 : 1;
        end = Math.Min(end, line.Length);
        var start = SkipSpace(line, end);
        if (start < line.Length && line[start] is '=' or ':')
            start = SkipSpace(line, start + 1);
        return (line[..end], line[start..]);
    }

    private static int SkipSpace(string line, int at)
    {
        while (at < line.Length && IsSpace(line[at]))
            at++;
        return at;
    }

    private static bool IsSpace(char c) => c is ' ' or '\t' or '\f';

    private static string Unescape(string text)
    {
        if (!text.Contains('\\', StringComparison.Ordinal))
            return text;
        var builder = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] != '\\')
            {
                builder.Append(text[i]);
                continue;
            }

            i++;
            if (i == text.Length)
                break;
            if (text[i] == 'u')
            {
                builder.Append(Unicode(text, i + 1));
                i += 4;
                continue;
            }

            builder.Append(text[i] switch { 't' => '\t', 'n' => '\n', 'r' => '\r', 'f' => '\f', var c => c });
        }

        return builder.ToString();
    }

    private static char Unicode(string text, int start)
    {
        if (start + 4 <= text.Length
            && ushort.TryParse(text.AsSpan(start, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var code))
            return (char)code;
        throw new ConfigException($"Malformed \\uXXXX encoding in '{text}'.");
    }

    private static void Escape(StringBuilder builder, string text, bool isKey)
    {
        for (var i = 0; i < text.Length; i++)
        {
            var c = text[i];
            switch (c)
            {
                case ' ' when isKey || i == 0:
                case '\\' or '=' or ':' or '#' or '!':
                    builder.Append('\\').Append(c);
                    break;
                case '\t':
                    builder.Append("\\t");
                    break;
                case '\n':
                    builder.Append("\\n");
                    break;
                case '\r':
                    builder.Append("\\r");
                    break;
                case '\f':
                    builder.Append("\\f");
                    break;
                case < ' ' or > '~':
                    builder.Append("\\u").Append(((int)c).ToString("X4", CultureInfo.InvariantCulture));
                    break;
                default:
                    builder.Append(c);
                    break;
            }
        }
    }

    /// <summary>Splits text into logical lines: without comments and blank lines, with continued lines joined.</summary>
    private sealed class LogicalLines(string text)
    {
        private int _position;

        public string? Next()
        {
            var builder = new StringBuilder();
            var continued = false;
            while (_position < text.Length)
            {
                var line = NaturalLine();
                if (!continued && (line.Length == 0 || line[0] is '#' or '!'))
                    continue;
                continued = EndsInBackslash(line);
                builder.Append(continued ? line[..^1] : line);
                if (!continued)
                    return builder.ToString();
            }

            // A backslash at the end of the text continues nothing.
            return builder.Length > 0 ? builder.ToString() : null;
        }

        private string NaturalLine()
        {
            var start = SkipSpace(text, _position);
            var end = start;
            while (end < text.Length && text[end] is not ('\n' or '\r'))
                end++;
            _position = end + 1;
            if (end + 1 < text.Length && text[end] == '\r' && text[end + 1] == '\n')
                _position++;
            return text[start..end];
        }

        private static bool EndsInBackslash(string line)
        {
            var count = 0;
            while (count < line.Length && line[^(count + 1)] == '\\')
                count++;
            return count % 2 == 1;
        }
    }
}
