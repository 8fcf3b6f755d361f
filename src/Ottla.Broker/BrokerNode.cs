using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Ottla.Broker.Api;
using Ottla.Broker.Hosts;
using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Hosts.Transactions;
using Ottla.Broker.Metadata;
using Ottla.Broker.Replicas;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Network.Transport;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Groups;
using Ottla.Storage.Upkeep;

namespace Ottla.Broker;

/// <summary>A node: a broker and its controller in one process. Read this first: it shows what there is and what depends on what.</summary>
/// <remarks>
/// Starting goes from the disk to the network: log directories, metadata log, controller, metadata publishers, registration, listeners. Stopping goes back.
/// One instance lives from <see cref="StartAsync"/> to <see cref="StopAsync"/>; disposing without stopping leaves what a crash would leave.
/// </remarks>
public sealed partial class BrokerNode : IAsyncDisposable
{
    private static readonly TimeSpan UpkeepInterval = TimeSpan.FromSeconds(1);

    /// <summary>How long requests under way may take at shutdown before their connections are cut.</summary>
    private static readonly TimeSpan DrainTimeout = TimeSpan.FromSeconds(10);

    /// <summary>How long the controller may take to let the broker go.</summary>
    private static readonly TimeSpan LeaveTimeout = TimeSpan.FromSeconds(10);

    private readonly NodePlatform _platform;
    private readonly ILogger _logger;
    private readonly BufferPool _pool = new();
    private readonly HeavyRequests _heavyRequests;
    private readonly EffectiveBrokerConfig _config;
    private readonly MetadataCache _metadata = new();
    private readonly MetadataLoader _loader;
    private readonly HostedTopics _topics = new();
    private readonly BackgroundWork _background;
    private readonly TaskCompletionSource<Exception> _failure = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private LogManager _logs = null!;
    private MetadataQuorum _quorum = null!;
    private BrokerServer _server = null!;
    private BrokerLifecycle _lifecycle = null!;
    private ProducerIds _producerIds = null!;
    private CoordinatorHost<GroupCommand> _groups = null!;
    private TransactionHost _transactions = null!;
    private volatile Tuple<BrokerConfig, ServerSettings>? _settings;

    private BrokerNode(BrokerConfig config, NodePlatform platform)
    {
        _platform = platform;
        _logger = platform.Loggers.CreateLogger(nameof(BrokerNode));
        _config = new EffectiveBrokerConfig(config, platform.Loggers.CreateLogger(nameof(EffectiveBrokerConfig)));
        _background = new BackgroundWork(failure => _failure.TrySetResult(failure), platform.Loggers.CreateLogger(nameof(BackgroundWork)));
        _loader = new MetadataLoader(_metadata, platform.Loggers.CreateLogger(nameof(MetadataLoader)));
        _heavyRequests = new HeavyRequests(() => _config.Current.NumIoThreads);
    }

    /// <summary>Completes with the reason when the node cannot go on: its metadata log or all its log directories are lost, or the controller does not hear of one that is.</summary>
    public Task<Exception> Failure => _failure.Task;

    /// <summary>Where it listens for clients, with the ports that were taken.</summary>
    public IReadOnlyList<IPEndPoint> EndPoints { get; private set; } = [];

    /// <summary>Bytes of connections' buffers that were left to the garbage collector since the node began.</summary>
    public long ReleasedBufferBytes => _pool.ReleasedBytes;

    /// <summary>What is served on every listener.</summary>
    internal ApiTable Apis { get; private set; } = null!;

    /// <summary>The replicas of this node.</summary>
    internal HostedTopics Topics => _topics;

