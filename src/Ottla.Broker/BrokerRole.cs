using System.Net;
using Ottla.Broker.Api;
using Ottla.Broker.Directories;
using Ottla.Broker.Hosts;
using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Hosts.Share;
using Ottla.Broker.Hosts.Transactions;
using Ottla.Broker.Metadata;
using Ottla.Broker.Monitoring;
using Ottla.Broker.Peers;
using Ottla.Broker.Replicas;
using Ottla.Broker.Replicas.Fetching;
using Ottla.Broker.Replicas.Followers;
using Ottla.Broker.Security;
using Ottla.Broker.Server;
using Ottla.Broker.Shared;
using Ottla.Broker.Telemetry;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Requests;
using Ottla.Requests.Security;
using Ottla.StateMachines.Brokers;
using Ottla.StateMachines.Replication;

namespace Ottla.Broker;

/// <summary>The broker of a node: its replicas, coordinators and listeners. Lives as long as the node.</summary>
/// <remarks>
/// Made in two steps: <see cref="Create"/> makes everything and binds the listeners, <see cref="JoinAsync"/> enters the cluster and serves
/// clients.
/// </remarks>
internal sealed class BrokerRole
{
    private static readonly TimeSpan UpkeepInterval = TimeSpan.FromSeconds(1);

    /// <summary>How long a forwarded request is sent again, as in Kafka.</summary>
    private static readonly TimeSpan ForwardingTimeout = TimeSpan.FromSeconds(60);

    /// <summary>How long a report of directories is sent again, as in Kafka.</summary>
    private static readonly TimeSpan DirectoriesTimeout = TimeSpan.FromSeconds(60);

    /// <summary>How long a controlled shutdown may take, as in Kafka.</summary>
    private const long ShutdownTimeoutMs = 300_000;

    private readonly SharedNode _shared;
    private readonly NodeServer _server;
    private readonly NodeChannels _channels;
    private readonly BrokerLifecycle _lifecycle;
    private readonly ReplicaManager _replicas;
    private readonly Func<IReadOnlyList<CoordinatorStatus>> _coordinators;

    private BrokerRole(
        SharedNode shared, NodeServer server, NodeChannels channels, BrokerLifecycle lifecycle, ReplicaManager replicas,
        HostedTopics topics, ReplicaFetchers fetchers, Func<IReadOnlyList<CoordinatorStatus>> coordinators, ApiTable apis)
    {
        _shared = shared;
        _server = server;
        _channels = channels;
        _lifecycle = lifecycle;
        _replicas = replicas;
        Topics = topics;
        Fetchers = fetchers;
        _coordinators = coordinators;
        Apis = apis;
    }

    /// <summary>Where it listens for clients, with the ports that were taken.</summary>
    public IReadOnlyList<IPEndPoint> EndPoints => _server.EndPoints;

    /// <summary>Counts the connections of its listeners.</summary>
    public IReadOnlyList<ListenerCounters> Connections => _server.Counters;

    /// <summary>What is served on every listener.</summary>
    public ApiTable Apis { get; }

    /// <summary>The replicas of this broker.</summary>
    public HostedTopics Topics { get; }

    /// <summary>What fetches for the replicas that follow.</summary>
    public ReplicaFetchers Fetchers { get; }

    /// <summary>The coordinators on this broker.</summary>
    public IReadOnlyList<CoordinatorStatus> Coordinators => _coordinators();

