using System.Buffers;
using Ottla.Kernel;
using Ottla.Protocol.Batches.Compression;
using Ottla.Protocol.Wire;

namespace Ottla.Protocol.Batches;

/// <summary>The current part of a decompressed stream. One <see cref="RecordReader"/> owns it; it is never copied.</summary>
internal struct ExpansionWindow : IDisposable
{
    private const int InitialBytes = 16 * 1024;

    /// <summary>What expands beyond this takes its time, whatever was said of it before.</summary>
    private const long QuickBytesMax = 1024 * 1024;

    private readonly CompressionDecoder _decoder;
    private byte[]? _buffer;
    private int _start;
    private int _end;
    private long _expandedBytes;
    private bool _isExhausted;

    /// <param name="decoder">The decoder; owned from now on.</param>
    public ExpansionWindow(CompressionDecoder decoder)
    {
        _decoder = decoder;
        _buffer = ArrayPool<byte>.Shared.Rent(InitialBytes);
    }

    /// <summary>Bytes that fit without growing.</summary>
    public readonly int CapacityBytes => Buffer.Length;

    /// <summary>Bytes taken or skipped since the start.</summary>
    public long ConsumedBytes { get; private set; }

    private readonly byte[] Buffer => _buffer ?? throw new ObjectDisposedException(nameof(RecordReader));

    private readonly ReadOnlySpan<byte> Available => Buffer.AsSpan(_start, _end - _start);

    public readonly bool IsAtEnd()
    {
        if (_start != _end)
            return false;
        Span<byte> probe = stackalloc byte[1];
        return _isExhausted || _decoder.Read(probe) == 0;
    }

    /// <summary>
    /// Takes the next <paramref name="count"/> bytes, which are valid until the next call. The caller has checked that the count is within
    /// the bound. Returns false when the stream ends earlier.
    /// </summary>
    public bool TryTake(int count, out ReadOnlySpan<byte> bytes)
    {
        bytes = default;
        if (!TryFill(count))
            return false;
        bytes = Available[..count];
        Consume(count);
        return true;
    }

    public bool TryReadByte(out byte value)
    {
        value = 0;
        if (!TryFill(1))
            return false;
        value = Available[0];
        Consume(1);
        return true;
    }

    public bool TryReadInt32(out int value)
    {
        TryFill(Varint.SizeBytesMax32);
        var position = 0;
        var ok = Varint.TryReadInt32(Available, ref position, out value);
        Consume(position);
        return ok;
    }

    public bool TryReadInt64(out long value)
    {
        TryFill(Varint.SizeBytesMax64);
        var position = 0;
        var ok = Varint.TryReadInt64(Available, ref position, out value);
        Consume(position);
        return ok;
    }

    public bool TrySkip(int count)
    {
        while (count > 0)
        {
            if (!TryFill(1))
                return false;
            var step = Math.Min(count, _end - _start);
            Consume(step);
            count -= step;
        }

        return true;
    }

    public void Dispose()
    {
        if (_buffer is null)
            return;
        _decoder.Dispose();
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = null;
    }

    private void Consume(int count)
    {
        _start += count;
        ConsumedBytes += count;
    }

    /// <summary>Makes <paramref name="count"/> bytes available, or all that remain. Returns false when the stream ends earlier.</summary>
    private bool TryFill(int count)
    {
        while (_end - _start < count && !_isExhausted)
        {
            MakeRoom();
            var read = _decoder.Read(Buffer.AsSpan(_end));
            _isExhausted = read == 0;
            _end += read;
            if (_expandedBytes <= QuickBytesMax && (_expandedBytes += read) > QuickBytesMax)
                HandlerThread.AboutToBlock();
        }

        return _end - _start >= count;
    }

    /// <summary>Moves the remaining bytes to the front, and grows only a full window, so that a false length costs nothing.</summary>
    private void MakeRoom()
    {
        if (_start > 0)
        {
            Buffer.AsSpan(_start, _end - _start).CopyTo(Buffer);
            _end -= _start;
            _start = 0;
        }

        if (_end < Buffer.Length)
            return;
        var larger = ArrayPool<byte>.Shared.Rent((int)Math.Min(Array.MaxLength, 2L * Buffer.Length));
        Buffer.CopyTo(larger, 0);
        ArrayPool<byte>.Shared.Return(Buffer);
        _buffer = larger;
    }
}