    /// <summary>Starts a node; when this returns, clients are served.</summary>
    /// <param name="config">The static configuration.</param>
    /// <param name="mayFormat">Whether log directories that are not formatted are formatted now (for development), or are an error.</param>
    /// <param name="platform">Disk, network, clock.</param>
    /// <param name="cancellation">Ends a start that is not wanted any more; what is on the disk is then as after a crash.</param>
    /// <exception cref="OperationCanceledException">The start was cancelled.</exception>
    /// <exception cref="ConfigException">The configuration asks for what is not there yet.</exception>
    /// <exception cref="NodeStartException">The directories do not fit the configuration, an address cannot be listened on, or the controller refuses.</exception>
    /// <exception cref="IOException">A disk fails.</exception>
    public static async Task<BrokerNode> StartAsync(BrokerConfig config, bool mayFormat, NodePlatform platform, CancellationToken cancellation = default)
    {
        NodeRequirements.Check(config);
        var loggers = platform.Loggers as LeveledLoggers ?? new LeveledLoggers(platform.Loggers, LogLevel.Trace);
        var node = new BrokerNode(config, platform with { Loggers = loggers });
        try
        {
            await node.RunUpAsync(mayFormat, cancellation);
            return node;
        }
        catch (ApiException e)
        {
            await node.DisposeAsync();
            throw new NodeStartException($"The controller refuses this broker: {e.Message}");
        }
        catch
        {
            await node.DisposeAsync();
            throw;
        }
    }

    /// <summary>Stops in order: takes no more requests, answers those under way, leaves the cluster, flushes, and marks the directories clean.</summary>
    /// <remarks>A step that fails is logged, and the next is taken: whatever has failed, the logs are closed.</remarks>
    public async Task StopAsync()
    {
        await StepAsync("sending away who waits for a group", () => _groups.Close()); // first: members wait for others to join, and must not be waited for
        await StepAsync("answering the requests under way", () => _server.StopAsync(DrainTimeout));
        await StepAsync("ending the transaction coordinators", () => _transactions.Coordinators.Close());
        await _background.StopAsync();
        await StepAsync("leaving the cluster", LeaveAsync);
        await StepAsync("closing the metadata log", () => _quorum.DisposeAsync().AsTask());
        await StepAsync("closing the logs", () => _logs.Close(_lifecycle.BrokerEpoch, _config.Current.NumRecoveryThreadsPerDataDir));
    }

    private Task StepAsync(string name, Action step) => StepAsync(name, () =>
    {
        step();
        return Task.CompletedTask;
    });

