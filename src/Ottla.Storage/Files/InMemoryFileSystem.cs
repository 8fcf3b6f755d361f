using Microsoft.Win32.SafeHandles;

namespace Ottla.Storage.Files;

/// <summary>The kind of a file operation; a test or the simulator uses it to choose which calls fail.</summary>
public enum FileOperation
{
    Open,
    Read,
    Write,
    SetLength,
    SetLastWrite,
    Flush,
    Rename,
    Delete,
    List,
    CreateDirectory,
    RenameDirectory,
    DeleteDirectory,
    FlushDirectory,
    FlushVolume,
}

/// <summary>
/// A disk in memory: deterministic, with failures on demand. Its files live as long as this object, so that a test can close a log, or drop
/// it as a crash does, and open it again.
/// </summary>
/// <remarks>Thread-safe. As on a POSIX disk, open handles stay usable after their file's name is deleted or replaced.</remarks>
public sealed class InMemoryFileSystem(TimeProvider? time = null) : IFileSystem
{
    private readonly Lock _lock = new();
    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly SortedDictionary<string, InMemoryNode> _files = new(StringComparer.Ordinal);
    private readonly SortedSet<string> _directories = new(StringComparer.Ordinal);
    private readonly HashSet<string> _locks = new(StringComparer.Ordinal);

    /// <summary>Called before every operation. If it returns an exception, the operation throws that and does nothing.</summary>
    public Func<FileOperation, string, IOException?>? Fault { get; set; }

    /// <summary>The result of <see cref="GetSpace"/>.</summary>
    public DiskSpace Space { get; set; } = new(1L << 40, 1L << 40);

    /// <summary>How often <see cref="IFile.Flush"/> was called, for tests of flush policies.</summary>
    public long FlushCount { get; internal set; }

    /// <summary>A disk with the same files and no locks, as after a crash of the process.</summary>
    public InMemoryFileSystem Clone()
    {
        var copy = new InMemoryFileSystem(_time) { Space = Space };
        lock (_lock)
        {
            foreach (var (path, node) in _files)
                copy._files.Add(path, node.Clone());
            copy._directories.UnionWith(_directories);
        }

        return copy;
    }

    /// <inheritdoc/>
    public IFile Open(string path, FileOpenMode mode)
    {
        Check(FileOperation.Open, path);
        lock (_lock)
        {
            if (!_files.TryGetValue(path, out var node))
            {
                if (mode is FileOpenMode.ReadExisting or FileOpenMode.Existing)
                    throw new FileNotFoundException("The file is missing.", path);
                RequireDirectory(Path.GetDirectoryName(path)!);
                node = new InMemoryNode { LastWriteMs = NowMs };
                _files.Add(path, node);
            }
            else if (mode == FileOpenMode.CreateOrTruncate)
            {
                node.SetLength(0);
            }

            return new InMemoryFile(this, node, path);
        }
    }

    /// <inheritdoc/>
    public bool FileExists(string path)
    {
        lock (_lock)
            return _files.ContainsKey(path);
    }

    /// <inheritdoc/>
    public bool DirectoryExists(string path)
    {
        lock (_lock)
            return _directories.Contains(path);
    }

    /// <inheritdoc/>
    public long GetLength(string path) => Find(path).Length;

    /// <inheritdoc/>
    public long GetLastWriteMs(string path) => Find(path).LastWriteMs;

    /// <inheritdoc/>
    public void SetLastWriteMs(string path, long lastWriteMs)
    {
        Check(FileOperation.SetLastWrite, path);
        Find(path).LastWriteMs = lastWriteMs;
    }

    /// <inheritdoc/>
    public void Rename(string source, string target)
    {
        Check(FileOperation.Rename, source);
        lock (_lock)
        {
            RequireDirectory(Path.GetDirectoryName(target)!);
            if (!_files.Remove(source, out var node))
                throw new FileNotFoundException("The file is missing.", source);
            _files[target] = node;
        }
    }

    /// <inheritdoc/>
    public bool Delete(string path)
    {
        Check(FileOperation.Delete, path);
        lock (_lock)
            return _files.Remove(path);
    }

