using System.Globalization;
using Microsoft.Extensions.Logging;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Raft;
using Ottla.Storage.Files;

namespace Ottla.Broker.Hosts;

/// <summary>
/// The snapshot files of the metadata log: <c>&lt;20-digit end offset&gt;-&lt;10-digit epoch&gt;.checkpoint</c> in its directory.
/// </summary>
/// <remarks>
/// Safe from any thread as long as no two write the same snapshot; but a snapshot that comes in pieces (<see cref="WritePiece"/>,
/// <see cref="Complete"/>) belongs to the loop that owns the log.
/// </remarks>
internal sealed partial class MetadataSnapshotFiles(IFileSystem fileSystem, string directory, ILogger logger)
{
    private const string Suffix = ".checkpoint";
    private const string PartSuffix = ".checkpoint.part";
    private const string DeletedSuffix = ".checkpoint.deleted";
    private const int OffsetDigits = 20;
    private const int EpochDigits = 10;

    private (LogPosition Id, IFile File)? _part;

    /// <summary>The file of a snapshot.</summary>
    public static string NameOf(LogPosition id) => string.Create(CultureInfo.InvariantCulture, $"{id.Offset:D20}-{id.Epoch:D10}{Suffix}");

    /// <summary>Reads the id from a file's name.</summary>
    public static bool TryParse(string fileName, out LogPosition id)
    {
        id = default;
        if (fileName.Length != OffsetDigits + 1 + EpochDigits + Suffix.Length || fileName[OffsetDigits] != '-'
            || !fileName.EndsWith(Suffix, StringComparison.Ordinal)
            || !long.TryParse(fileName.AsSpan(0, OffsetDigits), NumberStyles.None, CultureInfo.InvariantCulture, out var offset)
            || !int.TryParse(
                fileName.AsSpan(OffsetDigits + 1, EpochDigits), NumberStyles.None, CultureInfo.InvariantCulture, out var epoch))
            return false;
        id = new LogPosition(offset, epoch);
        return true;
    }

    /// <summary>Removes what was being written or deleted when the last process ended, and lists the snapshots, oldest first.</summary>
    public List<LogPosition> Recover()
    {
        var ids = new List<LogPosition>();
        foreach (var name in fileSystem.ListFiles(directory))
        {
            if (name.EndsWith(PartSuffix, StringComparison.Ordinal) || name.EndsWith(DeletedSuffix, StringComparison.Ordinal))
                fileSystem.Delete(Path.Combine(directory, name));
            else if (TryParse(name, out var id))
                ids.Add(id);
        }

        ids.Sort();
        return ids;
    }

    /// <summary>Writes a snapshot: <c>.part</c>, fsync, rename, fsync of the directory.</summary>
    public void Write(LogPosition id, IEnumerable<byte[]> batches)
    {
        var path = Path.Combine(directory, NameOf(id));
        var part = PartOf(id);
        try
        {
            using (var file = fileSystem.Open(part, FileOpenMode.CreateOrTruncate))
            {
                var position = 0L;
                foreach (var batch in batches)
                {
                    file.Write(position, batch);
                    position += batch.Length;
                }

                file.Flush();
            }

            fileSystem.Rename(part, path);
        }
        catch (DiskFullException)
        {
            fileSystem.Delete(part);
            throw;
        }

        fileSystem.FlushDirectory(directory);
        LogWritten(logger, path);
    }

    /// <summary>Writes a piece of a snapshot that comes from the leader. The piece at 0 begins it, and gives up any other.</summary>
    public void WritePiece(LogPosition id, long position, ReadOnlySpan<byte> bytes)
    {
        if (position == 0)
        {
            Abandon();
            _part = (id, fileSystem.Open(PartOf(id), FileOpenMode.CreateOrTruncate));
        }

        if (_part is not { } part || part.Id != id || part.File.Length != position)
            throw new InvalidOperationException($"The piece at {position} is not the next one of the snapshot {NameOf(id)}.");
        part.File.Write(position, bytes);
    }

