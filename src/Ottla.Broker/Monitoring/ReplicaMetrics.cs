using System.Globalization;
using Ottla.Broker.Replicas;
using Ottla.Broker.Replicas.Fetching;
using Ottla.StateMachines.Metadata;
using Ottla.Storage.Files;
using Ottla.Storage.Upkeep;

namespace Ottla.Broker.Monitoring;

/// <summary>The replicas of a broker and their logs: Kafka's ReplicaManager, Partition, Log and LogManager.</summary>
/// <param name="topics">The replicas.</param>
/// <param name="isrs">How the ISRs have changed that are led here.</param>
/// <param name="fetchers">What fetches for those that follow.</param>
/// <param name="logs">The logs and their directories.</param>
/// <param name="metadata">The metadata, which says what is being moved.</param>
internal sealed class ReplicaMetrics(
    HostedTopics topics, IsrCounters isrs, ReplicaFetchers fetchers, LogManager logs, Func<MetadataImage> metadata) : MetricSource
{
    private static readonly MetricFamily Partitions = OfManager("partitioncount", "Replicas of this broker, online or not.");
    private static readonly MetricFamily Leaders = OfManager("leadercount", "Partitions that this broker leads.");
    private static readonly MetricFamily Offline = OfManager("offlinereplicacount", "Replicas whose log cannot be used.");
    private static readonly MetricFamily UnderReplicated =
        OfManager("underreplicatedpartitions", "Partitions led here of which a replica is not in sync.");
    private static readonly MetricFamily UnderMinIsr =
        OfManager("underminisrpartitioncount", "Partitions led here with fewer replicas in sync than min.insync.replicas: acks=all fails.");
    private static readonly MetricFamily AtMinIsr =
        OfManager("atminisrpartitioncount", "Partitions led here with just min.insync.replicas in sync: one less, and acks=all fails.");
    private static readonly MetricFamily Reassigning =
        OfManager("reassigningpartitions", "Partitions led here that are being moved to other brokers.");
    private static readonly MetricFamily Producers = OfManager(
        "produceridcount", "Producers that the logs of this broker know, each counted in every partition that it has written to.");
    private static readonly MetricFamily Shrinks = MetricFamily.Counter(
        "kafka_server_replicamanager_isrshrinks_total", "How often a replica has left the ISR of a partition led here.");
    private static readonly MetricFamily Expansions = MetricFamily.Counter(
        "kafka_server_replicamanager_isrexpands_total", "How often a replica has joined the ISR of a partition led here.");
    private static readonly MetricFamily FailedUpdates =
        MetricFamily.Counter("kafka_server_replicamanager_failedisrupdates_total", "Changes of an ISR that the controller has not made.");
    private static readonly MetricFamily MaxLag = MetricFamily.Gauge(
        "kafka_server_replicafetchermanager_maxlag",
        "Records that the replica furthest behind must fetch still, as far as it knows what its leader has committed.", "clientId");
    private static readonly MetricFamily OfflineDirectories =
        MetricFamily.Gauge("kafka_log_logmanager_offlinelogdirectorycount", "Log directories that have failed.");
    private static readonly MetricFamily OfflineDirectory =
        MetricFamily.Gauge("kafka_log_logmanager_logdirectoryoffline", "Whether a log directory has failed.", "logDirectory");
    private static readonly MetricFamily FreeBytes =
        MetricFamily.Gauge("ottla_log_directory_free_bytes", "Bytes that are free on the disk of a log directory.", "logDirectory");
    private static readonly MetricFamily SizeBytes =
        MetricFamily.Gauge("ottla_log_directory_size_bytes", "Bytes that the disk of a log directory has.", "logDirectory");
    private static readonly MetricFamily Uncleanable = MetricFamily.Gauge(
        "kafka_log_logcleanermanager_uncleanable_partitions_count", "Partitions that the cleaner gave up, because their log is damaged.");

    private static readonly MetricFamily PartitionReplicas =
        OfPartition("kafka_cluster_partition_replicascount", "Replicas of the partition.");
    private static readonly MetricFamily PartitionIsr =
        OfPartition("kafka_cluster_partition_insyncreplicascount", "Replicas in sync; 0 where this broker does not lead.");
    private static readonly MetricFamily PartitionUnderReplicated =
        OfPartition("kafka_cluster_partition_underreplicated", "Whether it is led here and a replica is not in sync.");
    private static readonly MetricFamily PartitionUnderMinIsr =
        OfPartition("kafka_cluster_partition_underminisr", "Whether it is led here with fewer replicas in sync than min.insync.replicas.");
    private static readonly MetricFamily PartitionAtMinIsr =
        OfPartition("kafka_cluster_partition_atminisr", "Whether it is led here with just min.insync.replicas in sync.");
    private static readonly MetricFamily LogSize = OfPartition("kafka_log_log_size", "Bytes of the log.");
    private static readonly MetricFamily LogStart = OfPartition("kafka_log_log_logstartoffset", "The first offset of the log.");
    private static readonly MetricFamily LogEnd =
        OfPartition("kafka_log_log_logendoffset", "The offset behind the last record of the log.");
    private static readonly MetricFamily LogSegments = OfPartition("kafka_log_log_numlogsegments", "Segments of the log.");

    private readonly List<PartitionReplica> _replicas = [];

    /// <inheritdoc/>
    public override IReadOnlyList<MetricFamily> Families { get; } =
    [
        Partitions, Leaders, Offline, UnderReplicated, UnderMinIsr, AtMinIsr, Reassigning, Producers, Shrinks, Expansions, FailedUpdates,
        MaxLag, OfflineDirectories, OfflineDirectory, FreeBytes, SizeBytes, Uncleanable,
        PartitionReplicas, PartitionIsr, PartitionUnderReplicated, PartitionUnderMinIsr,
        PartitionAtMinIsr, LogSize, LogStart, LogEnd, LogSegments,
    ];

    /// <inheritdoc/>
    protected override void Collect(IMetricOutput output, bool isDetailed)
    {
        _replicas.AddRange(topics.Replicas);
        CollectSums(output);
        CollectDirectories(output);
        if (isDetailed)
            CollectPartitions(output);
        _replicas.Clear();
    }

    private void CollectSums(IMetricOutput output)
    {
        var image = metadata();
        var (leaders, under, underMin, atMin, reassigning) = (0, 0, 0, 0, 0);
        var producers = 0L;
        foreach (var replica in _replicas)
        {
            var state = IsrState.Of(replica);
            leaders += state.IsLeader ? 1 : 0;
            under += state.IsUnderReplicated ? 1 : 0;
            underMin += state.IsUnderMinIsr ? 1 : 0;
            atMin += state.IsAtMinIsr ? 1 : 0;
            reassigning += state.IsLeader && IsReassigned(image, replica) ? 1 : 0;
            producers += replica.Log.ProducerCount;
        }

        Give(output, Partitions, _replicas.Count + topics.OfflineCount);
        Give(output, Leaders, leaders);
        Give(output, Offline, topics.OfflineCount);
        Give(output, UnderReplicated, under);
        Give(output, UnderMinIsr, underMin);
        Give(output, AtMinIsr, atMin);
        Give(output, Reassigning, reassigning);
        Give(output, Producers, producers);
        Give(output, Shrinks, isrs.Shrinks);
        Give(output, Expansions, isrs.Expansions);
        Give(output, FailedUpdates, isrs.Failures);
        output.Begin(MaxLag);
        output.Add(fetchers.MaxLag, "Replica");
    }

    private void CollectDirectories(IMetricOutput output)
    {
        var directories = logs.Directories;
        Give(output, OfflineDirectories, directories.Count(directory => directory.IsOffline));
        output.Begin(OfflineDirectory);
        foreach (var directory in directories)
            output.Add(directory.IsOffline ? 1 : 0, directory.Path);
        var spaces = directories.Where(directory => !directory.IsOffline).Select(SpaceOf).OfType<(string Path, DiskSpace Space)>().ToList();
        output.Begin(FreeBytes);
        foreach (var (path, space) in spaces)
            output.Add(space.FreeBytes, path);
        output.Begin(SizeBytes);
        foreach (var (path, space) in spaces)
            output.Add(space.TotalBytes, path);
        Give(output, Uncleanable, logs.Cleaner.Uncleanable.Count);
    }

    /// <summary>The disk of a directory; null when the system does not tell.</summary>
    private static (string Path, DiskSpace Space)? SpaceOf(LogDirectory directory)
    {
        try
        {
            return (directory.Path, directory.Space);
        }
        catch (IOException)
        {
            return null;
        }
    }

    private void CollectPartitions(IMetricOutput output)
    {
        GiveAll(output, PartitionReplicas, replica => replica.Leadership.Replicas.Length);
        GiveAll(output, PartitionIsr, replica => IsrState.Of(replica).InSyncCount);
        GiveAll(output, PartitionUnderReplicated, replica => IsrState.Of(replica).IsUnderReplicated ? 1 : 0);
        GiveAll(output, PartitionUnderMinIsr, replica => IsrState.Of(replica).IsUnderMinIsr ? 1 : 0);
        GiveAll(output, PartitionAtMinIsr, replica => IsrState.Of(replica).IsAtMinIsr ? 1 : 0);
        GiveAll(output, LogSize, replica => replica.Log.SizeInBytes);
        GiveAll(output, LogStart, replica => replica.Log.LogStartOffset);
        GiveAll(output, LogEnd, replica => replica.Log.LogEndOffset);
        GiveAll(output, LogSegments, replica => replica.Log.SegmentCount);
    }

    private void GiveAll(IMetricOutput output, MetricFamily family, Func<PartitionReplica, double> value)
    {
        output.Begin(family);
        foreach (var replica in _replicas)
        {
            if (!replica.Leadership.IsRetired)
                output.Add(
                    value(replica), replica.Partition.Topic, replica.Partition.Partition.ToString(CultureInfo.InvariantCulture));
        }
    }

    private static bool IsReassigned(MetadataImage image, PartitionReplica replica) =>
        image.Topics.Find(replica.TopicId)?.Partition(replica.Partition.Partition) is { IsReassigned: true };

    private static MetricFamily OfManager(string what, string help) => MetricFamily.Gauge($"kafka_server_replicamanager_{what}", help);

    private static MetricFamily OfPartition(string name, string help) =>
        MetricFamily.Gauge(name, help, "topic", "partition") with { IsDetailed = true };

    /// <summary>How a partition stands that may be led here.</summary>
    /// <param name="IsLeader">Whether it is.</param>
    /// <param name="InSyncCount">Replicas in sync; 0 where it is not led here.</param>
    /// <param name="ReplicaCount">All replicas.</param>
    /// <param name="MinIsr">min.insync.replicas, or the number of replicas if that is lower.</param>
    private readonly record struct IsrState(bool IsLeader, int InSyncCount, int ReplicaCount, int MinIsr)
    {
        public bool IsUnderReplicated => IsLeader && InSyncCount < ReplicaCount;

        public bool IsUnderMinIsr => IsLeader && InSyncCount < MinIsr;

        public bool IsAtMinIsr => IsLeader && InSyncCount == MinIsr;

        public static IsrState Of(PartitionReplica replica)
        {
            var leadership = replica.Leadership;
            return leadership is { IsLeaderHere: true, IsRetired: false }
                ? new IsrState(true, leadership.InSyncReplicas.Length, leadership.Replicas.Length, replica.MinInSync(leadership))
                : default;
        }
    }
}
