using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Ottla.Broker.Api;
using Ottla.Broker.Directories;
using Ottla.Broker.Hosts;
using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Hosts.Transactions;
using Ottla.Broker.Metadata;
using Ottla.Broker.Replicas;
using Ottla.Broker.Server;
using Ottla.Broker.Shared;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Network.Transport;
using Ottla.Protocol;

namespace Ottla.Broker;

/// <summary>The broker of a node: its replicas, coordinators and listeners. Lives as long as the node.</summary>
/// <remarks>Made in two steps: <see cref="Create"/> makes everything and listens, <see cref="JoinAsync"/> enters the cluster and serves clients.</remarks>
internal sealed partial class BrokerRole
{
    private static readonly TimeSpan UpkeepInterval = TimeSpan.FromSeconds(1);

    /// <summary>How long requests under way may take at a stop before their connections are cut.</summary>
    private static readonly TimeSpan DrainTimeout = TimeSpan.FromSeconds(10);

    /// <summary>How long the controller may take to let the broker go.</summary>
    private static readonly TimeSpan LeaveTimeout = TimeSpan.FromSeconds(20);

    private readonly SharedNode _shared;
    private readonly ILogger _logger;
    private readonly BufferPool _pool;
    private readonly BrokerServer _server;
    private readonly BrokerLifecycle _lifecycle;

    private BrokerRole(
        SharedNode shared, BufferPool pool, BrokerServer server, BrokerLifecycle lifecycle, HostedTopics topics, ApiTable apis, IReadOnlyList<IPEndPoint> endPoints)
    {
        _shared = shared;
        _logger = shared.Loggers.CreateLogger(nameof(BrokerRole));
        _pool = pool;
        _server = server;
        _lifecycle = lifecycle;
        Topics = topics;
        Apis = apis;
        EndPoints = endPoints;
    }

    /// <summary>Where it listens for clients, with the ports that were taken.</summary>
    public IReadOnlyList<IPEndPoint> EndPoints { get; }

    /// <summary>Bytes of connections' buffers that were left to the garbage collector since the node began.</summary>
    public long ReleasedBufferBytes => _pool.ReleasedBytes;

    /// <summary>What is served on every listener.</summary>
    public ApiTable Apis { get; }

    /// <summary>The replicas of this broker.</summary>
    public HostedTopics Topics { get; }

    /// <summary>Makes the broker, has it follow the metadata once the loader starts, and binds its listeners: a port that is taken leaves no trace in the metadata.</summary>
    /// <param name="shared">What it shares with the controller.</param>
    /// <param name="controller">The controller of this node.</param>
    /// <exception cref="NodeStartException">An address cannot be listened on.</exception>
    public static BrokerRole Create(SharedNode shared, ControllerHost controller)
    {
        var (config, loggers, time, parts) = (shared.Config, shared.Loggers, shared.Time, shared.Parts);
        Func<BrokerConfig> currentConfig = () => shared.Config;
        var topics = new HostedTopics();
        shared.Loader.Register(new ReplicaManager(config.NodeId, shared.Logs, topics, currentConfig, loggers.CreateLogger(nameof(ReplicaManager))));

        var channel = new ControllerChannel(controller, shared.Metadata);
        var producerIds = new ProducerIds(channel, config.NodeId, () => shared.BrokerEpoch.Value);
        parts.Add("ending the allocation of producer ids", producerIds.Dispose);
        var groups = new GroupHost(
            shared.Platform.Seed, config.NodeId, topics, currentConfig, shared.Background, time, loggers.CreateLogger(nameof(GroupHost))).Coordinators;
        var markers = new TransactionMarkers(topics, groups, currentConfig, time);
        var transactions = new TransactionHost(
            config.NodeId, topics, markers, producerIds.NextAsync, currentConfig, shared.Background, time, loggers.CreateLogger(nameof(TransactionHost)));
        shared.Loader.Register(groups); // after the replicas: they read and write their logs
        shared.Loader.Register(transactions.Coordinators);
        parts.Add("ending the transaction coordinators", transactions.Coordinators.Close);

        var apis = BrokerApis.CreateTable(new BrokerServices
        {
            Config = currentConfig,
            Cluster = new ClusterView(shared.Identity.ClusterId, () => shared.Metadata.Current),
            Topics = topics,
            Logs = shared.Logs,
            Controller = channel,
            ProducerIds = producerIds,
            Groups = groups,
            Transactions = transactions.Coordinators,
            TransactionVerifier = new TransactionVerifier(transactions, currentConfig, time),
            TransactionMarkers = markers,
            FetchSessions = new FetchSessions(config.MaxIncrementalFetchSessionCacheSlots, new Prng(shared.Platform.Seed)),
            SupportedFeatures = SupportedByThisVersion.Features,
            Quorum = () => shared.Raft.Quorum,
            Loggers = loggers,
            Time = time,
        });

        var pool = new BufferPool();
        var heavyRequests = new HeavyRequests(() => Math.Min(shared.Config.NumIoThreads, Environment.ProcessorCount));
        parts.Add("ending the threads for expensive requests", heavyRequests.Dispose);
        var server = new BrokerServer(
            shared.Platform.Transport, new ServerSettingsSource(currentConfig).Current, pool, heavyRequests, time, loggers.CreateLogger(nameof(BrokerServer)));
        parts.Add("closing the server", () => server.DisposeAsync().AsTask());
        parts.Add("answering the requests under way", () => server.StopAsync(DrainTimeout), () => Task.CompletedTask);
        parts.Add("sending away who waits for a group", groups.Close); // before the server: members wait for others to join, and must not be waited for
        var endPoints = Listen(server, config, apis);

        var identity = NodeIdentities.Of(config, shared.Identity, endPoints, shared.Logs);
        var lifecycle = new BrokerLifecycle(identity, shared.BrokerEpoch, controller, shared.Metadata, time);
        return new BrokerRole(shared, pool, server, lifecycle, topics, apis, endPoints);
    }

