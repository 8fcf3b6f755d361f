using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Text;
using Ottla.Kernel;

namespace Ottla.Protocol.Wire;

/// <summary>Writes Kafka's primitive types to a frame. The output contains the bytes only after <see cref="Flush"/>.</summary>
public ref struct WireWriter(IFrameOutput output)
{
    /// <summary>The longest string of the protocol, in bytes of UTF-8.</summary>
    public const int StringBytesMax = short.MaxValue;

    private const int MinimumSpanBytes = 256;

    private Span<byte> _span;
    private int _used;

    /// <summary>Passes the written bytes to the output.</summary>
    public void Flush()
    {
        output.Advance(_used);
        _span = default;
        _used = 0;
    }

    public void WriteBoolean(bool value) => Reserve(1)[0] = value ? (byte)1 : (byte)0;

    public void WriteInt8(sbyte value) => Reserve(1)[0] = (byte)value;

    public void WriteInt16(short value) => BinaryPrimitives.WriteInt16BigEndian(Reserve(2), value);

    public void WriteUInt16(ushort value) => BinaryPrimitives.WriteUInt16BigEndian(Reserve(2), value);

    public void WriteInt32(int value) => BinaryPrimitives.WriteInt32BigEndian(Reserve(4), value);

    public void WriteUInt32(uint value) => BinaryPrimitives.WriteUInt32BigEndian(Reserve(4), value);

    public void WriteInt64(long value) => BinaryPrimitives.WriteInt64BigEndian(Reserve(8), value);

    public void WriteFloat64(double value) => BinaryPrimitives.WriteDoubleBigEndian(Reserve(8), value);

    public void WriteUuid(Uuid value) => value.Write(Reserve(Uuid.SizeBytes));

    /// <summary>Writes an unsigned variable-length integer.</summary>
    public void WriteUnsignedVarint(uint value)
    {
        var length = Varint.WriteUnsigned(Reserve(Varint.SizeBytesMax32), value);
        _used -= Varint.SizeBytesMax32 - length;
    }

    /// <summary>Writes a string. The length of null is -1, or 0 in the compact form.</summary>
    public void WriteString(string? value, bool flexible)
    {
        var length = value is null ? -1 : Encoding.UTF8.GetByteCount(value);
        if (length > StringBytesMax)
            throw new MalformedMessageException(
                $"A string of {length} bytes is longer than the {StringBytesMax} that the protocol allows.");
        if (flexible)
            WriteUnsignedVarint((uint)(length + 1));
        else
            WriteInt16((short)length);
        if (length > 0)
            Encoding.UTF8.GetBytes(value, Reserve(length));
    }

    /// <summary>Writes bytes. The length of null is -1, or 0 in the compact form.</summary>
    public void WriteBytes(byte[]? value, bool flexible)
    {
        WriteLength(value?.Length ?? -1, flexible);
        value.CopyTo(Reserve(value?.Length ?? 0));
    }

    /// <summary>Writes records. Memory is copied; a file slice is appended by reference.</summary>
    public void WriteRecords(Records value, bool flexible)
    {
        WriteLength(value.IsNull ? -1 : value.Length, flexible);
        if (value.Slice is { } slice)
        {
            Flush();
            output.AppendSlice(slice);
        }
        else if (!value.IsNull)
        {
            value.Memory.Span.CopyTo(Reserve(value.Memory.Length));
        }
    }

    /// <summary>Writes the length of an array; -1 for null.</summary>
    public void WriteArrayLength(int length, bool flexible) => WriteLength(length, flexible);

    /// <summary>Writes whether a nullable struct is present (KIP-893).</summary>
    public void WritePresence(bool isPresent) => WriteInt8(isPresent ? (sbyte)1 : (sbyte)-1);

    /// <summary>Writes whether a nullable struct in a tagged field is present. Kafka writes 0 for null there.</summary>
    public void WriteTaggedPresence(bool isPresent) => WriteUnsignedVarint(isPresent ? 1u : 0u);

    /// <summary>Writes the number of tagged fields.</summary>
    public void WriteTagCount(int count) => WriteUnsignedVarint((uint)count);

    /// <summary>Begins a tagged field, whose content is written until <see cref="EndTaggedField"/>.</summary>
    /// <returns>The position of its size.</returns>
    public int BeginTaggedField(uint tag)
    {
        WriteUnsignedVarint(tag);
        Flush();
        var mark = output.Written.Length;
        WriteInt8(0);
        return mark;
    }

    /// <summary>Ends a tagged field and fills in its size. It moves the content when the size takes more than one byte.</summary>
    public void EndTaggedField(int mark)
    {
        Flush();
        var contentBytes = output.Written.Length - mark - 1;
        var extraBytes = Varint.SizeOfUnsigned((uint)contentBytes) - 1;
        if (extraBytes > 0)
        {
            output.GetSpan(extraBytes);
            output.Advance(extraBytes);
            var written = output.Written;
            written.Slice(mark + 1, contentBytes).CopyTo(written[(mark + 1 + extraBytes)..]);
        }

        Varint.WriteUnsigned(output.Written[mark..], (uint)contentBytes);
    }

    /// <summary>Writes all tagged fields of a struct whose schema has none.</summary>
    public void WriteUnknownTaggedFields(List<RawTaggedField>? fields)
    {
        WriteTagCount(fields?.Count ?? 0);
        var index = 0;
        WriteRemainingUnknownTaggedFields(fields, ref index);
    }

    /// <summary>
    /// Writes the unknown tagged fields with tags below <paramref name="tag"/>, from <paramref name="index"/> on, because tags ascend on
    /// the wire.
    /// </summary>
    public void WriteUnknownTaggedFieldsBelow(uint tag, List<RawTaggedField>? fields, ref int index)
    {
        for (; fields is not null && index < fields.Count && fields[index].Tag < tag; index++)
            WriteUnknownTaggedField(fields[index]);
    }

    /// <summary>Writes all unknown tagged fields from <paramref name="index"/> on.</summary>
    public void WriteRemainingUnknownTaggedFields(List<RawTaggedField>? fields, ref int index)
    {
        for (; fields is not null && index < fields.Count; index++)
            WriteUnknownTaggedField(fields[index]);
    }

    private void WriteUnknownTaggedField(RawTaggedField field)
    {
        WriteUnsignedVarint(field.Tag);
        WriteUnsignedVarint((uint)field.Data.Length);
        field.Data.CopyTo(Reserve(field.Data.Length));
    }

    private void WriteLength(int length, bool flexible)
    {
        if (flexible)
            WriteUnsignedVarint((uint)(length + 1));
        else
            WriteInt32(length);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Span<byte> Reserve(int count)
    {
        if (_span.Length - _used < count)
            Grow(count);
        var reserved = _span.Slice(_used, count);
        _used += count;
        return reserved;
    }

    private void Grow(int count)
    {
        Flush();
        _span = output.GetSpan(Math.Max(count, MinimumSpanBytes));
    }
}
