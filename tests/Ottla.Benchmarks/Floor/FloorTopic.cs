namespace Ottla.Benchmarks.Floor;

/// <summary>The floor's one topic: whichever was created last. Shared by all connections.</summary>
internal sealed class FloorTopic(string directory) : IDisposable
{
    private volatile FloorPartition[] _partitions = [];

    public int Count => _partitions.Length;

    public FloorPartition this[int index] => _partitions[index];

    /// <summary>Starts afresh: new, empty files in place of the old ones.</summary>
    public void Reset(int partitions)
    {
        Dispose();
        _partitions = [.. Enumerable.Range(0, partitions).Select(index => new FloorPartition(Path.Combine(directory, $"{index}.log")))];
    }

    public void Dispose()
    {
        foreach (var partition in _partitions)
            partition.Dispose();
        _partitions = [];
    }
}
