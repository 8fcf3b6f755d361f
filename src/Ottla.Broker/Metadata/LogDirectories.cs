using Ottla.Broker.Hosts;
using Ottla.Broker.Replicas;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Raft;
using Ottla.Storage.Compaction;
using Ottla.Storage.Files;
using Ottla.Storage.Log;
using Ottla.Storage.Upkeep;

namespace Ottla.Broker.Metadata;

/// <summary>Whose log directories these are.</summary>
/// <param name="ClusterId">The cluster's id.</param>
/// <param name="NodeId">The node's id.</param>
/// <param name="MetadataDirectory">The path of the log directory that holds the metadata log.</param>
/// <param name="MetadataDirectoryId">That directory's id.</param>
public sealed record StorageIdentity(string ClusterId, int NodeId, string MetadataDirectory, Uuid MetadataDirectoryId);

/// <summary>Prepares the log directories of a node, and makes sure that they are its own.</summary>
public static class LogDirectories
{
    /// <summary>Whether no log directory is formatted yet.</summary>
    public static bool AreUnformatted(BrokerConfig config, IFileSystem fileSystem) => Paths(config).All(path => MetaProperties.Read(fileSystem, path) is null);

    /// <summary>What formatting the directories for this configuration comes to, with all defaults.</summary>
    public static FormatRequest FormatRequestOf(BrokerConfig config, string clusterId) => new()
    {
        ClusterId = clusterId,
        NodeId = config.NodeId,
        LogDirs = [.. Paths(config)],
        MetadataLogDir = config.IsController ? MetadataPath(config) : null,
        HasDynamicQuorum = config.QuorumVoters.Count == 0,
        SupportedFeatures = SupportedByThisVersion.Features,
    };

    /// <summary>Writes what formatting comes to.</summary>
    /// <exception cref="IOException">The disk fails.</exception>
    public static void Format(FormatPlan plan, string controllerListener, IFileSystem fileSystem, Instant now)
    {
        foreach (var directory in plan.Directories)
        {
            fileSystem.CreateDurableDirectory(directory.Path);
            if (directory.HoldsMetadata)
                RaftBootstrap.Write(fileSystem, directory.Path, plan.KRaftVersion, VotersOf(plan, controllerListener), plan.Records, now);
            // Last: a directory with this file counts as formatted.
            new MetaProperties { ClusterId = plan.ClusterId, NodeId = plan.NodeId, DirectoryId = directory.DirectoryId }.Write(fileSystem, directory.Path);
        }
    }

    /// <summary>What a directory's <c>meta.properties</c> says; null when it has none.</summary>
    public static FormattedDirectory? Existing(IFileSystem fileSystem, string path) =>
        MetaProperties.Read(fileSystem, path) is { } properties ? new FormattedDirectory(properties.ClusterId, properties.NodeId) : null;

    /// <summary>How the logs are opened and looked after.</summary>
    /// <param name="current">The configuration in force, asked again and again.</param>
    /// <param name="platform">Disk, network, clock.</param>
    /// <param name="onFailure">Told when a directory is taken offline.</param>
    public static LogManagerOptions Options(Func<BrokerConfig> current, NodePlatform platform, Action<LogDirectory, Exception> onFailure)
    {
        var config = current();
        var hashSecret = Uuid.NewRandom();
        // A topic's own configuration is known only once the metadata is read, from these very directories.
        var defaults = new TopicSettings(config.TopicDefaults, config).Log;
        return new LogManagerOptions
        {
            LogDirectories = [.. Paths(config)],
            MetadataOnlyDirectory = config.LogDirs.Select(AbsolutePath).Contains(MetadataPath(config)) ? null : MetadataPath(config),
            ConfigFor = _ => defaults,
            RecoveryParallelism = config.NumRecoveryThreadsPerDataDir,
            RetentionCheckIntervalMs = config.LogRetentionCheckIntervalMs,
            InitialTaskDelayMs = config.LogInitialTaskDelayMs,
            TimedFlushCheckIntervalMs = config.IsSet("log.flush.scheduler.interval.ms") ? config.LogFlushSchedulerIntervalMs : LogManagerOptions.DefaultTimedFlushCheckIntervalMs,
            RecoveryPointCheckpointIntervalMs = config.LogFlushOffsetCheckpointIntervalMs,
            LogStartOffsetCheckpointIntervalMs = config.LogFlushStartOffsetCheckpointIntervalMs,
            HighWatermarkCheckpointIntervalMs = config.ReplicaHighWatermarkCheckpointIntervalMs,
            DeleteDelayMs = config.LogSegmentDeleteDelayMs,
            MoveBytesPerSecondMax = () => current().ReplicaAlterLogDirsIoMaxBytesPerSecond is var rate and < long.MaxValue ? rate : double.MaxValue,
            CordonedDirectories = () => [.. current().CordonedLogDirs.Select(AbsolutePath)],
            Cleaner = () => CleanerOptionsOf(current(), hashSecret),
            Seed = platform.Seed,
            OnDirectoryFailure = onFailure,
        };
    }

