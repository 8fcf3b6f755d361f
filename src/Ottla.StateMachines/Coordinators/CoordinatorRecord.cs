using Ottla.Protocol.Messages;

namespace Ottla.StateMachines.Coordinators;

/// <summary>A record of a coordinator's log: the newest value of a key. The log is compacted, so a key without a value (a tombstone) is gone.</summary>
/// <param name="Key">The key; its <see cref="IRecordMessage.RecordKey"/> names the type.</param>
/// <param name="Value">The value; null deletes the key.</param>
/// <param name="ValueVersion">The version that the value is written in; meaningless for a tombstone.</param>
public readonly record struct CoordinatorRecord(IRecordMessage Key, IRecordMessage? Value, short ValueVersion)
{
    /// <summary>Deletes <paramref name="key"/>.</summary>
    public static CoordinatorRecord Tombstone(IRecordMessage key) => new(key, null, 0);
}

/// <summary>A producer as batches name it.</summary>
/// <param name="Id">The producer id; -1 for none.</param>
/// <param name="Epoch">The producer epoch; -1 for none.</param>
public readonly record struct ProducerIdAndEpoch(long Id, short Epoch)
{
    /// <summary>No producer.</summary>
    public static readonly ProducerIdAndEpoch None = new(-1, -1);
}
