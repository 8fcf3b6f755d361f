using Ottla.Storage.Files;

namespace Ottla.Simulator.Disk;

/// <summary>A handle to a <see cref="SimFileNode"/>.</summary>
internal sealed class SimFile(SimDisk disk, SimFileNode node, string path) : IFile
{
    private bool _isDisposed;

    public long Length => node.Cache.Length;

    public FileStream? Stream => null;

    public int Read(long position, Span<byte> destination)
    {
        Check();
        return disk.Read(node, path, position, destination);
    }

    public void Write(long position, ReadOnlySpan<byte> source)
    {
        Check();
        disk.Write(node, path, position, source);
    }

    public void Write(long position, IReadOnlyList<ReadOnlyMemory<byte>> sources)
    {
        foreach (var source in sources)
        {
            Write(position, source.Span);
            position += source.Length;
        }
    }

    public void SetLength(long length)
    {
        Check();
        disk.SetLength(node, path, length);
    }

    public void Preallocate(long endPosition) => Check();

    public void Flush()
    {
        Check();
        disk.Flush(node, path);
    }

    public void Dispose() => _isDisposed = true;

    private void Check() => ObjectDisposedException.ThrowIf(_isDisposed, this);
}
