using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Ottla.SystemTests.Wire;

/// <summary>
/// Writes the protocol's primitive types by hand. Tests use it, not the broker's own encoder, so that they can lie
/// (lengths that are not true) and so that a mistake in the encoder cannot hide itself.
/// </summary>
public sealed class WireWriter
{
    private readonly ArrayBufferWriter<byte> _bytes = new();

    /// <summary>What was written.</summary>
    public byte[] ToArray() => _bytes.WrittenSpan.ToArray();

    public WireWriter Int8(int value) => Raw([unchecked((byte)value)]);

    public WireWriter Int16(int value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(short)];
        BinaryPrimitives.WriteInt16BigEndian(bytes, checked((short)value));
        return Raw(bytes);
    }

    public WireWriter Int32(int value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(int)];
        BinaryPrimitives.WriteInt32BigEndian(bytes, value);
        return Raw(bytes);
    }

    public WireWriter Int64(long value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64BigEndian(bytes, value);
        return Raw(bytes);
    }

    public WireWriter UnsignedVarint(uint value)
    {
        for (; value >= 0x80; value >>= 7)
            Int8((int)(value & 0x7f | 0x80));
        return Int8((int)value);
    }

    /// <summary>A zig-zag varint, as records use it.</summary>
    public WireWriter Varint(int value) => UnsignedVarint((uint)(value << 1 ^ value >> 31));

    /// <summary>A STRING, or with null a NULLABLE_STRING.</summary>
    public WireWriter String(string? value)
    {
        if (value is null)
            return Int16(-1);
        var bytes = Encoding.UTF8.GetBytes(value);
        return Int16(bytes.Length).Raw(bytes);
    }

    /// <summary>A length of a flexible version: one more than it is, and 0 for null.</summary>
    public WireWriter CompactLength(int? length) => UnsignedVarint((uint)(length + 1 ?? 0));

    /// <summary>A COMPACT_STRING, or with null a COMPACT_NULLABLE_STRING.</summary>
    public WireWriter CompactString(string? value)
    {
        if (value is null)
            return CompactLength(null);
        var bytes = Encoding.UTF8.GetBytes(value);
        return CompactLength(bytes.Length).Raw(bytes);
    }

    /// <summary>Tagged fields: none.</summary>
    public WireWriter NoTags() => UnsignedVarint(0);

    /// <summary>BYTES or RECORDS of the versions that are not flexible.</summary>
    public WireWriter Bytes(ReadOnlySpan<byte> value) => Int32(value.Length).Raw(value);

    public WireWriter Raw(ReadOnlySpan<byte> value)
    {
        _bytes.Write(value);
        return this;
    }
}
