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

namespace Ottla.Broker.Directories;

/// <summary>The node that the log directories belong to.</summary>
/// <param name="ClusterId">The cluster's id.</param>
/// <param name="NodeId">The node's id.</param>
/// <param name="MetadataDirectory">The path of the log directory that holds the metadata log.</param>
/// <param name="MetadataDirectoryId">That directory's id.</param>
public sealed record StorageIdentity(string ClusterId, int NodeId, string MetadataDirectory, Uuid MetadataDirectoryId);

/// <summary>Prepares the log directories of a node, and verifies that they belong to it.</summary>
public static class LogDirectories
{
    /// <summary>Whether no log directory is formatted yet, so that a start without a configuration file may format them.</summary>
    /// <exception cref="NodeStartException">
    /// A directory has logs and no <c>meta.properties</c>: that was lost, and formatting would give the logs to another node.
    /// </exception>
    public static bool AreUnformatted(BrokerConfig config, IFileSystem fileSystem)
    {
        if (!Paths(config).All(path => TryRead(fileSystem, path, out var properties) && properties is null))
            return false;
        if (Paths(config).FirstOrDefault(path => HasLogs(fileSystem, path)) is { } withLogs)
        {
            throw new NodeStartException(
                $"{withLogs} has logs, but no {MetaProperties.Name}. Formatting it would lose the logs. Restore the file, or write it "
                    + "with the cluster.id, the node.id and the directory.id that the node had; or use an empty directory.");
        }

        return true;
    }

    /// <summary>The format command for this configuration, with all defaults.</summary>
    public static FormatRequest FormatRequestOf(BrokerConfig config, string clusterId) => new()
    {
        ClusterId = clusterId,
        NodeId = config.NodeId,
        LogDirs = [.. Paths(config)],
        MetadataLogDir = MetadataPath(config),
        IsController = config.IsController,
        HasDynamicQuorum = config.QuorumVoters.Count == 0,
        SupportedFeatures = SupportedByThisVersion.In(config),
    };

    /// <summary>Formats log directories.</summary>
    /// <param name="plan">What to write.</param>
    /// <param name="controllerListener">The listener of the voters' addresses.</param>
    /// <param name="fileSystem">The disk.</param>
    /// <param name="now">The timestamp of the snapshot.</param>
    /// <param name="announce">Called with each directory before it is written.</param>
    /// <exception cref="IOException">The disk fails.</exception>
    public static void Format(
        FormatPlan plan, string controllerListener, IFileSystem fileSystem, Instant now, Action<DirectoryPlan>? announce = null)
    {
        foreach (var directory in plan.Directories)
        {
            announce?.Invoke(directory);
            fileSystem.CreateDurableDirectory(directory.Path);
            if (directory.HoldsSnapshot)
                RaftBootstrap.Write(fileSystem, directory.Path, plan.KRaftVersion, VotersOf(plan, controllerListener), plan.Records, now);
            // Last: a directory with this file counts as formatted.
            new MetaProperties { ClusterId = plan.ClusterId, NodeId = plan.NodeId, DirectoryId = directory.DirectoryId }.Write(
                fileSystem, directory.Path);
        }
    }

    /// <summary>Reads a directory's <c>meta.properties</c>; null when it has none.</summary>
    public static FormattedDirectory? Existing(IFileSystem fileSystem, string path) =>
        MetaProperties.Read(fileSystem, path) is { } properties
            ? new FormattedDirectory(properties.ClusterId, properties.NodeId, properties.DirectoryId)
            : null;