    /// <summary>Registers, is unfenced, and serves clients when this completes.</summary>
    /// <exception cref="ApiException">The controller refuses.</exception>
    /// <exception cref="NodeStartException">It took too long, or the metadata log failed.</exception>
    public async Task JoinAsync(CancellationToken cancellation)
    {
        var (config, loggers, background) = (_shared.Config, _shared.Loggers, _shared.Background);
        var failure = Task.WhenAny(_shared.Failure.Reason, _shared.Loader.Failure, _shared.Raft.Completion);
        await _lifecycle.JoinAsync(
            TimeSpan.FromMilliseconds(config.InitialBrokerRegistrationTimeoutMs), failure, loggers.CreateLogger(nameof(BrokerLifecycle)), cancellation);
        _server.StartAccepting();
        background.StartLoop("the upkeep of logs", RunUpkeepAsync);
        if (config.LogCleanerEnable)
            background.StartLoop("the compaction of logs", _shared.Logs.Cleaner.RunAsync);
        background.StartLoop("moving logs between directories", _shared.Logs.Mover.RunAsync);
        var reports = new DirectoryReports(
            config.NodeId, _shared.Logs, _lifecycle, () => _shared.Metadata.Current, config.LogDirFailureTimeoutMs, loggers.CreateLogger(nameof(DirectoryReports)));
        background.StartLoop("reporting log directories to the controller", stopping => ReportDirectoriesAsync(reports, stopping));
        _shared.Parts.Add("leaving the cluster", LeaveAsync, () => Task.CompletedTask);
    }

    /// <summary>Controlled shutdown. The node stops also when the controller does not go along.</summary>
    private async Task LeaveAsync()
    {
        using var timeout = new CancellationTokenSource(LeaveTimeout, _shared.Time);
        try
        {
            await _lifecycle.ShutDownAsync(timeout.Token);
        }
        catch (Exception e) when (e is ApiException or OperationCanceledException)
        {
            LogLeaveFailed(e.Message);
        }
    }

    private static List<IPEndPoint> Listen(BrokerServer server, BrokerConfig config, ApiTable apis)
    {
        // Left alone, the receive buffer grows with the sender; Kafka's default would pin it at 100 KiB, and cost a third more CPU (docs/adr/0006).
        var receiveBytes = config.IsSet("socket.receive.buffer.bytes") ? config.SocketReceiveBufferBytes : SocketBufferSizes.OperatingSystemDefault;
        var bufferSizes = new SocketBufferSizes(config.SocketSendBufferBytes, receiveBytes);
        return [.. config.BrokerListeners.Select(ListenOn)];

        IPEndPoint ListenOn(Listener listener)
        {
            try
            {
                return server.Listen(new ServerListener(listener.Name, ListenerAddress.Resolve(listener), apis), config.SocketListenBacklogSize, bufferSizes);
            }
            catch (SocketException e)
            {
                throw new NodeStartException($"Cannot listen on {listener}: {e.Message}");
            }
        }
    }

    /// <summary>Retention, flushes, checkpoints and delayed deletions, once a second.</summary>
    private async Task RunUpkeepAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(UpkeepInterval, _shared.Time);
        while (await timer.WaitForNextTickAsync(stopping))
        {
            _shared.Logs.Tick(Instant.Now(_shared.Time));
            _pool.Trim();
        }
    }

    /// <summary>Tells the controller about the log directories; apart from upkeep, which must not wait for a controller.</summary>
    private async Task ReportDirectoriesAsync(DirectoryReports reports, CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(UpkeepInterval, _shared.Time);
        var report = Task.CompletedTask;
        while (await timer.WaitForNextTickAsync(stopping))
        {
            reports.CheckFailuresAreNoted(Instant.Now(_shared.Time)); // also while a report waits for its answer
            if (!report.IsCompleted)
                continue;
            await report;
            report = reports.ReportAsync(stopping);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The controller did not let this broker leave in order, and the stop goes on: {Reason}")]
    private partial void LogLeaveFailed(string reason);
}