    private static CleanerOptions CleanerOptionsOf(BrokerConfig config, Uuid hashSecret) => new()
    {
        Threads = config.LogCleanerThreads,
        DedupeBufferBytes = config.LogCleanerDedupeBufferSize,
        LoadFactor = config.LogCleanerIoBufferLoadFactor,
        IoBufferBytes = config.LogCleanerIoBufferSize,
        IoBytesPerSecondMax = config.LogCleanerIoMaxBytesPerSecond,
        BackoffMs = config.LogCleanerBackoffMs,
        HashSecret = hashSecret,
    };

    /// <summary>Reads who this node is from <c>meta.properties</c>.</summary>
    /// <exception cref="NodeStartException">A directory is not formatted, belongs to another node or cluster, or is a copy of another.</exception>
    public static StorageIdentity Identify(BrokerConfig config, LogManager logs)
    {
        var online = logs.Directories.Where(directory => !directory.IsOffline).ToList();
        var unformatted = online.Where(directory => directory.Properties is null).ToList();
        if (unformatted.Count == online.Count)
            throw new NodeStartException($"{string.Join(", ", unformatted)} is not formatted. Run 'ottla format --cluster-id ID' with the same configuration first.");

        string? clusterId = null;
        var ids = new Dictionary<Uuid, LogDirectory>();
        foreach (var directory in online.Except(unformatted))
        {
            var properties = directory.Properties!;
            if (properties.NodeId != config.NodeId)
                throw new NodeStartException($"node.id is {config.NodeId}, but {directory} belongs to node {properties.NodeId}: set node.id={properties.NodeId}, or use another directory.");
            clusterId ??= properties.ClusterId;
            if (properties.ClusterId is null || properties.ClusterId != clusterId)
                throw new NodeStartException($"{directory} belongs to cluster {properties.ClusterId}, the others to {clusterId}.");
            if (properties.DirectoryId is not { } id)
                continue;
            if (DirectoryIds.IsReserved(id))
                throw new NodeStartException($"{directory} has the directory.id {id}, which is reserved.");
            if (!ids.TryAdd(id, directory))
                throw new NodeStartException($"{directory} has the directory.id {id} of {ids[id]}: one of them is a copy of the other, and must not be used.");
        }

        if (config.ClusterId is { } wanted && wanted != clusterId)
            throw new NodeStartException($"CLUSTER_ID is {wanted}, but the log directories belong to cluster {clusterId}: unset it, or use other directories.");
        foreach (var directory in unformatted) // a disk that was added, or replaced
            directory.Format(new MetaProperties { ClusterId = clusterId, NodeId = config.NodeId, DirectoryId = Uuid.NewRandom() });
        foreach (var directory in online.Where(directory => directory.Properties!.DirectoryId is null)) // formatted before there were ids (KIP-858)
            directory.Format(directory.Properties! with { DirectoryId = Uuid.NewRandom(), Version = 1 });

        var metadataPath = MetadataPath(config);
        var metadata = online.Find(directory => directory.Path == metadataPath)
            ?? throw new NodeStartException($"The log directory of the metadata, {metadataPath}, is offline.");
        return new StorageIdentity(clusterId!, config.NodeId, metadataPath, metadata.Properties!.DirectoryId!.Value);
    }

    /// <summary>The absolute paths of all log directories, that of the metadata included.</summary>
    public static IEnumerable<string> Paths(BrokerConfig config) => config.LogDirs.Select(AbsolutePath).Append(MetadataPath(config)).Distinct();

    /// <summary>The absolute path of the log directory that holds the metadata log.</summary>
    public static string MetadataPath(BrokerConfig config) => AbsolutePath(config.MetadataLogDir);

    /// <summary>The one spelling of a path that directories are compared by, and shown with: without a separator at its end, as Java has it.</summary>
    private static string AbsolutePath(string path) => Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));

    private static VoterSet? VotersOf(FormatPlan plan, string controllerListener) => plan.Voters is null
        ? null
        : new VoterSet(plan.Voters.Select(voter => new Voter(new ReplicaKey(voter.Id, voter.DirectoryId), [new RaftEndpoint(controllerListener, voter.Host, (ushort)voter.Port)])));
}
