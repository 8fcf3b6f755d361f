using System.Buffers.Binary;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;

namespace Ottla.Protocol.Metadata;

/// <summary>A control record of the metadata log or of a snapshot.</summary>
/// <param name="Offset">Its offset.</param>
/// <param name="Type">Its type.</param>
/// <param name="Message">LeaderChangeMessage, SnapshotHeaderRecord, SnapshotFooterRecord, KRaftVersionRecord or VotersRecord.</param>
public readonly record struct MetadataControlRecord(long Offset, ControlRecordType Type, IMessage Message);

/// <summary>A decoded batch of the metadata log or of a snapshot.</summary>
/// <param name="BaseOffset">The offset of its first record.</param>
/// <param name="LastOffset">The offset of its last record.</param>
/// <param name="Epoch">The quorum epoch of the batch.</param>
/// <param name="AppendTimestampMs">The time of the append.</param>
/// <param name="SizeBytes">Its size in the log.</param>
/// <param name="Records">Its records; empty for a control batch.</param>
/// <param name="ControlRecords">Its control records; empty for others.</param>
public sealed record MetadataBatch(
    long BaseOffset,
    long LastOffset,
    int Epoch,
    long AppendTimestampMs,
    int SizeBytes,
    IReadOnlyList<MetadataRecord> Records,
    IReadOnlyList<MetadataControlRecord> ControlRecords)
{
    /// <summary>The largest batch of the metadata log (Kafka's constant).</summary>
    public const int SizeBytesMax = 8 * 1024 * 1024;

    private const short ControlVersion = 0;

    /// <summary>Encodes records as one batch.</summary>
    public static byte[] Encode(long baseOffset, int epoch, long timestampMs, IReadOnlyList<MetadataRecord> records)
    {
        using var builder = new RecordBatchBuilder(new RecordBatchOptions { BaseOffset = baseOffset, PartitionLeaderEpoch = epoch });
        var value = new WireBuffer();
        foreach (var record in records)
        {
            value.Clear();
            MetadataRecordSerde.Encode(record, value);
            builder.Append(timestampMs, default, new NullableBytes(value.Written));
        }

        return builder.Build();
    }

    /// <summary>Encodes control records as one batch.</summary>
    public static byte[] EncodeControl(
        long baseOffset, int epoch, long timestampMs, params ReadOnlySpan<(ControlRecordType Type, IMessage Message)> records)
    {
        using var builder =
            new RecordBatchBuilder(new RecordBatchOptions { BaseOffset = baseOffset, PartitionLeaderEpoch = epoch, IsControl = true });
        foreach (var (type, message) in records)
            builder.Append(timestampMs, ControlBatches.EncodeKey(type), WireBuffer.Encode(message, ControlVersion));
        return builder.Build();
    }

    /// <summary>Decodes the batch that <paramref name="source"/> starts with.</summary>
    /// <param name="source">At least one whole batch.</param>
    /// <param name="controlOnly">Whether to decode only control batches. Other batches get only their checksum checked.</param>
    /// <exception cref="ProtocolException">The bytes are not a batch, the checksum is wrong, or the records are not metadata.</exception>
    public static MetadataBatch Decode(ReadOnlyMemory<byte> source, bool controlOnly = false)
    {
        try
        {
            if (!RecordBatchView.TryReadSize(source.Span, out var size, out _) || size > source.Length)
                throw new MalformedMessageException($"A metadata batch is truncated: it has only {source.Length} bytes.");
            var view = new RecordBatchView(source.Span[..size]);
            if (!view.IsCrcValid)
                throw new MalformedMessageException($"The metadata batch at offset {view.BaseOffset} does not match its checksum.");
            var records = new List<MetadataRecord>();
            var controls = new List<MetadataControlRecord>();
            if (view.IsControl || !controlOnly)
                ReadRecords(source[..size], view.IsControl, records, controls);
            return new MetadataBatch(
                view.BaseOffset, view.LastOffset, view.PartitionLeaderEpoch, view.MaxTimestamp, size, records, controls);
        }
        catch (CorruptRecordException exception)
        {
            throw new MalformedMessageException($"A metadata batch is corrupt: {exception.Message}");
        }
    }

    private static void ReadRecords(
        ReadOnlyMemory<byte> batch, bool isControl, List<MetadataRecord> records, List<MetadataControlRecord> controls)
    {
        using var reader = new RecordReader(batch, SizeBytesMax);
        while (reader.TryRead(out var record))
        {
            if (!isControl)
                records.Add(MetadataRecordSerde.Decode(record.Value));
            else if (ControlBatches.TryReadType(record.Key, out var type))
                controls.Add(new MetadataControlRecord(record.Offset, type, DecodeControl(type, record.Value)));
            else
                throw new MalformedMessageException($"The control record at offset {record.Offset} has no type.");
        }
    }

    /// <summary>Decodes the value of a control record of the Raft log.</summary>
    /// <exception cref="ProtocolException">The value is not of this type.</exception>
    public static IJsonMessage DecodeControl(ControlRecordType type, ReadOnlySpan<byte> value)
    {
        if (value.Length < sizeof(short))
            throw new MalformedMessageException($"A control record of type {type} has only {value.Length} bytes.");
        var version = BinaryPrimitives.ReadInt16BigEndian(value);
        var reader = new WireReader(value.ToArray());
        return type switch
        {
            ControlRecordType.LeaderChange => LeaderChangeMessage.Read(ref reader, version),
            ControlRecordType.SnapshotHeader => SnapshotHeaderRecord.Read(ref reader, version),
            ControlRecordType.SnapshotFooter => SnapshotFooterRecord.Read(ref reader, version),
            ControlRecordType.KRaftVersion => KRaftVersionRecord.Read(ref reader, version),
            ControlRecordType.KRaftVoters => VotersRecord.Read(ref reader, version),
            _ => throw new MalformedMessageException($"Control records of type {(short)type} do not belong in the metadata log."),
        };
    }
}
