using System.Buffers;

namespace Ottla.Protocol.Batches.Compression;

/// <summary>zstd with the system's libzstd. Frames contain their content size, so that a reader needs no more memory than that.</summary>
internal sealed unsafe class ZstdCodec : ICompressionCodec
{
    /// <summary>Larger contexts are freed instead of pooled: high levels and wide windows take up to hundreds of MiB.</summary>
    private const int PooledContextBytesMax = 16 * 1024 * 1024;

    private static readonly ContextPool<ZstdCompressionContext> CompressionContexts = new();
    private static readonly ContextPool<Decoder> Decoders = new();

    public CompressionType Type => CompressionType.Zstd;

    public CompressionLevels Levels { get; } = new(-131072, 22, 3);

    public void Compress(ReadOnlySpan<byte> input, int level, IBufferWriter<byte> output)
    {
        ArgumentOutOfRangeException.ThrowIfEqual(Levels.Allows(level), false, nameof(level));
        ZstdLibrary.Probe.ThrowIfMissing();
        var context = CompressionContexts.TryRent() ?? new ZstdCompressionContext();
        try
        {
            Check(ZstdLibrary.SetParameter(context, ZstdLibrary.ParameterCompressionLevel, level));
            var destination = output.GetSpan(checked((int)ZstdLibrary.CompressBound((nuint)input.Length)));
            fixed (byte* destinationStart = destination)
            fixed (byte* source = input)
            {
                var written =
                    Check(ZstdLibrary.Compress(context, destinationStart, (nuint)destination.Length, source, (nuint)input.Length));
                output.Advance((int)written);
            }
        }
        finally
        {
            if (ZstdLibrary.SizeOfCompressionContext(context) > PooledContextBytesMax || !CompressionContexts.TryReturn(context))
                context.Dispose();
        }
    }

    public CompressionDecoder OpenDecoder(ReadOnlyMemory<byte> input)
    {
        ZstdLibrary.Probe.ThrowIfMissing();
        var decoder = Decoders.TryRent() ?? new Decoder();
        decoder.Start(input);
        return decoder;
    }

    private static nuint Check(nuint result) =>
        ZstdLibrary.IsError(result) == 0
            ? result
            : throw new InvalidOperationException($"zstd failed to compress: {ZstdLibrary.ErrorName(result)}");

    /// <summary>Reads one or more frames. Like Kafka's library, it rejects windows above 128 MiB.</summary>
    private sealed class Decoder : CompressionDecoder
    {
        private readonly ZstdDecompressionContext _context = new();
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
            var isReusable = ZstdLibrary.SizeOfDecompressionContext(_context) <= PooledContextBytesMax &&
                ZstdLibrary.IsError(ZstdLibrary.ResetDecompression(_context, ZstdLibrary.ResetSessionOnly)) == 0;
            if (!isReusable || !Decoders.TryReturn(this))
                _context.Dispose();
        }

        private int Step(Span<byte> destination)
        {
            fixed (byte* outputStart = destination)
            fixed (byte* inputStart = _input.Span)
            {
                var output = new ZstdBuffer(outputStart, (nuint)destination.Length);
                var input = new ZstdBuffer(inputStart, (nuint)_input.Length);
                var result = ZstdLibrary.DecompressStream(_context, &output, &input);
                if (ZstdLibrary.IsError(result) != 0)
                    throw Corrupt("zstd", ZstdLibrary.ErrorName(result));
                _input = _input[(int)input.Position..];
                _isAfterFrame = result == 0;
                return (int)output.Position;
            }
        }
    }
}
