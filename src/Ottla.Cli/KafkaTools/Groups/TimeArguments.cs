using System.Globalization;
using System.Xml;

namespace Ottla.Cli.KafkaTools.Groups;

/// <summary>Reads <c>--to-datetime</c> and <c>--by-duration</c>.</summary>
internal static class TimeArguments
{
    /// <summary>Reads a time of ISO 8601.</summary>
    /// <exception cref="JavaException">It is none.</exception>
    public static DateTimeOffset ParseTime(string text)
    {
        if (!text.Contains('T'))
        {
            throw new JavaException(
                "java.text.ParseException", "Error parsing timestamp. It does not contain a 'T' according to ISO8601 format").Within(
                    "java.lang.RuntimeException");
        }

        string[] formats =
        [
            "yyyy-MM-dd'T'HH:mm:ss.fff", "yyyy-MM-dd'T'HH:mm:ss.fffK", "yyyy-MM-dd'T'HH:mm:ss.fffzz", "yyyy-MM-dd'T'HH:mm:ss.fffzzz",
            "yyyy-MM-dd'T'HH:mm:ss", "yyyy-MM-dd'T'HH:mm:ssK",
        ];
        return DateTimeOffset.TryParseExact(text, formats, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time)
            ? time
            : throw new JavaException("java.text.ParseException", $"Unparseable date: \"{text}\"").Within("java.lang.RuntimeException");
    }

    /// <summary>Reads a duration of ISO 8601: <c>PnDTnHnMnS</c>.</summary>
    /// <exception cref="JavaException">It is none.</exception>
    public static TimeSpan ParseDuration(string text)
    {
        try
        {
            return XmlConvert.ToTimeSpan(text);
        }
        catch (Exception e) when (e is FormatException or OverflowException)
        {
            throw new JavaException("java.time.format.DateTimeParseException", "Text cannot be parsed to a Duration");
        }
    }
}
