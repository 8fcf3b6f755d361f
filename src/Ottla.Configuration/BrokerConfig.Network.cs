namespace Ottla.Configuration;

// Sockets, connections and requests.
public sealed partial class BrokerConfig
{
    /// <summary><c>socket.send.buffer.bytes</c>: The sockets' send buffer; -1 leaves it to the operating system.</summary>
    public int SocketSendBufferBytes { get; private set; }

    /// <summary><c>socket.receive.buffer.bytes</c>: The sockets' receive buffer; -1 leaves it to the operating system.</summary>
    public int SocketReceiveBufferBytes { get; private set; }

    /// <summary><c>socket.request.max.bytes</c>: Largest request accepted.</summary>
    public int SocketRequestMaxBytes { get; private set; }

    /// <summary><c>socket.listen.backlog.size</c>: Most connections waiting to be accepted on a listener.</summary>
    public int SocketListenBacklogSize { get; private set; }

    /// <summary><c>max.connections.per.ip</c>: Most connections from one address; 0 only together with overrides.</summary>
    public int MaxConnectionsPerIp { get; private set; }

    /// <summary><c>max.connections</c>: Most connections of this broker; listeners may have their own limit.</summary>
    public int MaxConnections { get; private set; }

    /// <summary><c>max.connection.creation.rate</c>: Most connections accepted per second; listeners may have their own limit.</summary>
    public int MaxConnectionCreationRate { get; private set; }

    /// <summary>The name of <c>ottla.monitoring.listener</c>.</summary>
    public const string MonitoringListenerName = "ottla.monitoring.listener";

    /// <summary>
    /// <c>ottla.monitoring.listener</c>: Where the node answers HTTP requests for its metrics and its health; null for nowhere.
    /// </summary>
    public HostPort? MonitoringListener { get; private set; }

    /// <summary><c>connections.max.idle.ms</c>: How long a connection may be idle before it is closed.</summary>
    public long ConnectionsMaxIdleMs { get; private set; }

    /// <summary>
    /// <c>connection.failed.authentication.delay.ms</c>: How long the close of a connection that failed to authenticate is put off.
    /// </summary>
    public int ConnectionFailedAuthenticationDelayMs { get; private set; }

    /// <summary>
    /// <c>connections.max.reauth.ms</c>: How long a SASL session lasts before the client must authenticate again; 0 for as long as the
    /// connection.
    /// </summary>
    public long ConnectionsMaxReauthMs { get; private set; }

    /// <summary><c>sasl.server.max.receive.size</c>: Largest SASL message accepted before authentication is done.</summary>
    public int SaslServerMaxReceiveSize { get; private set; }

    /// <summary><c>queued.max.requests</c>: Most requests waiting to be processed before the broker stops reading from sockets.</summary>
    public int QueuedMaxRequests { get; private set; }

    /// <summary>
    /// <c>queued.max.request.bytes</c>: Most bytes of waiting requests before the broker stops reading from sockets; -1 for no limit.
    /// </summary>
    public long QueuedMaxRequestBytes { get; private set; }

    /// <summary><c>num.network.threads</c>: Threads reading and writing each listener's sockets.</summary>
    public int NumNetworkThreads { get; private set; }

    /// <summary><c>num.io.threads</c>: Threads processing requests.</summary>
    public int NumIoThreads { get; private set; }

    /// <summary><c>background.threads</c>: Threads for background work.</summary>
    public int BackgroundThreads { get; private set; }

    /// <summary><c>request.timeout.ms</c>: How long the broker waits for the answer to its own requests.</summary>
    public int RequestTimeoutMs { get; private set; }

    /// <summary><c>socket.connection.setup.timeout.ms</c>: How long the broker waits for its own connections to be established.</summary>
    public long SocketConnectionSetupTimeoutMs { get; private set; }

    /// <summary><c>socket.connection.setup.timeout.max.ms</c>: Upper limit of that wait, which doubles with every failure.</summary>
    public long SocketConnectionSetupTimeoutMaxMs { get; private set; }

    /// <summary><c>message.max.bytes</c>: Largest record batch accepted, after compression.</summary>
    public int MessageMaxBytes { get; private set; }

    /// <summary>
    /// <c>max.decompressed.message.bytes</c>: Largest size that one record of a compressed batch may have when it is expanded.
    /// </summary>
    public int MaxDecompressedMessageBytes { get; private set; }

    /// <summary><c>max.incremental.fetch.session.cache.slots</c>: Most fetch sessions kept.</summary>
    public int MaxIncrementalFetchSessionCacheSlots { get; private set; }

