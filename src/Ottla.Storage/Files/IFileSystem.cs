using Microsoft.Win32.SafeHandles;

namespace Ottla.Storage.Files;

/// <summary>How <see cref="IFileSystem.Open"/> treats existing and missing files.</summary>
public enum FileOpenMode
{
    /// <summary>Read an existing file; <see cref="FileNotFoundException"/> when it is missing.</summary>
    ReadExisting,

    /// <summary>Read and write an existing file; <see cref="FileNotFoundException"/> when it is missing.</summary>
    Existing,

    /// <summary>Read and write; a missing file is created, empty.</summary>
    OpenOrCreate,

    /// <summary>Read and write; an existing file loses its bytes.</summary>
    CreateOrTruncate,
}

/// <summary>Bytes of the volume that holds a directory.</summary>
/// <param name="TotalBytes">The volume's size.</param>
/// <param name="FreeBytes">The bytes that this process may still use.</param>
public readonly record struct DiskSpace(long TotalBytes, long FreeBytes);

/// <summary>
/// The disk. All file operations of Ottla.Storage go through this interface, so that the same code runs on a real and a simulated disk.
/// </summary>
/// <remarks>Thread-safe. Paths are absolute. Every failure is an <see cref="IOException"/> (or <see cref="UnauthorizedAccessException"/>).
/// A write without space fails with <see cref="DiskFullException"/>. A failed flush does not: after it, the state of earlier
/// writes is unknown.</remarks>
public interface IFileSystem
{
    /// <summary>Opens a file.</summary>
    IFile Open(string path, FileOpenMode mode);

    /// <summary>Whether a file (not a directory) of this name exists.</summary>
    bool FileExists(string path);

    /// <summary>Whether a directory of this name exists.</summary>
    bool DirectoryExists(string path);

    /// <summary>Reads a whole small file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="lengthMax">The largest size of this kind of file.</param>
    /// <returns>Null when there is no such file.</returns>
    /// <exception cref="IOException">The file is longer than <paramref name="lengthMax"/>, or could not be read.</exception>
    byte[]? TryReadAllBytes(string path, int lengthMax)
    {
        if (!FileExists(path))
            return null;
        using var file = Open(path, FileOpenMode.ReadExisting);
        var length = file.Length;
        if (length > lengthMax)
            throw FileSystemExtensions.TooLong(path, length, lengthMax);
        var bytes = new byte[length];
        file.ReadExactly(0, bytes);
        return bytes;
    }

    /// <summary>A file's logical length in bytes.</summary>
    /// <exception cref="FileNotFoundException">The file is missing.</exception>
    long GetLength(string path);

    /// <summary>When the file was last written, in milliseconds since the Unix epoch.</summary>
    /// <exception cref="FileNotFoundException">The file is missing.</exception>
    long GetLastWriteMs(string path);

    /// <summary>Sets the time of the last write, so that a file that replaces another keeps its age.</summary>
    /// <exception cref="FileNotFoundException">The file is missing.</exception>
    void SetLastWriteMs(string path, long lastWriteMs);

    /// <summary>Renames a file; an existing target is replaced in one step.</summary>
    void Rename(string source, string target);

    /// <summary>Removes a file's name; open handles stay usable.</summary>
    /// <returns>False when there was no such file.</returns>
    bool Delete(string path);

    /// <summary>The names (not paths) of the files in a directory, in ordinal order.</summary>
    IReadOnlyList<string> ListFiles(string directory);

    /// <summary>The names (not paths) of the directories in a directory, in ordinal order.</summary>
    IReadOnlyList<string> ListDirectories(string directory);

    /// <summary>Makes a directory and its missing parents.</summary>
    void CreateDirectory(string path);

    /// <summary>Renames a directory; handles to files in it stay usable. The target must not exist.</summary>
    void RenameDirectory(string source, string target);

    /// <summary>Removes a directory with all its content.</summary>
    /// <returns>False when there was no such directory.</returns>
    bool DeleteDirectory(string path);

    /// <summary>Makes creations, renames and deletions in a directory survive power loss (fsync of the directory).</summary>
    void FlushDirectory(string path);

    /// <summary>
    /// Makes all earlier writes on the volume of <paramref name="directory"/>, names and contents, survive power loss. For many files this
    /// is cheaper than one flush each.
    /// </summary>
    void FlushVolume(string directory);

    /// <summary>Whether the platform has <see cref="FlushVolume"/>.</summary>
    bool CanFlushVolume { get; }

    /// <summary>Takes an exclusive lock on a file, and creates a missing file.</summary>
    /// <returns>The lock, which its disposal releases; null when another process or thread holds it.</returns>
    IDisposable? TryLock(string path);

    /// <summary>The size and free bytes of the volume that holds <paramref name="directory"/>.</summary>
    DiskSpace GetSpace(string directory);
}

/// <summary>
/// An open file. Reads and writes have their own position, so that the readers and the one writer share the file without a lock.
/// </summary>
/// <remarks>Owned by its opener, who disposes it after the last use.</remarks>
public interface IFile : IDisposable
{
    /// <summary>Logical length in bytes.</summary>
    long Length { get; }

    /// <summary>Reads up to <c>destination.Length</c> bytes at <paramref name="position"/>.</summary>
    /// <returns>The bytes read; fewer than asked only at the end of the file.</returns>
    int Read(long position, Span<byte> destination);

    /// <summary>Writes all bytes at <paramref name="position"/>, growing the file as needed.</summary>
    void Write(long position, ReadOnlySpan<byte> source);

    /// <summary>Writes all buffers one after another at <paramref name="position"/> (gather write).</summary>
    void Write(long position, IReadOnlyList<ReadOnlyMemory<byte>> sources);

    /// <summary>Cuts the file, or extends it with zeros. Gives back blocks that are reserved past <paramref name="length"/>.</summary>
    void SetLength(long length);

    /// <summary>
    /// Reserves blocks up to <paramref name="endPosition"/> without changing <see cref="Length"/>. This is a hint: it does not fail when
    /// the disk lacks space or support.
    /// </summary>
    void Preallocate(long endPosition);

    /// <summary>Makes the bytes and the length survive power loss (fsync).</summary>
    void Flush();

    /// <summary>The file for the kernel's own copying (sendfile); null when it lives in memory. Owned by this object.</summary>
    SafeFileHandle? Handle { get; }
}
