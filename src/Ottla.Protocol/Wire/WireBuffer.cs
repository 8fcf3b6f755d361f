using Ottla.Kernel;
using Ottla.Protocol.Messages;

namespace Ottla.Protocol.Wire;

/// <summary>Encodes messages into memory, for the broker's own logs and wherever no frame is sent. File slices are read into it.</summary>
public sealed class WireBuffer : IFrameOutput
{
    private byte[] _bytes = [];
    private int _length;

    /// <inheritdoc/>
    public Span<byte> Written => _bytes.AsSpan(0, _length);

    /// <summary>Encodes <paramref name="message"/> in <paramref name="version"/>.</summary>
    public static byte[] Encode(IMessage message, short version)
    {
        var buffer = new WireBuffer();
        var writer = new WireWriter(buffer);
        message.Write(ref writer, version);
        writer.Flush();
        return buffer.Written.ToArray();
    }

    /// <inheritdoc/>
    public void Advance(int count)
    {
        Invariant.Check(count >= 0 && _length + count <= _bytes.Length, "only what was reserved can be written");
        _length += count;
    }

    /// <inheritdoc/>
    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        Grow(Math.Max(sizeHint, 1));
        return _bytes.AsMemory(_length);
    }

    /// <inheritdoc/>
    public Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    /// <inheritdoc/>
    public void AppendSlice(IFileSlice slice)
    {
        using (slice)
            slice.Read(0, GetSpan(slice.Length)[..slice.Length]);
        Advance(slice.Length);
    }

    /// <summary>Removes the written bytes and keeps the memory.</summary>
    public void Clear() => _length = 0;

    private void Grow(int count)
    {
        if (_bytes.Length - _length < count)
            Array.Resize(ref _bytes, Math.Max(_length + count, _bytes.Length * 2));
    }
}
