namespace Ottla.Storage.Log;

/// <summary>Where a batch is.</summary>
/// <param name="BaseOffset">Its first offset.</param>
/// <param name="LastOffset">Its last offset.</param>
/// <param name="Position">Its first byte in the segment's file.</param>
/// <param name="EndPosition">The position after it.</param>
internal readonly record struct BatchPlace(long BaseOffset, long LastOffset, long Position, long EndPosition);

/// <summary>Where the last batches of a segment are, so that readers at its end need not look for them in the file.</summary>
/// <remarks>
/// Followers and consumers that keep up read one batch after the other, each right behind its append. The index has an entry for a few
/// kilobytes, and from there on each of them would walk over headers, in reads of their own. Guarded by the log's lock.
/// </remarks>
internal sealed class RecentBatches
{
    /// <summary>A producer has five requests in flight by default, so a follower lags by as many batches.</summary>
    private const int Count = 8;

    private readonly BatchPlace[] _places = new BatchPlace[Count];
    private int _next;
    private int _known;
    private bool _wasUsed;

    /// <summary>A batch was appended behind the others.</summary>
    public void Add(in BatchPlace place)
    {
        _places[_next] = place;
        _next = (_next + 1) % Count;
        _known = Math.Min(_known + 1, Count);
        _wasUsed = true;
    }

    /// <summary>The batch that has an offset; null when it is none of these.</summary>
    public BatchPlace? Find(long offset)
    {
        for (var back = 1; back <= _known; back++) // the newest is looked for most
        {
            ref readonly var place = ref _places[(_next - back + Count) % Count];
            if (offset > place.LastOffset)
                return null;
            if (offset >= place.BaseOffset)
                return place;
        }

        return null;
    }

    /// <summary>Whether a batch was appended since the last call.</summary>
    public bool TakeWasUsed()
    {
        var wasUsed = _wasUsed;
        _wasUsed = false;
        return wasUsed;
    }

    /// <summary>The file was cut.</summary>
    public void Clear() => _known = 0;
}
