namespace Ottla.Simulator.Replication;

/// <summary>
/// What is committed in a partition, once and for ever: every batch below a high watermark that was seen while it counted.
/// </summary>
/// <remarks>Batches lie side by side; none is ever taken back. Lives as long as a run.</remarks>
internal sealed class CommittedHistory
{
    private readonly List<StoredBatch> _batches = [];

    /// <summary>The offset behind the last one.</summary>
    public long End => _batches.Count == 0 ? 0 : _batches[^1].NextOffset;

    /// <summary>Its batches, in order.</summary>
    public IReadOnlyList<StoredBatch> Batches => _batches;

    /// <summary>Adds the next batch.</summary>
    public void Add(StoredBatch batch) => _batches.Add(batch);

    /// <summary>The place of the batch that begins at an offset, or of the first behind it.</summary>
    public int PlaceOf(long offset)
    {
        var (low, high) = (0, _batches.Count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (_batches[middle].BaseOffset < offset)
                low = middle + 1;
            else
                high = middle;
        }

        return low;
    }
}

/// <summary>How far a replica's log has been found to be the committed history. Lives as long as a run.</summary>
internal sealed class ReplicaMatch
{
    private int _matched;

    /// <summary>
    /// The offset up to which the log and the history are the same; what the log does not have any more counts as the same.
    /// </summary>
    public long End { get; private set; }

    /// <summary>Goes on where it stopped the last time, but for what changed.</summary>
    public void Update(ReplicaView replica, CommittedHistory history)
    {
        var batches = replica.Batches;
        _matched = Math.Min(_matched, Math.Min(replica.ChangedFrom, batches.Count));
        while (_matched < batches.Count && batches[_matched].NextOffset <= history.End)
        {
            var place = history.PlaceOf(batches[_matched].BaseOffset);
            if (place == history.Batches.Count || !ReferenceEquals(history.Batches[place], batches[_matched]))
                break;
            _matched++;
        }

        End = Math.Max(_matched == 0 ? 0 : batches[_matched - 1].NextOffset, replica.Live?.LogStart ?? 0);
    }
}
