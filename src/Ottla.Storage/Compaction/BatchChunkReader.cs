using System.Buffers;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Storage.Files;

namespace Ottla.Storage.Compaction;

/// <summary>
/// Reads a segment in chunks of whole batches and verifies their checksums, so that compaction never copies a damaged batch.
/// </summary>
/// <remarks>
/// Owned by one pass over a segment, which disposes it. The buffer is pooled, and grows only for a batch larger than it.
/// </remarks>
internal sealed class BatchChunkReader(IFile file, long position, long end, int bufferBytes) : IDisposable
{
    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(Math.Max(bufferBytes, RecordBatchLayout.HeaderSizeBytes));

    /// <summary>Where the next chunk starts.</summary>
    public long Position { get; private set; } = position;

    /// <summary>Reads the next whole batches.</summary>
    /// <param name="chunk">One or more batches; valid until the next call.</param>
    /// <returns>False at the end.</returns>
    /// <exception cref="CorruptRecordException">There is no valid batch at the position.</exception>
    public bool TryRead(out Memory<byte> chunk)
    {
        chunk = default;
        while (Position < end)
        {
            var filled = file.Read(Position, _buffer.AsSpan(0, (int)Math.Min(_buffer.Length, end - Position)));
            var length = WholeBatches(_buffer.AsSpan(0, filled), out var wanted);
            if (length > 0)
            {
                chunk = _buffer.AsMemory(0, length);
                Position += length;
                return true;
            }

            if (wanted <= filled)
                throw Corrupt();
            if (wanted <= _buffer.Length)
                throw new EndOfStreamException($"A segment file ends at {Position + filled}, but its log has {end} bytes in it.");
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = ArrayPool<byte>.Shared.Rent(wanted);
        }

        return false;
    }

    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = [];
    }

    /// <summary>
    /// The bytes of the whole batches at the start of <paramref name="bytes"/>; <paramref name="wanted"/> is the size of the batch behind
    /// them.
    /// </summary>
    private int WholeBatches(ReadOnlySpan<byte> bytes, out int wanted)
    {
        var length = 0;
        while (true)
        {
            var rest = bytes[length..];
            wanted = RecordBatchLayout.SizeBytesMinOfAnyFormat;
            if (rest.Length < wanted)
            {
                if (end - Position - length > 0 && end - Position - length < wanted)
                    throw Corrupt();
                return length;
            }

            if (!RecordBatchView.TryReadSize(rest, out var size, out var magic) || size < RecordBatchLayout.SizeBytesMin(magic)
                || size > end - Position - length)
                throw Corrupt();
            wanted = size;
            if (rest.Length < size)
                return length;
            if (!new RecordBatchView(rest[..size]).IsCrcValid)
                throw Corrupt();
            length += size;
        }
    }

    private CorruptRecordException Corrupt() =>
        new(ErrorCode.CorruptMessage, $"There is no valid batch after position {Position} of a segment of {end} bytes.");
}
