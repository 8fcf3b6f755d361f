using System.Buffers.Binary;
using System.Text;

namespace Ottla.SystemTests.Wire;

/// <summary>Reads the protocol's primitive types of a response. A response that is too short fails the test.</summary>
public sealed class WireReader(byte[] bytes)
{
    private int _position;

    /// <summary>How many bytes remain.</summary>
    public int Remaining => bytes.Length - _position;

    public short Int16() => BinaryPrimitives.ReadInt16BigEndian(Take(sizeof(short)));

    public int Int32() => BinaryPrimitives.ReadInt32BigEndian(Take(sizeof(int)));

    public long Int64() => BinaryPrimitives.ReadInt64BigEndian(Take(sizeof(long)));

    /// <summary>A STRING or NULLABLE_STRING.</summary>
    public string? String()
    {
        var length = Int16();
        return length < 0 ? null : Encoding.UTF8.GetString(Take(length));
    }

    public int Int8() => Take(1)[0];

    public uint UnsignedVarint()
    {
        uint value = 0;
        for (var shift = 0; ; shift += 7)
        {
            var one = Int8();
            value |= (uint)(one & 0x7f) << shift;
            if (one < 0x80)
                return value;
        }
    }

    /// <summary>Walks over a varint of up to 64 bits.</summary>
    public void SkipVarint()
    {
        while (Int8() >= 0x80)
        {
        }
    }

    /// <summary>A zig-zag varint, as records use it.</summary>
    public int Varint()
    {
        var value = UnsignedVarint();
        return (int)(value >> 1) ^ -(int)(value & 1);
    }

    /// <summary>A length of a flexible version; -1 for null.</summary>
    public int CompactLength() => (int)UnsignedVarint() - 1;

    /// <summary>COMPACT_BYTES, COMPACT_RECORDS, or a field of a known length; empty for a negative one.</summary>
    public byte[] Bytes(int length) => length <= 0 ? [] : Take(length).ToArray();

    /// <summary>A COMPACT_STRING or COMPACT_NULLABLE_STRING.</summary>
    public string? CompactString() => CompactLength() is var length and >= 0 ? Encoding.UTF8.GetString(Take(length)) : null;

    /// <summary>An array of a flexible version, whose elements end with tagged fields.</summary>
    public List<T> CompactArray<T>(Func<WireReader, T> element)
    {
        var list = new List<T>();
        for (var count = CompactLength(); count > 0; count--)
        {
            list.Add(element(this));
            SkipTags();
        }

        return list;
    }

    /// <summary>Tagged fields, whatever they are.</summary>
    public void SkipTags()
    {
        for (var count = UnsignedVarint(); count > 0; count--)
        {
            UnsignedVarint();
            Take((int)UnsignedVarint());
        }
    }

    private ReadOnlySpan<byte> Take(int count)
    {
        var taken = bytes.AsSpan(_position, count);
        _position += count;
        return taken;
    }
}
