namespace Ottla.Network.Buffers;

/// <summary>
/// A buffer rented from a <see cref="BufferPool"/>. The holder of this value owns the buffer and disposes it exactly once; copies of the
/// value do not own it.
/// </summary>
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

    /// <summary>Whether this value holds no buffer: it never did, or it was disposed.</summary>
    public readonly bool IsEmpty => _array is null;

    /// <summary>The whole buffer; empty when this value holds none.</summary>
    internal readonly byte[] Array => _array ?? [];

    /// <summary>Bytes of the buffer; at least as many as were asked for.</summary>
    public readonly int Length => _array?.Length ?? 0;

    /// <summary>The whole buffer. It still has the bytes of its previous owner.</summary>
    public readonly Memory<byte> Memory => _array;

    /// <summary>The whole buffer. It still has the bytes of its previous owner.</summary>
    public readonly Span<byte> Span => _array;

    /// <summary>Returns the buffer to the pool. Its memory must not be used afterwards.</summary>
    public void Dispose()
    {
        if (_array is not { } array)
            return;
        _array = null;
        _pool!.Return(array);
    }
}
