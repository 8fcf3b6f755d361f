using Ottla.Storage.Files;
using Ottla.Storage.Log;

namespace Ottla.Storage.Inspection;

/// <summary>Reads the entries of index files, without loading or repairing the index. Stateless.</summary>
internal static class IndexEntries
{
    private const int EntriesPerRead = 4096;

    /// <summary>Receives one entry.</summary>
    public delegate void Visit(int slot, ReadOnlySpan<byte> entry);

    /// <summary>
    /// Calls <paramref name="visit"/> with the entries in order. Stops at an entry of zeros behind another entry: from there on the file is
    /// only preallocated.
    /// </summary>
    /// <returns>The position of the zeros, or of an incomplete entry; the file's length when there is neither.</returns>
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
