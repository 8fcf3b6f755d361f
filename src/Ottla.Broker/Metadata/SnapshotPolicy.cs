using Ottla.Configuration;
using Ottla.Kernel;

namespace Ottla.Broker.Metadata;

/// <summary>Decides when a metadata snapshot is due: after a number of bytes, or after a time with new records.</summary>
/// <remarks>Not thread-safe; owned by the <see cref="SnapshotGenerator"/>.</remarks>
internal sealed class SnapshotPolicy(long bytesMax, long intervalMs)
{
    private long _bytes;
    private Instant? _oldest;

    /// <summary>
    /// As <c>metadata.log.max.record.bytes.between.snapshots</c> and <c>metadata.log.max.snapshot.interval.ms</c> say; an interval of 0
    /// means never.
    /// </summary>
    public static SnapshotPolicy From(BrokerConfig config) =>
        new(config.MetadataLogMaxRecordBytesBetweenSnapshots, config.MetadataLogMaxSnapshotIntervalMs);

    /// <summary>When a snapshot is due for age alone; null when nothing waits for one.</summary>
    public Instant? Deadline => intervalMs > 0 ? _oldest?.AddMilliseconds(intervalMs) : null;

    /// <summary>A batch of records was committed that no snapshot has.</summary>
    public void Committed(int sizeBytes, Instant now)
    {
        _oldest ??= now;
        _bytes += sizeBytes;
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
