using System.Buffers;
using Ottla.Client;

namespace Ottla.Cli.Nouns;

/// <summary>Bytes of a key or a value that are elsewhere. It is used again for the next record: the producer copies what it
/// takes.</summary>
internal sealed class ByteSlice
{
    /// <summary>Writes the bytes.</summary>
    public static readonly ISerializer<ByteSlice> Serializer = new SliceSerializer();

    /// <summary>The bytes.</summary>
    public ReadOnlyMemory<byte> Bytes { get; set; }

    private sealed class SliceSerializer : ISerializer<ByteSlice>
    {
        public void Serialize(ByteSlice value, IBufferWriter<byte> output, SerializationContext context) => output.Write(value.Bytes.Span);
    }
}
