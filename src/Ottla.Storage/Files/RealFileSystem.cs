using System.IO.Enumeration;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Ottla.Kernel;

// The only place that uses File and Directory: everything else goes through IFileSystem.
#pragma warning disable RS0030

namespace Ottla.Storage.Files;

/// <summary>The machine's own disk.</summary>
/// <remarks>Stateless and thread-safe; one per process is enough.</remarks>
public sealed class RealFileSystem : IFileSystem
{
    /// <summary>Files up to this size are read with one call.</summary>
    private const int SmallFileBytes = 4096;

    /// <summary>As <see cref="Directory.GetFiles(string)"/>, hidden files too; a directory that cannot be read is an error.</summary>
    private static readonly EnumerationOptions s_everything = new() { AttributesToSkip = 0, IgnoreInaccessible = false };

    /// <inheritdoc/>
    public IFile Open(string path, FileOpenMode mode)
    {
        var (fileMode, access) = mode switch
        {
            FileOpenMode.ReadExisting => (FileMode.Open, FileAccess.Read),
            FileOpenMode.Existing => (FileMode.Open, FileAccess.ReadWrite),
            FileOpenMode.OpenOrCreate => (FileMode.OpenOrCreate, FileAccess.ReadWrite),
            FileOpenMode.CreateOrTruncate => (FileMode.Create, FileAccess.ReadWrite),
            _ => throw new ArgumentOutOfRangeException(nameof(mode)),
        };
        if (NativeFiles.TryOpen(path, mode) is { } handle)
            return new RealFile(handle, access, path);
        try
        {
            // ReadWrite | Delete: data files need no advisory lock, because they are renamed and removed while open.
            return new RealFile(File.OpenHandle(path, fileMode, access, FileShare.ReadWrite | FileShare.Delete), access, path);
        }
        catch (IOException failure) when (NativeFiles.IsDiskFull(failure))
        {
            throw new DiskFullException(path, failure);
        }
    }

    /// <inheritdoc/>
    public bool FileExists(string path) => File.Exists(path);

    /// <inheritdoc/>
    public bool DirectoryExists(string path) => Directory.Exists(path);

    /// <inheritdoc/>
    public byte[]? TryReadAllBytes(string path, int lengthMax)
    {
        if (NativeFiles.TryOpen(path, FileOpenMode.ReadExisting) is not { } handle)
        {
            if (!File.Exists(path))
                return null;
            handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        }

        using (handle)
            return ReadAll(handle, path, lengthMax);
    }

    /// <summary>Reads to the end, which takes one call less than asking for the length first.</summary>
    private static byte[] ReadAll(SafeFileHandle handle, string path, int lengthMax)
    {
        Span<byte> start = stackalloc byte[SmallFileBytes];
        var length = RandomAccess.Read(handle, start, 0);
        if (length < start.Length)
            return length <= lengthMax ? start[..length].ToArray() : throw FileSystemExtensions.TooLong(path, length, lengthMax);
        var total = RandomAccess.GetLength(handle);
        if (total > lengthMax)
            throw FileSystemExtensions.TooLong(path, total, lengthMax);
        var bytes = new byte[total];
        using var file = new RealFile(handle, FileAccess.Read, path);
        file.ReadExactly(0, bytes);
        return bytes;
    }

    /// <inheritdoc/>
    public long GetLength(string path) => new FileInfo(path).Length;

    /// <inheritdoc/>
    public long GetLastWriteMs(string path)
    {
        var info = new FileInfo(path);
        if (!info.Exists)
            throw new FileNotFoundException("The file is missing.", path);
        return new DateTimeOffset(info.LastWriteTimeUtc).ToUnixTimeMilliseconds();
    }

    /// <inheritdoc/>
    public void SetLastWriteMs(string path, long lastWriteMs) =>
        File.SetLastWriteTimeUtc(path, DateTimeOffset.FromUnixTimeMilliseconds(lastWriteMs).UtcDateTime);

    /// <inheritdoc/>
    public void Rename(string source, string target) => Try(target, () => File.Move(source, target, overwrite: true));

    /// <inheritdoc/>
    public bool Delete(string path)
    {
        if (!File.Exists(path))
            return false;
        File.Delete(path);
        return true;
    }

    /// <inheritdoc/>
    public IReadOnlyList<string> ListFiles(string directory) => Names(directory, wantsDirectories: false);

