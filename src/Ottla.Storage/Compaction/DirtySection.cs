using Ottla.Storage.Log;
using Ottla.Storage.Producers;

namespace Ottla.Storage.Compaction;

/// <summary>The part of a log that compaction may work on.</summary>
/// <param name="FirstDirtyOffset">All before it is compacted.</param>
/// <param name="EndOffset">The end of the last segment that may be compacted.</param>
/// <param name="CleanBytes">Bytes of the segments that begin before the first dirty offset.</param>
/// <param name="DirtyBytes">Bytes of the segments with dirty records that may be compacted.</param>
/// <param name="IsOverdue"><c>max.compaction.lag.ms</c> has passed for the oldest dirty segment.</param>
internal sealed record DirtySection(long FirstDirtyOffset, long EndOffset, long CleanBytes, long DirtyBytes, bool IsOverdue)
{
    /// <summary>The part of the log that is dirty, 0 to 1.</summary>
    public double DirtyRatio => CleanBytes + DirtyBytes == 0 ? 0 : (double)DirtyBytes / (CleanBytes + DirtyBytes);

    /// <summary>Whether compaction is worth it, as the topic's configuration says.</summary>
    public bool IsDue(LogConfig config) => (IsOverdue && DirtyBytes > 0) || DirtyRatio > config.MinCleanableDirtyRatio;
}

/// <summary>A segment to compact, as it was at the start of the compaction.</summary>
/// <param name="Segment">The segment; only its log uses it.</param>
/// <param name="BaseOffset">The first offset it may have.</param>
/// <param name="NextBaseOffset">The base offset of the next segment.</param>
/// <param name="SizeBytes">Bytes of its batches.</param>
/// <param name="IndexBytes">Bytes of the larger of its indexes.</param>
/// <param name="LastWriteMs">When it was last written.</param>
internal sealed record SourceSegment(
    LogSegment Segment, long BaseOffset, long NextBaseOffset, long SizeBytes, long IndexBytes, long LastWriteMs);

/// <summary>The state of a log that a compaction starts from.</summary>
/// <param name="Generation">Changes when segments are cut or removed, which makes the compaction void.</param>
/// <param name="Config">The topic's configuration.</param>
/// <param name="Segments">The segments before the end of the dirty section, also clean ones.</param>
/// <param name="LastRecords">The last record of each producer.</param>
/// <param name="HighWatermark">The high watermark.</param>
internal sealed record CleaningSource(
    int Generation, LogConfig Config, IReadOnlyList<SourceSegment> Segments, IReadOnlyDictionary<long, LastRecordOfProducer> LastRecords,
    long HighWatermark)
{
    /// <summary>Groups segments that fit into one after compaction, even if no record is dropped.</summary>
    /// <param name="endOffset">Only segments that begin before it.</param>
    public IEnumerable<IReadOnlyList<SourceSegment>> Groups(long endOffset)
    {
        var group = new List<SourceSegment>();
        long sizeBytes = 0;
        long indexBytes = 0;
        foreach (var segment in Segments.TakeWhile(segment => segment.BaseOffset < endOffset))
        {
            sizeBytes += segment.SizeBytes;
            indexBytes += segment.IndexBytes;
            var fits = group.Count == 0
                || (sizeBytes <= Config.SegmentBytes && indexBytes <= Config.SegmentIndexBytes
                    && (segment.SizeBytes == 0 || segment.NextBaseOffset - 1 - group[0].BaseOffset <= int.MaxValue));
            if (!fits)
            {
                yield return group;
                (group, sizeBytes, indexBytes) = ([], segment.SizeBytes, segment.IndexBytes);
            }

            group.Add(segment);
        }

        if (group.Count > 0)
            yield return group;
    }
}

/// <summary>The log was closed, cut, or lost segments during its compaction; the compaction stops and its work is discarded.</summary>
internal sealed class CleaningVoidException(string message) : Exception(message);
