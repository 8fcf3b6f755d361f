using System.Globalization;

namespace Ottla.Cli.Partitions;

/// <summary>Sizes as people write and read them.</summary>
internal static class ByteText
{
    private static readonly (string Unit, long Bytes)[] Units =
    [
        ("KiB", 1L << 10), ("MiB", 1L << 20), ("GiB", 1L << 30), ("kB", 1_000), ("KB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000),
        ("B", 1),
    ];

    /// <summary><c>1.2 GB</c>: three digits, in powers of a thousand.</summary>
    public static string Of(long bytes)
    {
        string[] names = ["B", "kB", "MB", "GB", "TB", "PB"];
        double value = bytes;
        var name = 0;
        while (Math.Abs(value) >= 999.5 && name < names.Length - 1)
        {
            value /= 1000;
            name++;
        }

        var format = name == 0 || Math.Abs(value) >= 99.95 ? "0" : Math.Abs(value) >= 9.995 ? "0.0" : "0.00";
        return $"{value.ToString(format, CultureInfo.InvariantCulture)} {names[name]}";
    }

    /// <summary>Reads <c>50MB/s</c>, <c>64 KiB/s</c> or <c>50000000</c>: bytes per second, at least 1.</summary>
    public static bool TryParseRate(string text, out long bytesPerSecond)
    {
        var size = text.Trim();
        if (size.EndsWith("/s", StringComparison.OrdinalIgnoreCase))
            size = size[..^2];
        var factor = 1L;
        foreach (var (unit, bytes) in Units)
        {
            if (!size.EndsWith(unit, StringComparison.OrdinalIgnoreCase))
                continue;
            (factor, size) = (bytes, size[..^unit.Length]);
            break;
        }

        bytesPerSecond = 0;
        if (!decimal.TryParse(size.Trim(), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)
            || number > long.MaxValue / factor)
            return false;
        bytesPerSecond = (long)(number * factor);
        return bytesPerSecond >= 1;
    }
}
