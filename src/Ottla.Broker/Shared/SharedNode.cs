using Microsoft.Extensions.Logging;
using Ottla.Broker.Directories;
using Ottla.Broker.Hosts;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Storage.Upkeep;

namespace Ottla.Broker.Shared;

/// <summary>What the controller and the broker of a node use together: configuration, log directories, the metadata log and what follows it.</summary>
/// <remarks>Made first and closed last. Lives as long as the node.</remarks>
internal sealed partial class SharedNode
{
    private SharedNode(
        NodePlatform platform, EffectiveBrokerConfig config, NodeFailure failure, StartedParts parts, LogManager logs, StorageIdentity identity, RaftHost raft)
    {
        Platform = platform;
        Loggers = (LeveledLoggers)platform.Loggers;
        EffectiveConfig = config;
        Failure = failure;
        Background = new BackgroundWork(failure.Report, Loggers.CreateLogger(nameof(BackgroundWork)));
        Parts = parts;
        Logs = logs;
        Identity = identity;
        Raft = raft;
        Loader = new MetadataLoader(Metadata, Loggers.CreateLogger(nameof(MetadataLoader)));
        Loader.Register(config);
    }

    /// <summary>Disk, network, clock.</summary>
    public NodePlatform Platform { get; }

    public TimeProvider Time => Platform.Time;

    /// <summary>Makes loggers whose levels administrators may change.</summary>
    public LeveledLoggers Loggers { get; }

    /// <summary>The configuration in force, replaced whole when the metadata changes it.</summary>
    public EffectiveBrokerConfig EffectiveConfig { get; }

    /// <inheritdoc cref="EffectiveConfig"/>
    public BrokerConfig Config => EffectiveConfig.Current;

    /// <summary>Where both roles say that the node cannot go on.</summary>
    public NodeFailure Failure { get; }

    /// <summary>The loops of both roles.</summary>
    public BackgroundWork Background { get; }

    /// <summary>What is started, to be stopped in the opposite order.</summary>
    public StartedParts Parts { get; }

    /// <summary>The log directories and the logs of partitions in them.</summary>
    public LogManager Logs { get; }

    /// <summary>Whose directories they are.</summary>
    public StorageIdentity Identity { get; }

    /// <summary>The epoch of the broker's registration, which a stop in order leaves in the log directories.</summary>
    public required BrokerEpoch BrokerEpoch { get; init; }

    /// <summary>The metadata log.</summary>
    public RaftHost Raft { get; }

    /// <summary>The committed metadata.</summary>
    public MetadataCache Metadata { get; } = new();

    /// <summary>Follows the metadata log, once both roles have registered what must follow it.</summary>
    public MetadataLoader Loader { get; }

    /// <summary>Opens the log directories with every log in them, and the metadata log.</summary>
    /// <param name="config">The static configuration.</param>
    /// <param name="mayFormat">Whether directories that are not formatted are formatted now.</param>
    /// <param name="platform">Disk, network, clock.</param>
    /// <param name="failure">Told when the node cannot go on.</param>
    /// <param name="parts">What is opened is added here.</param>
    /// <param name="cancellation">Ends the opening of logs.</param>
    /// <exception cref="NodeStartException">The directories do not fit the configuration, or this node can never lead the metadata log.</exception>
    /// <exception cref="IOException">A disk fails.</exception>
    public static async Task<SharedNode> OpenAsync(
        BrokerConfig config, bool mayFormat, NodePlatform platform, NodeFailure failure, StartedParts parts, CancellationToken cancellation)
    {
        var loggers = (LeveledLoggers)platform.Loggers;
        var logger = loggers.CreateLogger(nameof(SharedNode));
        var effectiveConfig = new EffectiveBrokerConfig(config, loggers.CreateLogger(nameof(EffectiveBrokerConfig)));
        if (mayFormat && LogDirectories.AreUnformatted(config, platform.FileSystem))
            Format(config, platform, logger);
        LogDirectories.Verify(config, platform.FileSystem);

        LogManager? logs = null;
        var options = LogDirectories.Options(() => effectiveConfig.Current, platform, OnDirectoryFailure) with { OpenCancellation = cancellation };
        logs = LogManager.Open(options, platform.FileSystem, platform.Time, loggers.CreateLogger(nameof(LogManager)));
        var brokerEpoch = new BrokerEpoch();
        parts.Add("closing the logs", () => logs.Close(brokerEpoch.Value, effectiveConfig.Current.NumRecoveryThreadsPerDataDir), logs.Dispose);
        var identity = LogDirectories.Identify(config, logs);

        var raft = await MetadataLog.OpenAsync(config, identity, platform);
        parts.Add("closing the metadata log", () => raft.DisposeAsync().AsTask());
        var shared = new SharedNode(platform, effectiveConfig, failure, parts, logs, identity, raft) { BrokerEpoch = brokerEpoch };
        parts.Add("ending the metadata loader", () => shared.Loader.DisposeAsync().AsTask());
        parts.Add("ending the background work", shared.StopBackgroundAsync);
        return shared;

        void OnDirectoryFailure(LogDirectory directory, Exception exception)
        {
            LogDirectoryFailed(logger, directory.Path, exception);
            if (directory.Path == LogDirectories.MetadataPath(effectiveConfig.Current))
                failure.Report(new IOException("The log directory of the metadata has failed.", exception));
            else if (logs is { } opened && opened.Directories.Where(opened.IsForPartitions).All(each => each.IsOffline))
                failure.Report(new IOException("All log directories have failed.", exception));
        }
    }

    /// <summary>Begins to follow the metadata log: from here on publishers and controller are called.</summary>
    public void FollowMetadata() =>
        Loader.Start(Raft, new SnapshotGenerator(Raft, SnapshotPolicy.From(Config), Time, Loggers.CreateLogger(nameof(SnapshotGenerator))));

    /// <summary>Has the node fail when the metadata log or its loader does. Once the node is up: until then the start itself looks.</summary>
    public void WatchMetadata()
    {
        // The loader logs why it cannot follow the log, and this is how the node learns of it.
        Background.StartLoop("following the metadata", async stopping => throw await Loader.Failure.UntilCanceled(stopping));
        Background.StartLoop("the metadata log", stopping => Raft.Completion.UntilCanceled(stopping));
    }

    private async Task StopBackgroundAsync()
    {
        await Background.StopAsync();
        Background.Dispose();
    }

    /// <summary>Makes a cluster of one in the log directories.</summary>
    private static void Format(BrokerConfig config, NodePlatform platform, ILogger logger)
    {
        var clusterId = config.ClusterId ?? Uuid.NewRandom().ToString();
        var request = LogDirectories.FormatRequestOf(config, clusterId);
        try
        {
            var plan = StorageFormatter.Plan(request, path => LogDirectories.Existing(platform.FileSystem, path));
            LogDirectories.Format(plan, config.ControllerListenerNames[0], platform.FileSystem, Instant.Now(platform.Time));
        }
        catch (FormatterException e)
        {
            throw new NodeStartException($"The log directories are not formatted, and cannot be formatted for this configuration: {e.Message}");
        }

        LogFormatted(logger, string.Join(", ", LogDirectories.Paths(config)), clusterId);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Formatted {Directories} for the new cluster {ClusterId}")]
    private static partial void LogFormatted(ILogger logger, string directories, string clusterId);

    [LoggerMessage(Level = LogLevel.Error, Message = "The log directory {Directory} failed and is offline: its partitions are not served until the disk is replaced and the node restarted")]
    private static partial void LogDirectoryFailed(ILogger logger, string directory, Exception e);
}
