using Ottla.Kernel;
using Ottla.Storage.Files;

namespace Ottla.Storage.Log;

/// <summary>
/// The <c>.log</c> file of a segment. It is opened at first use, reserves blocks ahead in steps, and is closed when idle.
/// </summary>
/// <remarks>
/// The log's lock guards it. A file from <see cref="Acquire"/> may be read without the lock. Lives as long as its segment.
/// </remarks>
internal sealed class SegmentFile(IFileSystem fileSystem, SegmentNames names, long length)
{
    /// <summary>A file smaller than this reserves nothing, so that ten thousand small partitions do not fill the disk.</summary>
    private const long PreallocationThresholdBytes = 64 * 1024;

    /// <summary>The largest step. Steps double with the file, so that it reserves at most as much as it uses.</summary>
    private const long PreallocationStepBytesMax = 32 * 1024 * 1024;

    private const int CopyBufferBytes = 256 * 1024;

    private SharedFile? _shared;
    private bool _usedSinceTick;
    private long _reservedEnd;

    /// <summary>Whether an earlier process wrote to the file and may have reserved space past its end.</summary>
    private bool _isFromElsewhere = true;

    public string Path => names.PathOf(LogFileNames.LogSuffix);

    /// <summary>Bytes of valid batches: the logical length.</summary>
    public long Length { get; private set; } = length;

    /// <summary>Creates the empty file.</summary>
    public void Create()
    {
        fileSystem.Open(Path, FileOpenMode.CreateOrTruncate).Dispose();
        _isFromElsewhere = false;
    }

    /// <summary>Opens the file if needed; the caller ends its hold with <see cref="SharedFile.Release"/>.</summary>
    public SharedFile Acquire()
    {
        Open();
        _shared!.Acquire();
        return _shared;
    }

    /// <summary>The open file, for use under the log's lock only.</summary>
    public IFile Open()
    {
        _shared ??= new SharedFile(fileSystem.Open(Path, FileOpenMode.Existing));
        _usedSinceTick = true;
        return _shared.File;
    }

    /// <summary>Writes at the end.</summary>
    /// <param name="bytes">Whole batches.</param>
    /// <param name="sizeMax">The largest size of the segment: the file reserves nothing past it.</param>
    /// <param name="reserveAll">Whether to reserve up to <paramref name="sizeMax"/> at once (<c>preallocate</c>).</param>
    /// <param name="reserveBytes">
    /// The size of the reserve past the end, of which at least half is kept if the disk has space, so that appends succeed on a full disk.
    /// </param>
    /// <exception cref="DiskFullException">The disk is full; the file did not change.</exception>
    public void Append(ReadOnlySpan<byte> bytes, long sizeMax, bool reserveAll, int reserveBytes)
    {
        var file = Open();
        var end = Length + bytes.Length;
        if (reserveBytes > 0
            ? end + reserveBytes / 2 > _reservedEnd
            : end > _reservedEnd && (reserveAll || end >= PreallocationThresholdBytes))
        {
            var step = reserveAll ? sizeMax : reserveBytes > 0 ? reserveBytes : Math.Min(end, PreallocationStepBytesMax);
            var reservedEnd = Math.Max(end, Math.Min(sizeMax, end + step));
            // The existing reservation stays when the disk has no more space.
            file.Preallocate(reservedEnd);
            _reservedEnd = reservedEnd;
        }

        try
        {
            file.Write(Length, bytes);
        }
        catch (DiskFullException)
        {
            Trim(); // removes the part of the bytes that was written
            throw;
        }

        Length = end;
    }

    /// <summary>Gives back what is reserved past the end.</summary>
    public void GiveBackReserve()
    {
        if (_reservedEnd > Length || _isFromElsewhere)
            Trim();
        _isFromElsewhere = false;
    }

    /// <summary>Cuts off everything past the end: reserved space, and the rest of a failed write.</summary>
    private void Trim()
    {
        Open().SetLength(Length);
        _reservedEnd = 0;
    }

    /// <summary>
    /// Cuts the file. If it has readers, which must keep the old bytes, this copies the kept part to a new file of the same name.
    /// </summary>
    public void TruncateTo(long length)
    {
        Invariant.Check(length <= Length, "a log is truncated to less than it has");
        var file = Open();
        if (_shared!.IsShared)
            ReplaceByCopy(file, length);
        else
            file.SetLength(length);
        Length = length;
        _reservedEnd = 0;
    }

    /// <summary>Closes the handle if it was not used since the last call, so that cold segments cost no descriptor.</summary>
    public void CloseIfIdle()
    {
        if (!_usedSinceTick)
            Close();
        _usedSinceTick = false;
    }

    /// <summary>Releases the segment's own hold; readers keep theirs.</summary>
    public void Close()
    {
        _shared?.Release();
        _shared = null;
    }

    private void ReplaceByCopy(IFile old, long length)
    {
        // If this is interrupted, the next start removes the ".cleaned" file, as Kafka's does.
        var path = Path;
        var replacementPath = path + LogFileNames.CleanedSuffix;
        var replacement = fileSystem.Open(replacementPath, FileOpenMode.CreateOrTruncate);
        try
        {
            var buffer = new byte[(int)Math.Min(length, CopyBufferBytes)];
            for (long position = 0; position < length;)
            {
                var chunk = buffer.AsSpan(0, (int)Math.Min(buffer.Length, length - position));
                old.ReadExactly(position, chunk);
                replacement.Write(position, chunk);
                position += chunk.Length;
            }

            replacement.Flush();
            fileSystem.Rename(replacementPath, path);
        }
        catch
        {
            replacement.Dispose();
            throw;
        }

        _shared!.Release();
        _shared = new SharedFile(replacement);
    }
}
