using Microsoft.Win32.SafeHandles;
using Ottla.Storage.Files;

namespace Ottla.Benchmarks.Restart;

/// <summary>
/// The machine's disk without its flushes: data for a benchmark need not survive a power loss, and a hundred thousand flushes would take
/// minutes.
/// </summary>
internal sealed class UnflushedFileSystem(IFileSystem disk) : IFileSystem
{
    public IFile Open(string path, FileOpenMode mode) => new UnflushedFile(disk.Open(path, mode));

    public bool FileExists(string path) => disk.FileExists(path);

    public bool DirectoryExists(string path) => disk.DirectoryExists(path);

    public long GetLength(string path) => disk.GetLength(path);

    public long GetLastWriteMs(string path) => disk.GetLastWriteMs(path);

    public void SetLastWriteMs(string path, long lastWriteMs) => disk.SetLastWriteMs(path, lastWriteMs);

    public void Rename(string source, string target) => disk.Rename(source, target);

    public bool Delete(string path) => disk.Delete(path);

    public IReadOnlyList<string> ListFiles(string directory) => disk.ListFiles(directory);

    public IReadOnlyList<string> ListDirectories(string directory) => disk.ListDirectories(directory);

    public void CreateDirectory(string path) => disk.CreateDirectory(path);

    public void RenameDirectory(string source, string target) => disk.RenameDirectory(source, target);

    public bool DeleteDirectory(string path) => disk.DeleteDirectory(path);

    public void FlushDirectory(string path)
    {
    }

    public bool CanFlushVolume => true;

    public void FlushVolume(string directory)
    {
    }

    public IDisposable? TryLock(string path) => disk.TryLock(path);

    public DiskSpace GetSpace(string directory) => disk.GetSpace(directory);

    private sealed class UnflushedFile(IFile file) : IFile
    {
        public long Length => file.Length;

        public SafeFileHandle? Handle => file.Handle;

        public int Read(long position, Span<byte> destination) => file.Read(position, destination);

        public void Write(long position, ReadOnlySpan<byte> source) => file.Write(position, source);

        public void Write(long position, IReadOnlyList<ReadOnlyMemory<byte>> sources) => file.Write(position, sources);

        public void SetLength(long length) => file.SetLength(length);

        public void Preallocate(long endPosition) => file.Preallocate(endPosition);

        public void Flush()
        {
        }

        public void Dispose() => file.Dispose();
    }
}
