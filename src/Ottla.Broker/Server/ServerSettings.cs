using System.Net;

namespace Ottla.Broker.Server;

/// <summary>The limits of the server. Immutable; replaced when the configuration changes.</summary>
/// <param name="RequestBytesMax"><c>socket.request.max.bytes</c>.</param>
/// <param name="InFlightRequestsMax">
/// How many requests of one connection run at once: <c>queued.max.requests</c>. In Kafka it bounds those of all connections.
/// </param>
/// <param name="ConnectionsMax"><c>max.connections</c>.</param>
/// <param name="ConnectionsPerIpMax"><c>max.connections.per.ip</c>.</param>
/// <param name="ConnectionsPerIpOverrides"><c>max.connections.per.ip.overrides</c>.</param>
/// <param name="ConnectionIdleMsMax"><c>connections.max.idle.ms</c>; a negative value disables it.</param>
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

    /// <summary>What clients may use; null on listeners without quotas, as those of controllers.</summary>
    public ClientQuotas? Quotas { get; init; }

    /// <summary>How many connections an address may have.</summary>
    public int ConnectionsMaxOf(IPAddress address) =>
        ConnectionsPerIpOverrides.TryGetValue(address, out var limit) ? limit : ConnectionsPerIpMax;
}
