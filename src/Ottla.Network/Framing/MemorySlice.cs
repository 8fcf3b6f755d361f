using Microsoft.Win32.SafeHandles;
using Ottla.Kernel;

namespace Ottla.Network.Framing;

/// <summary>
/// Bytes in memory that a frame does not copy: the <see cref="FrameSender"/> sends them from where they are when they are many. Who makes
/// it keeps them as they are until the frame was sent, or the connection has ended.
/// </summary>
/// <param name="memory">The bytes; at least one.</param>
public sealed class MemorySlice(ReadOnlyMemory<byte> memory) : IFileSlice
{
    /// <summary>The bytes.</summary>
    public ReadOnlyMemory<byte> Memory => memory;

    /// <inheritdoc/>
    public int Length => memory.Length;

    /// <inheritdoc/>
    public SafeFileHandle? Source => null;

    /// <inheritdoc/>
    public long SourcePosition => 0;

    /// <inheritdoc/>
    public void Read(int offset, Span<byte> destination) => memory.Span.Slice(offset, destination.Length).CopyTo(destination);

    /// <inheritdoc/>
    public void Dispose()
    {
        // The memory is its maker's.
    }
}
