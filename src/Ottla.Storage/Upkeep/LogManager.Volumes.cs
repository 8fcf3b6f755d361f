using Ottla.Kernel;
using Ottla.Storage.Log;

namespace Ottla.Storage.Upkeep;

/// <content>
/// Work on many logs of a directory at a time: each log writes its files, and one flush of the volume makes them all durable.
/// </content>
public sealed partial class LogManager
{
    /// <summary>
    /// From this number of logs on one flush of the volume is cheaper than a flush per log. The flush also waits for writes of
    /// other processes.
    /// </summary>
    internal const int VolumeFlushLogsMin = 32;

    /// <summary>Flushes and closes the logs of a directory.</summary>
    /// <returns>Whether all logs closed cleanly; otherwise the next start recovers some.</returns>
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

    private int DirectoriesAtOnce(int count) => Math.Min(count, _options.DirectoriesAtOnceMax);

    /// <summary>When many logs need recovery, none of them flushes on its own.</summary>
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
    /// Makes the recovery of many logs durable. Until then the recovery points on disk are the old ones, so that a crash repeats
    /// the recovery.
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

    /// <summary>Writes <c>partition.metadata</c> of the logs created since the last call.</summary>
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
