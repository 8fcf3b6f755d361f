using Ottla.Kernel;

namespace Ottla.Storage.Producers;

/// <summary>
/// Says that a log knew of no open transaction of a producer when its coordinator was asked for one. An append that bears it
/// counts only as long as nothing has begun or ended there since: an answer about a transaction that is over by now lets nothing
/// in (KIP-890).
/// </summary>
/// <param name="Number">Never given twice by a log; 0 for no guard.</param>
public readonly record struct VerificationGuard(long Number)
{
    /// <summary>No guard: enough while the transaction is open.</summary>
    public static readonly VerificationGuard None;
}

/// <summary>A producer's transaction that waits for the coordinator's answer.</summary>
/// <remarks>
/// The log's lock guards it. Lives until the producer's transaction begins or ends here, at the longest for
/// <c>producer.id.expiration.ms</c>.
/// </remarks>
internal sealed class TransactionVerification(VerificationGuard guard, Instant startedAt, int sequence, short epoch, bool bumpsEpoch)
{
    public VerificationGuard Guard => guard;

    public Instant StartedAt => startedAt;

    /// <summary>Whether the producer's epoch grows with each transaction, so that each starts with sequence 0.</summary>
    public bool BumpsEpoch => bumpsEpoch;

    public short Epoch { get; private set; } = epoch;

    /// <summary>
    /// The lowest sequence that was to be appended. Higher ones stay out: the lower one comes again, and then must not be out of
    /// order.
    /// </summary>
    public int LowestSequence { get; private set; } = sequence;

    /// <summary>Another batch wants in.</summary>
    public void Note(int sequence, short epoch)
    {
        if (epoch > Epoch)
            (Epoch, LowestSequence) = (epoch, sequence);
        else if (epoch == Epoch)
            LowestSequence = Math.Min(LowestSequence, sequence);
    }
}
