using System.Buffers;
using System.Buffers.Binary;
using Snappier;

namespace Ottla.Protocol.Batches.Compression;

/// <summary>
/// snappy; Snappier compresses and expands the blocks. It writes the framing of xerial's Java library, which Kafka's clients expect: a
/// header of 16 bytes, then blocks of 32 KiB of input, each after its int32 length. It reads this framing, and also a single bare block,
/// which librdkafka and others write.
/// </summary>
internal sealed class SnappyCodec : ICompressionCodec
{
    private const int HeaderBytes = 16;
    private const int FormatVersion = 1;
    private const int BlockInputBytes = 32 * 1024;

    private static readonly ContextPool<Decoder> Decoders = new();

    public CompressionType Type => CompressionType.Snappy;

    /// <summary>Empty: Snappy has no levels.</summary>
    public CompressionLevels Levels { get; } = new(0, 0, 0);

    private static ReadOnlySpan<byte> Magic => [0x82, (byte)'S', (byte)'N', (byte)'A', (byte)'P', (byte)'P', (byte)'Y', 0];

    public void Compress(ReadOnlySpan<byte> input, int level, IBufferWriter<byte> output)
    {
        var header = output.GetSpan(HeaderBytes);
        Magic.CopyTo(header);
        BinaryPrimitives.WriteInt32BigEndian(header[Magic.Length..], FormatVersion);
        BinaryPrimitives.WriteInt32BigEndian(header[(Magic.Length + sizeof(int))..], FormatVersion);
        output.Advance(HeaderBytes);

        while (!input.IsEmpty)
        {
            var block = input[..Math.Min(input.Length, BlockInputBytes)];
            var destination = output.GetSpan(sizeof(int) + Snappy.GetMaxCompressedLength(block.Length));
            var written = Snappy.Compress(block, destination[sizeof(int)..]);
            BinaryPrimitives.WriteInt32BigEndian(destination, written);
            output.Advance(sizeof(int) + written);
            input = input[block.Length..];
        }
    }

    public CompressionDecoder OpenDecoder(ReadOnlyMemory<byte> input)
    {
        var decoder = Decoders.TryRent() ?? new Decoder();
        decoder.Start(input);
        return decoder;
    }

    /// <summary>
    /// Expands one block at a time. It accepts the claimed length of a block only as far as the block's bytes could expand to it.
    /// </summary>
    private sealed class Decoder : CompressionDecoder
    {
        private readonly ExpandedBlock _block = new();
        private ReadOnlyMemory<byte> _input;
        private bool _isFramed;

        public void Start(ReadOnlyMemory<byte> input)
        {
            _input = input;
            _isFramed = StartsWithHeader(input.Span);
            _block.SetLength(0);
        }

        public override int Read(Span<byte> destination)
        {
            while (_block.IsEmpty)
            {
                if (_input.IsEmpty)
                    return 0;
                ExpandNextBlock();
            }

            return _block.Read(destination);
        }

        protected override void Release()
        {
            _input = default;
            _block.Release();
            Decoders.TryReturn(this);
        }

        private static bool StartsWithHeader(ReadOnlySpan<byte> input) => input.Length >= HeaderBytes && input.StartsWith(Magic);

        private void ExpandNextBlock()
        {
            var block = TakeBlock();
            if (!SnappyBlock.TryReadLength(block, out var length))
                throw Corrupt("snappy", "the length of a block is invalid");
            Expand(block, _block.Reserve(length));
            _block.SetLength(length);
        }

        private static void Expand(ReadOnlySpan<byte> block, Span<byte> output)
        {
            try
            {
                var written = Snappy.Decompress(block, output);
                Ottla.Kernel.Invariant.Check(written == output.Length, "a block expands to what its elements make");
            }
            catch (Exception e) when (e is InvalidDataException or ArgumentException)
            {
                throw Corrupt("snappy", "a block is corrupt", e);
            }
        }

        private ReadOnlySpan<byte> TakeBlock()
        {
            var remaining = _input.Span;
            if (!_isFramed)
            {
                _input = default;
                return remaining;
            }

            // Streams may be concatenated: a header can take the place of a length.
            while (StartsWithHeader(remaining))
                remaining = remaining[HeaderBytes..];
            if (remaining.IsEmpty)
            {
                _input = default;
                return [0];
            }

            if (remaining.Length < sizeof(int))
                throw Corrupt("snappy", "the data ends inside a block's length");
            var length = BinaryPrimitives.ReadInt32BigEndian(remaining);
            remaining = remaining[sizeof(int)..];
            if (length < 0 || length > remaining.Length)
                throw Corrupt("snappy", $"a block claims {length} bytes, but only {remaining.Length} remain");
            _input = _input[^(remaining.Length - length)..];
            return remaining[..length];
        }
    }
}