    /// <summary>
    /// Makes the broker, has it follow the metadata once the loader starts, and binds its listeners: a port that is taken leaves no trace
    /// in the metadata.
    /// </summary>
    /// <param name="shared">What it shares with the controller.</param>
    /// <param name="channels">The ways to other nodes.</param>
    /// <exception cref="NodeStartException">An address cannot be listened on.</exception>
    public static BrokerRole Create(SharedNode shared, NodeChannels channels)
    {
        var (config, loggers, time, parts) = (shared.Config, shared.Loggers, shared.Time, shared.Parts);
        Func<BrokerConfig> currentConfig = () => shared.Config;
        var topics = new HostedTopics();
        var toBrokers = shared.Connections.Security.ToOthers(config.InterBrokerListenerName, ClientLogins.BrokerMechanism);
        var fetchers = CreateFetchers(shared, toBrokers);
        var isrChanges = new AlterPartitionSender(
            config.NodeId, () => shared.BrokerEpoch.Value, channels.ToController("alter-partition", Timeout.InfiniteTimeSpan), time,
            loggers.CreateLogger(nameof(AlterPartitionSender)));
        var surroundings = new ReplicaSurroundings
        {
            NodeId = config.NodeId,
            Config = currentConfig,
            BrokerEpoch = () => shared.BrokerEpoch.Value,
            IsrChanges = isrChanges,
            Time = time,
            Logger = loggers.CreateLogger(nameof(ReplicaManager)),
        };
        var replicas = new ReplicaManager(shared.Logs, topics, fetchers, surroundings);
        shared.Loader.Register(replicas);
        shared.Loader.Register(fetchers); // after the replicas: they say what is followed
        parts.Add("ending the fetchers of followers", fetchers.CloseAsync);
        shared.Background.StartLoop("asking the controller for changes of ISRs", isrChanges.RunAsync);
        shared.Metrics.Add(new TopicMetrics(topics, surroundings.RecordFaults));
        shared.Metrics.Add(new TopicPartitionMetrics(topics, () => shared.Metadata.Current));
        shared.Metrics.Add(new PurgatoryMetrics(topics.Waits, surroundings.CommitDeadlines));
        shared.Metrics.Add(
            new ReplicaMetrics(topics, surroundings.IsrCounters, fetchers, shared.Logs, () => shared.Metadata.Current));

        var forwarder = new Forwarder(channels.ToController("forwarding", ForwardingTimeout), shared.Metadata, currentConfig, time);
        var producerIds = new ProducerIds(
            forwarder.Channel, config.NodeId, () =>
            shared.BrokerEpoch.Value, shared.Background, time, loggers.CreateLogger(nameof(ProducerIds)));
        var topicCreation = new TopicAutoCreation(forwarder, currentConfig, loggers.CreateLogger(nameof(TopicAutoCreation)));
        var shares = new ShareCoordinatorHost(
            config.NodeId, topics, currentConfig, shared.Background, time, loggers.CreateLogger(nameof(ShareCoordinatorHost)));
        var shareStates = new ClusterShareCoordinators(
            config.NodeId, shares.Coordinators, ToBrokers($"Persister-client-{config.NodeId}"), () => shared.Metadata.Current,
            topicCreation, time, shared.Background.Stopping);
        var shareGroupState = new ShareGroupState(shareStates, loggers.CreateLogger(nameof(ShareGroupState)));
        var groups = new GroupHost(
            shared.Platform.Seed, config.NodeId, topics, shareGroupState, currentConfig, shared.Background, time,
            loggers.CreateLogger(nameof(GroupHost))).Coordinators;
        var markers = new TransactionMarkers(topics, groups, currentConfig, time);
        var markerSender = new TransactionMarkerSender(
            config.NodeId, markers, ToBrokers($"broker-{config.NodeId}-txn-marker-sender").Find, () => shared.Metadata.Current);
        var transactions = new TransactionHost(
            config.NodeId, topics, markerSender, producerIds.NextAsync, currentConfig, shared.Background, time,
            loggers.CreateLogger(nameof(TransactionHost)));
        shared.Metrics.Add(new GroupMetrics(
            groups, new LogEnds(topics, ToBrokers($"broker-{config.NodeId}-metrics").Find, () => shared.Metadata.Current, time)));
        shared.Metrics.Add(new TransactionMetrics(transactions.Coordinators, time));
        shared.Loader.Register(groups); // after the replicas: they read and write their logs
        shared.Loader.Register(transactions.Coordinators);
        shared.Loader.Register(shares.Coordinators);
        parts.Add("ending the transaction coordinators", transactions.Dispose);
        parts.Add("ending the share coordinators", shares.Dispose);
        var sharePartitions = new SharePartitions(
            topics, shareStates, () => shared.Metadata.Current, currentConfig, shared.Background, time,
            loggers.CreateLogger(nameof(SharePartitions)));
        parts.Add("letting go of share partitions", sharePartitions.Dispose);

        var followerSessions = new FollowerSessions(
            new FollowerReader(
                topics, new LeaderHints(() => shared.Metadata.Current, topics),
                new LeaderThrottle(config.NodeId, CreateThrottle(shared, current => current.LeaderReplicationThrottledRate))),
            config.MaxIncrementalFetchSessionCacheSlots, new Prng(shared.Platform.Seed + 1), time);
        var fetchSessions = new FetchSessions(config.MaxIncrementalFetchSessionCacheSlots, new Prng(shared.Platform.Seed));
        shared.Metrics.Add(new FetchSessionMetrics(fetchSessions, followerSessions));
        var telemetry = new ClientTelemetry(
            config.NodeId, config.TelemetryMaxBytes, shared.Platform.ClientMetrics, time, loggers.CreateLogger(nameof(ClientTelemetry)));
        shared.Loader.Register(telemetry);
        shared.Metrics.Add(new ClientTelemetryMetrics(telemetry));
        var apis = BrokerApis.CreateTable(new BrokerServices
        {
            Config = currentConfig,
            Cluster = new ClusterView(shared.Identity.ClusterId, () => shared.Metadata.Current),
            Topics = topics,
            Logs = shared.Logs,
            Forwarder = forwarder,
            ProducerIds = producerIds,
            Groups = groups,
            Transactions = transactions.Coordinators,
            TopicCreation = topicCreation,
            ShareCoordinators = shares.Coordinators,
            ShareStates = shareStates,
            ShareGroupState = shareGroupState,
            SharePartitions = sharePartitions,
            LatestOffsets = new LatestOffsets(
                config.NodeId, topics, ToBrokers($"share-groups-{config.NodeId}").Find, () => shared.Metadata.Current),
            TransactionVerifier = new TransactionVerifier(
                new ClusterTransactionCoordinators(
                    config.NodeId, transactions, ToBrokers($"AddPartitionsManager-client-{config.NodeId}"), () => shared.Metadata.Current),
                currentConfig, time),
            TransactionMarkers = markers,
            FetchSessions = fetchSessions,
            FollowerSessions = followerSessions,
            SupportedFeatures = SupportedByThisVersion.In(config),
            Quorum = () => shared.Raft.Quorum,
            Loggers = loggers,
            Authorizer = shared.Authorizer,
            Quotas = shared.Quotas,
            Time = time,
            Telemetry = telemetry,
            CheckSecurity = shared.Connections.Security.CheckChange,
        });

        var server = NodeServer.Listen("broker", shared.Storage, shared.Connections, config.BrokerListeners, shared.Quotas);
        // before the server: members wait for others to join, and must not be waited for
        parts.Add("sending away who waits for a group", groups.Close);
        var identity = NodeIdentities.OfBroker(
            config, shared.Identity, server.Advertise(config.AdvertisedListeners, config.BrokerListeners), shared.Logs);
        var lifecycle = CreateLifecycle(shared, channels, identity);
        shared.Metrics.Add(new BrokerStateMetrics(lifecycle));
        return new BrokerRole(
            shared, server, channels, lifecycle, replicas, topics, fetchers,
            () => [.. groups.Statuses, .. transactions.Coordinators.Statuses, .. shares.Coordinators.Statuses], apis);

        BrokerChannels ToBrokers(string clientId) => new(
            channels,
            new RequestChannelOptions
            {
                ClientId = clientId,
                RequestTimeout = TimeSpan.FromMilliseconds(config.RequestTimeoutMs),
                InFlightMax = 1,
                Security = toBrokers,
            },
            config.InterBrokerListenerName,
            () => shared.Metadata.Current);
    }

