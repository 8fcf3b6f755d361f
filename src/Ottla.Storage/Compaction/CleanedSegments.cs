using Ottla.Kernel;
using Ottla.Protocol.Batches;
using Ottla.Storage.Files;
using Ottla.Storage.Log;

namespace Ottla.Storage.Compaction;

/// <summary>The new segments, mostly one, for a group of compacted segments, in files named <c>.cleaned</c>.</summary>
/// <remarks>
/// Owned by a compaction until the log takes them over. It begins a second one only when rebuilt batches have grown so much that file
/// positions or offsets would overflow.
/// </remarks>
internal sealed class CleanedSegments
{
    private readonly IFileSystem _fileSystem;
    private readonly string _directory;
    private readonly LogConfig _config;
    private readonly Instant _now;
    private readonly List<LogSegment> _segments = [];

    public CleanedSegments(IFileSystem fileSystem, string directory, LogConfig config, long baseOffset, Instant now)
    {
        _fileSystem = fileSystem;
        _directory = directory;
        _config = config;
        _now = now;
        Begin(baseOffset);
    }

    /// <summary>The last write of the segment that is copied, which becomes the last write of the copy.</summary>
    public long LastWriteMs { get; set; }

    /// <summary>The directory of the files.</summary>
    public string Directory => _directory;

    private LogSegment Current => _segments[^1];

    /// <summary>Writes kept batches.</summary>
    /// <param name="batches">Whole batches; may be empty.</param>
    /// <param name="aborted">Aborted transactions whose markers are among them.</param>
    public void Append(ReadOnlySpan<byte> batches, IReadOnlyList<AbortedTransaction> aborted)
    {
        if (!batches.IsEmpty)
        {
            if (Current.Size > 0 && !Fits(batches))
            {
                Finish(Current);
                Begin(new RecordBatchView(batches).BaseOffset);
            }

            Current.Append(batches, _config);
        }

        foreach (var transaction in aborted)
            Current.Transactions.Append(transaction);
    }

    /// <summary>Makes the files durable.</summary>
    public IReadOnlyList<LogSegment> Complete()
    {
        Finish(Current);
        return _segments;
    }

    /// <summary>Removes the files. The next start removes those that remain.</summary>
    public void Discard()
    {
        foreach (var segment in _segments)
        {
            try
            {
                segment.DeleteFiles();
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                // The caller already gets the first failure; files named .cleaned do no harm.
                segment.Abandon();
            }
        }
    }

    /// <summary>
    /// Leaves the files as they are: the log is offline, and after an interrupted swap they may be the only copy.
    /// </summary>
    public void Abandon()
    {
        foreach (var segment in _segments)
            segment.Abandon();
    }

    private bool Fits(ReadOnlySpan<byte> batches)
    {
        long lastOffset = -1;
        for (var rest = batches; !rest.IsEmpty; rest = rest[new RecordBatchView(rest).SizeInBytes..])
            lastOffset = new RecordBatchView(rest).LastOffset;
        return Current.Size + batches.Length <= int.MaxValue && lastOffset - Current.BaseOffset <= int.MaxValue;
    }

    private void Begin(long baseOffset)
    {
        // Removes the files of a failed attempt.
        new LogSegment(_fileSystem, _directory, baseOffset, 0, 0, _now.UnixMilliseconds, LogFileNames.CleanedSuffix).DeleteFiles();
        _segments.Add(LogSegment.Create(_fileSystem, _directory, baseOffset, jitter: 0, _now.UnixMilliseconds, LogFileNames.CleanedSuffix));
    }

    private void Finish(LogSegment segment)
    {
        segment.OnBecomeInactive(_config);
        segment.Flush();
        segment.LastWriteMs = LastWriteMs;
    }
}
