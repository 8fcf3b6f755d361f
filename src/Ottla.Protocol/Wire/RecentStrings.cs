using System.Text;

namespace Ottla.Protocol.Wire;

/// <summary>Strings that were read lately: a client sends its name and its topics with every request, and they need not be made anew each time.</summary>
/// <remarks>One table per thread, a string per place, the latest stays. Strings are as long as names are at most, so that all tables together stay small.</remarks>
internal static class RecentStrings
{
    /// <summary>Longer strings are no names that come back.</summary>
    private const int StringBytesMax = 64;

    private const int Places = 256;

    [ThreadStatic]
    private static string?[]? _places;

    /// <summary>The string that UTF-8 bytes say.</summary>
    public static string Get(ReadOnlySpan<byte> utf8)
    {
        if (utf8.Length is 0 or > StringBytesMax)
            return Encoding.UTF8.GetString(utf8);
        var places = _places ??= new string?[Places];
        ref var place = ref places[PlaceOf(utf8)];
        if (place is { } known && Ascii.Equals(utf8, known))
            return known;
        return place = Encoding.UTF8.GetString(utf8);
    }

    /// <summary>Length, first, middle and last bytes tell names apart well enough; numbered ones differ in the last.</summary>
    private static int PlaceOf(ReadOnlySpan<byte> utf8)
    {
        var hash = (uint)utf8.Length;
        hash = (hash * 31) + utf8[0];
        hash = (hash * 31) + utf8[utf8.Length / 2];
        hash = (hash * 31) + utf8[^1];
        hash = (hash * 31) + utf8[^((utf8.Length + 3) / 4)];
        return (int)(hash % Places);
    }
}
