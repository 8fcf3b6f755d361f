using Ottla.Simulator.Disk;
using Ottla.Storage.Files;
using Ottla.Storage.Log;

namespace Ottla.Simulator.Crash;

/// <summary>
/// A bug that Ottla does not have, and that a <see cref="CrashSimulation"/> has to find: a flush that is left out, or comes too late, or a
/// file that is not deleted.
/// </summary>
/// <param name="Name">What is wrong.</param>
/// <param name="Inject">Makes a disk on which Ottla has the bug.</param>
public sealed record InjectedBug(string Name, Action<SimDisk> Inject)
{
    /// <summary>All that are known.</summary>
    public static IReadOnlyList<InjectedBug> All { get; } =
    [
        LeftOut("batches are not flushed", path => path.EndsWith(LogFileNames.LogSuffix, StringComparison.Ordinal)),
        LeftOut("checkpoints are renamed before they are flushed",
            path => path.EndsWith(FileSystemExtensions.TemporarySuffix, StringComparison.Ordinal)),
        LeftOut("transaction indexes are not flushed",
            path => path.EndsWith(LogFileNames.TransactionIndexSuffix, StringComparison.Ordinal)),
        LeftOut("time indexes are not flushed", path => path.EndsWith(LogFileNames.TimeIndexSuffix, StringComparison.Ordinal)),
        LeftOutForDirectories("the names of a log's files are not flushed", path => path != CrashMachine.LogDirectory),
        LeftOutForDirectories("the names in the log directory are not flushed", path => path == CrashMachine.LogDirectory),
        new InjectedBug(
            "the recovery point is written before the batches are",
            disk => disk.Faults.PostponesFlush = path => path.EndsWith(LogFileNames.LogSuffix, StringComparison.Ordinal)),
        LeftOut("compacted segments are renamed before they are flushed",
            path => path.EndsWith(LogFileNames.LogSuffix + LogFileNames.CleanedSuffix, StringComparison.Ordinal)),
        LeftOut(
            "the indexes of compacted segments are not flushed",
            path => path.EndsWith(LogFileNames.CleanedSuffix, StringComparison.Ordinal)
                && !path.EndsWith(LogFileNames.LogSuffix + LogFileNames.CleanedSuffix, StringComparison.Ordinal)),
        NotDeleted("the files of removed segments stay", path => path.EndsWith(LogFileNames.DeletedSuffix, StringComparison.Ordinal)),
        NotDeleted("what interrupted compactions leave stays", path => path.EndsWith(LogFileNames.CleanedSuffix, StringComparison.Ordinal)),
    ];

    /// <inheritdoc/>
    public override string ToString() => Name;

    private static InjectedBug LeftOut(string name, Func<string, bool> isLeftOut) =>
        new(name, disk => disk.Faults.IgnoresFlush = (operation, path) => operation == FileOperation.Flush && isLeftOut(path));

    private static InjectedBug NotDeleted(string name, Func<string, bool> isLeft) => new(name, disk => disk.Faults.IgnoresDelete = isLeft);

    private static InjectedBug LeftOutForDirectories(string name, Func<string, bool> isLeftOut) =>
        new(name, disk => disk.Faults.IgnoresFlush = (operation, path) => operation == FileOperation.FlushDirectory && isLeftOut(path));
}
