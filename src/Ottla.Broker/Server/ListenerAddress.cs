using System.Net;
using Ottla.Configuration;

namespace Ottla.Broker.Server;

/// <summary>Resolves the hosts in <c>listeners</c> and in connection limits to addresses.</summary>
internal static class ListenerAddress
{
    /// <summary>The address that a listener listens on.</summary>
    /// <exception cref="NodeStartException">The host has no address.</exception>
    public static IPEndPoint Resolve(Listener listener)
    {
        if (listener.Host is null)
            return new IPEndPoint(IPAddress.IPv6Any, listener.Port); // with IPv4, as Kafka's wildcard
        var address = Resolve(listener.Host) ?? throw new NodeStartException(
            $"listeners: the host of {listener} has no address. Correct the host, or the name service.");
        return new IPEndPoint(address, listener.Port);
    }

    /// <summary>The limits of <c>max.connections.per.ip.overrides</c> by address. Leaves out hosts without an address.</summary>
    public static Dictionary<IPAddress, int> ResolveAll(IReadOnlyDictionary<string, int> overrides)
    {
        var resolved = new Dictionary<IPAddress, int>();
        foreach (var (host, limit) in overrides)
        {
            if (Resolve(host) is { } address)
                resolved[address] = limit;
        }

        return resolved;
    }

    private static IPAddress? Resolve(string host)
    {
        if (IPAddress.TryParse(host, out var address))
            return address;
        if (host == "localhost")
            return IPAddress.Loopback;
        try
        {
            return Dns.GetHostAddresses(host).FirstOrDefault();
        }
        catch (System.Net.Sockets.SocketException)
        {
            return null;
        }
    }
}