    /// <summary>The snapshot that came in pieces is all there: checks it and makes it survive power loss under its name.</summary>
    /// <returns>What it says of the quorum.</returns>
    /// <exception cref="ProtocolException">It is not whole; it is deleted.</exception>
    public MetadataSnapshot Complete(LogPosition id)
    {
        if (_part is not { } part || part.Id != id)
            throw new InvalidOperationException($"The snapshot {NameOf(id)} is not being written.");
        MetadataSnapshot snapshot;
        try
        {
            snapshot = Read(part.File, NameOf(id), controlOnly: true);
        }
        catch (ProtocolException)
        {
            Abandon();
            throw;
        }

        part.File.Flush();
        part.File.Dispose();
        _part = null;
        var path = Path.Combine(directory, NameOf(id));
        fileSystem.Rename(PartOf(id), path);
        fileSystem.FlushDirectory(directory);
        LogFetched(logger, path);
        return snapshot;
    }

    /// <summary>Gives up the snapshot that is coming in pieces, if there is one.</summary>
    public void Abandon()
    {
        if (_part is not { } part)
            return;
        _part = null;
        part.File.Dispose();
        fileSystem.Delete(PartOf(part.Id));
    }

    /// <summary>Reads a snapshot, wholly checked.</summary>
    /// <exception cref="ProtocolException">It is not whole.</exception>
    public MetadataSnapshot Read(LogPosition id, bool controlOnly = false)
    {
        using var file = Open(id);
        return Read(file, NameOf(id), controlOnly);
    }

    /// <summary>Opens the file of a snapshot for reading.</summary>
    public IFile Open(LogPosition id) => fileSystem.Open(Path.Combine(directory, NameOf(id)), FileOpenMode.ReadExisting);

    /// <summary>Reads a snapshot from its open file, wholly checked.</summary>
    /// <exception cref="ProtocolException">It is not whole.</exception>
    public static MetadataSnapshot Read(IFile file, string name, bool controlOnly)
    {
        var reader = new SnapshotReader(controlOnly);
        Span<byte> head = stackalloc byte[RecordBatchLayout.SizeAndMagicBytes];
        for (var position = 0L; position < file.Length;)
        {
            var read = file.Read(position, head);
            if (!RecordBatchView.TryReadSize(head[..read], out var size, out _) || size > file.Length - position)
                throw new MalformedMessageException($"The snapshot {name} ends in the middle of a batch.");
            var batch = new byte[size];
            file.ReadExactly(position, batch);
            reader.Add(batch);
            position += size;
        }

        return reader.Finish();
    }

    /// <summary>The size of a snapshot, in bytes.</summary>
    public long SizeOf(LogPosition id) => fileSystem.GetLength(Path.Combine(directory, NameOf(id)));

    /// <summary>Deletes a snapshot.</summary>
    public void Delete(LogPosition id)
    {
        var path = Path.Combine(directory, NameOf(id));
        fileSystem.Delete(path);
        LogDeleted(logger, path);
    }

    /// <summary>The voters as a snapshot carries them: none with static voters.</summary>
    public static VotersRecord? VotersOf(QuorumHistory history, long endOffset) =>
        history.KRaftVersionAt(endOffset) > 0 ? history.VotersAt(endOffset).ToRecord() : null;

    [LoggerMessage(Level = LogLevel.Information, Message = "Wrote the metadata snapshot {Path}")]
    private static partial void LogWritten(ILogger logger, string path);

    private string PartOf(LogPosition id) => Path.Combine(directory, NameOf(id)[..^Suffix.Length] + PartSuffix);

    [LoggerMessage(Level = LogLevel.Information, Message = "Fetched the metadata snapshot {Path}")]
    private static partial void LogFetched(ILogger logger, string path);

    [LoggerMessage(Level = LogLevel.Information, Message = "Deleted the metadata snapshot {Path}")]
    private static partial void LogDeleted(ILogger logger, string path);
}
