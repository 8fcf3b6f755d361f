using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Text;
using Ottla.Kernel;

namespace Ottla.Protocol.Wire;

/// <summary>
/// Reads Kafka's primitive types from a frame. Every length is compared with the remaining bytes before memory is allocated.
/// </summary>
/// <remarks>Strings and bytes are copied, so that a decoded message can outlive its frame. Records are not copied.</remarks>
public ref struct WireReader
{
    /// <summary>
    /// The longest string that can be written back even if it is invalid UTF-8: each byte becomes at most one replacement character of 3
    /// bytes.
    /// </summary>
    private const int StringBytesSafe = WireWriter.StringBytesMax / 3;

    /// <summary>
    /// The most elements of an array, even if there are bytes for more: far above what clients send. It bounds the objects that one length
    /// can create (CVE-2026-111108).
    /// </summary>
    public const int ArrayElementsMax = 1_000_000;

    /// <summary>The most tagged fields of a struct (CVE-2026-111115).</summary>
    public const int TaggedFieldsMax = 10_000;

    private readonly Memory<byte> _memory;
    private readonly ReadOnlySpan<byte> _span;
    private int _position;

    /// <summary>Starts to read at the beginning of <paramref name="frame"/>.</summary>
    public WireReader(Memory<byte> frame)
    {
        _memory = frame;
        _span = frame.Span;
    }

    /// <summary>Bytes read so far.</summary>
    public readonly int Position => _position;

    /// <summary>Bytes left.</summary>
    public readonly int Remaining => _span.Length - _position;

    public bool ReadBoolean() => Take(1)[0] != 0;

    public sbyte ReadInt8() => (sbyte)Take(1)[0];

    public short ReadInt16() => BinaryPrimitives.ReadInt16BigEndian(Take(2));

    public ushort ReadUInt16() => BinaryPrimitives.ReadUInt16BigEndian(Take(2));

    public int ReadInt32() => BinaryPrimitives.ReadInt32BigEndian(Take(4));

    public uint ReadUInt32() => BinaryPrimitives.ReadUInt32BigEndian(Take(4));

    public long ReadInt64() => BinaryPrimitives.ReadInt64BigEndian(Take(8));

    public double ReadFloat64() => BinaryPrimitives.ReadDoubleBigEndian(Take(8));

    public Uuid ReadUuid() => Uuid.Read(Take(Uuid.SizeBytes));

    /// <summary>Reads an unsigned variable-length integer.</summary>
    public uint ReadUnsignedVarint()
    {
        if (!Varint.TryReadUnsigned(_span, ref _position, out var value))
            Fail("a variable-length integer does not end, or is too wide");
        return value;
    }

    /// <summary>Reads a string that must not be null.</summary>
    public string ReadString(bool flexible, string field) =>
        ReadNullableString(flexible) ?? throw MalformedMessageException.NotNullable(field);

    /// <summary>Reads a string.</summary>
    public string? ReadNullableString(bool flexible)
    {
        var length = flexible ? ReadCompactLength() : ReadInt16();
        if (length < 0)
            return null;
        if (length > WireWriter.StringBytesMax)
            Fail($"a string of {length} bytes is longer than the {WireWriter.StringBytesMax} that the protocol allows");
        var text = RecentStrings.Get(Take(length));
        if (length > StringBytesSafe && Encoding.UTF8.GetByteCount(text) > WireWriter.StringBytesMax)
            Fail("a string is not valid UTF-8, and is too long after its errors are replaced");
        return text;
    }

    /// <summary>Reads bytes that must not be null, as a copy.</summary>
    public byte[] ReadBytes(bool flexible, string field) =>
        ReadNullableBytes(flexible) ?? throw MalformedMessageException.NotNullable(field);

    /// <summary>Reads bytes, as a copy.</summary>
    public byte[]? ReadNullableBytes(bool flexible)
    {
        var length = flexible ? ReadCompactLength() : ReadInt32();
        return length < 0 ? null : Take(length).ToArray();
    }

    /// <summary>Reads records that must not be null, as a window of the frame.</summary>
    public Records ReadRecords(bool flexible, string field)
    {
        var records = ReadNullableRecords(flexible);
        return records.IsNull ? throw MalformedMessageException.NotNullable(field) : records;
    }

    /// <summary>Reads records, as a window of the frame.</summary>
    public Records ReadNullableRecords(bool flexible)
    {
        var length = flexible ? ReadCompactLength() : ReadInt32();
        if (length < 0)
            return default;
        var start = _position;
        Take(length);
        return new Records(_memory.Slice(start, length));
    }

    /// <summary>Reads the length of an array; -1 when the array is null.</summary>
    /// <param name="flexible">Whether the length is compact.</param>
    /// <param name="elementBytesMin">
    /// The smallest size of an element. A length that cannot fit is rejected before memory is allocated.
    /// </param>
    /// <param name="field">The name of the array, for the error message.</param>
    public int ReadArrayLength(bool flexible, int elementBytesMin, string field)
    {
        var length = flexible ? ReadCompactLength() : ReadInt32();
        if ((long)length * Math.Max(elementBytesMin, 1) > Remaining)
            throw new MalformedMessageException($"{field} announces {length} elements, but only {Remaining} bytes remain.");
        if (length > ArrayElementsMax)
            throw new MalformedMessageException($"{field} announces {length} elements, more than the {ArrayElementsMax} allowed.");
        return Math.Max(length, -1);
    }

    /// <summary>Reads whether a nullable struct is present (KIP-893).</summary>
    public bool ReadPresence(string field) => ReadInt8() switch
    {
        1 => true,
        < 0 => false,
        var other => throw new MalformedMessageException($"{field} begins with {other}, but 1 (present) or -1 (null) is expected."),
    };

    /// <summary>Reads whether a nullable struct in a tagged field is present. Kafka writes 0 for null there.</summary>
    public bool ReadTaggedPresence(string field) => ReadUnsignedVarint() switch
    {
        1 => true,
        0 => false,
        var other => throw new MalformedMessageException($"{field} begins with {other}, but 1 (present) or 0 (null) is expected."),
    };

    /// <summary>Reads the number of tagged fields.</summary>
    public int ReadTagCount()
    {
        var count = ReadUnsignedVarint();
        if (count > Remaining / 2)
            Fail($"{count} tagged fields are announced, but only {Remaining} bytes remain");
        if (count > TaggedFieldsMax)
            Fail($"{count} tagged fields are announced, more than the {TaggedFieldsMax} allowed");
        return (int)count;
    }

    /// <summary>Reads the tag and size of a tagged field.</summary>
    /// <param name="lastTag">
    /// The tag of the previous field, -1 for the first. Tags must ascend, so none appears twice. Receives the new tag.
    /// </param>
    /// <param name="sizeBytes">Bytes of the field.</param>
    public uint ReadTag(ref long lastTag, out int sizeBytes)
    {
        var tag = ReadUnsignedVarint();
        if (tag <= lastTag)
            Fail($"tagged field {tag} follows tagged field {lastTag}");
        lastTag = tag;
        var size = ReadUnsignedVarint();
        if (size > Remaining)
            Fail($"tagged field {tag} announces {size} bytes, but only {Remaining} remain");
        sizeBytes = (int)size;
        return tag;
    }

    /// <summary>Skips all tagged fields, as behind a header of which none is of interest.</summary>
    public void SkipTaggedFields()
    {
        var lastTag = -1L;
        for (var count = ReadTagCount(); count > 0; count--)
        {
            var tag = ReadTag(ref lastTag, out var sizeBytes);
            ReadRawTaggedField(tag, sizeBytes);
        }
    }

    /// <summary>Reads a tagged field that the schema does not have.</summary>
    public RawTaggedField ReadRawTaggedField(uint tag, int sizeBytes) => new(tag, sizeBytes == 0 ? [] : Take(sizeBytes).ToArray());

    /// <summary>Checks that a tagged field had exactly its announced size.</summary>
    public readonly void CheckTagEnd(uint tag, int end)
    {
        if (_position != end)
            Fail($"tagged field {tag} ends at byte {_position} instead of {end}");
    }

    private int ReadCompactLength()
    {
        var length = ReadUnsignedVarint();
        if (length > int.MaxValue)
            Fail($"a length of {length} is more than a frame can hold");
        return (int)length - 1;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ReadOnlySpan<byte> Take(int count)
    {
        var start = _position;
        if ((uint)count > (uint)(_span.Length - start))
            Fail($"{count} bytes are announced, but only {Remaining} remain");
        _position = start + count;
        return _span.Slice(start, count);
    }

    [DoesNotReturn]
    private static void Fail(string what) => throw new MalformedMessageException($"Malformed message: {what}.");
}
