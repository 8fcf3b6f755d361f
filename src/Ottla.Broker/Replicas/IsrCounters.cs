using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Replication;

namespace Ottla.Broker.Replicas;

/// <summary>Counts the changes of the ISRs that this broker leads. Any thread counts; lives as long as the broker.</summary>
internal sealed class IsrCounters
{
    private long _shrinks;
    private long _expansions;
    private long _failures;

    /// <summary>How often an ISR became smaller.</summary>
    public long Shrinks => Interlocked.Read(ref _shrinks);

    /// <summary>How often an ISR became larger.</summary>
    public long Expansions => Interlocked.Read(ref _expansions);

    /// <summary>How often the controller did not do what a leader proposed.</summary>
    public long Failures => Interlocked.Read(ref _failures);

    /// <summary>Counts a change of a partition that this broker leads.</summary>
    /// <param name="before">The partition before; null when it is new.</param>
    /// <param name="after">The partition now.</param>
    public void CountChange(PartitionRegistration? before, PartitionRegistration after)
    {
        if (before is null)
            return;
        if (after.Isr.Length < before.Isr.Length)
            Interlocked.Increment(ref _shrinks);
        else if (after.Isr.Length > before.Isr.Length)
            Interlocked.Increment(ref _expansions);
    }

    /// <summary>Counts what became of a proposal.</summary>
    public void CountFate(ProposalFate fate)
    {
        if (fate is not (ProposalFate.Committed or ProposalFate.Settled))
            Interlocked.Increment(ref _failures);
    }
}
