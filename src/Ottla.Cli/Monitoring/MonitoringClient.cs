using System.Net.Sockets;
using System.Text;
using Ottla.Configuration;

namespace Ottla.Cli.Monitoring;

/// <summary>Asks the monitoring listener of a node. It speaks as little HTTP as that needs, so that no HTTP client is in the
/// executable.</summary>
internal static class MonitoringClient
{
    /// <summary>More than a node ever says.</summary>
    private const int BytesMax = 256 * 1024 * 1024;

    /// <summary>Gets a path.</summary>
    /// <param name="address">The listener: <c>host:port</c>.</param>
    /// <param name="path">The path.</param>
    /// <param name="limit">How long it may take.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <exception cref="IOException">Nobody answers, or not with 200.</exception>
    public static async Task<string> GetAsync(string address, string path, TimeSpan limit, CancellationToken cancellation)
    {
        if (!HostPort.TryParse(address, out var server))
            throw new ConfigException($"Cannot read '{address}'. Expected host:port.");
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        deadline.CancelAfter(limit);
        try
        {
            using var socket = new TcpClient();
            await socket.ConnectAsync(server!.Host, server.Port, deadline.Token);
            await using var stream = socket.GetStream();
            await stream.WriteAsync(
                Encoding.ASCII.GetBytes($"GET {path} HTTP/1.0\r\nHost: {server.Host}\r\nConnection: close\r\n\r\n"), deadline.Token);
            return BodyOf(await ReadAsync(stream, deadline.Token), address);
        }
        catch (SocketException e)
        {
            throw new IOException($"No metrics from {address}: {e.Message}", e);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new IOException($"No metrics from {address} within {limit.TotalSeconds} s.");
        }
    }

    private static async Task<byte[]> ReadAsync(NetworkStream stream, CancellationToken cancellation)
    {
        using var received = new MemoryStream();
        var buffer = new byte[64 * 1024];
        int count;
        while ((count = await stream.ReadAsync(buffer, cancellation)) > 0)
        {
            if (received.Length + count > BytesMax)
                throw new IOException($"The answer is longer than {BytesMax} bytes.");
            received.Write(buffer, 0, count);
        }

        return received.ToArray();
    }

    private static string BodyOf(byte[] answer, string address)
    {
        var text = Encoding.UTF8.GetString(answer);
        var head = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        if (head < 0 || !text.StartsWith("HTTP/1.", StringComparison.Ordinal))
            throw new IOException($"{address} does not speak HTTP.");
        var status = text[..text.IndexOf('\r', StringComparison.Ordinal)];
        return status.Split(' ') is [_, "200", ..] ? text[(head + 4)..] : throw new IOException($"{address} answers {status}.");
    }
}
