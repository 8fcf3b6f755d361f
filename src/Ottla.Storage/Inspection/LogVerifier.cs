using Ottla.Kernel;
using Ottla.Storage.Files;
using Ottla.Storage.Log;
using Ottla.Storage.Upkeep;

namespace Ottla.Storage.Inspection;

/// <summary>
/// Checks log directories, or directories of single partitions, while no broker uses them, and reports the problems. Never writes to them.
/// </summary>
/// <remarks>Owned by one command.</remarks>
public sealed class LogVerifier(IFileSystem fileSystem, Action<LogFinding> report)
{
    private readonly Dictionary<string, Uuid> _topicIds = new(StringComparer.Ordinal);

    /// <summary>Checks a directory with all its content.</summary>
    /// <param name="directory">The absolute path of a log directory or of a partition's.</param>
    public void Verify(string directory) => TryRead(directory, () => VerifyReadable(directory));

    private void VerifyReadable(string directory)
    {
        var isPartition = TryParseLog(Path.GetFileName(directory), out var partition)
            && !fileSystem.FileExists(Path.Combine(directory, MetaProperties.Name));
        var logDirectory = isPartition ? Path.GetDirectoryName(directory)! : directory;
        CheckLock(logDirectory);
        string[] names =
        [
            OffsetCheckpointFile.RecoveryPoint, OffsetCheckpointFile.LogStartOffset, OffsetCheckpointFile.HighWatermark,
            OffsetCheckpointFile.Cleaner,
        ];
        var checkpoints = names.ToDictionary(name => name, name => ReadCheckpoint(logDirectory, name));
        var wasClean = CleanShutdownFile.Exists(fileSystem, logDirectory);
        if (isPartition)
        {
            VerifyPartition(directory, partition, checkpoints, wasClean);
            return;
        }

        if (!wasClean)
            report(new LogFinding(
                FindingSeverity.Info, directory, null, null,
                "the broker did not shut down cleanly, or it runs now: the next start recovers what was not flushed"));
        TryRead(directory, () => CheckProperties(directory));
        foreach (var name in fileSystem.ListFiles(directory))
            CheckName(directory, name);
        foreach (var name in fileSystem.ListDirectories(directory))
        {
            var path = Path.Combine(directory, name);
            if (name.EndsWith(LogFileNames.DeleteDirectorySuffix, StringComparison.Ordinal))
                report(new LogFinding(FindingSeverity.Info, path, null, null, "the log is being deleted"));
            else if (name.EndsWith(LogFileNames.StrayDirectorySuffix, StringComparison.Ordinal))
                report(new LogFinding(FindingSeverity.Warning, path, null, null, "the log is a stray: no metadata has it"));
            else if (TryParseLog(name, out var found))
                TryRead(path, () => VerifyPartition(path, found, checkpoints, wasClean));
            else
                report(new LogFinding(FindingSeverity.Warning, path, null, null, "the directory does not belong to a log"));
        }
    }

    private static bool TryParseLog(string name, out TopicPartition partition) =>
        LogFileNames.TryParseDirectory(name, out partition) || LogFileNames.TryParseFuture(name, out partition);

    /// <summary>Runs a check. Reports an unreadable file, and lets the caller go on with the others.</summary>
    private void TryRead(string path, Action check)
    {
        try
        {
            check();
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            report(new LogFinding(FindingSeverity.Error, path, null, null, $"a part cannot be read: {failure.Message}"));
        }
    }

