namespace Ottla.Simulator.Disk;

public sealed partial class SimDisk
{
    /// <summary>
    /// The process died and the machine did not: the next process finds all that was written, flushed or not. This disk is of no use any
    /// more.
    /// </summary>
    public SimDisk AfterProcessDeath()
    {
        lock (_lock)
        {
            _isDead = true;
            Faults.OperationsUntilDeath = null;
            return new SimDisk(_time, _random, _root, _unsyncedNames, Faults, _usedBytes);
        }
    }

    /// <summary>
    /// The power was lost: the next machine finds what was flushed, and of the rest what chance left. This disk is of no use any more.
    /// </summary>
    public SimDisk AfterPowerLoss()
    {
        lock (_lock)
        {
            _isDead = true;
            Faults.OperationsUntilDeath = null;
            KeepSomeNames();
            var found = new Dictionary<SimInode, SimInode>();
            var root = (SimDirectory)Find(_root, found);
            var used = found.Values.OfType<SimFileNode>().Sum(file => file.Cache.Length);
            return new SimDisk(_time, _random, root, [], Faults, used);
        }
    }

    /// <summary>Flips a bit of a file, on the platter too.</summary>
    public void FlipBit(string path, long position, int bit)
    {
        lock (_lock)
            FindFile(path).FlipBit(position, bit);
    }

    /// <summary>All files with their bytes, by path: to see whether anything changed.</summary>
    public SortedDictionary<string, byte[]> ReadAllFiles()
    {
        lock (_lock)
        {
            var files = new SortedDictionary<string, byte[]>(StringComparer.Ordinal);
            Collect(_root, "", files);
            return files;
        }
    }

    private static void Collect(SimDirectory directory, string path, SortedDictionary<string, byte[]> files)
    {
        foreach (var (name, node) in directory.Names)
        {
            if (node is SimDirectory child)
            {
                Collect(child, $"{path}{Path.DirectorySeparatorChar}{name}", files);
                continue;
            }

            var content = ((SimFileNode)node).Cache;
            var bytes = new byte[content.Length];
            content.Read(0, bytes);
            files.Add($"{path}{Path.DirectorySeparatorChar}{name}", bytes);
        }
    }

    /// <summary>
    /// A journal keeps the order of name changes, so a prefix of them survives: of all together, as on ext4, or of each directory's own, as
    /// where journals are finer. Nothing and everything are prefixes too, and more likely than a fair choice would make them.
    /// </summary>
    private void KeepSomeNames()
    {
        var kept = _random.NextInt(4) switch
        {
            0 => 0,
            1 => _unsyncedNames.Count,
            _ => _random.NextInt(_unsyncedNames.Count + 1),
        };
        var isOneJournal = _random.NextChance(50);
        foreach (var directory in _unsyncedNames.GroupBy(change => change.Directory))
        {
            var changes = directory.ToList();
            var own = isOneJournal ? _unsyncedNames.Take(kept).Count(change => change.Directory == directory.Key)
                : _random.NextInt(changes.Count + 1);
            changes.Take(own).ToList().ForEach(change => change.Apply(directory.Key.DurableNames));
        }

        _unsyncedNames.Clear();
    }

    private SimInode Find(SimInode node, Dictionary<SimInode, SimInode> found)
    {
        if (found.TryGetValue(node, out var known))
            return known;
        if (node is SimFileNode file)
            return found[node] = file.AfterPowerLoss(_random);
        var directory = new SimDirectory();
        found[node] = directory;
        foreach (var (name, child) in ((SimDirectory)node).DurableNames)
        {
            var left = Find(child, found);
            if (left is SimFileNode leftFile)
                leftFile.Directory = directory;
            directory.Names[name] = left;
            directory.DurableNames[name] = left;
        }

        return directory;
    }
}
