using System.Globalization;
using System.Text.RegularExpressions;

namespace Ottla.Configuration;

/// <summary>Where a share group begins in a partition.</summary>
public enum ShareOffsetResetKind
{
    /// <summary>With the records that come from now on.</summary>
    Latest,

    /// <summary>With the first record of the log.</summary>
    Earliest,

    /// <summary>With the first record that is not older than an age.</summary>
    ByDuration,
}

/// <summary>The value of <c>share.auto.offset.reset</c>.</summary>
/// <param name="Kind">Where to begin.</param>
/// <param name="AgeMs">The greatest age of records; 0 unless it goes by that.</param>
public readonly partial record struct ShareOffsetReset(ShareOffsetResetKind Kind, long AgeMs = 0)
{
    private const string DurationPrefix = "by_duration:";

    /// <summary>Reads a value; null when it is none.</summary>
    public static ShareOffsetReset? TryParse(string text)
    {
        if (text is "latest" or "earliest")
            return new ShareOffsetReset(text == "latest" ? ShareOffsetResetKind.Latest : ShareOffsetResetKind.Earliest);
        if (!text.StartsWith(DurationPrefix, StringComparison.Ordinal))
            return null;
        var match = Duration().Match(text[DurationPrefix.Length..]);
        (string Name, double Seconds)[] parts = [("days", 86_400), ("hours", 3_600), ("minutes", 60), ("seconds", 1)];
        if (!match.Success || !parts.Any(part => match.Groups[part.Name].Success))
            return null;
        var seconds = parts.Where(part => match.Groups[part.Name].Success).Sum(part =>
            part.Seconds * double.Parse(match.Groups[part.Name].Value.Replace(',', '.'), CultureInfo.InvariantCulture));
        return new ShareOffsetReset(ShareOffsetResetKind.ByDuration, (long)Math.Min(seconds * 1000, long.MaxValue / 2));
    }

    [GeneratedRegex(
        "^P(?:(?<days>[0-9]+)D)?(?:T(?:(?<hours>[0-9]+)H)?(?:(?<minutes>[0-9]+)M)?(?:(?<seconds>[0-9]+(?:[.,][0-9]{0,9})?)S)?)?$",
        RegexOptions.CultureInvariant | RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture)]
    private static partial Regex Duration();
}
