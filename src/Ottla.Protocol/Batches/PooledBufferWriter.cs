using System.Buffers;

namespace Ottla.Protocol.Batches;

/// <summary>A growing pooled buffer. One caller owns and disposes it; the written bytes are valid until then.</summary>
public sealed class PooledBufferWriter : IBufferWriter<byte>, IDisposable
{
    private const int GrowthBytesMin = 256;

    private byte[] _buffer;

    /// <param name="initialBytes">The initial size.</param>
    public PooledBufferWriter(int initialBytes) => _buffer = ArrayPool<byte>.Shared.Rent(Math.Max(initialBytes, GrowthBytesMin));

    /// <summary>Bytes written so far.</summary>
    public int WrittenCount { get; private set; }

    public Memory<byte> WrittenMemory => _buffer.AsMemory(0, WrittenCount);

    public Span<byte> WrittenSpan => _buffer.AsSpan(0, WrittenCount);

    public void Advance(int count)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)count, (uint)(_buffer.Length - WrittenCount), nameof(count));
        WrittenCount += count;
    }

    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        Reserve(Math.Max(sizeHint, 1));
        return _buffer.AsMemory(WrittenCount);
    }

    public Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    public void Clear() => WrittenCount = 0;

    public void Dispose()
    {
        if (_buffer.Length > 0)
            ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = [];
        WrittenCount = 0;
    }

    private void Reserve(int count)
    {
        ObjectDisposedException.ThrowIf(_buffer.Length == 0, this);
        if (count <= _buffer.Length - WrittenCount)
            return;
        var needed = (long)WrittenCount + count;
        if (needed > Array.MaxLength)
            throw new InvalidOperationException($"A batch cannot hold {needed} bytes");
        var larger = ArrayPool<byte>.Shared.Rent((int)Math.Min(Array.MaxLength, Math.Max(needed, 2L * _buffer.Length)));
        WrittenSpan.CopyTo(larger);
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = larger;
    }
}
