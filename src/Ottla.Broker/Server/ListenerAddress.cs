using System.Net;
using Ottla.Configuration;

namespace Ottla.Broker.Server;

/// <summary>What the hosts in <c>listeners</c> and in connection limits mean as addresses.</summary>
internal static class ListenerAddress
{
    /// <summary>Where a listener listens.</summary>
    /// <exception cref="NodeStartException">The host has no address.</exception>
    public static IPEndPoint Resolve(Listener listener)
    {
        if (listener.Host is null)
            return new IPEndPoint(IPAddress.IPv6Any, listener.Port); // with IPv4, as Kafka's wildcard
        return new IPEndPoint(
            Resolve(listener.Host) ?? throw new NodeStartException($"listeners: the host of {listener} is not known."), listener.Port);
    }

    /// <summary>The limits of <c>max.connections.per.ip.overrides</c>; hosts that have no address limit nobody.</summary>
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
