using System.Buffers.Binary;
using System.Text;

namespace Ottla.Cli.Monitoring.Otlp;

/// <summary>
/// Bytes of a protobuf message that grows. A message inside it has its length in front, which is written when the message ends. Not
/// thread-safe; used again by its owner.
/// </summary>
internal sealed class ProtobufBuffer
{
    private const int Fixed64 = 1;
    private const int LengthDelimited = 2;

    /// <summary>A length that is not known yet gets as many bytes: enough for 256 MB.</summary>
    private const int LengthBytes = 4;

    private byte[] _bytes = new byte[16 * 1024];

    /// <summary>How many bytes there are.</summary>
    public int Length { get; private set; }

    /// <summary>The bytes, until the next change.</summary>
    public ReadOnlySpan<byte> Written => _bytes.AsSpan(0, Length);

    /// <summary>Forgets all that was written.</summary>
    public void Clear() => Length = 0;

    /// <summary>Begins a message inside the message.</summary>
    /// <returns>What <see cref="End"/> wants to know.</returns>
    public int Begin(int field)
    {
        WriteTag(field, LengthDelimited);
        Reserve(LengthBytes);
        Length += LengthBytes;
        return Length;
    }

    /// <summary>Ends the message that was begun last: its length is written in a fixed number of bytes, as protobuf allows.</summary>
    public void End(int begun)
    {
        var length = (uint)(Length - begun);
        for (var i = 0; i < LengthBytes; i++)
            _bytes[begun - LengthBytes + i] = (byte)((length >> (7 * i)) & 0x7f | (i < LengthBytes - 1 ? 0x80u : 0));
    }

    /// <summary>Writes bytes as they are: fields that were made before.</summary>
    public void WriteRaw(ReadOnlySpan<byte> bytes)
    {
        Reserve(bytes.Length);
        bytes.CopyTo(_bytes.AsSpan(Length));
        Length += bytes.Length;
    }

    /// <summary>Writes a text.</summary>
    public void WriteText(int field, string text)
    {
        WriteTag(field, LengthDelimited);
        WriteVarint((uint)Encoding.UTF8.GetByteCount(text));
        Reserve(Encoding.UTF8.GetMaxByteCount(text.Length));
        Length += Encoding.UTF8.GetBytes(text, _bytes.AsSpan(Length));
    }

    /// <summary>Writes a number of one byte.</summary>
    public void WriteSmall(int field, byte value)
    {
        WriteTag(field, kind: 0);
        WriteVarint(value);
    }

    /// <summary>Writes 64 bits.</summary>
    public void WriteFixed(int field, ulong value)
    {
        WriteTag(field, Fixed64);
        Reserve(sizeof(ulong));
        BinaryPrimitives.WriteUInt64LittleEndian(_bytes.AsSpan(Length), value);
        Length += sizeof(ulong);
    }

    /// <summary>Writes a floating-point number.</summary>
    public void WriteDouble(int field, double value) => WriteFixed(field, BitConverter.DoubleToUInt64Bits(value));

    private void WriteTag(int field, int kind) => WriteVarint((uint)((field << 3) | kind));

    private void WriteVarint(uint value)
    {
        const int bytesMax = 5;
        Reserve(bytesMax);
        for (; value >= 0x80; value >>= 7)
            _bytes[Length++] = (byte)(value | 0x80);
        _bytes[Length++] = (byte)value;
    }

    private void Reserve(int more)
    {
        if (_bytes.Length - Length < more)
            Array.Resize(ref _bytes, Math.Max(2 * _bytes.Length, Length + more));
    }
}
