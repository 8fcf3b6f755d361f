using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;

namespace Ottla.Protocol.Metadata;

/// <summary>The value of a record of the metadata log: frame version, type and version as unsigned varints, then the message.</summary>
/// <remarks>Stateless. Like Kafka it reads only frame version 1; version 0 was the preview of KRaft in 2.8.</remarks>
public static class MetadataRecordSerde
{
    private const uint FrameVersion = 1;

    /// <summary>Encodes <paramref name="record"/>.</summary>
    /// <exception cref="ProtocolException">The record does not fit its version.</exception>
    public static byte[] Encode(in MetadataRecord record)
    {
        var buffer = new WireBuffer();
        Encode(record, buffer);
        return buffer.Written.ToArray();
    }

    /// <summary>Appends the bytes of <paramref name="record"/> to <paramref name="output"/>.</summary>
    /// <exception cref="ProtocolException">The record does not fit its version.</exception>
    public static void Encode(in MetadataRecord record, IFrameOutput output)
    {
        var header = output.GetSpan(3 * Varint.SizeBytesMax32);
        var length = Varint.WriteUnsigned(header, FrameVersion);
        length += Varint.WriteUnsigned(header[length..], (uint)record.Message.RecordKey);
        length += Varint.WriteUnsigned(header[length..], (uint)record.Version);
        output.Advance(length);
        var writer = new WireWriter(output);
        record.Message.Write(ref writer, record.Version);
        writer.Flush();
    }

    /// <summary>Decodes a record, which must be all of <paramref name="value"/>.</summary>
    /// <exception cref="ProtocolException">The frame version, type or version is unknown, or the bytes are not such a record.</exception>
    public static MetadataRecord Decode(ReadOnlySpan<byte> value)
    {
        var reader = new WireReader(value.ToArray());
        var frameVersion = reader.ReadUnsignedVarint();
        if (frameVersion != FrameVersion)
            throw new MalformedMessageException(
                $"A metadata record has frame version {frameVersion}, but only version {FrameVersion} is supported.");
        var key = ReadInt16(ref reader, "type");
        var version = ReadInt16(ref reader, "version");
        var message = MetadataRecords.Read(key, version, ref reader);
        if (reader.Remaining > 0)
            throw new MalformedMessageException($"A metadata record of type {key} has {reader.Remaining} unexpected bytes at its end.");
        return new MetadataRecord(message, version);
    }

    private static short ReadInt16(ref WireReader reader, string what)
    {
        var value = reader.ReadUnsignedVarint();
        if (value > (uint)short.MaxValue)
            throw new MalformedMessageException($"A metadata record has the {what} {value}, which does not fit an int16.");
        return (short)value;
    }
}