    private void VerifyPartition(
        string path, TopicPartition partition, Dictionary<string, Dictionary<TopicPartition, long>> checkpoints, bool wasClean)
    {
        var recoveryPoint = checkpoints[OffsetCheckpointFile.RecoveryPoint].GetValueOrDefault(partition);
        var verifier = new PartitionVerifier(
            fileSystem, path, checkpoints[OffsetCheckpointFile.Cleaner].ContainsKey(partition), wasClean ? long.MaxValue : recoveryPoint,
            report);
        verifier.Verify();
        CheckTopicId(path, partition);
        if (path.EndsWith(LogFileNames.FutureDirectorySuffix, StringComparison.Ordinal))
            return; // the checkpoints are those of the log that it will replace
        foreach (var (name, offsets) in checkpoints)
        {
            if (offsets.TryGetValue(partition, out var offset) && offset > verifier.EndOffset)
                report(new LogFinding(
                    FindingSeverity.Error, Path.Combine(Path.GetDirectoryName(path)!, name), null, offset,
                    $"{partition} has offset {offset}, past the log's end, {verifier.EndOffset}"));
            else if (offset < 0)
                report(new LogFinding(
                    FindingSeverity.Error, Path.Combine(Path.GetDirectoryName(path)!, name), null, offset,
                    $"{partition} has the negative offset {offset}"));
        }
    }

    private void CheckTopicId(string path, TopicPartition partition)
    {
        var file = Path.Combine(path, LogFileNames.PartitionMetadata);
        try
        {
            var id = PartitionMetadataFile.Read(fileSystem, path);
            if (id is null && partition.Topic != "__cluster_metadata")
                report(new LogFinding(FindingSeverity.Warning, file, null, null, "the file is missing, so the topic's id is unknown"));
            else if (id is { } known && !_topicIds.TryAdd(partition.Topic, known) && _topicIds[partition.Topic] != known)
                report(new LogFinding(
                    FindingSeverity.Error, file, null, null,
                    $"the topic id is {known}, but another partition of the topic has {_topicIds[partition.Topic]}"));
        }
        catch (InvalidDataException failure)
        {
            report(new LogFinding(FindingSeverity.Error, file, null, null, failure.Message));
        }
    }

    private void CheckProperties(string directory)
    {
        var path = Path.Combine(directory, MetaProperties.Name);
        try
        {
            var properties = MetaProperties.Read(fileSystem, directory);
            if (properties is null)
                report(new LogFinding(FindingSeverity.Error, path, null, null, "the file is missing: the log directory is not formatted"));
            else if (properties.ClusterId is null || properties.NodeId is null
                || (properties.Version > 0 && properties.DirectoryId is null))
                report(new LogFinding(FindingSeverity.Error, path, null, null, "cluster.id, node.id or directory.id is missing"));
        }
        catch (InvalidDataException failure)
        {
            report(new LogFinding(FindingSeverity.Error, path, null, null, failure.Message));
        }
    }

    private void CheckName(string directory, string name)
    {
        if (name.EndsWith(FileSystemExtensions.TemporarySuffix, StringComparison.Ordinal))
            report(new LogFinding(
                FindingSeverity.Warning, Path.Combine(directory, name), null, null,
                "an interrupted write of a checkpoint left this file"));
        else if (!LogDump.CanDump(name) && name is not (LogDirectory.LockName or CleanShutdownFile.Name))
            report(new LogFinding(
                FindingSeverity.Warning, Path.Combine(directory, name), null, null, "the file does not belong in a log directory"));
    }

    private Dictionary<TopicPartition, long> ReadCheckpoint(string directory, string name)
    {
        try
        {
            return new OffsetCheckpointFile(fileSystem, directory, name).Read();
        }
        catch (Exception failure) when (failure is InvalidDataException or IOException or UnauthorizedAccessException)
        {
            report(new LogFinding(FindingSeverity.Error, Path.Combine(directory, name), null, null, failure.Message));
            return [];
        }
    }

    /// <summary>Tries the lock only if its file exists, because trying creates the file.</summary>
    private void CheckLock(string directory)
    {
        var path = Path.Combine(directory, LogDirectory.LockName);
        if (!fileSystem.FileExists(path))
            return;
        try
        {
            using var held = fileSystem.TryLock(path);
            if (held is null)
                report(new LogFinding(
                    FindingSeverity.Warning, path, null, null,
                    "a running broker uses the directory: problems at the ends of logs may be writes in progress"));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            report(new LogFinding(
                FindingSeverity.Info, path, null, null, $"cannot tell whether a broker uses the directory: {failure.Message}"));
        }
    }
}
