using System.Text;

namespace Ottla.Protocol.Wire;

/// <summary>A cache of recently read strings, because a client sends its name and its topics with every request.</summary>
/// <remarks>
/// One table per thread; a new string replaces the old one in its place. Only short strings are cached, so all tables together stay small.
/// </remarks>
internal static class RecentStrings
{
    /// <summary>Longer strings are not cached: they are no names.</summary>
    private const int StringBytesMax = 64;

    private const int Places = 256;

    [ThreadStatic]
    private static string?[]? _places;

    /// <summary>Returns the string of UTF-8 bytes, cached if possible.</summary>
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

    /// <summary>The hash of a string: its length and its first, middle and last bytes. Numbered names differ in the last.</summary>
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
