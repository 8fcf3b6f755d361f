using Ottla.Kernel;
using Ottla.Storage.Log;

namespace Ottla.Storage.Upkeep;

/// <content>Logs that are taken out of use: renamed at once, and removed later.</content>
public sealed partial class LogManager
{
    /// <summary>Takes a log out of use: its directory is renamed at once and removed by a later <see cref="Tick"/>.</summary>
    /// <returns>False when there is no such log.</returns>
    /// <exception cref="LogException">KAFKA_STORAGE_ERROR.</exception>
    public bool Delete(TopicPartition partition)
    {
        LogException? failure = null;
        var count = Delete([partition], (_, e) => failure = e);
        return failure is null ? count > 0 : throw failure;
    }

    /// <summary>
    /// Takes logs out of use; their directories are renamed at once, made durable together, and removed by a later
    /// <see cref="Tick"/>.
    /// </summary>
    /// <param name="partitions">Whose; one without a log here is left out.</param>
    /// <param name="onFailure">Told of each that failed, with KAFKA_STORAGE_ERROR; the others go on.</param>
    /// <returns>How many were taken out of use.</returns>
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
                    // No room for its new name: it must not be in the way of the next log of its name, nor wait when room is wanted.
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

    /// <summary>Sets a log aside that no metadata knows: its directory is renamed to <c>-stray</c> and kept for the operator.</summary>
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

    /// <summary>Makes the new names durable, and forgets how far the logs were compacted.</summary>
    private void FlushRemovals(IReadOnlyList<(TopicPartition Partition, LogDirectory Directory)> retired)
    {
        foreach (var group in retired.GroupBy(log => log.Directory, log => log.Partition))
        {
            TryRun(group.Key, () => _fileSystem.FlushDirectory(group.Key.Path));
            Cleaner.OnRemoved([.. group], group.Key);
        }
    }

    /// <summary>Closes a log and gives its directory a name that nothing has yet; <see cref="FlushRemovals"/> makes it durable.</summary>
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
