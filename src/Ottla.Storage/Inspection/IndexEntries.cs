using Ottla.Storage.Files;
using Ottla.Storage.Log;

namespace Ottla.Storage.Inspection;

/// <summary>Reads the entries of index files as they are, without loading or repairing anything. Stateless.</summary>
internal static class IndexEntries
{
    private const int EntriesPerRead = 4096;

    /// <summary>Sees one entry.</summary>
    public delegate void Visit(int slot, ReadOnlySpan<byte> entry);

    /// <summary>
    /// Hands out the entries in order, up to the first that is all zero behind another one: from there on the file is only
    /// preallocated.
    /// </summary>
    /// <returns>Where what is no entry starts: at zeros, or at a part of an entry; the file's length when there is neither.</returns>
    /// <exception cref="IOException">The file could not be read.</exception>
    public static long Read(IFileSystem fileSystem, string path, int entryBytes, Visit visit)
    {
        using var file = fileSystem.Open(path, FileOpenMode.ReadExisting);
        var length = file.Length;
        var buffer = new byte[Math.Min(length, EntriesPerRead * entryBytes)];
        var slot = 0;
        for (long position = 0; length - position >= entryBytes;)
        {
            var chunk = buffer.AsSpan(0, (int)Math.Min(buffer.Length, (length - position) / entryBytes * entryBytes));
            file.ReadExactly(position, chunk);
            for (; !chunk.IsEmpty; chunk = chunk[entryBytes..])
            {
                var entry = chunk[..entryBytes];
                if (!entry.ContainsAnyExcept((byte)0) && (slot > 0 || length > entryBytes))
                    return position;
                visit(slot++, entry);
                position += entryBytes;
            }
        }

        return length - length % entryBytes;
    }

    /// <summary>The entries of an offset index; none when there is no file.</summary>
    public static List<(long Offset, long Position)> ReadOffsets(IFileSystem fileSystem, string path, long baseOffset)
    {
        var entries = new List<(long Offset, long Position)>();
        if (fileSystem.FileExists(path))
            Read(fileSystem, path, OffsetIndex.EntryBytes, (_, entry) => entries.Add(OffsetIndex.Parse(entry, baseOffset)));
        return entries;
    }
}
