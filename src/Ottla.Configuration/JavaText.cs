using System.Globalization;

namespace Ottla.Configuration;

/// <summary>Reads and writes text like Java, where clients or Kafka's files depend on it.</summary>
internal static class JavaText
{
    /// <summary>
    /// Java's <c>String.trim</c>: removes all characters up to and including the space from both ends, and no other white space.
    /// </summary>
    public static string Trim(string text)
    {
        var start = 0;
        var end = text.Length;
        while (start < end && text[start] <= ' ')
            start++;
        while (end > start && text[end - 1] <= ' ')
            end--;
        return text[start..end];
    }

    /// <summary>Splits a list at commas and removes white space around the items. Empty text is an empty list; empty items stay.</summary>
    public static string[] SplitList(string trimmed)
    {
        if (trimmed.Length == 0)
            return [];
        var items = trimmed.Split(',');
        for (var i = 0; i < items.Length; i++)
            items[i] = Trim(items[i]);
        return items;
    }

    /// <summary>Java's <c>Double.toString</c>: at least one decimal, and an exponent below 1e-3 and from 1e7.</summary>
    public static string FormatDouble(double value)
    {
        var magnitude = Math.Abs(value);
        if (magnitude == 0 || magnitude is >= 1e-3 and < 1e7)
        {
            var plain = value.ToString("0.0################", CultureInfo.InvariantCulture);
            return double.Parse(plain, CultureInfo.InvariantCulture).Equals(value)
                ? plain
                : value.ToString("R", CultureInfo.InvariantCulture);
        }

        if (!double.IsFinite(value))
            return double.IsNaN(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
        // The exponent goes with the shortest digits: those of 1E-77 are 1, though its exact value begins with 9.99E-78.
        var shortest = value.ToString("R", CultureInfo.InvariantCulture).TrimStart('-').Split('E');
        var point = shortest[0].IndexOf('.') is >= 0 and var at ? at : shortest[0].Length;
        var all = shortest[0].Replace(".", "", StringComparison.Ordinal);
        var exponent = point - 1 - all.AsSpan().IndexOfAnyExcept('0')
            + (shortest.Length > 1 ? int.Parse(shortest[1], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture) : 0);
        var digits = all.Trim('0');
        var sign = value < 0 ? "-" : "";
        var fraction = digits.Length > 1 ? digits[1..] : "0";
        return $"{sign}{digits[0]}.{fraction}E{exponent.ToString(CultureInfo.InvariantCulture)}";
    }
}
