using Ottla.Storage.Log;

namespace Ottla.Simulator.Crash;

/// <content>What files there may be.</content>
internal static partial class CrashInvariants
{
    private static readonly string[] s_segmentSuffixes =
        [LogFileNames.LogSuffix, LogFileNames.OffsetIndexSuffix, LogFileNames.TimeIndexSuffix, LogFileNames.TransactionIndexSuffix];

    /// <summary>
    /// Right after it was opened, a log has no file that it does not own: nothing is left of deletions, of compactions, of segments that
    /// were dropped, or of checkpoints half written.
    /// </summary>
    /// <exception cref="SimulationException">There is one.</exception>
    public static void CheckFiles(LogModel model, PartitionLog log, IReadOnlyCollection<string> paths)
    {
        var names = paths.Where(path => Path.GetDirectoryName(path) == log.Directory).Select(Path.GetFileName).ToList();
        var segments = new SortedSet<long>();
        foreach (var name in names)
        {
            if (IsOf(name!, [LogFileNames.LogSuffix], out var offset))
                segments.Add(offset);
        }

        Demand(
            segments.Count == log.SegmentCount && segments.Min == log.FirstSegmentOffset && segments.Max == log.ActiveSegmentOffset,
            model,
            $"its {log.SegmentCount} segments are from {log.FirstSegmentOffset} to {log.ActiveSegmentOffset}, and there are files of "
                + $"those at {string.Join(", ", segments)}");
        foreach (var name in names)
        {
            var isOwned = name is LogFileNames.LeaderEpochCheckpoint or LogFileNames.PartitionMetadata
                || (IsOf(name!, s_segmentSuffixes, out var offset) && segments.Contains(offset))
                || (IsOf(name!, [LogFileNames.ProducerSnapshotSuffix], out var snapshot)
                    && (segments.Contains(snapshot) || snapshot == log.LogEndOffset));
            Demand(isOwned, model, $"the file {name} is nobody's");
        }
    }

    /// <summary>Whether a file is one that waits for its deletion, or is in a directory that does.</summary>
    public static bool IsDeleted(string path) =>
        path.EndsWith(LogFileNames.DeletedSuffix, StringComparison.Ordinal)
        || Path.GetDirectoryName(path)!.EndsWith(LogFileNames.DeleteDirectorySuffix, StringComparison.Ordinal);

    private static bool IsOf(string name, string[] suffixes, out long offset) =>
        LogFileNames.TryParseOffset(name, out offset) && suffixes.Contains(name[name.IndexOf('.', StringComparison.Ordinal)..]);
}
