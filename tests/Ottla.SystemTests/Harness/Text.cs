using System.Text;

namespace Ottla.SystemTests.Harness;

/// <summary>Shows bytes in messages of failures.</summary>
internal static class Text
{
    private const int ExcerptBytes = 200;

    /// <summary>The beginning of the bytes as text, or what stands for null and empty.</summary>
    public static string Excerpt(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty)
            return "(empty)";
        var shown = Encoding.UTF8.GetString(bytes[..Math.Min(bytes.Length, ExcerptBytes)]);
        return bytes.Length <= ExcerptBytes ? $"\"{shown}\"" : $"\"{shown}\"... ({bytes.Length} bytes)";
    }

    /// <inheritdoc cref="Excerpt(ReadOnlySpan{byte})"/>
    public static string Excerpt(byte[]? bytes) => bytes is null ? "(null)" : Excerpt(bytes.AsSpan());
}