    /// <summary>The options for opening the logs, and for their upkeep.</summary>
    /// <param name="current">Returns the configuration in force; called at each use.</param>
    /// <param name="platform">Disk, network, clock.</param>
    /// <param name="onFailure">Called when a directory goes offline.</param>
    public static LogManagerOptions Options(Func<BrokerConfig> current, NodePlatform platform, Action<LogDirectory, Exception> onFailure)
    {
        var config = current();
        var hashSecret = Uuid.NewRandom();
        // The configs of topics come from the metadata, which is read later, from these directories.
        var defaults = new TopicSettings(config.TopicDefaults, config).Log;
        return new LogManagerOptions
        {
            LogDirectories = config.IsBroker ? [.. Paths(config)] : [MetadataPath(config)], // a controller alone has no partitions
            MetadataOnlyDirectory = config.IsBroker
            && config.LogDirs.Select(AbsolutePath).Contains(MetadataPath(config)) ? null : MetadataPath(config),
            OpensLogs = config.IsBroker,
            ConfigFor = _ => defaults,
            RecoveryParallelism = config.NumRecoveryThreadsPerDataDir,
            DirectoriesAtOnceMax = platform.DirectoriesAtOnceMax,
            RetentionCheckIntervalMs = config.LogRetentionCheckIntervalMs,
            InitialTaskDelayMs = config.LogInitialTaskDelayMs,
            TimedFlushCheckIntervalMs = config.IsSet("log.flush.scheduler.interval.ms") ? config.LogFlushSchedulerIntervalMs
                : LogManagerOptions.DefaultTimedFlushCheckIntervalMs,
            RecoveryPointCheckpointIntervalMs = config.LogFlushOffsetCheckpointIntervalMs,
            LogStartOffsetCheckpointIntervalMs = config.LogFlushStartOffsetCheckpointIntervalMs,
            HighWatermarkCheckpointIntervalMs = config.ReplicaHighWatermarkCheckpointIntervalMs,
            DeleteDelayMs = config.LogSegmentDeleteDelayMs,
            MoveBytesPerSecondMax = () =>
                current().ReplicaAlterLogDirsIoMaxBytesPerSecond is var rate and < long.MaxValue ? rate : double.MaxValue,
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

    /// <summary>
    /// Verifies that the log directories belong to this node, before anything is written in them. Skips an unreadable directory: it goes
    /// offline when it is opened.
    /// </summary>
    /// <exception cref="NodeStartException">
    /// A directory is missing or not formatted, belongs to another node or cluster, is a copy of another, or has a metadata log that does
    /// not belong there.
    /// </exception>
    public static void Verify(BrokerConfig config, IFileSystem fileSystem)
    {
        var readable = new Dictionary<string, MetaProperties?>();
        foreach (var path in Paths(config))
        {
            if (TryRead(fileSystem, path, out var properties))
                readable.Add(path, properties);
        }

        RefuseUnformatted(readable);
        string? clusterId = null;
        var ids = new Dictionary<Uuid, string>();
        foreach (var (path, properties) in readable)
        {
            if (properties!.NodeId is null)
                throw new NodeStartException(
                    $"{Path.Combine(path, MetaProperties.Name)} has no node.id: it is damaged, or of another kind. Restore "
                    + "it from a copy.");
            if (properties.NodeId != config.NodeId)
                throw new NodeStartException(
                    $"node.id is {config.NodeId}, but {path} belongs to node {properties.NodeId}: set node.id={properties.NodeId}, or "
                    + "use another directory.");
            if (properties.ClusterId is null)
                throw new NodeStartException(
                    $"{Path.Combine(path, MetaProperties.Name)} has no cluster.id: it is damaged. Restore it from a copy.");
            clusterId ??= properties.ClusterId;
            if (properties.ClusterId != clusterId)
                throw new NodeStartException(
                    $"{path} belongs to cluster {properties.ClusterId}, the others to {clusterId}. Remove it from log.dirs.");
            if (path != MetadataPath(config) && fileSystem.DirectoryExists(Path.Combine(path, RaftBootstrap.Partition.ToString())))
                throw new NodeStartException(
                    $"There is a metadata log in {path}, but metadata.log.dir is {MetadataPath(config)}: set it to the directory that "
                    + "has the metadata log.");
            if (properties.DirectoryId is not { } id)
                continue;
            if (DirectoryIds.IsReserved(id))
                throw new NodeStartException($"{path} has the directory.id {id}, which is reserved.");
            if (!ids.TryAdd(id, path))
                throw new NodeStartException(
                    $"{path} has the directory.id {id} of {ids[id]}: one of them is a copy of the other. Remove the copy from log.dirs.");
        }

        if (config.ClusterId is { } wanted && clusterId is not null && wanted != clusterId)
            throw new NodeStartException(
                $"CLUSTER_ID is {wanted}, but the log directories belong to cluster {clusterId}: unset it, or use other directories.");
    }

    /// <summary>
    /// Reads the identity of this node from the <c>meta.properties</c> of directories that <see cref="Verify"/> accepted.
    /// </summary>
    /// <exception cref="NodeStartException">The directory of the metadata is offline.</exception>
    public static StorageIdentity Identify(BrokerConfig config, LogManager logs)
    {
        var online = logs.Directories.Where(directory => !directory.IsOffline && directory.Properties is not null).ToList();
        // a version without directory ids has formatted it (KIP-858)
        foreach (var directory in online.Where(directory => directory.Properties!.DirectoryId is null))
            directory.Format(directory.Properties! with { DirectoryId = Uuid.NewRandom(), Version = 1 });

        var metadataPath = MetadataPath(config);
        var metadata = online.Find(directory => directory.Path == metadataPath)
            ?? throw new NodeStartException(
                $"The log directory of the metadata, {metadataPath}, is offline: "
                    + $"{logs.Directories.First(directory => directory.Path == metadataPath).Failure?.Message}");
        return new StorageIdentity(metadata.Properties!.ClusterId!, config.NodeId, metadataPath, metadata.Properties!.DirectoryId!.Value);
    }

    /// <summary>
    /// A node does not format a directory by itself when others are formatted: the disk of the unformatted one may just not be mounted, and
    /// have logs.
    /// </summary>
    private static void RefuseUnformatted(Dictionary<string, MetaProperties?> readable)
    {
        var unformatted = readable.Where(directory => directory.Value is null).Select(directory => directory.Key).ToList();
        if (unformatted.Count == 0)
            return;
        throw new NodeStartException(unformatted.Count == readable.Count
            ? $"{string.Join(", ", unformatted)} is not formatted. Run 'ottla format --cluster-id ID' with the same configuration first."
            : $"No {MetaProperties.Name} found in {string.Join(", ", unformatted)}. If its disk is not mounted, or the file was lost, "
                + "mount the disk or restore the file. If the directory is new, "
                + "run 'ottla format --ignore-formatted --cluster-id ID' with the same configuration and the cluster.id of the other "
                    + "directories.");
    }

    /// <summary>Reads <c>meta.properties</c>; null when there is none.</summary>
    /// <returns>False when the file is unreadable.</returns>
    private static bool TryRead(IFileSystem fileSystem, string path, out MetaProperties? properties)
    {
        try
        {
            properties = MetaProperties.Read(fileSystem, path);
            return true;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            properties = null;
            return false;
        }
    }

    /// <summary>Whether a directory has logs. Ignores a metadata log without a segment, which an interrupted formatting leaves.</summary>
    private static bool HasLogs(IFileSystem fileSystem, string path) =>
        fileSystem.DirectoryExists(path) && fileSystem.ListDirectories(path).Any(name =>
            LogFileNames.TryParseDirectory(name, out var partition)
            && (partition != RaftBootstrap.Partition || fileSystem.ListFiles(Path.Combine(path, name))
                .Any(file => file.EndsWith(LogFileNames.LogSuffix, StringComparison.Ordinal))));

    /// <summary>The absolute paths of all log directories, that of the metadata included.</summary>
    public static IEnumerable<string> Paths(BrokerConfig config) =>
        config.LogDirs.Select(AbsolutePath).Append(MetadataPath(config)).Distinct();

    /// <summary>The absolute path of the log directory that holds the metadata log.</summary>
    public static string MetadataPath(BrokerConfig config) => AbsolutePath(config.MetadataLogDir);

    /// <summary>
    /// The spelling of a path for comparison and for messages: absolute, and without a separator at its end, as Java writes it.
    /// </summary>
    private static string AbsolutePath(string path) => Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));

    private static VoterSet? VotersOf(FormatPlan plan, string controllerListener) => plan.Voters is null
        ? null
        : new VoterSet(
            plan.Voters.Select(
                voter => new Voter(
                    new ReplicaKey(voter.Id, voter.DirectoryId), [new RaftEndpoint(controllerListener, voter.Host, (ushort)voter.Port)])));
}
