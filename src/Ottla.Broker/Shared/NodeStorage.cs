using Microsoft.Extensions.Logging;
using Ottla.Broker.Directories;
using Ottla.Broker.Hosts;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Storage.Upkeep;

namespace Ottla.Broker.Shared;

/// <summary>What a node opens before it knows its cluster: configuration, log directories, and the logs in them.</summary>
/// <remarks>Opened first and closed last. Lives as long as the node.</remarks>
internal sealed partial class NodeStorage
{
    private NodeStorage(
        NodePlatform platform, EffectiveBrokerConfig config, NodeFailure failure, StartedParts parts, LogManager logs,
        StorageIdentity identity)
    {
        Platform = platform;
        Loggers = (LeveledLoggers)platform.Loggers;
        EffectiveConfig = config;
        Failure = failure;
        Parts = parts;
        Logs = logs;
        Identity = identity;
    }

    /// <summary>Disk, network, clock.</summary>
    public NodePlatform Platform { get; }

    /// <summary>Makes loggers whose levels administrators may change.</summary>
    public LeveledLoggers Loggers { get; }

    /// <summary>The configuration in force, replaced whole when the metadata changes it.</summary>
    public EffectiveBrokerConfig EffectiveConfig { get; }

    /// <inheritdoc cref="EffectiveConfig"/>
    public BrokerConfig Config => EffectiveConfig.Current;

    /// <summary>Receives the reason why the node must stop, from both roles.</summary>
    public NodeFailure Failure { get; }

    /// <summary>The started parts. The node stops them in the opposite order.</summary>
    public StartedParts Parts { get; }

    /// <summary>The log directories and the logs of partitions in them.</summary>
    public LogManager Logs { get; }

    /// <summary>The node that the directories belong to.</summary>
    public StorageIdentity Identity { get; }

    /// <summary>
    /// A log has changed its directory, or a directory has failed. Raised by any thread, also under locks: a handler must not block.
    /// </summary>
    public event Action? PlacementChanged;

    /// <summary>The epoch of the broker's registration, which a clean shutdown writes into the log directories.</summary>
    public required BrokerEpoch BrokerEpoch { get; init; }

    /// <summary>Opens the log directories with every log in them.</summary>
    /// <param name="config">The static configuration.</param>
    /// <param name="mayFormat">Whether to format unformatted directories.</param>
    /// <param name="platform">Disk, network, clock.</param>
    /// <param name="failure">Receives the reason when the node must stop.</param>
    /// <param name="parts">Receives what this method opens.</param>
    /// <param name="cancellation">Cancels the opening of logs.</param>
    /// <exception cref="NodeStartException">The directories do not fit the configuration.</exception>
    /// <exception cref="IOException">A disk fails.</exception>
    public static NodeStorage Open(
        BrokerConfig config, bool mayFormat, NodePlatform platform, NodeFailure failure, StartedParts parts, CancellationToken cancellation)
    {
        var loggers = (LeveledLoggers)platform.Loggers;
        var logger = loggers.CreateLogger(nameof(NodeStorage));
        var effectiveConfig = new EffectiveBrokerConfig(config, loggers.CreateLogger(nameof(EffectiveBrokerConfig)));
        if (mayFormat && LogDirectories.AreUnformatted(config, platform.FileSystem))
            Format(config, platform, logger);
        LogDirectories.Verify(config, platform.FileSystem);
        effectiveConfig.BeginWith(LocalSnapshot.ReadConfigs(platform.FileSystem, LogDirectories.MetadataPath(config)));

        LogManager? logs = null;
        NodeStorage? storage = null;
        var options = LogDirectories.Options(
            () => effectiveConfig.Current, platform, OnDirectoryFailure) with
        {
            OpenCancellation = cancellation,
            OnPlacementChange = () => storage?.PlacementChanged?.Invoke(),
        };
        logs = LogManager.Open(options, platform.FileSystem, platform.Time, loggers.CreateLogger(nameof(LogManager)));
        var brokerEpoch = new BrokerEpoch();
        parts.Add("closing the logs", () => logs.Close(brokerEpoch.Value, effectiveConfig.Current.NumRecoveryThreadsPerDataDir),
            logs.Dispose);
        var identity = LogDirectories.Identify(config, logs);
        return storage = new NodeStorage(platform, effectiveConfig, failure, parts, logs, identity) { BrokerEpoch = brokerEpoch };

        void OnDirectoryFailure(LogDirectory directory, Exception exception)
        {
            LogDirectoryFailed(logger, directory.Path, exception);
            if (directory.Path == LogDirectories.MetadataPath(effectiveConfig.Current))
                failure.Report(new IOException("The log directory of the metadata has failed.", exception));
            else if (logs is { } opened && opened.Directories.Where(opened.IsForPartitions).All(each => each.IsOffline))
                failure.Report(new IOException("All log directories have failed.", exception));
        }
    }

    /// <summary>Formats the log directories: for a cluster of one, or for the cluster that <c>CLUSTER_ID</c> names.</summary>
    private static void Format(BrokerConfig config, NodePlatform platform, ILogger logger)
    {
        if (!config.IsSingleNodeQuorum && config.ClusterId is null && config.QuorumVoters.Any(voter => voter.Id != config.NodeId))
        {
            throw new NodeStartException(
                "The log directories are not formatted, and the configuration names other nodes: run 'ottla format --cluster-id ID' with "
                    + "the cluster.id that all nodes of the cluster share.");
        }

        var clusterId = config.ClusterId ?? Uuid.NewRandom().ToString();
        var request = LogDirectories.FormatRequestOf(config, clusterId);
        try
        {
            var plan = StorageFormatter.Plan(request, path => LogDirectories.Existing(platform.FileSystem, path));
            LogDirectories.Format(plan, config.ControllerListenerNames[0], platform.FileSystem, Instant.Now(platform.Time));
        }
        catch (FormatterException e)
        {
            throw new NodeStartException(
                $"The log directories are not formatted, and cannot be formatted for this configuration: {e.Message}");
        }

        LogFormatted(logger, string.Join(", ", LogDirectories.Paths(config)), clusterId);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Formatted {Directories} for the new cluster {ClusterId}")]
    private static partial void LogFormatted(ILogger logger, string directories, string clusterId);

    [LoggerMessage(
        Level = LogLevel.Error, Message =
            "The log directory {Directory} failed and is offline: its partitions are not served until the disk is replaced and the node "
                + "restarted")]
    private static partial void LogDirectoryFailed(ILogger logger, string directory, Exception e);
}
