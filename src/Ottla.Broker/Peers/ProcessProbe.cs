using System.Net;
using System.Net.Sockets;
using Ottla.Network.Transport;
using Ottla.Requests;

namespace Ottla.Broker.Peers;

/// <summary>
/// Finds out whether the process of a node has ended: then the operating system of its machine refuses connections to every address that it
/// listened on. A machine or a network that does not answer proves nothing (docs/adr/0016, 0017).
/// </summary>
/// <remarks>It keeps nothing; thread-safe.</remarks>
/// <param name="transport">The network.</param>
/// <param name="patience">How long an answer may take.</param>
/// <param name="time">The clock.</param>
internal sealed class ProcessProbe(ITransport transport, TimeSpan patience, TimeProvider time)
{
    /// <summary>Whether each of a node's addresses refuses connections. Never throws.</summary>
    /// <param name="addresses">Where the node listens; without any, nothing is known.</param>
    /// <param name="cancellation">Ends the probe, with nothing known.</param>
    public async Task<bool> HasEndedAsync(IReadOnlyCollection<NodeAddress> addresses, CancellationToken cancellation)
    {
        using var tooLong = new CancellationTokenSource(patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(tooLong.Token, cancellation);
        foreach (var address in addresses)
        {
            if (!await RefusesAsync(address, either.Token))
                return false;
        }

        return addresses.Count > 0;
    }

    /// <summary>Whether a failure to connect says that nobody listens there.</summary>
    public static bool IsRefusal(Exception? failure) => failure is SocketException { SocketErrorCode: SocketError.ConnectionRefused };

    private async Task<bool> RefusesAsync(NodeAddress address, CancellationToken cancellation)
    {
        try
        {
            // Each address of a name by itself: one that is silent must not hide behind one that refuses.
            IPAddress[] hosts = IPAddress.TryParse(address.Host, out var numeric) ? [numeric]
                : await Dns.GetHostAddressesAsync(address.Host, cancellation);
            foreach (var host in hosts)
            {
                if (!await RefusesAsync(new IPEndPoint(host, address.Port), cancellation))
                    return false;
            }

            return hosts.Length > 0;
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            return false; // the name is not known, or the answer takes too long
        }
    }

    private async Task<bool> RefusesAsync(IPEndPoint endPoint, CancellationToken cancellation)
    {
        try
        {
            await using var connection = await transport.ConnectAsync(endPoint, cancellation);
            return false;
        }
        catch (Exception e) when (e is SocketException or IOException)
        {
            return IsRefusal(e);
        }
    }
}
