namespace Ottla.StateMachines.Transactions;

/// <summary>
/// The state of a transactional id. The numbers are those of the transaction log, the names those of DescribeTransactions.
/// </summary>
public enum TransactionState : sbyte
{
    /// <summary>There is a producer, but no transaction.</summary>
    Empty = 0,

    /// <summary>A transaction is open: partitions were added.</summary>
    Ongoing = 1,

    /// <summary>The transaction commits; markers are being written.</summary>
    PrepareCommit = 2,

    /// <summary>The transaction aborts; markers are being written.</summary>
    PrepareAbort = 3,

    /// <summary>The transaction committed; all markers are written.</summary>
    CompleteCommit = 4,

    /// <summary>The transaction aborted; all markers are written.</summary>
    CompleteAbort = 5,

    /// <summary>Kafka's state of an id that expires. Ottla never writes it.</summary>
    Dead = 6,

    /// <summary>Kafka's state while a producer is fenced. Ottla never writes it.</summary>
    PrepareEpochFence = 7,
}

/// <summary>Questions about a state.</summary>
public static class TransactionStates
{
    /// <summary>Whether the outcome is decided and markers are still being written. The id accepts no other change until then.</summary>
    public static bool IsCompleting(this TransactionState state) =>
        state is TransactionState.PrepareCommit or TransactionState.PrepareAbort;

    /// <summary>Whether there is no transaction: one may begin, and the id may expire.</summary>
    public static bool IsIdle(this TransactionState state) =>
        state is TransactionState.Empty or TransactionState.CompleteCommit or TransactionState.CompleteAbort;
}
