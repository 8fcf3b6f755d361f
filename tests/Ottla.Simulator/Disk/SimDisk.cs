using Ottla.Kernel;
using Ottla.Storage.Files;

namespace Ottla.Simulator.Disk;

/// <summary>
/// A disk in memory that forgets: what is written reaches the platter only when it is flushed, and power loss drops, keeps or tears the
/// rest. Names are no better: creations, renames and removals are durable once their directory is flushed, as POSIX has it; ext4 keeps
/// more.
/// </summary>
/// <remarks>
/// Thread-safe, deterministic, one machine's between two deaths: <see cref="AfterPowerLoss"/> and <see cref="AfterProcessDeath"/> end it
/// and give the next one what is left. Renames stay in their directory, which is all that logs need.
/// </remarks>
public sealed partial class SimDisk : IFileSystem
{
    private readonly Lock _lock = new();
    private readonly TimeProvider _time;
    private readonly Prng _random;
    private readonly SimDirectory _root;
    private readonly List<NameChange> _unsyncedNames;
    private readonly HashSet<string> _locks = new(StringComparer.Ordinal);
    private readonly List<SimFileNode> _postponed = [];
    private long _usedBytes;
    private bool _isDead;

    /// <summary>An empty disk.</summary>
    /// <param name="time">The clock of file times.</param>
    /// <param name="random">Decides what power loss leaves, and which operations fail.</param>
    public SimDisk(TimeProvider time, Prng random)
        : this(time, random, new SimDirectory(), [], new SimDiskFaults(random), 0)
    {
    }

    private SimDisk(TimeProvider time, Prng random, SimDirectory root, List<NameChange> unsyncedNames, SimDiskFaults faults, long usedBytes)
    {
        _time = time;
        _random = random;
        _root = root;
        _unsyncedNames = unsyncedNames;
        _usedBytes = usedBytes;
        Faults = faults;
    }

    /// <summary>What goes wrong.</summary>
    public SimDiskFaults Faults { get; }

    /// <summary>Bytes of all files that have a name.</summary>
    public long UsedBytes
    {
        get
        {
            lock (_lock)
                return _usedBytes;
        }
    }

    /// <summary>Nothing that is still tried happens.</summary>
    public bool IsDead
    {
        get
        {
            lock (_lock)
                return _isDead;
        }
    }

    /// <summary>
    /// A flush failed: files look whole to every process, and the platter will never have what was to be flushed. Only power loss shows it.
    /// </summary>
    public bool HasFailedFlush { get; private set; }

    /// <summary>Operations so far, for whoever wants to die at one of them.</summary>
    public int OperationCount { get; private set; }

    /// <inheritdoc/>
    public IFile Open(string path, FileOpenMode mode)
    {
        lock (_lock)
        {
            Begin(FileOperation.Open, path);
            var (directory, name) = Locate(path);
            if (!directory.Names.TryGetValue(name, out var node))
            {
                if (mode is FileOpenMode.ReadExisting or FileOpenMode.Existing)
                    throw new FileNotFoundException("The file is missing.", path);
                node = new SimFileNode(new InMemoryNode { LastWriteMs = NowMs }) { Directory = directory };
                ChangeName(new NameChange(directory, name, node, null));
            }

            if (node is not SimFileNode file)
                throw new UnauthorizedAccessException($"{path} is a directory.");
            if (mode == FileOpenMode.CreateOrTruncate && file.Cache.Length > 0)
                Resize(file, path, 0);
            return new SimFile(this, file, path);
        }
    }

    /// <inheritdoc/>
    public bool FileExists(string path)
    {
        lock (_lock)
            return TryFind(path) is SimFileNode;
    }

    /// <inheritdoc/>
    public bool DirectoryExists(string path)
    {
        lock (_lock)
            return TryFind(path) is SimDirectory;
    }

    /// <inheritdoc/>
    public long GetLength(string path)
    {
        lock (_lock)
            return FindFile(path).Cache.Length;
    }

    /// <inheritdoc/>
    public long GetLastWriteMs(string path)
    {
        lock (_lock)
            return FindFile(path).Cache.LastWriteMs;
    }

    /// <inheritdoc/>
    public void SetLastWriteMs(string path, long lastWriteMs)
    {
        lock (_lock)
            FindFile(path).Cache.LastWriteMs = lastWriteMs;
    }

