using System.Text;

namespace Ottla.Cli.Monitoring;

/// <summary>The first lines of an HTTP request, as far as a monitoring endpoint needs them.</summary>
/// <param name="Method">The method: <c>GET</c>.</param>
/// <param name="Path">The path, without the query.</param>
/// <param name="Query">The query, without the question mark; empty when there is none.</param>
/// <param name="KeepsConnection">Whether the client wants to send more requests over the connection.</param>
internal sealed record HttpRequestHead(string Method, string Path, string Query, bool KeepsConnection)
{
    /// <summary>A longer head is refused.</summary>
    public const int BytesMax = 8 * 1024;

    private static ReadOnlySpan<byte> EndOfHead => "\r\n\r\n"u8;

    /// <summary>Looks for the end of the head in the bytes that have arrived.</summary>
    /// <returns>The length of the head with the empty line at its end; -1 when more has to arrive.</returns>
    public static int LengthIn(ReadOnlySpan<byte> received) =>
        received.IndexOf(EndOfHead) is >= 0 and var end ? end + EndOfHead.Length : -1;

    /// <summary>Reads a head.</summary>
    /// <returns>Null when it is no head of HTTP/1.</returns>
    public static HttpRequestHead? Parse(ReadOnlySpan<byte> head)
    {
        var lines = Encoding.Latin1.GetString(head).Split("\r\n");
        var parts = lines[0].Split(' ');
        if (parts.Length != 3 || !parts[2].StartsWith("HTTP/1.", StringComparison.Ordinal) || !parts[1].StartsWith('/'))
            return null;
        var keeps = parts[2] != "HTTP/1.0";
        foreach (var line in lines.AsSpan(1))
        {
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            if (colon > 0 && line.AsSpan(0, colon).Equals("Connection", StringComparison.OrdinalIgnoreCase))
                keeps = line.AsSpan(colon + 1).Trim().Equals("keep-alive", StringComparison.OrdinalIgnoreCase)
                    || (keeps && !line.AsSpan(colon + 1).Trim().Equals("close", StringComparison.OrdinalIgnoreCase));
        }

        var query = parts[1].IndexOf('?', StringComparison.Ordinal);
        return query < 0
            ? new HttpRequestHead(parts[0], parts[1], "", keeps)
            : new HttpRequestHead(parts[0], parts[1][..query], parts[1][(query + 1)..], keeps);
    }
}
