using System.Buffers;
using System.Buffers.Binary;

namespace Ottla.Protocol.Batches.Compression;

/// <summary>lz4 frames with the system's liblz4: independent blocks of 64 KiB without checksums, like those of Kafka's clients.</summary>
internal sealed unsafe class Lz4Codec : ICompressionCodec
{
    private const uint FrameMagic = 0x184D2204;
    private const int DescriptorBytesMin = 7;
    private const int VersionMask = 0xC0;
    private const int Version1 = 0x40;
    private const int BlocksIndependentMask = 0x20;
    private const int ReservedMask = 0x03;

    // Kafka's default level 9 selects the fast compressor. Every other level selects the high one, whose own range is 3 to 12.
    private const int DefaultLevel = 9;
    private const int FastLevel = 0;
    private const int HighLevelMin = 3;
    private const int HighLevelMax = 12;

    private static readonly ContextPool<Decoder> Decoders = new();

    public CompressionType Type => CompressionType.Lz4;

    public CompressionLevels Levels { get; } = new(1, 17, DefaultLevel);

    public void Compress(ReadOnlySpan<byte> input, int level, IBufferWriter<byte> output)
    {
        ArgumentOutOfRangeException.ThrowIfEqual(Levels.Allows(level), false, nameof(level));
        Lz4Library.Probe.ThrowIfMissing();
        var preferences = new Lz4Preferences
        {
            BlockSizeId = Lz4Preferences.BlockSize64KiB,
            BlockMode = Lz4Preferences.BlocksIndependent,
            CompressionLevel = level == DefaultLevel ? FastLevel : Math.Clamp(level, HighLevelMin, HighLevelMax),
        };
        var destination = output.GetSpan(checked((int)Lz4Library.CompressFrameBound((nuint)input.Length, &preferences)));
        nuint result;
        fixed (byte* destinationStart = destination)
        fixed (byte* source = input)
            result = Lz4Library.CompressFrame(destinationStart, (nuint)destination.Length, source, (nuint)input.Length, &preferences);
        if (Lz4Library.IsError(result) != 0)
            throw new InvalidOperationException($"lz4 failed to compress: {Lz4Library.ErrorName(result)}");
        output.Advance((int)result);
    }

    public CompressionDecoder OpenDecoder(ReadOnlyMemory<byte> input)
    {
        Lz4Library.Probe.ThrowIfMissing();
        Decoder.CheckDescriptor(input.Span);
        var decoder = Decoders.TryRent() ?? new Decoder();
        decoder.Start(input);
        return decoder;
    }

    /// <summary>Reads one frame and, like Kafka, ignores the bytes after it.</summary>
    private sealed class Decoder : CompressionDecoder
    {
        private readonly Lz4DecompressionContext _context = new();
        private ReadOnlyMemory<byte> _input;
        private bool _isFrameEnded;

        /// <summary>
        /// Rejects data that the library reads but Kafka's clients do not: skippable frames, dictionaries and dependent blocks.
        /// </summary>
        public static void CheckDescriptor(ReadOnlySpan<byte> input)
        {
            if (input.Length < DescriptorBytesMin)
                throw Corrupt("lz4", "the stream ended prematurely");
            if (BinaryPrimitives.ReadUInt32LittleEndian(input) != FrameMagic)
                throw Corrupt("lz4", "invalid magic bytes");
            var flags = input[sizeof(uint)];
            if ((flags & VersionMask) != Version1 || (flags & ReservedMask) != 0)
                throw Corrupt("lz4", $"unsupported frame descriptor 0x{flags:x2}");
            if ((flags & BlocksIndependentMask) == 0)
                throw Corrupt("lz4", "dependent blocks are unsupported");
        }

        public void Start(ReadOnlyMemory<byte> input)
        {
            _input = input;
            _isFrameEnded = false;
        }

        public override int Read(Span<byte> destination)
        {
            while (!_isFrameEnded)
            {
                var inputBefore = _input.Length;
                var written = Step(destination);
                if (written > 0)
                    return written;
                if (!_isFrameEnded && _input.Length == inputBefore)
                    throw Corrupt("lz4", "the stream ended prematurely");
            }

            return 0;
        }

        protected override void Release()
        {
            _input = default;
            Lz4Library.ResetDecompression(_context);
            if (!Decoders.TryReturn(this))
                _context.Dispose();
        }

        private int Step(Span<byte> destination)
        {
            var written = (nuint)destination.Length;
            var consumed = (nuint)_input.Length;
            nuint result;
            fixed (byte* output = destination)
            fixed (byte* input = _input.Span)
                result = Lz4Library.Decompress(_context, output, &written, input, &consumed, null);
            if (Lz4Library.IsError(result) != 0)
                throw Corrupt("lz4", Lz4Library.ErrorName(result));
            _input = _input[(int)consumed..];
            _isFrameEnded = result == 0;
            return (int)written;
        }
    }
}
