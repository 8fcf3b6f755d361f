using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.Extensions.Logging;

namespace Ottla.Cli;

/// <summary>How the lines of the log look.</summary>
internal enum LogFormat
{
    /// <summary>As those of Kafka's own logs.</summary>
    Text,

    /// <summary>An object of JSON on each line.</summary>
    Json,
}

/// <summary>Makes the lines of the log. Stateless.</summary>
/// <remarks>
/// Messages have names that clients have chosen. As text, control characters, with which they could write lines of their own, become
/// question marks; JSON has escapes for them.
/// </remarks>
internal static class LogLines
{
    private const string OriginalFormat = "{OriginalFormat}";

    /// <summary>Control characters but for the tab, and what else ends a line for some readers.</summary>
    private static readonly SearchValues<char> s_lineBreakers = SearchValues.Create(
        [.. Enumerable.Range(0, 0xA0).Select(code => (char)code).Where(c => char.IsControl(c) && c != '\t'), '\u2028', '\u2029']);

    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>A line of Kafka's form; the lines of an exception come behind it.</summary>
    public static string Text(DateTimeOffset at, LogLevel level, string category, string message, Exception? exception)
    {
        var stamp = at.ToString("yyyy-MM-dd HH:mm:ss,fff", CultureInfo.InvariantCulture);
        var line = $"[{stamp}] {NameOf(level)} {OnOneLine(message)} ({category}){Environment.NewLine}";
        return exception is null ? line : line + exception + Environment.NewLine;
    }

    /// <summary>
    /// An object with the time in UTC, the level in Kafka's words, the logger, the message, and the values in it by their names.
    /// </summary>
    public static string Json<TState>(
        DateTimeOffset at, LogLevel level, string category, string message, TState state, Exception? exception)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(buffer, s_options))
        {
            json.WriteStartObject();
            json.WriteString("timestamp", at.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture));
            json.WriteString("level", NameOf(level));
            json.WriteString("logger", category);
            json.WriteString("message", message);
            if (state is IReadOnlyList<KeyValuePair<string, object?>> { Count: > 1 } values)
                WriteValues(json, values);
            if (exception is not null)
                json.WriteString("exception", exception.ToString());
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan) + Environment.NewLine;
    }

    private static void WriteValues(Utf8JsonWriter json, IReadOnlyList<KeyValuePair<string, object?>> values)
    {
        json.WriteStartObject("values");
        for (var i = 0; i < values.Count; i++)
        {
            var (name, value) = values[i];
            if (name == OriginalFormat)
                continue;
            json.WritePropertyName(name);
            switch (value)
            {
                case null:
                    json.WriteNullValue();
                    break;
                case int or long or short or byte:
                    json.WriteNumberValue(Convert.ToInt64(value, CultureInfo.InvariantCulture));
                    break;
                case bool flag:
                    json.WriteBooleanValue(flag);
                    break;
                default:
                    json.WriteStringValue(Convert.ToString(value, CultureInfo.InvariantCulture));
                    break;
            }
        }

        json.WriteEndObject();
    }

    private static string OnOneLine(string message)
    {
        if (!message.AsSpan().ContainsAny(s_lineBreakers))
            return message;
        return string.Create(message.Length, message, static (line, text) => text.AsSpan().ReplaceAny(line, s_lineBreakers, '?'));
    }

    private static string NameOf(LogLevel level) => level switch
    {
        LogLevel.Trace => "TRACE",
        LogLevel.Debug => "DEBUG",
        LogLevel.Information => "INFO",
        LogLevel.Warning => "WARN",
        LogLevel.Error => "ERROR",
        _ => "FATAL",
    };
}
