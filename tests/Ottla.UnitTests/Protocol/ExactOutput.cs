using Ottla.Kernel;

namespace Ottla.UnitTests.Protocol;

/// <summary>
/// The least that an output may do: spans exactly as long as asked for, memory that moves with each of them, slices only noted.
/// </summary>
internal sealed class ExactOutput : IFrameOutput
{
    private byte[] _bytes = [];
    private int _length;

    /// <inheritdoc/>
    public Span<byte> Written => _bytes.AsSpan(0, _length);

    /// <summary>The slices in their order, and how many bytes were written before each.</summary>
    public List<(int Position, IFileSlice Slice)> Slices { get; } = [];

    /// <inheritdoc/>
    public void Advance(int count)
    {
        Assert.InRange(count, 0, _bytes.Length - _length);
        _length += count;
    }

    /// <inheritdoc/>
    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        var moved = new byte[_length + Math.Max(sizeHint, 1)];
        Written.CopyTo(moved);
        _bytes.AsSpan().Fill(0xEE); // whoever still writes here, writes for nothing
        moved.AsSpan(_length).Fill(0xEE);
        _bytes = moved;
        return moved.AsMemory(_length);
    }

    /// <inheritdoc/>
    public Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    /// <inheritdoc/>
    public void AppendSlice(IFileSlice slice) => Slices.Add((_length, slice));

    /// <summary>Everything in order, slices included.</summary>
    public byte[] ToArray()
    {
        var all = new List<byte>();
        var position = 0;
        foreach (var (end, slice) in Slices)
        {
            all.AddRange(Written[position..end]);
            var bytes = new byte[slice.Length];
            slice.Read(0, bytes);
            all.AddRange(bytes);
            position = end;
        }

        all.AddRange(Written[position..]);
        return [.. all];
    }
}
