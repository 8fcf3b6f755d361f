using System.Buffers.Binary;
using Ottla.Storage.Files;

namespace Ottla.Storage.Log;

/// <summary>A transaction that was aborted.</summary>
/// <param name="ProducerId">The producer.</param>
/// <param name="FirstOffset">The offset of its first record in this partition.</param>
/// <param name="LastOffset">The offset of its abort marker.</param>
/// <param name="LastStableOffset">The last stable offset when the marker was written.</param>
public readonly record struct AbortedTransaction(long ProducerId, long FirstOffset, long LastOffset, long LastStableOffset);

/// <summary>
/// The aborted transactions whose markers lie in a segment (<c>.txnindex</c>): 34-byte entries in marker order. The file is made
/// with the first entry.
/// </summary>
/// <remarks>The log's lock guards it. Lives as long as its segment.</remarks>
internal sealed class TransactionIndex(IFileSystem fileSystem, SegmentNames names)
{
    public const int EntryBytes = 34;

    private const short CurrentVersion = 0;

    private List<AbortedTransaction>? _entries;
    private int _writtenCount;
    private bool _hasUnsynced;
    private bool _isNewFile;

    private string Path => names.PathOf(LogFileNames.TransactionIndexSuffix);

    /// <summary>The entries, read at first use.</summary>
    /// <exception cref="InvalidDataException">The file is not a transaction index.</exception>
    public IReadOnlyList<AbortedTransaction> Entries => Load();

    /// <summary>
    /// Adds an entry, and writes it to the file: markers are rare, and recovery starts at the last flush. On a full disk the next flush
    /// writes it.
    /// </summary>
    public void Append(AbortedTransaction transaction)
    {
        Load().Add(transaction);
        _hasUnsynced = true;
        try
        {
            WriteBack();
        }
        catch (DiskFullException)
        {
            // The marker is in the log, so this must not fail. The recovery point cannot pass it before Flush has written it.
        }
    }

    /// <summary>
    /// Reads the file, without loading the index, and checks that it can be the index of a segment that starts at
    /// <paramref name="baseOffset"/>.
    /// </summary>
    /// <returns>False when it must be rebuilt.</returns>
    public bool IsPlausible(long baseOffset)
    {
        var bytes = fileSystem.ReadAllBytes(Path, int.MaxValue / 2).AsSpan();
        if (bytes.Length % EntryBytes != 0)
            return false;
        var previous = baseOffset - 1;
        for (; !bytes.IsEmpty; bytes = bytes[EntryBytes..])
        {
            if (Parse(bytes) is not { ProducerId: >= 0, FirstOffset: >= 0, LastStableOffset: >= 0 } entry
                || entry.LastOffset <= previous || entry.FirstOffset > entry.LastOffset || entry.LastStableOffset > entry.LastOffset + 1)
                return false;
            previous = entry.LastOffset;
        }

        return true;
    }

    /// <summary>
    /// Collects the transactions that overlap [<paramref name="startOffset"/>, <paramref name="upperBound"/>). Creates the list for the
    /// first one.
    /// </summary>
    /// <returns>True when no later segment can have more.</returns>
    public bool Collect(long startOffset, long upperBound, ref List<AbortedTransaction>? destination)
    {
        foreach (var transaction in Load())
        {
            if (transaction.LastOffset >= startOffset && transaction.FirstOffset < upperBound)
                (destination ??= []).Add(transaction);
            if (transaction.LastStableOffset >= upperBound)
                return true;
        }

        return false;
    }

    /// <summary>Drops the entries whose marker is at <paramref name="offset"/> or after it.</summary>
    public void TruncateTo(long offset)
    {
        var entries = Load();
        var count = entries.FindIndex(transaction => transaction.LastOffset >= offset);
        if (count >= 0)
            Keep(count);
    }

    /// <summary>Drops all entries.</summary>
    public void Reset()
    {
        _entries = [];
        Keep(0);
    }

    /// <summary>Writes the entries, for a caller that flushes the volume afterwards.</summary>
    public void WriteUnflushed()
    {
        if (_hasUnsynced)
            WriteBack();
    }

    /// <summary>Makes the entries durable.</summary>
    /// <returns>Whether the file may be new, so that the directory must be flushed too.</returns>
    public bool Flush()
    {
        if (_hasUnsynced)
        {
            WriteBack();
            using var file = fileSystem.Open(Path, FileOpenMode.Existing);
            file.Flush();
        }

        var isNewFile = _isNewFile;
        _hasUnsynced = false;
        _isNewFile = false;
        return isNewFile;
    }

    /// <summary>Reads one entry; null when it is of an unknown version.</summary>
    public static AbortedTransaction? Parse(ReadOnlySpan<byte> entry) =>
        BinaryPrimitives.ReadInt16BigEndian(entry) != CurrentVersion
            ? null
            : new AbortedTransaction(
                BinaryPrimitives.ReadInt64BigEndian(entry[2..]),
                BinaryPrimitives.ReadInt64BigEndian(entry[10..]),
                BinaryPrimitives.ReadInt64BigEndian(entry[18..]),
                BinaryPrimitives.ReadInt64BigEndian(entry[26..]));

    /// <summary>Writes the entries that the file lacks.</summary>
    private void WriteBack()
    {
        if (_writtenCount == _entries!.Count)
            return;
        var bytes = new byte[(_entries.Count - _writtenCount) * EntryBytes];
        for (var i = _writtenCount; i < _entries.Count; i++)
        {
            var entry = bytes.AsSpan((i - _writtenCount) * EntryBytes);
            BinaryPrimitives.WriteInt16BigEndian(entry, CurrentVersion);
            BinaryPrimitives.WriteInt64BigEndian(entry[2..], _entries[i].ProducerId);
            BinaryPrimitives.WriteInt64BigEndian(entry[10..], _entries[i].FirstOffset);
            BinaryPrimitives.WriteInt64BigEndian(entry[18..], _entries[i].LastOffset);
            BinaryPrimitives.WriteInt64BigEndian(entry[26..], _entries[i].LastStableOffset);
        }

        using var file = fileSystem.Open(Path, FileOpenMode.OpenOrCreate);
        file.Write((long)_writtenCount * EntryBytes, bytes);
        _isNewFile |= _writtenCount == 0;
        _writtenCount = _entries.Count;
    }

    private void Keep(int count)
    {
        _entries!.RemoveRange(count, _entries.Count - count);
        _writtenCount = Math.Min(_writtenCount, count);
        if (!fileSystem.FileExists(Path))
            return;
        using var file = fileSystem.Open(Path, FileOpenMode.Existing);
        file.SetLength((long)_writtenCount * EntryBytes);
        _hasUnsynced = true;
    }

    private List<AbortedTransaction> Load()
    {
        if (_entries is not null)
            return _entries;
        if (!fileSystem.FileExists(Path))
            return _entries = [];
        var bytes = fileSystem.ReadAllBytes(Path, int.MaxValue / 2).AsSpan();
        var entries = new List<AbortedTransaction>(bytes.Length / EntryBytes);
        for (; bytes.Length >= EntryBytes; bytes = bytes[EntryBytes..])
            entries.Add(Parse(bytes) ?? throw new InvalidDataException($"{Path} has an entry of an unknown version."));

        _writtenCount = entries.Count;
        return _entries = entries;
    }
}