    private async Task StepAsync(string name, Func<Task> step)
    {
        try
        {
            await step();
        }
        catch (Exception e)
        {
            LogStopStepFailed(name, e);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        var loopsHaveEnded = _background.StopAsync();
        if (_server is not null)
            await _server.DisposeAsync();
        _groups?.Close();
        _transactions?.Coordinators.Close();
        await loopsHaveEnded;
        if (_quorum is not null)
            await _quorum.DisposeAsync();
        _heavyRequests.Dispose();
        _producerIds?.Dispose();
        _logs?.Dispose();
        _background.Dispose();
    }

    private async Task RunUpAsync(bool mayFormat, CancellationToken cancellation)
    {
        var config = _config.Current;
        var loggers = _platform.Loggers;
        var features = SupportedByThisVersion.Features;

        if (mayFormat && LogDirectories.AreUnformatted(config, _platform.FileSystem))
            Format(config);
        LogDirectories.Verify(config, _platform.FileSystem);
        var logOptions = LogDirectories.Options(() => _config.Current, _platform, OnDirectoryFailure) with { OpenCancellation = cancellation };
        _logs = LogManager.Open(logOptions, _platform.FileSystem, _platform.Time, loggers.CreateLogger(nameof(LogManager)));
        var identity = LogDirectories.Identify(config, _logs);
        var time = _platform.Time;
        _server = new BrokerServer(_platform.Transport, Settings, _pool, _heavyRequests, time, loggers.CreateLogger(nameof(BrokerServer)));

        _loader.Register(_config);
        _loader.Register(new ReplicaManager(config.NodeId, _logs, _topics, () => _config.Current, loggers.CreateLogger(nameof(ReplicaManager))));
        var groupLogger = loggers.CreateLogger(nameof(GroupHost));
        _groups = new GroupHost(_platform.Seed, config.NodeId, _topics, () => _config.Current, _background, time, groupLogger).Coordinators;
        var markers = new TransactionMarkers(_topics, _groups, () => _config.Current, time);
        _transactions = new TransactionHost(config.NodeId, _topics, markers, () => _producerIds!.NextAsync(), () => _config.Current, _background, time, loggers.CreateLogger(nameof(TransactionHost)));
        _loader.Register(_groups); // after the replicas: they read and write their logs
        _loader.Register(_transactions.Coordinators);
        _quorum = await MetadataQuorum.StartAsync(config, identity, features, _loader, _platform);

        var channel = new ControllerChannel(_quorum.Controller, _metadata);
        _producerIds = new ProducerIds(channel, config.NodeId, () => _lifecycle!.BrokerEpoch);
        Apis = BrokerApis.CreateTable(new BrokerServices
        {
            Config = () => _config.Current,
            Cluster = new ClusterView(identity.ClusterId, () => _metadata.Current),
            Topics = _topics,
            Logs = _logs,
            Controller = channel,
            ProducerIds = _producerIds,
            Groups = _groups,
            Transactions = _transactions.Coordinators,
            TransactionVerifier = new TransactionVerifier(_transactions, () => _config.Current, time),
            TransactionMarkers = markers,
            FetchSessions = new FetchSessions(config.MaxIncrementalFetchSessionCacheSlots, new Prng(_platform.Seed)),
            SupportedFeatures = features,
            Quorum = () => _quorum.Raft.Quorum,
            Loggers = (LeveledLoggers)loggers,
            Time = time,
        });
        Listen(config); // before the broker registers: a port that is taken must not leave a trace in the metadata

        _lifecycle = new BrokerLifecycle(NodeIdentities.Of(config, identity, EndPoints, _logs), _quorum.Controller, _metadata, time);
        var failure = Task.WhenAny(_failure.Task, _quorum.Raft.Completion);
        await _lifecycle.JoinAsync(TimeSpan.FromMilliseconds(config.InitialBrokerRegistrationTimeoutMs), failure, loggers.CreateLogger(nameof(BrokerLifecycle)), cancellation);
        _server.StartAccepting();
        _background.StartLoop("the upkeep of logs", LookAfterLogsAsync);
        if (config.LogCleanerEnable)
            _background.StartLoop("the compaction of logs", _logs.Cleaner.RunAsync);
        _background.StartLoop("moving logs between directories", _logs.Mover.RunAsync);
        var reports = new DirectoryReports(config.NodeId, _logs, _lifecycle, () => _metadata.Current, config.LogDirFailureTimeoutMs, loggers.CreateLogger(nameof(DirectoryReports)));
        _background.StartLoop("reporting log directories to the controller", stopping => ReportDirectoriesAsync(reports, stopping));
        _background.StartLoop("following the metadata", WatchMetadataAsync);
        _background.StartLoop("the metadata log", WatchMetadataLogAsync);
    }

    /// <summary>Makes a cluster of one in the log directories.</summary>
    private void Format(BrokerConfig config)
    {
        var clusterId = config.ClusterId ?? Uuid.NewRandom().ToString();
        var request = LogDirectories.FormatRequestOf(config, clusterId);
        try
        {
            var plan = StorageFormatter.Plan(request, path => LogDirectories.Existing(_platform.FileSystem, path));
            LogDirectories.Format(plan, config.ControllerListenerNames[0], _platform.FileSystem, Instant.Now(_platform.Time));
        }
        catch (FormatterException e)
        {
            throw new NodeStartException($"The log directories are not formatted, and cannot be formatted for this configuration: {e.Message}");
        }

        LogFormatted(string.Join(", ", LogDirectories.Paths(config)), clusterId);
    }

    /// <summary>Controlled shutdown. The node stops also when the controller does not go along.</summary>
    private async Task LeaveAsync()
    {
        using var patience = new CancellationTokenSource(LeaveTimeout, _platform.Time);
        try
        {
            await _lifecycle.ShutDownAsync(patience.Token);
        }
        catch (Exception e) when (e is ApiException or OperationCanceledException)
        {
            LogLeaveFailed(e.Message);
        }
    }

    private void Listen(BrokerConfig config)
    {
        // Left alone, the receive buffer grows with the sender; Kafka's default would pin it at 100 KiB, and cost a third more CPU (docs/adr/0006).
        var receiveBytes = config.IsSet("socket.receive.buffer.bytes") ? config.SocketReceiveBufferBytes : SocketBufferSizes.OperatingSystemDefault;
        var bufferSizes = new SocketBufferSizes(config.SocketSendBufferBytes, receiveBytes);
        EndPoints = [.. config.BrokerListeners.Select(ListenOn)];

        IPEndPoint ListenOn(Listener listener)
        {
            try
            {
                return _server.Listen(new ServerListener(listener.Name, ListenerAddress.Resolve(listener), Apis), config.SocketListenBacklogSize, bufferSizes);
            }
            catch (SocketException e)
            {
                throw new NodeStartException($"Cannot listen on {listener}: {e.Message}");
            }
        }
    }

    /// <summary>The server's bounds, made anew only when the configuration changed.</summary>
    private ServerSettings Settings()
    {
        var config = _config.Current;
        if (_settings is var (madeFrom, settings) && ReferenceEquals(madeFrom, config))
            return settings;
        settings = new ServerSettings(
            config.SocketRequestMaxBytes,
            config.QueuedMaxRequests,
            config.MaxConnections,
            config.MaxConnectionsPerIp,
            ListenerAddress.ResolveAll(config.MaxConnectionsPerIpOverrides),
            config.ConnectionsMaxIdleMs)
        {
            ConnectionRates = new ConnectionRateLimits(
                config.MaxConnectionCreationRate,
                config.BrokerListeners.ToDictionary(listener => listener.Name, listener => config.Get(listener.Name, "max.connection.creation.rate").AsInt),
                config.BrokerListeners.Count > 1 ? config.InterBrokerListenerName : null,
                config.QuotaWindowNum,
                config.QuotaWindowSizeSeconds * 1000L),
        };
        _settings = Tuple.Create(config, settings);
        return settings;
    }

    /// <summary>Retention, flushes, checkpoints and delayed deletions, once a second.</summary>
    private async Task LookAfterLogsAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(UpkeepInterval, _platform.Time);
        while (await timer.WaitForNextTickAsync(stopping))
        {
            _logs.Tick(Instant.Now(_platform.Time));
            _pool.Trim();
        }
    }