    /// <inheritdoc/>
    public IReadOnlyList<string> ListDirectories(string directory) => Names(directory, wantsDirectories: true);

    /// <inheritdoc/>
    public void CreateDirectory(string path) => Try(path, () => Directory.CreateDirectory(path));

    /// <inheritdoc/>
    public void RenameDirectory(string source, string target) => Try(target, () => Directory.Move(source, target));

    /// <inheritdoc/>
    public bool DeleteDirectory(string path)
    {
        if (!Directory.Exists(path))
            return false;
        Directory.Delete(path, recursive: true);
        return true;
    }

    /// <inheritdoc/>
    public void FlushDirectory(string path)
    {
        if (OperatingSystem.IsWindows())
            return; // NTFS journals its names; there is no handle to flush
        HandlerThread.AboutToBlock();
        NativeFiles.FlushDirectory(path);
    }

    /// <inheritdoc/>
    public bool CanFlushVolume => OperatingSystem.IsLinux();

    /// <inheritdoc/>
    public void FlushVolume(string directory)
    {
        HandlerThread.AboutToBlock();
        NativeFiles.FlushVolume(directory);
    }

    /// <inheritdoc/>
    public IDisposable? TryLock(string path)
    {
        FileStream stream;
        try
        {
            // flock: excludes every other Ottla, also inside this process.
            stream = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException failure) when (NativeFiles.IsInUse(failure))
        {
            return null;
        }

        if (OperatingSystem.IsMacOS() || OperatingSystem.IsFreeBSD() || OperatingSystem.IsIOS() || OperatingSystem.IsTvOS())
            return stream;
        try
        {
            // fcntl record lock: the kind Kafka itself takes.
            stream.Lock(0, long.MaxValue);
            return stream;
        }
        catch (IOException)
        {
            stream.Dispose();
            return null;
        }
    }

    /// <inheritdoc/>
    public DiskSpace GetSpace(string directory)
    {
        var drive = new DriveInfo(directory);
        return new DiskSpace(drive.TotalSize, drive.AvailableFreeSpace);
    }

    /// <summary>Throws <see cref="DiskFullException"/> for a full disk, so that callers can tell it from a broken one.</summary>
    private static void Try(string path, Action operation)
    {
        try
        {
            operation();
        }
        catch (IOException failure) when (NativeFiles.IsDiskFull(failure))
        {
            throw new DiskFullException(path, failure);
        }
    }

    private static string[] Names(string directory, bool wantsDirectories)
    {
        string[] names =
        [
            .. new FileSystemEnumerable<string>(directory, static (ref entry) => entry.FileName.ToString(), s_everything)
            {
                ShouldIncludePredicate = (ref entry) => entry.IsDirectory == wantsDirectories,
            },
        ];
        Array.Sort(names, StringComparer.Ordinal);
        return names;
    }
}

/// <summary>A file of <see cref="RealFileSystem"/>: positioned reads and writes on one handle.</summary>
internal sealed class RealFile(SafeFileHandle handle, FileAccess access, string path) : IFile
{
    public long Length => RandomAccess.GetLength(handle);

    public SafeFileHandle Handle => handle;

    public int Read(long position, Span<byte> destination)
    {
        var total = 0;
        while (total < destination.Length)
        {
            var read = RandomAccess.Read(handle, destination[total..], position + total);
            if (read == 0)
                break;
            total += read;
        }

        return total;
    }

    public void Write(long position, ReadOnlySpan<byte> source)
    {
        try
        {
            RandomAccess.Write(handle, source, position);
        }
        catch (IOException failure) when (NativeFiles.IsDiskFull(failure))
        {
            throw new DiskFullException(path, failure);
        }
    }

    public void Write(long position, IReadOnlyList<ReadOnlyMemory<byte>> sources)
    {
        try
        {
            RandomAccess.Write(handle, sources, position);
        }
        catch (IOException failure) when (NativeFiles.IsDiskFull(failure))
        {
            throw new DiskFullException(path, failure);
        }
    }

    public void SetLength(long length)
    {
        try
        {
            RandomAccess.SetLength(handle, length);
        }
        catch (IOException failure) when (NativeFiles.IsDiskFull(failure))
        {
            throw new DiskFullException(path, failure);
        }
    }

    public void Preallocate(long endPosition)
    {
        var length = Length;
        if (endPosition > length && access != FileAccess.Read && OperatingSystem.IsLinux())
            NativeFiles.Reserve(handle, length, endPosition - length);
    }