    /// <inheritdoc/>
    public void Rename(string source, string target)
    {
        lock (_lock)
        {
            Begin(FileOperation.Rename, source);
            _ = FindFile(source);
            if (TryFind(target) is SimFileNode replaced)
                Unlink(replaced);
            Move(source, target);
        }
    }

    /// <inheritdoc/>
    public bool Delete(string path)
    {
        lock (_lock)
        {
            Begin(FileOperation.Delete, path);
            if (TryFind(path) is not SimFileNode file)
                return false;
            if (Faults.IgnoresDelete?.Invoke(path) == true)
                return true;
            Unlink(file);
            var (directory, name) = Locate(path);
            ChangeName(new NameChange(directory, name, null, null));
            return true;
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<string> ListFiles(string directory) => List<SimFileNode>(directory);

    /// <inheritdoc/>
    public IReadOnlyList<string> ListDirectories(string directory) => List<SimDirectory>(directory);

    /// <inheritdoc/>
    public void CreateDirectory(string path)
    {
        lock (_lock)
        {
            if (TryFind(path) is SimDirectory)
                return;
            if (Path.GetDirectoryName(path) is { } parent && TryFind(parent) is null)
                CreateDirectory(parent);
            Begin(FileOperation.CreateDirectory, path);
            var (directory, name) = Locate(path);
            ChangeName(new NameChange(directory, name, new SimDirectory(), null));
        }
    }

    /// <inheritdoc/>
    public void RenameDirectory(string source, string target)
    {
        lock (_lock)
        {
            Begin(FileOperation.RenameDirectory, source);
            _ = FindDirectory(source);
            if (TryFind(target) is not null)
                throw new IOException($"{target} exists already.");
            Move(source, target);
        }
    }

    /// <inheritdoc/>
    public bool DeleteDirectory(string path)
    {
        lock (_lock)
        {
            if (TryFind(path) is not SimDirectory directory)
                return false;
            foreach (var (name, node) in directory.Names.ToList())
                _ = node is SimDirectory ? DeleteDirectory(Path.Combine(path, name)) : Delete(Path.Combine(path, name));
            Begin(FileOperation.DeleteDirectory, path);
            var (parent, own) = Locate(path);
            ChangeName(new NameChange(parent, own, null, null));
            return true;
        }
    }

    /// <inheritdoc/>
    public void FlushDirectory(string path)
    {
        lock (_lock)
        {
            Begin(FileOperation.FlushDirectory, path);
            var directory = FindDirectory(path);
            if (Faults.IgnoresFlush?.Invoke(FileOperation.FlushDirectory, path) == true)
                return;
            _unsyncedNames.RemoveAll(change =>
            {
                if (change.Directory != directory)
                    return false;
                change.Apply(directory.DurableNames);
                return true;
            });
            _postponed.ForEach(file => file.Flush());
            _postponed.Clear();
        }
    }

    /// <inheritdoc/>
    public bool CanFlushVolume => true;

    /// <inheritdoc/>
    public void FlushVolume(string directory)
    {
        lock (_lock)
        {
            Begin(FileOperation.FlushVolume, directory);
            if (Faults.IgnoresFlush?.Invoke(FileOperation.FlushVolume, directory) == true)
                return;
            FlushAll(_root);
            foreach (var change in _unsyncedNames)
                change.Apply(change.Directory.DurableNames);
            _unsyncedNames.Clear();
            _postponed.Clear();
        }
    }

    private static void FlushAll(SimDirectory directory)
    {
        foreach (var node in directory.Names.Values)
        {
            if (node is SimFileNode file)
                file.Flush();
            else if (node is SimDirectory inner)
                FlushAll(inner);
        }
    }

    /// <inheritdoc/>
    public IDisposable? TryLock(string path)
    {
        using (Open(path, FileOpenMode.OpenOrCreate))
        {
            lock (_lock)
                return _locks.Add(path) ? new Unlocker(this, path) : null;
        }
    }

    /// <inheritdoc/>
    public DiskSpace GetSpace(string directory)
    {
        lock (_lock)
            return new DiskSpace(Faults.CapacityBytes, Math.Max(0, Faults.CapacityBytes - _usedBytes));
    }

    internal int Read(SimFileNode node, string path, long position, Span<byte> destination)
    {
        lock (_lock)
        {
            Begin(FileOperation.Read, path);
            return node.Cache.Read(position, destination);
        }
    }

    internal void Write(SimFileNode node, string path, long position, ReadOnlySpan<byte> source)
    {
        lock (_lock)
        {
            Begin(FileOperation.Write, path);
            if (Faults.RewritesWrite?.Invoke(path, source.ToArray()) is { } rewritten)
                source = rewritten;
            var growth = Math.Max(0, position + source.Length - node.Cache.Length);
            var free = Math.Max(0, Faults.CapacityBytes - _usedBytes);
            // A full disk takes what fits, then refuses.
            var fits = source[..(int)(growth <= free ? source.Length : Math.Max(0, source.Length - (growth - free)))];
            if (!fits.IsEmpty)
            {
                Account(node, Math.Max(0, position + fits.Length - node.Cache.Length));
                node.Write(position, fits);
                node.Cache.LastWriteMs = NowMs;
            }

            if (fits.Length < source.Length)
                throw new DiskFullException(path);
        }
    }

    internal void SetLength(SimFileNode node, string path, long length)
    {
        lock (_lock)
        {
            Begin(FileOperation.SetLength, path);
            if (length != node.Cache.Length)
                Resize(node, path, length);
        }
    }

    internal void Flush(SimFileNode node, string path)
    {
        lock (_lock)
        {
            try
            {
                Begin(FileOperation.Flush, path);
            }
            catch (IOException)
            {
                node.FailFlush();
                HasFailedFlush = true;
                throw;
            }

            if (Faults.PostponesFlush?.Invoke(path) == true)
                _postponed.Add(node);
            else if (Faults.IgnoresFlush?.Invoke(FileOperation.Flush, path) != true)
                node.Flush();
        }
    }

    private long NowMs => _time.GetUtcNow().ToUnixTimeMilliseconds();

    private void Begin(FileOperation operation, string path)
    {
        if (_isDead)
            throw new PowerLossException();
        OperationCount++;
        try
        {
            Faults.Before(operation, path);
        }
        catch (PowerLossException)
        {
            _isDead = true;
            throw;
        }
    }

    private void Account(SimFileNode node, long growth)
    {
        if (!node.IsUnlinked)
            _usedBytes += growth;
    }

    private void Resize(SimFileNode node, string path, long length)
    {
        // What is added are holes: they take no space, but are counted, so that a disk is full sooner rather than later.
        if (length - node.Cache.Length > Faults.CapacityBytes - _usedBytes)
            throw new DiskFullException(path);
        Account(node, length - node.Cache.Length);
        node.SetLength(length);
    }

    private void Unlink(SimFileNode file)
    {
        Account(file, -file.Cache.Length);
        file.IsUnlinked = true;
    }

    private void Move(string source, string target)
    {
        var (directory, oldName) = Locate(source);
        var (targetDirectory, name) = Locate(target);
        if (directory != targetDirectory)
            throw new NotSupportedException($"{source} is to be moved to another directory, {target}.");
        ChangeName(new NameChange(directory, name, directory.Names[oldName], oldName));
    }

    private void ChangeName(NameChange change)
    {
        change.Apply(change.Directory.Names);
        _unsyncedNames.Add(change);
    }

    private IReadOnlyList<string> List<TNode>(string directory)
    {
        lock (_lock)
        {
            Begin(FileOperation.List, directory);
            return [.. FindDirectory(directory).Names.Where(entry => entry.Value is TNode).Select(entry => entry.Key)];
        }
    }

    private SimFileNode FindFile(string path) =>
        TryFind(path) as SimFileNode ?? throw new FileNotFoundException("The file is missing.", path);

    private SimDirectory FindDirectory(string path) =>
        TryFind(path) as SimDirectory ?? throw new DirectoryNotFoundException($"There is no directory {path}.");

    private (SimDirectory Directory, string Name) Locate(string path) =>
        (FindDirectory(Path.GetDirectoryName(path)!), Path.GetFileName(path));

    private SimInode? TryFind(string path)
    {
        SimInode? node = _root;
        foreach (var range in path.AsSpan().Split(Path.DirectorySeparatorChar))
        {
            if (path.AsSpan(range).IsEmpty)
                continue;
            if (node is not SimDirectory directory || !directory.Names.TryGetValue(path[range], out node))
                return null;
        }

        return node;
    }

    private sealed class Unlocker(SimDisk disk, string path) : IDisposable
    {
        public void Dispose()
        {
            lock (disk._lock)
                disk._locks.Remove(path);
        }
    }
}