    /// <summary>Tells the controller about the log directories; apart from upkeep, which must not wait for a controller.</summary>
    private async Task ReportDirectoriesAsync(DirectoryReports reports, CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(UpkeepInterval, _platform.Time);
        var report = Task.CompletedTask;
        while (await timer.WaitForNextTickAsync(stopping))
        {
            reports.CheckFailuresAreNoted(Instant.Now(_platform.Time)); // also while a report waits for its answer
            if (!report.IsCompleted)
                continue;
            await report;
            report = reports.ReportAsync(stopping);
        }
    }

    /// <summary>The metadata loader logs why it cannot follow the log, and this is how the node learns of it.</summary>
    private async Task WatchMetadataAsync(CancellationToken stopping) => throw await _loader.Failure.UntilCanceled(stopping);

    /// <summary>The metadata log ends when the node stops, or fails.</summary>
    private Task WatchMetadataLogAsync(CancellationToken stopping) => _quorum.Raft.Completion.UntilCanceled(stopping);

    private void OnDirectoryFailure(LogDirectory directory, Exception exception)
    {
        LogDirectoryFailed(directory.Path, exception);
        if (directory.Path == LogDirectories.MetadataPath(_config.Current))
            _failure.TrySetResult(new IOException("The log directory of the metadata has failed.", exception));
        else if (_logs is { } logs && logs.Directories.Where(logs.IsForPartitions).All(each => each.IsOffline))
            _failure.TrySetResult(new IOException("All log directories have failed.", exception));
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Formatted {Directories} for the new cluster {ClusterId}")]
    private partial void LogFormatted(string directories, string clusterId);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Leaving the cluster in order failed: {Reason}")]
    private partial void LogLeaveFailed(string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "The log directory {Directory} failed and is offline")]
    private partial void LogDirectoryFailed(string directory, Exception e);

    [LoggerMessage(Level = LogLevel.Error, Message = "The stop of the node goes on, but a step of it has failed: {Step}")]
    private partial void LogStopStepFailed(string step, Exception e);
}