    public void Flush()
    {
        HandlerThread.AboutToBlock();
        RandomAccess.FlushToDisk(handle);
    }

    public void Dispose() => handle.Dispose();
}

/// <summary>
/// System calls that .NET lacks: fsync of a directory, syncfs, reserving blocks of an open file, and open without .NET's advisory
/// lock, which costs four more calls.
/// </summary>
internal static partial class NativeFiles
{
    private const int OpenReadOnly = 0;

    // O_RDWR, O_CREAT, O_TRUNC, O_CLOEXEC of Linux.
    private const int OpenReadWrite = 2;
    private const int OpenCreate = 0x40;
    private const int OpenTruncate = 0x200;
    private const int OpenCloseOnExec = 0x80000;
    private const int NewFileMode = 0x1b6; // rw-rw-rw- less the process' mask, as .NET makes them
    private const int ReserveKeepSize = 1; // FALLOC_FL_KEEP_SIZE

    /// <summary>
    /// ENOSPC and EDQUOT, of Linux and of macOS and the BSDs; ERROR_DISK_FULL, ERROR_HANDLE_DISK_FULL and
    /// ERROR_DISK_QUOTA_EXCEEDED of Windows.
    /// </summary>
    private static readonly int[] s_diskFull = OperatingSystem.IsWindows()
        ? [unchecked((int)0x80070070), unchecked((int)0x80070027), unchecked((int)0x8007050F)]
        : OperatingSystem.IsLinux() ? [28, 122] : [28, 69];

    /// <summary>Whether a failure means a full disk.</summary>
    public static bool IsDiskFull(IOException failure) => s_diskFull.Contains(failure.HResult);

    /// <summary>ERROR_SHARING_VIOLATION and ERROR_LOCK_VIOLATION, or EWOULDBLOCK of flock.</summary>
    private static readonly int[] s_inUse = OperatingSystem.IsWindows() ? [unchecked((int)0x80070020), unchecked((int)0x80070021)]
        : OperatingSystem.IsLinux() ? [11] : [35];

    /// <summary>Whether a failure means that another process has the file.</summary>
    public static bool IsInUse(IOException failure) => s_inUse.Contains(failure.HResult);

    /// <summary>Opens a file.</summary>
    /// <returns>Null when the call fails, or the platform lacks it; the caller then uses .NET, which reports the error.</returns>
    public static SafeFileHandle? TryOpen(string path, FileOpenMode mode)
    {
        if (!OperatingSystem.IsLinux())
            return null;
        var flags = mode switch
        {
            FileOpenMode.ReadExisting => OpenReadOnly,
            FileOpenMode.Existing => OpenReadWrite,
            FileOpenMode.OpenOrCreate => OpenReadWrite | OpenCreate,
            _ => OpenReadWrite | OpenCreate | OpenTruncate,
        };
        var descriptor = Open(path, flags | OpenCloseOnExec, NewFileMode);
        return descriptor < 0 ? null : new SafeFileHandle(descriptor, ownsHandle: true);
    }

    public static void FlushDirectory(string path) => Flush(path, static descriptor => Flush(descriptor), "directory");

    public static void FlushVolume(string directory) =>
        Flush(directory, static descriptor => FlushVolume(descriptor), "volume of the directory");

    private static void Flush(string path, Func<int, int> flush, string what)
    {
        var descriptor = Open(path, OpenReadOnly);
        if (descriptor < 0)
            throw new IOException($"Could not open the directory {path} to flush it: {Marshal.GetLastPInvokeErrorMessage()}");
        try
        {
            if (flush(descriptor) != 0)
                throw new IOException($"Could not flush the {what} {path}: {Marshal.GetLastPInvokeErrorMessage()}");
        }
        finally
        {
            _ = Close(descriptor);
        }
    }

    /// <summary>Only a hint: if the volume cannot reserve, nothing happens, and the write itself reports a full disk.</summary>
    public static void Reserve(SafeFileHandle handle, long offset, long length) => _ = Allocate(handle, ReserveKeepSize, offset, length);

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Flush(int descriptor);

    [LibraryImport("libc", EntryPoint = "syncfs", SetLastError = true)]
    private static partial int FlushVolume(int descriptor);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int Close(int descriptor);

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    private static partial int Allocate(SafeFileHandle handle, int mode, long offset, long length);
}
