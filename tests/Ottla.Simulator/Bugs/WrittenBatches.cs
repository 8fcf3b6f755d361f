using System.Buffers.Binary;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Ottla.Simulator.Disk;
using Ottla.Storage.Log;

namespace Ottla.Simulator.Bugs;

/// <summary>
/// Changes of batches on their way to the disk: the process that writes them knows what they should be, the one that recovers does not.
/// </summary>
internal static class WrittenBatches
{
    private const int MarkerTypeOffset = sizeof(short);

    /// <summary>Has abort markers of a topic written as commits.</summary>
    public static void CommitAborts(SimDiskFaults faults, string topic) => Rewrite(faults, topic, static (batch, bytes) =>
    {
        if (!batch.IsControl)
            return false;
        using var reader = new RecordReader(bytes);
        if (!reader.TryRead(out var marker) || !bytes.AsSpan().Overlaps(marker.Key, out var offset))
            return false;
        var type = bytes.AsSpan(offset + MarkerTypeOffset);
        if (BinaryPrimitives.ReadInt16BigEndian(type) != (short)ControlRecordType.Abort)
            return false;
        BinaryPrimitives.WriteInt16BigEndian(type, (short)ControlRecordType.Commit);
        return true;
    });

    /// <summary>Has what the transaction log says of transactional ids written otherwise. The change must keep the size.</summary>
    public static void ChangeTransactions(SimDiskFaults faults, string topic, Func<TransactionLogValue, bool> change) =>
        Rewrite(faults, topic, (batch, bytes) =>
    {
        if (batch.IsControl)
            return false;
        var isChanged = false;
        using var reader = new RecordReader(bytes);
        while (reader.TryRead(out var record))
        {
            if (!record.HasValue || !bytes.AsSpan().Overlaps(record.Value, out var offset))
                continue;
            var fields = new WireReader(record.Value.ToArray());
            var version = fields.ReadInt16();
            var value = TransactionLogValue.Read(ref fields, version);
            if (!change(value))
                continue;
            WireBuffer.Encode(value, version).CopyTo(bytes, offset + sizeof(short));
            isChanged = true;
        }

        return isChanged;
    });

    private delegate bool BatchChange(RecordBatchView batch, byte[] bytes);

    private static void Rewrite(SimDiskFaults faults, string topic, BatchChange change) => faults.RewritesWrite = (path, written) =>
    {
        if (!path.Contains($"{Path.DirectorySeparatorChar}{topic}-", StringComparison.Ordinal)
            || !path.EndsWith(LogFileNames.LogSuffix, StringComparison.Ordinal))
            return null;
        for (var rest = written.AsSpan(); !rest.IsEmpty;)
        {
            var bytes = rest[..new RecordBatchView(rest).SizeInBytes].ToArray();
            if (change(new RecordBatchView(bytes), bytes))
            {
                RecordBatchEditor.UpdateCrc(bytes);
                bytes.CopyTo(rest);
            }

            rest = rest[bytes.Length..];
        }

        return written;
    };
}
