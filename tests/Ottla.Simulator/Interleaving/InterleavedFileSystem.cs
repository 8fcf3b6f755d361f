using Microsoft.Win32.SafeHandles;
using Ottla.Storage.Files;

namespace Ottla.Simulator.Interleaving;

/// <summary>A disk on which another actor may go on before every operation.</summary>
internal sealed class InterleavedFileSystem(IFileSystem disk) : IFileSystem
{
    public IFile Open(string path, FileOpenMode mode) => new InterleavedFile(At("open", path, () => disk.Open(path, mode)), path);

    public bool FileExists(string path) => At("look for", path, () => disk.FileExists(path));

    public bool DirectoryExists(string path) => At("look for", path, () => disk.DirectoryExists(path));

    public long GetLength(string path) => At("measure", path, () => disk.GetLength(path));

    public long GetLastWriteMs(string path) => At("age of", path, () => disk.GetLastWriteMs(path));

    public void SetLastWriteMs(string path, long lastWriteMs) => At("set the age of", path, () => disk.SetLastWriteMs(path, lastWriteMs));

    public void Rename(string source, string target) => At("rename", source, () => disk.Rename(source, target));

    public bool Delete(string path) => At("delete", path, () => disk.Delete(path));

    public IReadOnlyList<string> ListFiles(string directory) => At("list", directory, () => disk.ListFiles(directory));

    public IReadOnlyList<string> ListDirectories(string directory) => At("list", directory, () => disk.ListDirectories(directory));

    public void CreateDirectory(string path) => At("make", path, () => disk.CreateDirectory(path));

    public void RenameDirectory(string source, string target) => At("rename", source, () => disk.RenameDirectory(source, target));

    public bool DeleteDirectory(string path) => At("delete", path, () => disk.DeleteDirectory(path));

    public void FlushDirectory(string path) => At("flush", path, () => disk.FlushDirectory(path));

    public bool CanFlushVolume => disk.CanFlushVolume;

    public void FlushVolume(string directory) => At("flush the volume of", directory, () => disk.FlushVolume(directory));

    public IDisposable? TryLock(string path) => At("lock", path, () => disk.TryLock(path));

    public DiskSpace GetSpace(string directory) => At("space of", directory, () => disk.GetSpace(directory));

    private static T At<T>(string operation, string path, Func<T> work)
    {
        Actor.Pause($"{operation} {path}");
        return work();
    }

    private static void At(string operation, string path, Action work)
    {
        Actor.Pause($"{operation} {path}");
        work();
    }

    private sealed class InterleavedFile(IFile file, string path) : IFile
    {
        public long Length => file.Length;

        public SafeFileHandle? Handle => file.Handle;

        public int Read(long position, Span<byte> destination)
        {
            Actor.Pause($"read {path}");
            return file.Read(position, destination);
        }

        public void Write(long position, ReadOnlySpan<byte> source)
        {
            Actor.Pause($"write {path}");
            file.Write(position, source);
        }

        public void Write(long position, IReadOnlyList<ReadOnlyMemory<byte>> sources) =>
            At("write", path, () => file.Write(position, sources));

        public void SetLength(long length) => At("resize", path, () => file.SetLength(length));

        public void Preallocate(long endPosition) => file.Preallocate(endPosition);

        public void Flush() => At("flush", path, file.Flush);

        public void Dispose() => file.Dispose();
    }
}
