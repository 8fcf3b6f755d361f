namespace Ottla.HistoryChecker;

/// <summary>
/// What a history can show that must not be, in the vocabulary of Jepsen's analysis of Kafka (<c>jepsen.tests.kafka</c>).
/// </summary>
/// <remarks>
/// Normal in Kafka, and therefore not looked for: records of different transactions that lie between each other (G0, <c>int-send-skip</c>).
/// </remarks>
public enum AnomalyKind
{
    /// <summary><c>lost-write</c>: acknowledged at an offset, polls got beyond it, and never got it.</summary>
    LostWrite,

    /// <summary><c>unseen</c>: acknowledged, and not polled to the end.</summary>
    Unseen,

    /// <summary><c>duplicate</c>: one value at two offsets.</summary>
    Duplicate,

    /// <summary><c>inconsistent-offsets</c>: two values at one offset.</summary>
    InconsistentOffsets,

    /// <summary>A value was polled that nobody had sent.</summary>
    PhantomRead,

    /// <summary><c>G1a</c>, aborted read: a value was polled whose send or transaction had failed.</summary>
    AbortedRead,

    /// <summary><c>precommitted-read</c>: a transaction polled what it sent itself.</summary>
    PrecommittedRead,

    /// <summary><c>G1c</c>, circular information flow: transactions polled what each other sent, in a circle.</summary>
    CircularInformationFlow,

    /// <summary>Part of a transaction was polled, and part of it never.</summary>
    TornTransaction,

    /// <summary><c>poll-skip</c>: between two polls under <c>assign</c>, records were left out.</summary>
    PollSkip,

    /// <summary><c>nonmonotonic-poll</c>: between two polls under <c>assign</c>, a consumer went back.</summary>
    NonmonotonicPoll,

    /// <summary><c>int-poll-skip</c>: within an operation, records were left out.</summary>
    InternalPollSkip,

    /// <summary><c>int-nonmonotonic-poll</c>: within an operation, a consumer went back.</summary>
    InternalNonmonotonicPoll,

    /// <summary><c>nonmonotonic-send</c>: a producer's later operation was stored before its earlier one.</summary>
    NonmonotonicSend,

    /// <summary><c>int-nonmonotonic-send</c>: a producer's later send was stored before its earlier one, within an operation.</summary>
    InternalNonmonotonicSend,
}

/// <summary>An anomaly that a history shows.</summary>
/// <param name="Kind">Which.</param>
/// <param name="Description">What there is to see, in a sentence.</param>
/// <param name="Operations">The evidence: indexes of operations in the history.</param>
public sealed record Anomaly(AnomalyKind Kind, string Description, IReadOnlyList<int> Operations)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Kind}: {Description}";
}
