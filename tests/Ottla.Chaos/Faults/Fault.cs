using Ottla.Chaos.Machines;

namespace Ottla.Chaos.Faults;

/// <summary>Something that breaks, and how it is mended. Immutable: what it breaks was drawn before the run.</summary>
internal abstract class Fault(string kind, string description)
{
    /// <summary>Its name in <c>--faults</c>.</summary>
    public string Kind { get; } = kind;

    /// <summary>
    /// Whether acknowledged records may be lost if other replicas are missing already: then it waits until the cluster is whole.
    /// </summary>
    public virtual bool NeedsWholeCluster => false;

    /// <summary>The machine whose partitions need another leader; null when none does for certain.</summary>
    public virtual int? Victim => null;

    /// <summary>Breaks it.</summary>
    public abstract Task InjectAsync(ChaosCluster cluster);

    /// <summary>Mends it.</summary>
    public abstract Task HealAsync(ChaosCluster cluster);

    /// <inheritdoc/>
    public override string ToString() => description;
}

/// <summary>A fault and its time.</summary>
/// <param name="Number">From 1.</param>
/// <param name="At">When it begins, from the beginning of the faults.</param>
/// <param name="Hold">How long it lasts until it is mended.</param>
/// <param name="Fault">What.</param>
internal sealed record PlannedFault(int Number, TimeSpan At, TimeSpan Hold, Fault Fault);
