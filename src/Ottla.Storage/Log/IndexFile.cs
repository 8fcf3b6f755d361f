using Ottla.Kernel;
using Ottla.Storage.Files;

namespace Ottla.Storage.Log;

/// <summary>
/// The bytes of an index file (entries of a fixed size). It reads the file at first use, appends in memory, and writes the file at flush,
/// roll and close.
/// </summary>
/// <remarks>
/// Writing back late is safe: a crash loses only entries past the recovery point, which recovery rebuilds from the log.
/// So the file has the right length at all times, and appending to a log costs no second write. The log's lock guards it.
/// </remarks>
internal sealed class IndexFile(IFileSystem fileSystem, SegmentNames names, string suffix, int entryBytes)
{
    private const int GrowthEntries = 64;

    private byte[] _bytes = [];
    private int _length;
    private int _writtenLength;
    private bool _needsTruncate;
    private bool _usedSinceTick;

    public string Path => names.PathOf(suffix);

    public bool IsLoaded { get; private set; }

    public int Count => _length / entryBytes;

    /// <summary>The size of its entries in bytes, without loading them.</summary>
    public long LengthBytes => IsLoaded ? _length : FileLength(Path);

    public ReadOnlySpan<byte> Entries
    {
        get
        {
            _usedSinceTick = true;
            return _bytes.AsSpan(0, _length);
        }
    }

    /// <summary>Reads the file.</summary>
    /// <returns>False when the file is corrupt: its length is not a multiple of the entry size, or larger than that of any index.</returns>
    public bool TryLoad()
    {
        var path = Path;
        var length = FileLength(path);
        if (length % entryBytes != 0 || length > int.MaxValue / 2)
            return false;
        _bytes = length == 0 ? [] : fileSystem.ReadAllBytes(path, int.MaxValue / 2);
        _length = _bytes.Length;
        _writtenLength = _length;
        _needsTruncate = false;
        IsLoaded = true;
        return true;
    }

    /// <summary>Reads the last entry only, without loading the index.</summary>
    /// <returns>False when there is none.</returns>
    public bool TryReadLast(Span<byte> entry)
    {
        if (IsLoaded)
        {
            if (_length == 0)
                return false;
            _bytes.AsSpan(_length - entryBytes, entryBytes).CopyTo(entry);
            return true;
        }

        var path = Path;
        if (!fileSystem.FileExists(path))
            return false;
        using var file = fileSystem.Open(path, FileOpenMode.ReadExisting);
        var length = file.Length;
        length -= length % entryBytes;
        if (length == 0)
            return false;
        file.ReadExactly(length - entryBytes, entry);
        return true;
    }

    /// <summary>Drops all entries, without reading the file.</summary>
    public void Reset()
    {
        IsLoaded = true;
        _length = 0;
        _writtenLength = 0;
        _needsTruncate = true;
    }

    public void Append(ReadOnlySpan<byte> entry)
    {
        Invariant.Check(IsLoaded, "an index is loaded before it is appended to");
        if (_length + entryBytes > _bytes.Length)
            Array.Resize(ref _bytes, Math.Max(_bytes.Length * 2, entryBytes * GrowthEntries));
        entry.CopyTo(_bytes.AsSpan(_length));
        _length += entryBytes;
        _usedSinceTick = true;
    }

    /// <summary>Keeps the first <paramref name="count"/> entries.</summary>
    public void TruncateToCount(int count)
    {
        var length = count * entryBytes;
        if (length >= _length)
            return;
        _length = length;
        if (_writtenLength > length)
        {
            _writtenLength = length;
            _needsTruncate = true;
        }
    }

    /// <summary>
    /// Writes the entries to the file. On a full disk the next flush writes them, and the recovery point stays before them until then.
    /// </summary>
    public void TryWriteBack()
    {
        try
        {
            WriteBack(sync: false);
        }
        catch (DiskFullException)
        {
            // Memory keeps the entries until they are written.
        }
    }

    /// <summary>
    /// Replaces the file by the entries in memory. A power loss leaves the old file or the new one; a full disk leaves the old one.
    /// </summary>
    public void TryReplace()
    {
        try
        {
            fileSystem.ReplaceFile(Path, Entries);
            _needsTruncate = false;
            _writtenLength = _length;
        }
        catch (DiskFullException)
        {
            // The entries stay in memory. The next load finds the old file and rebuilds it again.
        }
    }

    /// <summary>Writes the entries to the file; creates a missing file.</summary>
    /// <param name="sync">Whether to fsync the file.</param>
    public void WriteBack(bool sync)
    {
        if (!IsLoaded || (!_needsTruncate && _writtenLength == _length && !sync))
            return;
        using var file = fileSystem.Open(Path, FileOpenMode.OpenOrCreate);
        if (_needsTruncate)
            file.SetLength(_writtenLength);
        if (_length > _writtenLength)
            file.Write(_writtenLength, _bytes.AsSpan(_writtenLength, _length - _writtenLength));
        if (sync)
            file.Flush();
        _needsTruncate = false;
        _writtenLength = _length;
    }

    /// <summary>Frees the memory if it was not used since the last call and all entries are written.</summary>
    public void ReleaseIfIdle()
    {
        if (!_usedSinceTick && IsLoaded && !_needsTruncate && _writtenLength == _length)
        {
            IsLoaded = false;
            _bytes = [];
            _length = 0;
            _writtenLength = 0;
        }

        _usedSinceTick = false;
    }

    private long FileLength(string path) => fileSystem.FileExists(path) ? fileSystem.GetLength(path) : 0;
}
