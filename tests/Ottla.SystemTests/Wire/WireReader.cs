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

    private ReadOnlySpan<byte> Take(int count)
    {
        var taken = bytes.AsSpan(_position, count);
        _position += count;
        return taken;
    }
}
