using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;

namespace Ottla.Protocol.Metadata;

/// <summary>
/// Builds a <c>.checkpoint</c> file (KIP-630): a header batch with the quorum's state (KIP-853), data batches, and a footer batch.
/// </summary>
public static class SnapshotBuilder
{
    /// <summary>Returns the batches of the file in order, one at a time.</summary>
    /// <param name="epoch">The epoch of the last record in the snapshot, which the batches get.</param>
    /// <param name="lastContainedLogTimestampMs">The timestamp of that record.</param>
    /// <param name="kraftVersion">The <c>kraft.version</c> at the end of the snapshot.</param>
    /// <param name="voters">The voters at the end of the snapshot; null for static voters.</param>
    /// <param name="nowMs">The timestamp of the snapshot's own records.</param>
    /// <param name="records">The metadata; enumerated once and lazily.</param>
    /// <param name="batchSizeBytesMax">The largest data batch.</param>
    /// <exception cref="ArgumentException">There are voters, but <c>kraft.version</c> is 0.</exception>
    public static IEnumerable<byte[]> Build(
        int epoch,
        long lastContainedLogTimestampMs,
        short kraftVersion,
        VotersRecord? voters,
        long nowMs,
        IEnumerable<MetadataRecord> records,
        int batchSizeBytesMax = MetadataBatch.SizeBytesMax)
    {
        if (kraftVersion == 0 && voters is not null)
            throw new ArgumentException(
                "A snapshot with a voter set needs kraft.version 1 or later.", nameof(voters));
        return BuildBatches(epoch, lastContainedLogTimestampMs, kraftVersion, voters, nowMs, records, batchSizeBytesMax);
    }

    private static IEnumerable<byte[]> BuildBatches(
        int epoch, long lastContainedLogTimestampMs, short kraftVersion, VotersRecord? voters, long nowMs,
            IEnumerable<MetadataRecord> records, int batchSizeBytesMax)
    {
        List<(ControlRecordType, IMessage)> header =
            [(ControlRecordType.SnapshotHeader, new SnapshotHeaderRecord { LastContainedLogTimestamp = lastContainedLogTimestampMs })];
        if (kraftVersion > 0)
            header.Add((ControlRecordType.KRaftVersion, new KRaftVersionRecord { KRaftVersion = kraftVersion }));
        if (voters is not null)
            header.Add((ControlRecordType.KRaftVoters, voters));
        yield return MetadataBatch.EncodeControl(0, epoch, nowMs, header.ToArray());

        long offset = header.Count;
        using var builder = new RecordBatchBuilder(new RecordBatchOptions { BaseOffset = offset, PartitionLeaderEpoch = epoch });
        var value = new WireBuffer();
        foreach (var record in records)
        {
            value.Clear();
            MetadataRecordSerde.Encode(record, value);
            var size = RecordBatchBuilder.SizeOf(builder.RecordCount, 0, default, new NullableBytes(value.Written), []);
            if (builder.RecordCount > 0 && builder.UncompressedSizeInBytes + size > batchSizeBytesMax)
            {
                yield return builder.Build();
                builder.Reset(new RecordBatchOptions { BaseOffset = offset, PartitionLeaderEpoch = epoch });
            }

            builder.Append(nowMs, default, new NullableBytes(value.Written));
            offset++;
        }

        if (builder.RecordCount > 0)
            yield return builder.Build();
        yield return MetadataBatch.EncodeControl(offset, epoch, nowMs, (ControlRecordType.SnapshotFooter, new SnapshotFooterRecord()));
    }
}
