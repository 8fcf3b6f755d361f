using Ottla.Configuration;

namespace Ottla.Broker.Server;

/// <summary>
/// Makes a server's limits from the configuration, again only when that has changed. Used by every connection; thread-safe.
/// </summary>
internal sealed class ServerSettingsSource(Func<BrokerConfig> config, ClientQuotas? quotas)
{
    private volatile Tuple<BrokerConfig, ServerSettings>? _made;

    /// <summary>The limits in force.</summary>
    public ServerSettings Current()
    {
        var current = config();
        if (_made is var (madeFrom, settings) && ReferenceEquals(madeFrom, current))
            return settings;
        settings = new ServerSettings(
            current.SocketRequestMaxBytes,
            current.QueuedMaxRequests,
            current.MaxConnections,
            current.MaxConnectionsPerIp,
            ListenerAddress.ResolveAll(current.MaxConnectionsPerIpOverrides),
            current.ConnectionsMaxIdleMs)
        {
            Quotas = quotas,
            ConnectionRates = new ConnectionRateLimits(
                current.MaxConnectionCreationRate,
                current.BrokerListeners.ToDictionary(
                    listener => listener.Name, listener => current.Get(listener.Name, "max.connection.creation.rate").AsInt),
                current.BrokerListeners.Count > 1 ? current.InterBrokerListenerName : null,
                current.QuotaWindowNum,
                current.QuotaWindowSizeSeconds * 1000L),
        };
        _made = Tuple.Create(current, settings);
        return settings;
    }
}
