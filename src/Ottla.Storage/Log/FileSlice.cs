using Microsoft.Win32.SafeHandles;
using Ottla.Kernel;
using Ottla.Storage.Files;

namespace Ottla.Storage.Log;

/// <summary>Whole batches of a segment, promised to a reader: the file stays open and these bytes unchanged until it is disposed.</summary>
/// <remarks>
/// Owned by the reader; any thread may dispose it, once counts. A reader that reads again and again makes one itself and names it in its
/// reads (<see cref="LogReadRequest.Slice"/>): each fills it anew once the last use is disposed.
/// </remarks>
public sealed class FileSlice : IFileSlice
{
    /// <summary>The file; null while the slice is free.</summary>
    private SharedFile? _shared;
    private long _position;
    private int _length;

    /// <summary>Makes a free slice, to be filled by reads.</summary>
    public FileSlice()
    {
    }

    internal FileSlice(SharedFile shared, long position, int length) =>
        (_shared, _position, _length) = (shared, position, length);

    /// <inheritdoc/>
    public int Length => _length;

    /// <inheritdoc/>
    public SafeFileHandle? Source => Held.File.Handle;

    /// <inheritdoc/>
    public long SourcePosition => _position;

    private SharedFile Held => Volatile.Read(ref _shared) ?? throw new ObjectDisposedException(nameof(FileSlice));

    /// <inheritdoc/>
    public void Read(int offset, Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(destination.Length, _length - offset);
        Held.File.ReadExactly(_position + offset, destination);
    }

    /// <inheritdoc/>
    public void Dispose() => Interlocked.Exchange(ref _shared, null)?.Release();

    /// <summary>Takes over the caller's hold of a file. Only the reader's own calls fill a slice, one at a time.</summary>
    /// <returns>False when the slice is still held: nothing has changed.</returns>
    internal bool TryFill(SharedFile shared, long position, int length)
    {
        if (Volatile.Read(ref _shared) is not null)
            return false;
        (_position, _length) = (position, length);
        Volatile.Write(ref _shared, shared);
        return true;
    }
}
