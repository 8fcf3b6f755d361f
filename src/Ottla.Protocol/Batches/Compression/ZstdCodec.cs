using System.Buffers;

namespace Ottla.Protocol.Batches.Compression;

/// <summary>zstd. Frames contain their content size, so that a reader needs no more memory than that.</summary>
internal sealed unsafe class ZstdCodec(ZstdLibrary library) : ICompressionCodec
{
    /// <summary>Larger contexts are freed instead of pooled: high levels and wide windows take up to hundreds of MiB.</summary>
    private const int PooledContextBytesMax = 16 * 1024 * 1024;

    private readonly ContextPool<ZstdCompressionContext> _compressionContexts = new();
    private readonly ContextPool<Decoder> _decoders = new();

    public CompressionType Type => CompressionType.Zstd;

    public CompressionLevels Levels { get; } = new(-131072, 22, 3);

    public void Compress(ReadOnlySpan<byte> input, int level, IBufferWriter<byte> output)
    {
        ArgumentOutOfRangeException.ThrowIfEqual(Levels.Allows(level), false, nameof(level));
        var context = _compressionContexts.TryRent() ?? new ZstdCompressionContext(library);
        try
        {
            Check(library.SetCompressionLevel(context, level));
            var destination = output.GetSpan(checked((int)library.CompressBound((nuint)input.Length)));
            fixed (byte* destinationStart = destination)
            fixed (byte* source = input)
            {
                var written = Check(
                    library.Compress(context, destinationStart, (nuint)destination.Length, source, (nuint)input.Length));
                output.Advance((int)written);
            }
        }
        finally
        {
            if (library.SizeOfCompressionContext(context) > PooledContextBytesMax || !_compressionContexts.TryReturn(context))
                context.Dispose();
        }
    }

    public CompressionDecoder OpenDecoder(ReadOnlyMemory<byte> input)
    {
        var decoder = _decoders.TryRent() ?? new Decoder(this, library);
        decoder.Start(input);
        return decoder;
    }

    private nuint Check(nuint result) =>
        !library.IsError(result) ? result : throw new InvalidOperationException($"zstd failed to compress: {library.ErrorName(result)}");

    /// <summary>Reads one or more frames. Like Kafka's library, it rejects windows above 128 MiB.</summary>
    private sealed class Decoder(ZstdCodec codec, ZstdLibrary library) : CompressionDecoder
    {
        private readonly ZstdDecompressionContext _context = new(library);
        private ReadOnlyMemory<byte> _input;
        private bool _isAfterFrame;

        public void Start(ReadOnlyMemory<byte> input)
        {
            _input = input;
            _isAfterFrame = false;
        }

        public override int Read(Span<byte> destination)
        {
            while (!_isAfterFrame || _input.Length > 0)
            {
                var inputBefore = _input.Length;
                var written = Step(destination);
                if (written > 0)
                    return written;
                if (!_isAfterFrame && _input.Length == inputBefore)
                    throw Corrupt("zstd", "the data ends inside a frame");
            }

            return 0;
        }

        protected override void Release()
        {
            _input = default;
            var isReusable = library.SizeOfDecompressionContext(_context) <= PooledContextBytesMax
                && !library.IsError(library.ResetDecompression(_context));
            if (!isReusable || !codec._decoders.TryReturn(this))
                _context.Dispose();
        }

        private int Step(Span<byte> destination)
        {
            fixed (byte* outputStart = destination)
            fixed (byte* inputStart = _input.Span)
            {
                var output = new ZstdBuffer(outputStart, (nuint)destination.Length);
                var input = new ZstdBuffer(inputStart, (nuint)_input.Length);
                var result = library.DecompressStream(_context, &output, &input);
                if (library.IsError(result))
                    throw Corrupt("zstd", library.ErrorName(result));
                _input = _input[(int)input.Position..];
                _isAfterFrame = result == 0;
                return (int)output.Position;
            }
        }
    }
}
