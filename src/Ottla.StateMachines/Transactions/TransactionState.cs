namespace Ottla.StateMachines.Transactions;

/// <summary>Where a transactional id stands; the numbers are those of the transaction log, the names those of DescribeTransactions.</summary>
public enum TransactionState : sbyte
{
    /// <summary>It has a producer, and no transaction.</summary>
    Empty = 0,

    /// <summary>Partitions have been added.</summary>
    Ongoing = 1,

    /// <summary>Commit is decided; markers are being written.</summary>
    PrepareCommit = 2,

    /// <summary>Abort is decided; markers are being written.</summary>
    PrepareAbort = 3,

    /// <summary>Committed, all markers are written.</summary>
    CompleteCommit = 4,

    /// <summary>Aborted, all markers are written.</summary>
    CompleteAbort = 5,

    /// <summary>Kafka's, while it expires an id. Never written.</summary>
    Dead = 6,

    /// <summary>Kafka's, while it fences a producer. Never written.</summary>
    PrepareEpochFence = 7,
}

/// <summary>What follows from a state.</summary>
public static class TransactionStates
{
    /// <summary>Whether the outcome is decided and markers are still to be written: nothing else may happen to the id until then.</summary>
    public static bool IsCompleting(this TransactionState state) => state is TransactionState.PrepareCommit or TransactionState.PrepareAbort;

    /// <summary>Whether there is no transaction: one may begin, and the id may expire.</summary>
    public static bool IsIdle(this TransactionState state) => state is TransactionState.Empty or TransactionState.CompleteCommit or TransactionState.CompleteAbort;
}
