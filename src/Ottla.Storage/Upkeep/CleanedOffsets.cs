using Ottla.Kernel;
using Ottla.Storage.Log;

namespace Ottla.Storage.Upkeep;

/// <summary>The offset up to which each log of a directory is compacted (<c>cleaner-offset-checkpoint</c>).</summary>
/// <remarks>Thread-safe; lives as long as its directory.</remarks>
internal sealed class CleanedOffsets(OffsetCheckpointFile file)
{
    private readonly ScheduledLock _lock = new();
    private Dictionary<TopicPartition, long> _offsets = [];
    private HashSet<TopicPartition> _written = [];

    /// <summary>Reads the file.</summary>
    /// <exception cref="InvalidDataException">The file is malformed; there are no offsets then.</exception>
    public void Load()
    {
        using (_lock.EnterScope())
        {
            _offsets = file.Read();
            _written = [.. _offsets.Keys];
        }
    }

    /// <summary>The offset up to which a log is compacted; null when it never was.</summary>
    public long? Find(TopicPartition partition)
    {
        using (_lock.EnterScope())
            return _offsets.TryGetValue(partition, out var offset) ? offset : null;
    }

    /// <summary>Whether the file has a line of a log.</summary>
    public bool IsWritten(TopicPartition partition)
    {
        using (_lock.EnterScope())
            return _written.Contains(partition);
    }

    public void Set(TopicPartition partition, long offset)
    {
        using (_lock.EnterScope())
            _offsets[partition] = offset;
    }

    /// <summary>Lowers the offset to <paramref name="offset"/>.</summary>
    /// <returns>False when it was not greater.</returns>
    public bool Lower(TopicPartition partition, long offset)
    {
        using (_lock.EnterScope())
        {
            if (!_offsets.TryGetValue(partition, out var cleaned) || cleaned <= offset)
                return false;
            _offsets[partition] = offset;
            return true;
        }
    }

    public bool Remove(TopicPartition partition)
    {
        using (_lock.EnterScope())
            return _offsets.Remove(partition);
    }

    /// <summary>Replaces the file, and forgets the partitions that are not in the directory any more.</summary>
    public void Write(Func<TopicPartition, bool> isHere)
    {
        using (_lock.EnterScope())
        {
            foreach (var partition in _offsets.Keys.Where(partition => !isHere(partition)))
                _offsets.Remove(partition);
            file.Write(_offsets);
            _written = [.. _offsets.Keys];
        }
    }
}
