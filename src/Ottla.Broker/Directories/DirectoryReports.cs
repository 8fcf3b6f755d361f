using Microsoft.Extensions.Logging;
using Ottla.Broker.Hosts;
using Ottla.Broker.Metadata;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Metadata;
using Ottla.Storage.Upkeep;

namespace Ottla.Broker.Directories;

/// <summary>Keeps the metadata right about the log directories of this broker: which have failed, which are cordoned, and which each replica is in (KIP-858).</summary>
/// <remarks>Run by the node, once a second; does nothing unless something changed. Lives as long as the node.</remarks>
/// <param name="nodeId">This broker.</param>
/// <param name="logs">The log directories.</param>
/// <param name="lifecycle">Speaks with the controller.</param>
/// <param name="image">The metadata as this broker knows it.</param>
/// <param name="failureTimeoutMs"><c>log.dir.failure.timeout.ms</c>.</param>
/// <param name="logger">Where refusals are logged.</param>
internal sealed partial class DirectoryReports(
    int nodeId, LogManager logs, BrokerLifecycle lifecycle, Func<MetadataImage> image, long failureTimeoutMs, ILogger logger)
{
    /// <summary>Replicas that are reported at once: what is left over follows.</summary>
    private const int ReplicasPerReportMax = 2_000;

    /// <summary>Since when directories are offline of which the metadata does not say so yet.</summary>
    private Dictionary<Uuid, Instant> _unnoted = [];
    private (int PlacementVersion, MetadataImage? Image, string Cordoned) _reported = (-1, null, "");

    /// <summary>Makes sure that the controller took note of failed directories in time: as long as it has not, it gives their partitions no other leader.</summary>
    /// <exception cref="IOException">It did not within <c>log.dir.failure.timeout.ms</c>: the broker has to stop, and so to be noticed.</exception>
    public void CheckFailuresAreNoted(Instant now)
    {
        var current = image();
        _unnoted = UnnotedFailures(current).ToDictionary(id => id, id => _unnoted.GetValueOrDefault(id, now));
        var overdue = _unnoted.Where(failure => now.MillisecondsSince(failure.Value) >= failureTimeoutMs).Select(failure => failure.Key).ToList();
        if (overdue.Count > 0)
            throw new IOException($"The controller did not take note within {failureTimeoutMs} ms that log directories have failed: {string.Join(", ", overdue)}.");
    }

    /// <summary>Reports what the metadata does not say yet.</summary>
    public async Task ReportAsync(CancellationToken stopping)
    {
        var current = image();
        var cordoned = Ids(logs.IsCordoned);
        var state = (logs.PlacementVersion, current, string.Join(",", cordoned));
        if (state.PlacementVersion == _reported.PlacementVersion && ReferenceEquals(current, _reported.Image) && state.Item3 == _reported.Cordoned)
            return;
        if (current.Features.MetadataVersion is not { SupportsDirectoryAssignment: true } version || current.Cluster.Broker(nodeId) is not { } broker)
            return;
        try
        {
            var offline = UnnotedFailures(current).ToList();
            var isCordoningNews = version.SupportsCordonedLogDirs && !cordoned.ToHashSet().SetEquals(broker.CordonedLogDirs.IsDefault ? [] : broker.CordonedLogDirs);
            if (offline.Count > 0 || isCordoningNews)
                await lifecycle.ReportDirectoriesAsync(offline, cordoned, stopping);
            var replicas = Misplaced(current).Take(ReplicasPerReportMax).ToList();
            if (replicas.Count > 0)
                await lifecycle.AssignDirectoriesAsync(replicas, stopping);
            if (offline.Count == 0 && replicas.Count == 0 && !isCordoningNews)
                _reported = state;
        }
        catch (Exception failure) when (failure is ApiException or MetadataLogException)
        {
            LogRefused(logger, failure.Message); // tried again
        }
    }

    /// <summary>The directories that have failed, and are in use as far as the metadata says.</summary>
    private IEnumerable<Uuid> UnnotedFailures(MetadataImage current) =>
        current.Features.MetadataVersion is { SupportsDirectoryAssignment: true } && current.Cluster.Broker(nodeId) is { } broker
            ? Ids(directory => directory.IsOffline).Where(id => broker.LogDirs.Contains(id))
            : [];

    private List<Uuid> Ids(Func<LogDirectory, bool> which) =>
        [.. logs.Directories.Where(logs.IsForPartitions).Where(which).Select(directory => directory.Properties?.DirectoryId).OfType<Uuid>()];

    /// <summary>The replicas of which the metadata says another directory than they are in.</summary>
    private IEnumerable<(Uuid Directory, Uuid TopicId, int Partition)> Misplaced(MetadataImage current)
    {
        foreach (var log in logs.Logs)
        {
            if (log.TopicId is { } topicId
                && logs.FindDirectory(log.Partition) is { IsOffline: false, Properties.DirectoryId: { } directory }
                && current.Topics.ById.TryGetValue(topicId, out var topic)
                && topic.Partition(log.Partition.Partition) is { } partition
                && partition.Replicas.Contains(nodeId)
                && partition.DirectoryOf(nodeId) != directory)
                yield return (directory, topicId, log.Partition.Partition);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The controller did not take note of the log directories: {Reason}")]
    private static partial void LogRefused(ILogger logger, string reason);
}
