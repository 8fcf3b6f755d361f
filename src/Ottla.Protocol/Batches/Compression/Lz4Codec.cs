using System.Buffers;
using System.Buffers.Binary;
using System.IO.Hashing;

namespace Ottla.Protocol.Batches.Compression;

/// <summary>
/// lz4 frames: 64 KiB independent blocks without checksums, as Kafka's clients write them. The frame is Ottla's own code; blocks are a
/// library's.
/// </summary>
internal sealed class Lz4Codec(Lz4Blocks blocks) : ICompressionCodec
{
    /// <summary>Set in a block's length when its bytes are not compressed.</summary>
    private const uint PlainFlag = 0x8000_0000;

    // Kafka's level 9, its default, means the fast compressor; every other level the high one, whose own range is 3 to 12.
    private const int DefaultLevel = 9;

    private readonly ContextPool<Decoder> _decoders = new();

    public CompressionType Type => CompressionType.Lz4;

    public CompressionLevels Levels { get; } = new(1, 17, DefaultLevel);

    public void Compress(ReadOnlySpan<byte> input, int level, IBufferWriter<byte> output)
    {
        ArgumentOutOfRangeException.ThrowIfEqual(Levels.Allows(level), false, nameof(level));
        level = level == DefaultLevel ? Lz4Blocks.FastLevel : Math.Clamp(level, Lz4Blocks.HighLevelMin, Lz4Blocks.HighLevelMax);
        Lz4FrameHeader.Write(output.GetSpan(Lz4FrameHeader.WrittenBytes));
        output.Advance(Lz4FrameHeader.WrittenBytes);
        while (!input.IsEmpty)
        {
            var block = input[..Math.Min(input.Length, Lz4FrameHeader.WrittenBlockBytes)];
            output.Advance(CompressBlock(block, level, output.GetSpan(sizeof(uint) + Lz4Blocks.CompressBound(block.Length))));
            input = input[block.Length..];
        }

        BinaryPrimitives.WriteUInt32LittleEndian(output.GetSpan(sizeof(uint)), 0);
        output.Advance(sizeof(uint));
    }

    public CompressionDecoder OpenDecoder(ReadOnlyMemory<byte> input)
    {
        if (Lz4FrameHeader.TryRead(input.Span, out var header) is { } reason)
            throw Decoder.Broken(reason);
        var decoder = _decoders.TryRent() ?? new Decoder(this);
        decoder.Start(header, input[header.Bytes..]);
        return decoder;
    }

    private int CompressBlock(ReadOnlySpan<byte> block, int level, Span<byte> output)
    {
        var body = output[sizeof(uint)..];
        var written = blocks.Compress(block, body, level);
        if (written > 0 && written < block.Length)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(output, (uint)written);
            return sizeof(uint) + written;
        }

        block.CopyTo(body);
        BinaryPrimitives.WriteUInt32LittleEndian(output, (uint)block.Length | PlainFlag);
        return sizeof(uint) + block.Length;
    }

    /// <summary>Reads one frame; what follows it is ignored, as Kafka's reader does.</summary>
    private sealed class Decoder(Lz4Codec codec) : CompressionDecoder
    {
        private readonly XxHash32 _contentHash = new();
        private readonly ExpandedBlock _block = new();
        private Lz4FrameHeader _header;
        private ReadOnlyMemory<byte> _input;
        private ulong _contentBytes;
        private bool _isFrameEnded;

        public static CorruptRecordException Broken(string reason) => Corrupt("lz4", reason);

        public void Start(Lz4FrameHeader header, ReadOnlyMemory<byte> input)
        {
            _header = header;
            _input = input;
            _contentHash.Reset();
            _contentBytes = 0;
            _isFrameEnded = false;
            _block.SetLength(0);
        }

        public override int Read(Span<byte> destination)
        {
            while (_block.IsEmpty && !_isFrameEnded)
            {
                var expanded = ReadBlock(destination);
                if (expanded > 0)
                    return expanded;
            }

            return _block.Read(destination);
        }

        protected override void Release()
        {
            _input = default;
            _block.Release();
            codec._decoders.TryReturn(this);
        }

        /// <summary>Reads the next block, or the end.</summary>
        /// <returns>
        /// Bytes that went to <paramref name="destination"/> directly, where a whole block has room there; else they are in the decoder's
        /// own block.
        /// </returns>
        private int ReadBlock(Span<byte> destination)
        {
            var prefix = BinaryPrimitives.ReadUInt32LittleEndian(Take(sizeof(uint)));
            var length = prefix & ~PlainFlag;
            if (length == 0)
            {
                EndFrame();
                return 0;
            }

            if (length > _header.BlockBytesMax)
                throw Broken($"a block of {length} bytes where {_header.BlockBytesMax} are allowed");
            var block = Take((int)length);
            if (_header.HasBlockChecksums && BinaryPrimitives.ReadUInt32LittleEndian(Take(sizeof(uint))) != XxHash32.HashToUInt32(block))
                throw Broken("the checksum of a block is wrong");
            var isPlain = (prefix & PlainFlag) != 0;
            // A block's length is believed only as far as its compressed bytes can bear out.
            var expandedMax = isPlain ? block.Length : (int)Math.Min(_header.BlockBytesMax, Lz4Blocks.ExpandBound(block.Length));
            var isDirect = destination.Length >= expandedMax;
            var output = isDirect ? destination[..expandedMax] : _block.Reserve(expandedMax);
            var expanded = isPlain ? Copy(block, output) : codec.ExpandBlock(block, output);
            if (_header.HasContentChecksum)
                _contentHash.Append(output[..expanded]);
            _contentBytes += (uint)expanded;
            _block.SetLength(isDirect ? 0 : expanded);
            return isDirect ? expanded : 0;
        }

        private static int Copy(ReadOnlySpan<byte> block, Span<byte> output)
        {
            block.CopyTo(output);
            return block.Length;
        }

        private void EndFrame()
        {
            if (_header.HasContentChecksum
                && BinaryPrimitives.ReadUInt32LittleEndian(Take(sizeof(uint))) != _contentHash.GetCurrentHashAsUInt32())
                throw Broken("the checksum of the content is wrong");
            if (_header.ContentBytes is > 0 and var promised && promised != _contentBytes)
                throw Broken($"the content has {_contentBytes} bytes where {promised} were promised");
            _isFrameEnded = true;
        }

        private ReadOnlySpan<byte> Take(int count)
        {
            if (count > _input.Length)
                throw Broken("the stream ended prematurely");
            var taken = _input.Span[..count];
            _input = _input[count..];
            return taken;
        }
    }

    private int ExpandBlock(ReadOnlySpan<byte> block, Span<byte> output)
    {
        var expanded = blocks.Expand(block, output);
        return expanded >= 0 ? expanded : throw Decoder.Broken("a block is broken");
    }
}
