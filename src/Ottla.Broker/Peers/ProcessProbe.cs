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
internal sealed class ProcessProbe(ITransport transport, TimeProvider time)
{
    /// <summary>How long a probe may take. A connection that is accepted and kept for so long belongs to a process that lives.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(500);

    /// <summary>
    /// How often one address is tried: a process that ends has its connections closed before its listeners, and they may take one more.
    /// </summary>
    private const int AttemptsMax = 4;

    private static readonly TimeSpan BetweenAttempts = TimeSpan.FromMilliseconds(5);

    /// <summary>Whether each of a node's addresses refuses connections. Never throws.</summary>
    /// <param name="addresses">Where the node listens; without any, nothing is known.</param>
    /// <param name="cancellation">Ends the probe, with nothing known.</param>
    public async Task<bool> HasEndedAsync(IReadOnlyCollection<NodeAddress> addresses, CancellationToken cancellation)
    {
        using var tooLong = new CancellationTokenSource(Patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(tooLong.Token, cancellation);
        try
        {
            foreach (var address in addresses)
            {
                if (!await RefusesAsync(address, either.Token))
                    return false;
            }

            return addresses.Count > 0;
        }
        catch (Exception e) when (e is SocketException or IOException or OperationCanceledException)
        {
            return false; // a name is not known, the network fails, or the answer takes too long
        }
    }

    /// <summary>Whether a failure to connect says that nobody listens there.</summary>
    public static bool IsRefusal(Exception? failure) => failure is SocketException { SocketErrorCode: SocketError.ConnectionRefused };

    private async Task<bool> RefusesAsync(NodeAddress address, CancellationToken cancellation)
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

    private async Task<bool> RefusesAsync(IPEndPoint endPoint, CancellationToken cancellation)
    {
        for (var attempt = 0; attempt < AttemptsMax; attempt++)
        {
            ITransportConnection connection;
            try
            {
                connection = await transport.ConnectAsync(endPoint, cancellation);
            }
            catch (SocketException e) when (IsRefusal(e))
            {
                return true;
            }

            await using (connection)
                await WaitForEndAsync(connection, cancellation);
            await Task.Delay(BetweenAttempts, time, cancellation);
        }

        return false;
    }

    /// <summary>Waits until the other side closes the connection, which it has no reason to do while its process lives.</summary>
    private static async Task WaitForEndAsync(ITransportConnection connection, CancellationToken cancellation)
    {
        try
        {
            var nothing = new byte[1];
            while (await connection.ReceiveAsync(nothing, cancellation) > 0)
            {
            }
        }
        catch (Exception e) when (e is SocketException or IOException && !cancellation.IsCancellationRequested)
        {
            // It was broken off.
        }
    }
}
