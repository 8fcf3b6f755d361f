using Microsoft.Extensions.Logging;
using Ottla.Broker.Hosts;
using Ottla.Kernel;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;
using Ottla.Storage.Upkeep;

namespace Ottla.Broker.Metadata;

/// <summary>Keeps the metadata right about the log directories of this broker: which have failed, which are cordoned, and which each replica is in (KIP-858).</summary>
/// <remarks>Run by the node, once a second; does nothing unless something changed. Lives as long as the node.</remarks>
internal sealed partial class DirectoryReports(int nodeId, LogManager logs, BrokerLifecycle lifecycle, Func<MetadataImage> image, ILogger logger)
{
    /// <summary>Replicas that are reported at once: what is left over follows.</summary>
    private const int ReplicasPerReportMax = 2_000;

    private (int PlacementVersion, MetadataImage? Image, string Cordoned) _reported = (-1, null, "");

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
            var offline = Ids(directory => directory.IsOffline).Where(id => broker.LogDirs.Contains(id)).ToList();
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

    private List<Uuid> Ids(Func<LogDirectory, bool> which) =>
        [.. logs.Directories.Where(which).Select(directory => directory.Properties?.DirectoryId).OfType<Uuid>()];

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