    /// <summary><c>fetch.max.bytes</c>: Most bytes in one answer to a fetch.</summary>
    public int FetchMaxBytes { get; private set; }

    /// <summary><c>max.request.partition.size.limit</c>: Most partitions in one answer to DescribeTopicPartitions.</summary>
    public int MaxRequestPartitionSizeLimit { get; private set; }

    /// <summary><c>fetch.purgatory.purge.interval.requests</c>: Finished fetches after which the list of waiting ones is cleaned.</summary>
    public int FetchPurgatoryPurgeIntervalRequests { get; private set; }

    /// <summary>
    /// <c>producer.purgatory.purge.interval.requests</c>: Finished produces after which the list of waiting ones is cleaned.
    /// </summary>
    public int ProducerPurgatoryPurgeIntervalRequests { get; private set; }

    /// <summary>
    /// <c>delete.records.purgatory.purge.interval.requests</c>: Finished DeleteRecords after which the list of waiting ones is cleaned.
    /// </summary>
    public int DeleteRecordsPurgatoryPurgeIntervalRequests { get; private set; }

    /// <summary><c>controlled.shutdown.enable</c>: Whether the broker hands its leaderships over before it stops.</summary>
    public bool ControlledShutdownEnable { get; private set; }

    /// <summary><c>delete.topic.enable</c>: Whether topics can be deleted.</summary>
    public bool DeleteTopicEnable { get; private set; }

    /// <summary>
    /// <c>broker.rack</c>: The rack, zone or room this broker is in, for spreading replicas and for fetching from the nearest.
    /// </summary>
    public string? BrokerRack { get; private set; }

    /// <summary><c>authorizer.class.name</c>: The authorizer that decides who may do what; empty for none.</summary>
    public string AuthorizerClassName { get; private set; } = "";

    /// <summary><c>telemetry.max.bytes</c>: Largest telemetry message accepted from a client, uncompressed.</summary>
    public int TelemetryMaxBytes { get; private set; }

    /// <summary><c>sasl.enabled.mechanisms</c>: The SASL mechanisms the broker offers.</summary>
    public IReadOnlyList<string> SaslEnabledMechanisms { get; private set; } = [];

    /// <summary><c>ssl.client.auth</c>: Whether clients must, may or need not present a certificate.</summary>
    public string SslClientAuth { get; private set; } = "";

    /// <summary><c>quota.window.num</c>: Samples a client quota is measured over.</summary>
    public int QuotaWindowNum { get; private set; }

    /// <summary><c>quota.window.size.seconds</c>: Length of a client quota's sample.</summary>
    public int QuotaWindowSizeSeconds { get; private set; }

    /// <summary><c>replication.quota.window.num</c>: Samples a replication quota is measured over.</summary>
    public int ReplicationQuotaWindowNum { get; private set; }

    /// <summary><c>replication.quota.window.size.seconds</c>: Length of a replication quota's sample.</summary>
    public int ReplicationQuotaWindowSizeSeconds { get; private set; }

    /// <summary>
    /// <c>alter.log.dirs.replication.quota.window.num</c>: Samples the quota of moves between log directories is measured over.
    /// </summary>
    public int AlterLogDirsReplicationQuotaWindowNum { get; private set; }

    /// <summary>
    /// <c>alter.log.dirs.replication.quota.window.size.seconds</c>: Length of a sample of the quota of moves between log directories.
    /// </summary>
    public int AlterLogDirsReplicationQuotaWindowSizeSeconds { get; private set; }

    /// <summary><c>controller.quota.window.num</c>: Samples a controller mutation quota is measured over.</summary>
    public int ControllerQuotaWindowNum { get; private set; }

    /// <summary><c>controller.quota.window.size.seconds</c>: Length of a controller mutation quota's sample.</summary>
    public int ControllerQuotaWindowSizeSeconds { get; private set; }

    /// <summary><c>metrics.num.samples</c>: Samples a metric is computed over.</summary>
    public int MetricsNumSamples { get; private set; }

    /// <summary><c>metrics.sample.window.ms</c>: Length of a metric's sample.</summary>
    public long MetricsSampleWindowMs { get; private set; }

    /// <summary><c>delegation.token.secret.key</c>: The key that signs delegation tokens; null for no tokens. Never log it.</summary>
    public string? DelegationTokenSecretKey { get; private set; }

    /// <summary><c>delegation.token.max.lifetime.ms</c>: Longest life of a delegation token, renewals included.</summary>
    public long DelegationTokenMaxLifetimeMs { get; private set; }

    /// <summary><c>delegation.token.expiry.time.ms</c>: How long a delegation token is valid without renewal.</summary>
    public long DelegationTokenExpiryTimeMs { get; private set; }