    /// <inheritdoc/>
    public IReadOnlyList<string> ListFiles(string directory)
    {
        Check(FileOperation.List, directory);
        lock (_lock)
        {
            RequireDirectory(directory);
            return [.. _files.Keys.Where(path => Path.GetDirectoryName(path) == directory).Select(path => Path.GetFileName(path)!)];
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<string> ListDirectories(string directory)
    {
        Check(FileOperation.List, directory);
        lock (_lock)
        {
            RequireDirectory(directory);
            return [.. _directories.Where(path => Path.GetDirectoryName(path) == directory).Select(path => Path.GetFileName(path)!)];
        }
    }

    /// <inheritdoc/>
    public void CreateDirectory(string path)
    {
        Check(FileOperation.CreateDirectory, path);
        lock (_lock)
        {
            for (var directory = path; !string.IsNullOrEmpty(directory); directory = Path.GetDirectoryName(directory))
                _directories.Add(directory);
        }
    }

    /// <inheritdoc/>
    public void RenameDirectory(string source, string target)
    {
        Check(FileOperation.RenameDirectory, source);
        lock (_lock)
        {
            RequireDirectory(source);
            if (_directories.Contains(target) || _files.ContainsKey(target))
                throw new IOException($"{target} exists already.");
            var prefix = source + Path.DirectorySeparatorChar;
            foreach (var path in _files.Keys.Where(path => path.StartsWith(prefix, StringComparison.Ordinal)).ToList())
            {
                _files.Remove(path, out var node);
                _files.Add(target + path[source.Length..], node!);
            }

            foreach (var path in _directories.Where(path => path == source || path.StartsWith(prefix, StringComparison.Ordinal)).ToList())
            {
                _directories.Remove(path);
                _directories.Add(target + path[source.Length..]);
            }
        }
    }

    /// <inheritdoc/>
    public bool DeleteDirectory(string path)
    {
        Check(FileOperation.DeleteDirectory, path);
        lock (_lock)
        {
            if (!_directories.Contains(path))
                return false;
            var prefix = path + Path.DirectorySeparatorChar;
            foreach (var file in _files.Keys.Where(file => file.StartsWith(prefix, StringComparison.Ordinal)).ToList())
                _files.Remove(file);
            _directories.RemoveWhere(directory => directory == path || directory.StartsWith(prefix, StringComparison.Ordinal));
            return true;
        }
    }

    /// <inheritdoc/>
    public void FlushDirectory(string path)
    {
        Check(FileOperation.FlushDirectory, path);
        lock (_lock)
            RequireDirectory(path);
    }

    /// <inheritdoc/>
    public bool CanFlushVolume => true;

    /// <inheritdoc/>
    public void FlushVolume(string directory)
    {
        Check(FileOperation.FlushVolume, directory);
        lock (_lock)
            RequireDirectory(directory);
    }

    /// <inheritdoc/>
    public IDisposable? TryLock(string path)
    {
        lock (_lock)
        {
            RequireDirectory(Path.GetDirectoryName(path)!);
            if (!_locks.Add(path))
                return null;
            _files.TryAdd(path, new InMemoryNode { LastWriteMs = NowMs });
            return new Unlocker(this, path);
        }
    }

    /// <inheritdoc/>
    public DiskSpace GetSpace(string directory) => Space;

    internal long NowMs => _time.GetUtcNow().ToUnixTimeMilliseconds();

    internal void Check(FileOperation operation, string path)
    {
        if (Fault?.Invoke(operation, path) is { } failure)
            throw failure;
    }

    private InMemoryNode Find(string path)
    {
        lock (_lock)
            return _files.TryGetValue(path, out var node) ? node : throw new FileNotFoundException("The file is missing.", path);
    }

    private void RequireDirectory(string path)
    {
        if (!_directories.Contains(path))
            throw new DirectoryNotFoundException($"There is no directory {path}.");
    }

    private sealed class Unlocker(InMemoryFileSystem fileSystem, string path) : IDisposable
    {
        public void Dispose()
        {
            lock (fileSystem._lock)
                fileSystem._locks.Remove(path);
        }
    }
}

/// <summary>The bytes of one file of <see cref="InMemoryFileSystem"/>, shared by its names and handles. Thread-safe.</summary>
internal sealed class InMemoryNode
{
    private readonly Lock _lock = new();
    private byte[] _bytes = [];
    private int _length;

    public long LastWriteMs { get; set; }

    public long Length
    {
        get
        {
            lock (_lock)
                return _length;
        }
    }

    public InMemoryNode Clone()
    {
        lock (_lock)
            return new InMemoryNode { _bytes = _bytes.AsSpan(0, _length).ToArray(), _length = _length, LastWriteMs = LastWriteMs };
    }

    public int Read(long position, Span<byte> destination)
    {
        lock (_lock)
        {
            if (position >= _length)
                return 0;
            var count = (int)Math.Min(destination.Length, _length - position);
            _bytes.AsSpan((int)position, count).CopyTo(destination);
            return count;
        }
    }

    public void Write(long position, ReadOnlySpan<byte> source)
    {
        lock (_lock)
        {
            var end = checked((int)(position + source.Length));
            Reserve(end);
            source.CopyTo(_bytes.AsSpan((int)position));
            _length = Math.Max(_length, end);
        }
    }

    public void SetLength(long length)
    {
        lock (_lock)
        {
            var newLength = checked((int)length);
            Reserve(newLength);
            if (newLength < _length)
                _bytes.AsSpan(newLength, _length - newLength).Clear();
            _length = newLength;
        }
    }

    private void Reserve(int length)
    {
        if (length > _bytes.Length)
            Array.Resize(ref _bytes, (int)Math.Min(Math.Max(length, _bytes.Length * 2L), Array.MaxLength));
    }
}

/// <summary>A handle to an <see cref="InMemoryNode"/>.</summary>
internal sealed class InMemoryFile(InMemoryFileSystem fileSystem, InMemoryNode node, string path) : IFile
{
    private bool _disposed;

    public long Length => node.Length;

    public SafeFileHandle? Handle => null;

    public int Read(long position, Span<byte> destination)
    {
        Check(FileOperation.Read);
        return node.Read(position, destination);
    }

    public void Write(long position, ReadOnlySpan<byte> source)
    {
        Check(FileOperation.Write);
        node.Write(position, source);
        node.LastWriteMs = fileSystem.NowMs;
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
        Check(FileOperation.SetLength);
        node.SetLength(length);
    }

    public void Preallocate(long endPosition) => ObjectDisposedException.ThrowIf(_disposed, this);

    public void Flush()
    {
        Check(FileOperation.Flush);
        fileSystem.FlushCount++;
    }

    public void Dispose() => _disposed = true;

    private void Check(FileOperation operation)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        fileSystem.Check(operation, path);
    }
}
