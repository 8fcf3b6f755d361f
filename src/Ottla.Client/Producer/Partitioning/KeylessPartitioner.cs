namespace Ottla.Client.Producing;

/// <summary>
/// Chooses the partition of records without a key (KIP-794): one partition until a batch's worth of bytes went there, then another at
/// random.
/// </summary>
/// <remarks>Not thread-safe: guarded by its topic's lock. It neither knows batches nor queues: it is told what happens to them.</remarks>
/// <param name="batchBytes">The bytes after which another partition is chosen (<c>batch.size</c>).</param>
/// <param name="nextRandom">Returns a random number that is not negative.</param>
internal sealed class KeylessPartitioner(int batchBytes, Func<int> nextRandom)
{
    private const int None = -1;

    private int _partition = None;
    private long _producedBytes;

    /// <summary>How often each partition is to be chosen; null for equally often.</summary>
    public PartitionLoads? Loads { get; set; }

    /// <summary>The partition for the next record.</summary>
    /// <param name="partitions">Partitions of the topic; at least 1.</param>
    /// <param name="available">Those that have a leader; empty when that is not known.</param>
    public int Current(int partitions, ReadOnlySpan<int> available)
    {
        if (_partition == None || _partition >= partitions)
            Choose(partitions, available);
        return _partition;
    }

    /// <summary>Takes note of a record.</summary>
    /// <param name="bytes">How much longer the batch has become; with the header if the record began it.</param>
    /// <param name="isBatchFull">Whether no further record fits the batch.</param>
    public void OnAppended(int bytes, bool isBatchFull)
    {
        _producedBytes += bytes;
        // A batch that is not full stays open, so that batches do not become small; but not for ever.
        if (_producedBytes >= 2L * batchBytes || (_producedBytes >= batchBytes && isBatchFull))
            Leave();
    }

    /// <summary>Takes note that the partition has no batch with room: the next record would begin one.</summary>
    /// <returns>Whether another partition is to be chosen for it.</returns>
    public bool OnBatchClosed()
    {
        if (_producedBytes < batchBytes)
            return false;
        Leave();
        return true;
    }

    private void Leave()
    {
        _partition = None;
        _producedBytes = 0;
    }

    private void Choose(int partitions, ReadOnlySpan<int> available)
    {
        var random = nextRandom();
        _partition = Loads is { } loads ? loads.Choose(random)
            : available.Length > 0 ? available[random % available.Length]
            : random % partitions;
        if (_partition >= partitions)
            _partition = random % partitions; // the table is of another time
    }
}