    /// <summary><c>delegation.token.expiry.check.interval.ms</c>: Time between removals of expired delegation tokens.</summary>
    public long DelegationTokenExpiryCheckIntervalMs { get; private set; }

    private void ReadNetwork()
    {
        SocketSendBufferBytes = Int("socket.send.buffer.bytes");
        SocketReceiveBufferBytes = Int("socket.receive.buffer.bytes");
        SocketRequestMaxBytes = Int("socket.request.max.bytes");
        SocketListenBacklogSize = Int("socket.listen.backlog.size");
        MaxConnectionsPerIp = Int("max.connections.per.ip");
        MaxConnections = Int("max.connections");
        MaxConnectionCreationRate = Int("max.connection.creation.rate");
        ConnectionsMaxIdleMs = Long("connections.max.idle.ms");
        MonitoringListener = ReadHostPort(MonitoringListenerName);
        ConnectionFailedAuthenticationDelayMs = Int("connection.failed.authentication.delay.ms");
        ConnectionsMaxReauthMs = Long("connections.max.reauth.ms");
        SaslServerMaxReceiveSize = Int("sasl.server.max.receive.size");
        QueuedMaxRequests = Int("queued.max.requests");
        QueuedMaxRequestBytes = Long("queued.max.request.bytes");
        NumNetworkThreads = Int("num.network.threads");
        NumIoThreads = Int("num.io.threads");
        BackgroundThreads = Int("background.threads");
        RequestTimeoutMs = Int("request.timeout.ms");
        SocketConnectionSetupTimeoutMs = Long("socket.connection.setup.timeout.ms");
        SocketConnectionSetupTimeoutMaxMs = Long("socket.connection.setup.timeout.max.ms");
        MessageMaxBytes = Int("message.max.bytes");
        MaxDecompressedMessageBytes = Int("max.decompressed.message.bytes");
        MaxIncrementalFetchSessionCacheSlots = Int("max.incremental.fetch.session.cache.slots");
        FetchMaxBytes = Int("fetch.max.bytes");
        MaxRequestPartitionSizeLimit = Int("max.request.partition.size.limit");
        FetchPurgatoryPurgeIntervalRequests = Int("fetch.purgatory.purge.interval.requests");
        ProducerPurgatoryPurgeIntervalRequests = Int("producer.purgatory.purge.interval.requests");
        DeleteRecordsPurgatoryPurgeIntervalRequests = Int("delete.records.purgatory.purge.interval.requests");
        ControlledShutdownEnable = Boolean("controlled.shutdown.enable");
        DeleteTopicEnable = Boolean("delete.topic.enable");
        BrokerRack = Text("broker.rack");
        AuthorizerClassName = Text("authorizer.class.name")!;
        TelemetryMaxBytes = Int("telemetry.max.bytes");
        SaslEnabledMechanisms = List("sasl.enabled.mechanisms");
        SslClientAuth = Text("ssl.client.auth")!;
        QuotaWindowNum = Int("quota.window.num");
        QuotaWindowSizeSeconds = Int("quota.window.size.seconds");
        ReplicationQuotaWindowNum = Int("replication.quota.window.num");
        ReplicationQuotaWindowSizeSeconds = Int("replication.quota.window.size.seconds");
        AlterLogDirsReplicationQuotaWindowNum = Int("alter.log.dirs.replication.quota.window.num");
        AlterLogDirsReplicationQuotaWindowSizeSeconds = Int("alter.log.dirs.replication.quota.window.size.seconds");
        ControllerQuotaWindowNum = Int("controller.quota.window.num");
        ControllerQuotaWindowSizeSeconds = Int("controller.quota.window.size.seconds");
        MetricsNumSamples = Int("metrics.num.samples");
        MetricsSampleWindowMs = Long("metrics.sample.window.ms");
        DelegationTokenSecretKey = _values["delegation.token.secret.key"].Secret;
        DelegationTokenMaxLifetimeMs = Long("delegation.token.max.lifetime.ms");
        DelegationTokenExpiryTimeMs = Long("delegation.token.expiry.time.ms");
        DelegationTokenExpiryCheckIntervalMs = Long("delegation.token.expiry.check.interval.ms");
    }

    private HostPort? ReadHostPort(string name)
    {
        var text = Text(name);
        if (string.IsNullOrEmpty(text))
            return null;
        return HostPort.TryParse(text, out var address)
            ? address
            : throw new ConfigException(name, text, "it should be host:port, such as 127.0.0.1:9404 or [::1]:9404, or nothing");
    }
}
