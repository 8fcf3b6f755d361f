using Ottla.Protocol.Messages;

namespace Ottla.StateMachines.Coordinators;

/// <summary>
/// A record of a coordinator's log: the newest value of a key. The log is compacted; a record without a value (a tombstone) deletes the
/// key.
/// </summary>
/// <param name="Key">The key; its <see cref="IRecordMessage.RecordKey"/> is the type.</param>
/// <param name="Value">The value; null deletes the key.</param>
/// <param name="ValueVersion">The version in which the value is written; unused for a tombstone.</param>
public readonly record struct CoordinatorRecord(IRecordMessage Key, IRecordMessage? Value, short ValueVersion)
{
    /// <summary>Makes a record that deletes <paramref name="key"/>.</summary>
    public static CoordinatorRecord Tombstone(IRecordMessage key) => new(key, null, 0);
}
