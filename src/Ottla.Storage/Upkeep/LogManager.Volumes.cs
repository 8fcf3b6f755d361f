namespace Ottla.Storage.Upkeep;

/// <content>What is done for many logs of a directory at a time: written for each, and made durable for all with a flush of the volume.</content>
public sealed partial class LogManager
{
    /// <summary>From so many logs on one flush of the volume is cheaper than flushing each; it also waits for what others have written there, so for a few it is not.</summary>
    internal const int VolumeFlushLogsMin = 32;

    /// <summary>Closes the logs of a directory in order.</summary>
    /// <returns>Whether all of them were.</returns>
    private bool CloseLogs(LogDirectory directory, List<Entry> entries, int parallelism)
    {
        var failures = 0;
        if (!IsWorthAVolumeFlush(entries.Count(entry => entry.Log.HasUnflushed)))
        {
            ForEach(entries, parallelism, entry => Count(TryClose(directory, entry.Log.Close)));
            return failures == 0;
        }

        ForEach(entries, parallelism, entry => Count(TryClose(directory, entry.Log.BeginClose)));
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
            if (Guard(group.Key, () => _fileSystem.FlushVolume(group.Key.Path)))
                ForEachLog(made, log => log.PublishTopicId(isFlushed: true));
        }
    }

    private bool IsWorthAVolumeFlush(int logs) => logs >= VolumeFlushLogsMin && _fileSystem.CanFlushVolume;
}