    /// <summary>Registers, catches up, is unfenced, and serves clients when this completes.</summary>
    /// <exception cref="NodeStartException">It took too long, or the metadata log failed.</exception>
    public async Task JoinAsync(CancellationToken cancellation)
    {
        var background = _shared.Background;
        background.StartLoop("registering this broker, and its heartbeats", _lifecycle.RunAsync);
        await UnlessBrokenAsync(_lifecycle.CaughtUp, cancellation); // the replicas that the metadata names are opened by now
        await UnlessBrokenAsync(_lifecycle.UnfenceAsync(), cancellation);
        await UnlessBrokenAsync(
            _shared.Metadata.WhenAsync(image => image.Cluster.Broker(_shared.Identity.NodeId) is { Fenced: false }, cancellation),
            cancellation);
        _server.Serve(Apis);
        background.StartLoop("the upkeep of logs", RunUpkeepAsync);
        background.StartLoop("looking for followers that lag", RunLagChecksAsync);
        if (_shared.Config.LogCleanerEnable)
            background.StartLoop("the compaction of logs", _shared.Logs.Cleaner.RunAsync);
        background.StartLoop("moving logs between directories", _shared.Logs.Mover.RunAsync);
        var reports = new DirectoryReports(
            _shared.Identity.NodeId, _shared.Logs, _lifecycle, _channels.ToController("directory-assignments", DirectoriesTimeout),
            _shared.Metadata, _shared.Storage, _shared.Platform, _shared.Loggers.CreateLogger(nameof(DirectoryReports)));
        background.StartLoop("reporting log directories to the controller", reports.ReportDirectoriesAsync);
        background.StartLoop("reporting to the controller in which directories replicas are", reports.AssignReplicasAsync);
        _shared.Parts.Add("leaving the cluster", LeaveAsync, () => Task.CompletedTask);
    }

