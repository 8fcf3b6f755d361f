namespace Ottla.Simulator.Crash;

/// <summary>
/// Which of the batches that were written the ones are that a recovered log has. One batch may have been written in several histories of
/// the log: again after a truncation, with the same bytes, or with records that compaction has taken out. So all that fit are followed,
/// until the log ends.
/// </summary>
/// <remarks>Made for one check of a log.</remarks>
internal sealed class FoundHistory(LogModel model, long logStartOffset)
{
    /// <summary>For every batch found, oldest first: what it may be, and what then comes before it.</summary>
    private readonly List<List<Candidate>> _found = [];

    /// <summary>Takes the next batch of the log.</summary>
    /// <param name="writers">What was written and looks like it.</param>
    /// <returns>False when none of them may follow what was found before.</returns>
    public bool TryAdd(IEnumerable<WrittenBatch> writers)
    {
        var candidates = new List<Candidate>();
        foreach (var writer in writers)
        {
            var previous = _found.Count > 0 ? _found[^1].Find(earlier => Follows(writer, earlier.Batch)) : null;
            if (previous is not null || (_found.Count == 0 && Follows(writer, null)))
                candidates.Add(new Candidate(writer, previous));
        }

        if (candidates.Count == 0)
            return false;
        _found.Add(candidates);
        return true;
    }

    /// <summary>The batches found, oldest first, in one history; in the one that the log was last known to have, if they can be.</summary>
    public List<WrittenBatch> Written()
    {
        var written = new List<WrittenBatch>();
        if (_found.Count == 0)
            return written;
        var last = _found[^1].Find(one => model.Tip?.Backwards().Any(batch => ReferenceEquals(batch, one.Batch)) == true) ?? _found[^1][0];
        for (Candidate? candidate = last; candidate is not null; candidate = candidate.Previous)
            written.Add(candidate.Batch);
        written.Reverse();
        return written;
    }

    /// <summary>
    /// Whether a batch may come after another: compaction may have taken out what was between them, or power loss, if it was not flushed.
    /// </summary>
    private bool Follows(WrittenBatch batch, WrittenBatch? previous)
    {
        if (model.IsCompacted)
            return previous is null || batch.Backwards().Skip(1).Any(earlier => ReferenceEquals(earlier, previous));
        // Where the end of a segment was not flushed, power loss may take it and leave the segments after it.
        var earlier = batch.Previous;
        for (; earlier is not null && !ReferenceEquals(earlier, previous); earlier = earlier.Previous)
        {
            var isDeleted = previous is null && earlier.LastOffset < logStartOffset;
            if (!isDeleted && earlier.LastOffset < model.FlushedEndOffset && !model.IsLost(earlier))
                return false;
        }

        return ReferenceEquals(earlier, previous);
    }

    private sealed record Candidate(WrittenBatch Batch, Candidate? Previous);
}
