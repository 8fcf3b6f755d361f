namespace Ottla.Protocol;

/// <summary>A producer id and epoch, as in the header of a batch.</summary>
/// <param name="Id">The producer id; -1 for none.</param>
/// <param name="Epoch">The producer epoch; -1 for none.</param>
public readonly record struct ProducerIdAndEpoch(long Id, short Epoch)
{
    /// <summary>No producer.</summary>
    public static readonly ProducerIdAndEpoch None = new(-1, -1);
}
