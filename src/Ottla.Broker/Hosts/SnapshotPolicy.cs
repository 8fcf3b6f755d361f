using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol.Metadata;
using Ottla.Protocol.Wire;

namespace Ottla.Broker.Hosts;

/// <summary>Says when the metadata log is due for a snapshot: after so many bytes of records, or after so long with any.</summary>
/// <remarks>Not thread-safe; owned by the controller's host.</remarks>
internal sealed class SnapshotPolicy(long bytesMax, long intervalMs)
{
    /// <summary>What a record costs beside its message: lengths, deltas, and the frame of type and version.</summary>
    private const int RecordOverheadBytes = 10;

    private long _bytes;
    private Instant? _oldest;

    /// <summary>As <c>metadata.log.max.record.bytes.between.snapshots</c> and <c>metadata.log.max.snapshot.interval.ms</c> say; an interval of 0 means never.</summary>
    public static SnapshotPolicy From(BrokerConfig config) =>
        new(config.MetadataLogMaxRecordBytesBetweenSnapshots, config.MetadataLogMaxSnapshotIntervalMs);

    /// <summary>When a snapshot is due for age alone; null when nothing waits for one.</summary>
    public Instant? Deadline => intervalMs > 0 ? _oldest?.AddMilliseconds(intervalMs) : null;

    /// <summary>Records were committed that no snapshot has.</summary>
    public void Committed(IReadOnlyList<MetadataRecord> records, Instant now)
    {
        if (records.Count == 0)
            return;
        _oldest ??= now;
        foreach (var record in records)
            _bytes += RecordOverheadBytes + WireBuffer.Encode(record.Message, record.Version).Length;
    }

    /// <summary>Whether a snapshot is due.</summary>
    public bool IsDue(Instant now) => _bytes >= bytesMax || (Deadline is { } deadline && now >= deadline);

    /// <summary>Everything committed so far is in a snapshot.</summary>
    public void Reset()
    {
        _bytes = 0;
        _oldest = null;
    }
}
