using Ottla.Kernel;
using Ottla.Storage.Log;

namespace Ottla.Storage.Upkeep;

/// <content>Deletes logs: renames their directories at once and removes them later.</content>
public sealed partial class LogManager
{
    /// <summary>Deletes a log: renames its directory at once; a later <see cref="Tick"/> removes it.</summary>
    /// <returns>False when there is no such log.</returns>
    /// <exception cref="LogException">KAFKA_STORAGE_ERROR.</exception>
    public bool Delete(TopicPartition partition)
    {
        LogException? failure = null;
        var count = Delete([partition], (_, e) => failure = e);
        return failure is null ? count > 0 : throw failure;
    }

    /// <summary>
    /// Deletes logs: renames their directories at once and flushes the names together; a later <see cref="Tick"/> removes them.
    /// </summary>
    /// <param name="partitions">The partitions; those without a log here are skipped.</param>
    /// <param name="onFailure">Called for each log that failed (KAFKA_STORAGE_ERROR); the others are deleted.</param>
    /// <returns>The number of deleted logs.</returns>
    public int Delete(IReadOnlyCollection<TopicPartition> partitions, Action<TopicPartition, LogException> onFailure)
    {
        using (_lock.EnterScope())
        {
            var unopened = 0;
            var deleted = new List<(TopicPartition Partition, LogDirectory Directory)>();
            foreach (var partition in partitions)
            {
                if (Mover.Find(partition) is { } move)
                    CancelMove(move);
                if (!_logs.TryRemove(partition, out var entry))
                {
                    unopened += DeleteUnopened(partition) ? 1 : 0;
                    continue;
                }

                deleted.Add((partition, entry.Directory));
                entry.Leave();
                try
                {
                    var path = Retire(entry, LogFileNames.DeletedDirectory);
                    _deletedDirectories.Add((entry.Directory, path, Instant.Now(_time).AddMilliseconds(_options.DeleteDelayMs)));
                }
                catch (LogException failure) when (failure.IsDiskFull)
                {
                    // The disk has no space for the new name. The directory goes now: it must not block a new log of its name.
                    TryRun(entry.Directory, () => _fileSystem.DeleteDirectory(entry.Log.Directory));
                }
                catch (LogException failure)
                {
                    onFailure(partition, failure);
                }
            }

            FlushRemovals(deleted);
            return deleted.Count + unopened;
        }
    }

    /// <summary>
    /// Sets aside a log that is not in the cluster metadata: renames its directory to <c>-stray</c> and keeps it for the
    /// operator.
    /// </summary>
    /// <returns>False when there is no such log.</returns>
    /// <exception cref="LogException">KAFKA_STORAGE_ERROR.</exception>
    public bool MarkStray(TopicPartition partition)
    {
        using (_lock.EnterScope())
        {
            if (!_logs.TryRemove(partition, out var entry))
                return false;
            entry.Leave();
            Retire(entry, LogFileNames.StrayDirectory);
            FlushRemovals([(partition, entry.Directory)]);
            return true;
        }
    }

    /// <summary>Flushes the new names, and drops the cleaner's offsets of the logs.</summary>
    private void FlushRemovals(IReadOnlyList<(TopicPartition Partition, LogDirectory Directory)> retired)
    {
        foreach (var group in retired.GroupBy(log => log.Directory, log => log.Partition))
        {
            TryRun(group.Key, () => _fileSystem.FlushDirectory(group.Key.Path));
            Cleaner.OnRemoved([.. group], group.Key);
        }
    }

    /// <summary>Closes a log and gives its directory a unique name; <see cref="FlushRemovals"/> makes the name durable.</summary>
    /// <returns>The directory's new path.</returns>
    private string Retire(Entry entry, Func<TopicPartition, Uuid, string> nameOf)
    {
        var partition = entry.Log.Partition;
        entry.Directory.StaleCheckpoints.Add(partition);
        string path;
        do
            path = Path.Combine(entry.Directory.Path, nameOf(partition, Uuid.NewRandom(_random)));
        while (_fileSystem.DirectoryExists(path));
        entry.Log.Delete(path, isFlushed: false);
        return path;
    }
}
