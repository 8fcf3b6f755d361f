using Ottla.Storage.Files;
using Ottla.Storage.Log;

namespace Ottla.Storage.Producers;

internal sealed partial class ProducerStateManager
{
    /// <summary>Whether a snapshot was made since <see cref="FlushSnapshots"/>. A flush of the directory makes its name durable.</summary>
    public bool HasNewSnapshots { get; private set; }

    /// <summary>Finds the snapshots on disk.</summary>
    public void LoadSnapshotOffsets(IEnumerable<string> fileNames)
    {
        _snapshots.Clear();
        foreach (var name in fileNames)
        {
            if (name.EndsWith(LogFileNames.ProducerSnapshotSuffix, StringComparison.Ordinal)
                && LogFileNames.TryParseOffset(name, out var offset))
                _snapshots.Add(offset);
        }
    }

    /// <summary>
    /// Deletes snapshots that belong to no segment, except the latest if it is newer than every segment: the one of the last
    /// clean shutdown.
    /// </summary>
    public void RemoveStraySnapshots(IReadOnlyCollection<long> segmentBaseOffsets)
    {
        var lastSegment = segmentBaseOffsets.Count == 0 ? long.MinValue : segmentBaseOffsets.Max();
        var strays = _snapshots.Where(offset => !segmentBaseOffsets.Contains(offset)).ToList();
        foreach (var offset in strays)
        {
            if (offset != strays[^1] || offset < lastSegment)
                DeleteSnapshot(offset);
        }
    }

    /// <summary>Writes a snapshot of the state at <see cref="EndOffset"/>, unless the latest is as new.</summary>
    /// <param name="sync">Whether to fsync now; otherwise <see cref="FlushSnapshots"/> does.</param>
    /// <param name="isRequired">
    /// Whether a full disk is an error. Otherwise the next start replays the log from an older snapshot, which takes longer.
    /// </param>
    public void TakeSnapshot(bool sync, bool isRequired = false)
    {
        if (EndOffset <= _snapshotOffset)
            return;
        var path = SnapshotPath(EndOffset);
        try
        {
            ProducerSnapshotFile.Write(fileSystem, path, _producers.Values, sync);
        }
        catch (DiskFullException)
        {
            fileSystem.Delete(path);
            if (isRequired)
                throw;
            return;
        }

        if (!sync)
            _unsyncedSnapshots.Add(path);
        _snapshots.Add(EndOffset);
        _snapshotOffset = EndOffset;
        HasNewSnapshots = true;
    }

    /// <summary>Makes the snapshots durable that were written without a flush. The caller flushes the directory.</summary>
    public void FlushSnapshots()
    {
        HasNewSnapshots = false;
        foreach (var path in _unsyncedSnapshots)
        {
            if (!fileSystem.FileExists(path))
                continue;
            using var file = fileSystem.Open(path, FileOpenMode.Existing);
            file.Flush();
        }

        _unsyncedSnapshots.Clear();
    }

    /// <summary>Deletes the snapshot of a segment that is gone.</summary>
    public void DeleteSnapshot(long offset)
    {
        if (_snapshots.Remove(offset))
            fileSystem.Delete(SnapshotPath(offset));
    }

    /// <summary>Deletes the snapshots after an offset, because the log ends there or may have changed since they were taken.</summary>
    /// <returns>Whether there were any.</returns>
    public bool DeleteSnapshotsAfter(long offset) => DeleteSnapshots(snapshot => snapshot > offset);

    /// <summary>Notes the new name of the directory.</summary>
    public void MovedTo(string directory)
    {
        _directory = directory;
        _unsyncedSnapshots.Clear();
    }

    private bool DeleteSnapshots(Predicate<long> isUnwanted)
    {
        var unwanted = _snapshots.Where(offset => isUnwanted(offset)).ToList();
        unwanted.ForEach(DeleteSnapshot);
        return unwanted.Count > 0;
    }

    /// <summary>Writes the state to another directory, and uses the snapshots there from now on.</summary>
    public void CopyTo(string directory)
    {
        MovedTo(directory);
        LoadSnapshotOffsets(fileSystem.ListFiles(directory));
        _snapshotOffset = -1;
        TakeSnapshot(sync: true, isRequired: true);
    }

    /// <summary>Undoes <see cref="CopyTo"/>.</summary>
    public void ReturnTo(string directory)
    {
        MovedTo(directory);
        LoadSnapshotOffsets(fileSystem.ListFiles(directory));
        _snapshotOffset = LatestSnapshotOffset ?? 0;
    }

    private string SnapshotPath(long offset) =>
        Path.Combine(_directory, LogFileNames.ForOffset(offset, LogFileNames.ProducerSnapshotSuffix));
}
