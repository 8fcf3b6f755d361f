namespace Ottla.Network.Buffers;

/// <summary>A buffer lent by a <see cref="BufferPool"/>. Whoever holds this value owns the buffer and disposes it exactly once; copies are not further owners.</summary>
/// <remarks>The default value owns nothing, and disposing it does nothing.</remarks>
public struct PooledBuffer : IDisposable
{
    private readonly BufferPool? _pool;
    private byte[]? _array;

    internal PooledBuffer(BufferPool pool, byte[] array)
    {
        _pool = pool;
        _array = array;
    }

    /// <summary>Whether there is no buffer: never rented, or given back.</summary>
    public readonly bool IsEmpty => _array is null;

    /// <summary>Bytes of the buffer; at least what was asked for.</summary>
    public readonly int Length => _array?.Length ?? 0;

    /// <summary>The whole buffer. Its contents are whatever the last owner left.</summary>
    public readonly Memory<byte> Memory => _array;

    /// <summary>The whole buffer. Its contents are whatever the last owner left.</summary>
    public readonly Span<byte> Span => _array;

    /// <summary>Gives the buffer back; nobody may touch its memory any more.</summary>
    public void Dispose()
    {
        if (_array is not { } array)
            return;
        _array = null;
        _pool!.Return(array);
    }
}
