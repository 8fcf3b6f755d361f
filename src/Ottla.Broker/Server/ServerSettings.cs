using System.Net;

namespace Ottla.Broker.Server;

/// <summary>The bounds of the server. Read anew where they may change while it runs.</summary>
/// <param name="RequestBytesMax"><c>socket.request.max.bytes</c>.</param>
/// <param name="InFlightRequestsMax">Requests of one connection under way at once: <c>queued.max.requests</c>, which bounds all of a Kafka broker's.</param>
/// <param name="ConnectionsMax"><c>max.connections</c>.</param>
/// <param name="ConnectionsPerIpMax"><c>max.connections.per.ip</c>.</param>
/// <param name="ConnectionsPerIpOverrides"><c>max.connections.per.ip.overrides</c>.</param>
/// <param name="ConnectionIdleMsMax"><c>connections.max.idle.ms</c>; negative: never idle.</param>
public sealed record ServerSettings(
    int RequestBytesMax,
    int InFlightRequestsMax,
    int ConnectionsMax,
    int ConnectionsPerIpMax,
    IReadOnlyDictionary<IPAddress, int> ConnectionsPerIpOverrides,
    long ConnectionIdleMsMax)
{
    /// <summary>How many connections may be accepted per second.</summary>
    public ConnectionRateLimits ConnectionRates { get; init; } = ConnectionRateLimits.None;

    /// <summary>The connections that an address may have.</summary>
    public int ConnectionsMaxOf(IPAddress address) => ConnectionsPerIpOverrides.TryGetValue(address, out var limit) ? limit : ConnectionsPerIpMax;
}
