using Microsoft.Win32.SafeHandles;
using Ottla.Kernel;
using Ottla.Storage.Files;

namespace Ottla.Storage.Log;

/// <summary>Whole batches of a segment, promised to a reader: the file stays open and these bytes unchanged until it is disposed.</summary>
/// <remarks>Owned by the reader; any thread may dispose it, once counts.</remarks>
internal sealed class FileSlice(SharedFile shared, long position, int length) : IFileSlice
{
    private int _disposed;

    public int Length => length;

    public SafeFileHandle? Source => shared.File.Handle;

    public long SourcePosition => position;

    public void Read(int offset, Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(destination.Length, length - offset);
        ObjectDisposedException.ThrowIf(_disposed != 0, this);
        shared.File.ReadExactly(position + offset, destination);
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
            shared.Release();
    }
}
