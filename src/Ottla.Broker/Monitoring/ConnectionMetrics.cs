using Ottla.Broker.Server;

namespace Ottla.Broker.Monitoring;

/// <summary>The connections of a node, by listener: Kafka's socket-server-metrics.</summary>
/// <param name="listeners">The listeners.</param>
/// <param name="expiries">When their certificates expire, in UTC.</param>
internal sealed class ConnectionMetrics(
    Func<IEnumerable<ListenerCounters>> listeners, Func<IEnumerable<(string Listener, DateTime Expiry)>> expiries) : MetricSource
{
    private static readonly (MetricFamily Family, Func<ListenerCounters, long> Value)[] Rows =
    [
        (MetricFamily.Gauge(NameOf("connection_count"), "Open connections.", "listener"), each => each.Opened - each.Closed),
        (Counter("connection_creation_total", "Connections that were accepted."), each => each.Opened),
        (Counter("connection_close_total", "Connections that have ended."), each => each.Closed),
        (Counter("successful_authentication_total", "Clients that have proved who they are."), each => each.LoggedIn),
        (Counter("failed_authentication_total", "Connections that ended before the client had proved who it is."),
            each => each.NotLoggedIn),
    ];

    private static readonly MetricFamily Idle = MetricFamily.Gauge(
        "kafka_network_socketserver_expiredconnectionskilledcount",
        "Connections that were closed because they were idle for longer than connections.max.idle.ms.");
    private static readonly MetricFamily Expiry = MetricFamily.Gauge(
        "ottla_tls_certificate_expiry_timestamp_seconds", "When the certificate of a listener expires, in seconds since 1970.", "listener");

    /// <inheritdoc/>
    public override IReadOnlyList<MetricFamily> Families { get; } = [.. Rows.Select(row => row.Family), Idle, Expiry];

    /// <inheritdoc/>
    protected override void Collect(IMetricOutput output, bool isDetailed)
    {
        List<ListenerCounters> all = [.. listeners()];
        foreach (var (family, value) in Rows)
        {
            output.Begin(family);
            foreach (var each in all)
                output.Add(value(each), each.Listener);
        }

        Give(output, Idle, all.Sum(each => each.Idle));
        output.Begin(Expiry);
        foreach (var (listener, expiry) in expiries())
            output.Add((expiry - DateTime.UnixEpoch).TotalSeconds, listener);
    }

    private static string NameOf(string what) => $"kafka_server_socket_server_metrics_{what}";

    private static MetricFamily Counter(string what, string help) => MetricFamily.Counter(NameOf(what), help, "listener");
}
