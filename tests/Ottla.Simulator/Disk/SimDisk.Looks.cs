namespace Ottla.Simulator.Disk;

/// <summary>Looks at the disk from outside of the machine: no operation of its process, nothing that can fail.</summary>
public sealed partial class SimDisk
{
    /// <summary>The names in a directory, in order; none when there is no such directory.</summary>
    internal IReadOnlyList<string> PeekNames(string directory)
    {
        lock (_lock)
            return TryFind(directory) is SimDirectory found ? [.. found.Names.Keys] : [];
    }

    /// <summary>The files in a directory with a suffix, in the order of their names; none when there is no such directory.</summary>
    internal IReadOnlyList<(string Name, SimFileNode File)> PeekFiles(string directory, string suffix)
    {
        lock (_lock)
        {
            if (TryFind(directory) is not SimDirectory found)
                return [];
            var files = new List<(string, SimFileNode)>();
            foreach (var (name, node) in found.Names)
            {
                if (node is SimFileNode file && name.EndsWith(suffix, StringComparison.Ordinal))
                    files.Add((name, file));
            }

            return files;
        }
    }

    /// <summary>A directory; null when there is none.</summary>
    internal SimDirectory? PeekDirectory(string path)
    {
        lock (_lock)
            return TryFind(path) as SimDirectory;
    }

    /// <summary>A file; null when there is none.</summary>
    internal SimFileNode? PeekFile(string path)
    {
        lock (_lock)
            return TryFind(path) as SimFileNode;
    }
}