    /// <summary>
    /// Leaves the cluster: the controller moves the leaderships of this broker to others and takes it out of the ISRs, and this broker
    /// follows the metadata and serves meanwhile.
    /// </summary>
    private async Task LeaveAsync()
    {
        _replicas.BeginControlledShutdown();
        await _lifecycle.ShutDownAsync();
    }

    private static ReplicaFetchers CreateFetchers(SharedNode shared, IConnectionSecurity? security)
    {
        var config = shared.Config;
        var logger = shared.Loggers.CreateLogger(nameof(ReplicaFetcher));
        var host = new FetcherHost
        {
            BrokerId = config.NodeId,
            BrokerEpoch = () => shared.BrokerEpoch.Value,
            Listener = config.InterBrokerListenerName,
            Options = FetcherHost.OptionsOf(config),
            Connection = FetcherHost.ConnectionOf(config) with { Security = security },
            Logs = shared.Logs,
            Throttle = CreateThrottle(shared, current => current.FollowerReplicationThrottledRate),
            Transport = shared.Platform.Transport,
            Buffers = shared.Buffers,
            Time = shared.Time,
            Logger = logger,
            RetryLogger = new LimitedLogger(logger, shared.Time),
        };
        return new ReplicaFetchers(
            host, () => shared.Config, shared.Background, shared.Loggers.CreateLogger(nameof(ReplicaFetchers)));
    }

    /// <param name="shared">What it shares with the controller.</param>
    /// <param name="rate">The limit in a configuration, in bytes per second.</param>
    private static ReplicationThrottle CreateThrottle(SharedNode shared, Func<BrokerConfig, long> rate) => new(
        new ReplicationQuota(shared.Config.ReplicationQuotaWindowNum, shared.Config.ReplicationQuotaWindowSizeSeconds),
        () => rate(shared.Config), shared.Time);

    private static BrokerLifecycle CreateLifecycle(SharedNode shared, NodeChannels channels, NodeIdentity identity)
    {
        var config = shared.Config;
        var options = new BrokerLifecycleOptions(
            config.BrokerHeartbeatIntervalMs, config.InitialBrokerRegistrationTimeoutMs, config.LogDirFailureTimeoutMs, ShutdownTimeoutMs,
            config.ControllerQuorumFetchTimeoutMs + (3L * config.ControllerQuorumElectionTimeoutMs));
        var heartbeats = channels.ToController("heartbeat", TimeSpan.FromMilliseconds(config.BrokerHeartbeatIntervalMs));
        var lifecycle = new BrokerLifecycle(
            identity, options, shared.BrokerEpoch, heartbeats, channels.Locator, shared.Metadata, shared.Time,
            shared.Loggers.CreateLogger(nameof(BrokerLifecycle)));
        var subscription = shared.Metadata.Subscribe(lifecycle.OnMetadata);
        shared.Parts.Add("following no more metadata", subscription.Dispose);

        // A broker's disk is not changed by the metadata of the past: the first that its replicas see has its registration, so it is of
        // today.
        shared.Loader.PublishFrom(image => image.Cluster.Broker(identity.NodeId)?.IncarnationId == identity.IncarnationId);
        return lifecycle;
    }

    /// <summary>Waits for a step of the start, unless the node breaks meanwhile.</summary>
    private async Task UnlessBrokenAsync(Task step, CancellationToken cancellation)
    {
        await TaskWaiting.FirstOf(step, _shared.WhenBroken).UntilCanceled(cancellation);
        if (!step.IsCompleted)
        {
            throw new NodeStartException(_shared.Failure.Reason is { IsCompleted: true } reason
                ? (await reason).Message
                : "The metadata log failed while this node started.");
        }

        await step;
    }

    /// <summary>Retention, flushes, checkpoints and delayed deletions, once a second.</summary>
    private async Task RunUpkeepAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(UpkeepInterval, _shared.Time);
        while (await timer.WaitForNextTickAsync(stopping))
        {
            _shared.Logs.Tick(Instant.Now(_shared.Time));
            foreach (var replica in Topics.Replicas)
                replica.AnnounceLogStart();
            _shared.Buffers.Trim();
        }
    }

    /// <summary>Twice in the lag that followers may have: so none stays in the ISR for much longer than that.</summary>
    private async Task RunLagChecksAsync(CancellationToken stopping)
    {
        var interval = TimeSpan.FromMilliseconds(Math.Max(_shared.Config.ReplicaLagTimeMaxMs / 2, 1));
        using var timer = new PeriodicTimer(interval, _shared.Time);
        while (await timer.WaitForNextTickAsync(stopping))
        {
            foreach (var replica in Topics.Replicas)
                replica.CheckLag();
        }
    }
}
