using Ottla.Kernel;
using Ottla.Storage.Log;

namespace Ottla.Storage.Upkeep;

/// <content>
/// What is done for many logs of a directory at a time: written for each, and made durable for all with a flush of the volume.
/// </content>
public sealed partial class LogManager
{
    /// <summary>
    /// From so many logs on one flush of the volume is cheaper than flushing each; it also waits for what others have written
    /// there, so for a few it is not.
    /// </summary>
    internal const int VolumeFlushLogsMin = 32;

    /// <summary>Closes the logs of a directory in order.</summary>
    /// <returns>Whether all of them were; else the next start has to recover some.</returns>
    private bool CloseLogs(LogDirectory directory, List<Entry> entries, int parallelism)
    {
        var failures = 0;
        if (!IsWorthAVolumeFlush(entries.Count(entry => entry.Log.HasUnflushed)))
        {
            ForEach(entries, parallelism, entry => Count(TryClose(directory, entry.Log.Close) && !entry.Log.IsOffline));
            return failures == 0;
        }

        ForEach(entries, parallelism, entry => Count(TryClose(directory, entry.Log.BeginClose) && !entry.Log.IsOffline));
        Count(TryClose(directory, () => _fileSystem.FlushVolume(directory.Path)));
        if (failures > 0)
            return false;
        ForEach(entries, parallelism, entry => Count(TryClose(directory, entry.Log.EndClose)));
        Count(TryClose(directory, () => _fileSystem.FlushVolume(directory.Path)));
        return failures == 0;

        void Count(bool isClosed)
        {
            if (!isClosed)
                Interlocked.Increment(ref failures);
        }
    }

    /// <summary>Where many logs have to be recovered, none of them waits for the disk.</summary>
    private void DeferFlushes(List<(LogDirectory Directory, TopicPartition Partition, LogOpenOptions Options)> partitions)
    {
        var counts = partitions.Where(found => !found.Options.HadCleanShutdown).CountBy(found => found.Directory).ToDictionary();
        for (var i = 0; i < partitions.Count; i++)
        {
            var (directory, partition, options) = partitions[i];
            if (!options.HadCleanShutdown && IsWorthAVolumeFlush(counts[directory]))
                partitions[i] = (directory, partition, options with { DefersFlush = true });
        }
    }

    /// <summary>
    /// Makes durable what the recovery of many logs has written. Until then their recovery points on disk are those from before,
    /// and a death begins again.
    /// </summary>
    private void FlushRecovered(LogDirectory directory)
    {
        List<PartitionLog> recovered = [.. LogsIn(directory).Where(log => log.IsRecoveryUnflushed)];
        if (recovered.Count == 0)
            return;
        recovered.ForEach(log => log.StageRecovered());
        _fileSystem.FlushVolume(directory.Path);
        recovered.ForEach(log => log.PublishRecovered());
        _fileSystem.FlushVolume(directory.Path);
    }

    /// <summary>Writes <c>partition.metadata</c> of logs that were made since the last time.</summary>
    private void WriteTopicIds(IEnumerable<Entry> entries)
    {
        foreach (var group in entries.Where(entry => entry.Log.IsTopicIdUnwritten).GroupBy(entry => entry.Directory))
        {
            List<Entry> made = [.. group];
            if (!IsWorthAVolumeFlush(made.Count))
            {
                ForEachLog(made, log => log.PublishTopicId(isFlushed: false));
                continue;
            }

            ForEachLog(made, log => log.StageTopicId());
            if (TryRun(group.Key, () => _fileSystem.FlushVolume(group.Key.Path)))
                ForEachLog(made, log => log.PublishTopicId(isFlushed: true));
        }
    }

    private bool IsWorthAVolumeFlush(int logs) => logs >= VolumeFlushLogsMin && _fileSystem.CanFlushVolume;
}
