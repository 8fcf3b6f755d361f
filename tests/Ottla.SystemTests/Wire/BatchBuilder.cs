using System.Buffers.Binary;
using System.Numerics;

namespace Ottla.SystemTests.Wire;

/// <summary>Builds a record batch (magic 2) byte by byte. Every field can be made wrong; the CRC is right unless it is spoiled.</summary>
public sealed class BatchBuilder
{
    private const int LengthOffset = 8;
    private const int CrcOffset = 17;
    private const int AttributesOffset = 21;

    public int Magic { get; init; } = 2;

    public int Attributes { get; init; }

    public int? LastOffsetDelta { get; init; }

    public int? RecordCount { get; init; }

    /// <summary>What is added to the true length of the batch.</summary>
    public int LengthError { get; init; }

    /// <summary>What is added to the true length of each record.</summary>
    public int RecordLengthError { get; init; }

    /// <summary>What the right CRC is XORed with.</summary>
    public uint CrcError { get; init; }

    public required long TimestampMs { get; init; }

    public int Records { get; init; } = 3;

    /// <summary>The value of every record.</summary>
    public Func<int, byte[]> Value { get; init; } = _ => "value"u8.ToArray();

    public long ProducerId { get; init; } = -1;

    public int ProducerEpoch { get; init; } = -1;

    public int BaseSequence { get; init; } = -1;

    /// <summary>Bytes in place of the records, for what only looks compressed.</summary>
    public byte[]? Payload { get; init; }

    /// <summary>The bytes of the batch.</summary>
    public byte[] Build()
    {
        var writer = new WireWriter()
            .Int64(0) // base offset
            .Int32(0) // length, set below
            .Int32(-1) // partition leader epoch
            .Int8(Magic)
            .Int32(0) // CRC, set below
            .Int16(Attributes)
            .Int32(LastOffsetDelta ?? Records - 1)
            .Int64(TimestampMs)
            .Int64(TimestampMs)
            .Int64(ProducerId)
            .Int16(ProducerEpoch)
            .Int32(BaseSequence)
            .Int32(RecordCount ?? Records);
        if (Payload is not null)
            writer.Raw(Payload);
        else
            WriteRecords(writer);

        var batch = writer.ToArray();
        BinaryPrimitives.WriteInt32BigEndian(batch.AsSpan(LengthOffset), batch.Length - LengthOffset - sizeof(int) + LengthError);
        BinaryPrimitives.WriteUInt32BigEndian(batch.AsSpan(CrcOffset), Crc32C(batch.AsSpan(AttributesOffset)) ^ CrcError);
        return batch;
    }

    private void WriteRecords(WireWriter writer)
    {
        for (var index = 0; index < Records; index++)
        {
            var value = Value(index);
            var body = new WireWriter()
                .Int8(0) // attributes
                .Varint(0) // timestamp delta
                .Varint(index) // offset delta
                .Varint(-1) // key: null
                .Varint(value.Length).Raw(value)
                .Varint(0) // headers
                .ToArray();
            writer.Varint(body.Length + RecordLengthError).Raw(body);
        }
    }

    private static uint Crc32C(ReadOnlySpan<byte> bytes)
    {
        var crc = uint.MaxValue;
        foreach (var one in bytes)
            crc = BitOperations.Crc32C(crc, one);
        return ~crc;
    }
}
