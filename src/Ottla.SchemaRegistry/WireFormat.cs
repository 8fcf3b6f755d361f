using System.Buffers;
using System.Buffers.Binary;

namespace Ottla.SchemaRegistry;

/// <summary>How the id of a schema goes with a key or value: a zero, then four bytes, big-endian (Confluent's wire format).</summary>
public static class WireFormat
{
    /// <summary>Bytes before what was serialized.</summary>
    public const int HeaderBytes = 1 + sizeof(int);

    private const byte Magic = 0;

    /// <summary>Writes the header.</summary>
    public static void WriteId(IBufferWriter<byte> output, int id)
    {
        ArgumentNullException.ThrowIfNull(output);
        var header = output.GetSpan(HeaderBytes);
        header[0] = Magic;
        BinaryPrimitives.WriteInt32BigEndian(header[1..], id);
        output.Advance(HeaderBytes);
    }

    /// <summary>Reads the header.</summary>
    /// <returns>The id of the schema.</returns>
    /// <exception cref="FormatException">The bytes have no such header.</exception>
    public static int ReadId(ReadOnlySpan<byte> data) => data.Length >= HeaderBytes && data[0] == Magic
        ? BinaryPrimitives.ReadInt32BigEndian(data[1..])
        : throw new FormatException(
            $"The {data.Length} bytes do not begin with a zero and the id of a schema: they were not written with a schema registry.");
}
