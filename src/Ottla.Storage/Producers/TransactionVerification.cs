using Ottla.Kernel;

namespace Ottla.Storage.Producers;

/// <summary>
/// Proves that a producer had no open transaction in a log when the verification began. The log accepts an append with it only if no
/// transaction of the producer has begun or ended there since: so a late answer of the coordinator cannot let a batch into a later
/// transaction (KIP-890).
/// </summary>
/// <param name="Number">A number that a log gives once; 0 for no guard.</param>
public readonly record struct VerificationGuard(long Number)
{
    /// <summary>No guard. It is enough while the transaction is open.</summary>
    public static readonly VerificationGuard None;
}

/// <summary>A producer's transaction that waits for the coordinator's answer.</summary>
/// <remarks>
/// The log's lock guards it. Lives until the producer's transaction begins or ends in the log, at most for
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
    /// The lowest sequence that waits for the verification. The log refuses higher ones, so that the producer's retry of the lower one is
    /// still in order.
    /// </summary>
    public int LowestSequence { get; private set; } = sequence;

    /// <summary>Notes another batch that waits.</summary>
    public void Note(int sequence, short epoch)
    {
        if (epoch > Epoch)
            (Epoch, LowestSequence) = (epoch, sequence);
        else if (epoch == Epoch)
            LowestSequence = Math.Min(LowestSequence, sequence);
    }
}
