using Ottla.Kernel;
using Ottla.Simulator.Bugs;

namespace Ottla.Simulator.Workloads;

/// <summary>Under which conditions a run of <see cref="TransactionWorkload"/> goes on.</summary>
internal sealed record TransactionConditions
{
    /// <summary>The newest <c>transaction.version</c>, by which late requests do no harm.</summary>
    public const short Newest = 2;

    /// <summary>The <c>transaction.version</c> that is finalized first, and the one that is finalized in the middle of the run.</summary>
    public (short First, short Last) Versions { get; init; } = (Newest, Newest);

    /// <summary>
    /// Whether requests may arrive long after they were given up. The protocol before <c>transaction.version</c> 2 cannot tell them from
    /// those of a later transaction, which is why KIP-890 was made: where it is spoken at any time, they must not.
    /// </summary>
    public bool HasLateRequests { get; init; }

    /// <summary>
    /// Whether EndTxn arrives a second time now and then, when the producer is in a later transaction. Only <c>transaction.version</c> 2
    /// tells it from one of that, by its epoch.
    /// </summary>
    public bool HasRepeatedEnds { get; init; }

    /// <summary>
    /// Of a hundred kills, how many take the power of the node's host. The logs are flushed before anything is answered then
    /// (<c>log.flush.interval.messages</c> 1), and nothing that was acknowledged or read may be lost. With Kafka's default, which trusts
    /// other replicas, a single node promises nothing for what was not flushed: its acknowledged records, commits and offsets may be gone,
    /// each for itself, and no invariant of this workload holds.
    /// </summary>
    public int PowerLossPercent { get; init; }

    /// <summary>A bug that is to be found; null for none.</summary>
    public BrokerBug? Bug { get; init; }

    /// <summary>
    /// The conditions of a seed: two in three have version 2 and late requests, some of them repeated ends too; the others an older
    /// version, or one that changes. In two of five the power is lost.
    /// </summary>
    public static TransactionConditions Of(ulong seed)
    {
        var random = new Prng(~seed);
        var isNew = seed % 3 != 0;
        ReadOnlySpan<(short, short)> others = [(0, 0), (1, 1), (0, 2), (1, 2), (2, 1), (2, 0)];
        return new TransactionConditions
        {
            Versions = isNew ? (Newest, Newest) : others[random.NextInt(others.Length)],
            HasLateRequests = isNew,
            HasRepeatedEnds = isNew && seed % 4 == 2,
            PowerLossPercent = random.NextChance(40) ? 50 : 0,
        };
    }
}
