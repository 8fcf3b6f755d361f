using Ottla.Protocol.Batches;
using Ottla.Storage.Log;
using Ottla.Storage.Producers;

namespace Ottla.Storage.Compaction;

/// <summary>
/// Follows the transactions of a log while its batches are read in order: aborted records are dropped, and a marker may go once
/// its transaction has no records left.
/// </summary>
/// <remarks>Owned by one pass over a log.</remarks>
internal sealed class TransactionsInCleaning
{
    private readonly PriorityQueue<AbortedTransaction, long> _abortedAhead = new();
    private readonly Dictionary<long, OngoingAbort> _aborted = [];
    private readonly HashSet<long> _committed = [];

    /// <summary>Adds aborted transactions of the log; the next segment may give the same one again.</summary>
    public void Add(IEnumerable<AbortedTransaction> transactions)
    {
        foreach (var transaction in transactions)
            _abortedAhead.Enqueue(transaction, transaction.FirstOffset);
    }

    /// <summary>Whether compaction drops the records of a batch because their transaction was aborted.</summary>
    public bool IsAborted(RecordBatchView batch)
    {
        MeetTransactionsUpTo(batch.LastOffset);
        if (!batch.IsTransactional)
            return false;
        if (_aborted.TryGetValue(batch.ProducerId, out var abort))
        {
            abort.HasRecords = true;
            return true;
        }

        _committed.Add(batch.ProducerId);
        return false;
    }

    /// <summary>Whether a marker may be dropped, because no record of its transaction is left before it.</summary>
    /// <param name="batch">The whole batch.</param>
    /// <param name="kept">
    /// The aborted transaction that the new segment's index still needs, because its records were in the log until now.
    /// </param>
    public bool IsMarkerOfNothing(RecordBatchView batch, out AbortedTransaction? kept)
    {
        kept = null;
        MeetTransactionsUpTo(batch.LastOffset);
        if (batch.RecordCount == 0)
            return true;
        if (!EndTransactionMarker.TryRead(batch, out var marker))
            return false;
        if (!marker.IsAbort)
            return !_committed.Remove(batch.ProducerId);
        if (!_aborted.Remove(batch.ProducerId, out var abort) || !abort.HasRecords)
            return true;
        kept = abort.Transaction;
        return false;
    }

    private void MeetTransactionsUpTo(long offset)
    {
        while (_abortedAhead.TryPeek(out var transaction, out var firstOffset) && firstOffset <= offset)
        {
            _abortedAhead.Dequeue();
            _aborted.TryAdd(transaction.ProducerId, new OngoingAbort(transaction));
        }
    }

    private sealed class OngoingAbort(AbortedTransaction transaction)
    {
        public AbortedTransaction Transaction { get; } = transaction;

        public bool HasRecords { get; set; }
    }
}
