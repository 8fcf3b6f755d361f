using System.Buffers;
using System.IO.Compression;

namespace Ottla.Protocol.Batches.Compression;

/// <summary>gzip with the runtime's zlib. It allocates a stream object per batch, because the runtime's inflater cannot be reset.</summary>
internal sealed class GzipCodec : ICompressionCodec
{
    private const int DefaultLevel = -1;

    public CompressionType Type => CompressionType.Gzip;

    public CompressionLevels Levels { get; } = new(1, 9, DefaultLevel);

    public void Compress(ReadOnlySpan<byte> input, int level, IBufferWriter<byte> output)
    {
        ArgumentOutOfRangeException.ThrowIfEqual(Levels.Allows(level), false, nameof(level));
        using var gzip = new GZipStream(new BufferWriterStream(output), new ZLibCompressionOptions { CompressionLevel = level });
        gzip.Write(input);
        if (input.IsEmpty)
            gzip.Flush();
    }

    public CompressionDecoder OpenDecoder(ReadOnlyMemory<byte> input) => new Decoder(input);

    private sealed class Decoder(ReadOnlyMemory<byte> input) : CompressionDecoder
    {
        private readonly GZipStream _gzip = new(new MemoryReadStream(input), CompressionMode.Decompress);

        public override int Read(Span<byte> destination)
        {
            try
            {
                return _gzip.Read(destination);
            }
            catch (Exception e) when (e is InvalidDataException or IOException)
            {
                throw Corrupt("gzip", e.Message, e);
            }
        }

        protected override void Release() => _gzip.Dispose();
    }

    /// <summary>Writes to a buffer writer.</summary>
    private sealed class BufferWriterStream(IBufferWriter<byte> output) : Stream
    {
        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override void Flush()
        {
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Write(ReadOnlySpan<byte> buffer) => output.Write(buffer);
    }

    /// <summary>Reads from memory of any kind.</summary>
    private sealed class MemoryReadStream(ReadOnlyMemory<byte> input) : Stream
    {
        private int _position;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override void Flush()
        {
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override int Read(Span<byte> buffer)
        {
            var count = Math.Min(buffer.Length, input.Length - _position);
            input.Span.Slice(_position, count).CopyTo(buffer);
            _position += count;
            return count;
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
