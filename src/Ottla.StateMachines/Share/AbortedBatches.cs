namespace Ottla.StateMachines.Share;

/// <summary>What decides whether a reader of committed records skips a batch.</summary>
/// <param name="BaseOffset">Its first offset.</param>
/// <param name="LastOffset">Its last offset.</param>
/// <param name="ProducerId">Its producer; negative for none.</param>
/// <param name="IsTransactional">Whether it is part of a transaction.</param>
/// <param name="IsAbortMarker">Whether it ends a transaction of its producer that is aborted.</param>
public readonly record struct TransactionalBatch(
    long BaseOffset, long LastOffset, long ProducerId, bool IsTransactional, bool IsAbortMarker);

/// <summary>Finds the batches of aborted transactions among what was read.</summary>
public static class AbortedBatches
{
    /// <summary>Marks the batches of aborted transactions. Markers themselves are not among them.</summary>
    /// <param name="batches">The batches that were read, in order.</param>
    /// <param name="aborted">The producer and the first offset of each aborted transaction that touches them, in any order.</param>
    public static List<FetchedBatch> Mark(
        IReadOnlyList<TransactionalBatch> batches, IReadOnlyList<(long ProducerId, long FirstOffset)> aborted)
    {
        var open = new Queue<(long ProducerId, long FirstOffset)>(aborted.OrderBy(transaction => transaction.FirstOffset));
        var producers = new HashSet<long>();
        var marked = new List<FetchedBatch>(batches.Count);
        foreach (var batch in batches)
        {
            while (batch.ProducerId >= 0 && open.TryPeek(out var transaction) && transaction.FirstOffset <= batch.LastOffset)
                producers.Add(open.Dequeue().ProducerId);
            if (batch.IsAbortMarker)
                producers.Remove(batch.ProducerId);
            var isAborted = batch is { IsTransactional: true, IsAbortMarker: false } && producers.Contains(batch.ProducerId);
            marked.Add(new FetchedBatch(batch.BaseOffset, batch.LastOffset, isAborted));
        }

        return marked;
    }
}
