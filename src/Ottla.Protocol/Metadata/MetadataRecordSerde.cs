using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;

namespace Ottla.Protocol.Metadata;

/// <summary>The value of a record of the metadata log: frame version, type and version as unsigned varints, then the message.</summary>
/// <remarks>Stateless. Kafka reads a frame version of 1 only; 0 was the preview of KRaft in 2.8.</remarks>
public static class MetadataRecordSerde
{
    private const uint FrameVersion = 1;

    /// <summary>The bytes of <paramref name="record"/>.</summary>
    /// <exception cref="ProtocolException">The record's version cannot carry it.</exception>
    public static byte[] Encode(in MetadataRecord record)
    {
        var buffer = new WireBuffer();
        Encode(record, buffer);
        return buffer.Written.ToArray();
    }

    /// <summary>Appends the bytes of <paramref name="record"/> to <paramref name="output"/>.</summary>
    /// <exception cref="ProtocolException">The record's version cannot carry it.</exception>
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

    /// <summary>Reads a record; all of <paramref name="value"/> must belong to it.</summary>
    /// <exception cref="ProtocolException">The frame version, type or version is not known, or the bytes are not such a record.</exception>
    public static MetadataRecord Decode(ReadOnlySpan<byte> value)
    {
        var reader = new WireReader(value.ToArray());
        var frameVersion = reader.ReadUnsignedVarint();
        if (frameVersion != FrameVersion)
            throw new MalformedMessageException($"A metadata record has the frame version {frameVersion}; only {FrameVersion} is known.");
        var key = ReadInt16(ref reader, "type");
        var version = ReadInt16(ref reader, "version");
        var message = MetadataRecords.Read(key, version, ref reader);
        if (reader.Remaining > 0)
            throw new MalformedMessageException($"{reader.Remaining} bytes of garbage follow a metadata record of type {key}.");
        return new MetadataRecord(message, version);
    }

    private static short ReadInt16(ref WireReader reader, string what)
    {
        var value = reader.ReadUnsignedVarint();
        if (value > (uint)short.MaxValue)
            throw new MalformedMessageException($"A metadata record has the {what} {value}, more than an int16 holds.");
        return (short)value;
    }
}
