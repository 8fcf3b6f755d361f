using Ottla.Kernel;
using Ottla.Storage.Files;

namespace Ottla.Storage.Log;

/// <summary>The <c>.log</c> file of a segment: opened at first use, its blocks reserved ahead in steps, closed when idle.</summary>
/// <remarks>
/// The log's lock guards it. What <see cref="Acquire"/> gives may be read without the lock. Lives as long as its segment.
/// </remarks>
internal sealed class SegmentFile(IFileSystem fileSystem, SegmentNames names, long length)
{
    /// <summary>A file smaller than this reserves nothing: ten thousand small partitions must not eat the disk.</summary>
    private const long PreallocationThresholdBytes = 64 * 1024;

    /// <summary>The largest step. Steps double with the file, so at most as much is reserved as is used.</summary>
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

    /// <summary>Makes the file, empty.</summary>
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
    /// <param name="sizeMax">How far the segment may grow: nothing is reserved past it.</param>
    /// <param name="reserveAll">Reserve up to <paramref name="sizeMax"/> at once (<c>preallocate</c>).</param>
    /// <param name="reserveBytes">Keep at least about half of this reserved past the end, if the disk has space: appends to it
    /// work on a full disk.</param>
    /// <exception cref="DiskFullException">There is no room; the file is as it was.</exception>
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
            Trim(); // with what was written of these bytes
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

    /// <summary>Cuts off everything past the end: what was reserved, and what is left of a write that failed.</summary>
    private void Trim()
    {
        Open().SetLength(Length);
        _reservedEnd = 0;
    }

    /// <summary>Cuts the file. Readers of it keep seeing the old bytes: the kept part then moves to a new file of the same name.</summary>
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

    /// <summary>Ends the segment's own hold; readers keep theirs.</summary>
    public void Close()
    {
        _shared?.Release();
        _shared = null;
    }

    private void ReplaceByCopy(IFile old, long length)
    {
        // ".cleaned" is what Kafka and we drop at the next start if this is interrupted.
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
