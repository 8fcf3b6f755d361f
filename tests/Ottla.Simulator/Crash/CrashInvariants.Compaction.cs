using Ottla.Storage.Log;

namespace Ottla.Simulator.Crash;

/// <content>What compaction may take out of a log, and what it may not.</content>
internal static partial class CrashInvariants
{
    private enum Fate
    {
        Open,
        Committed,
        Aborted,
    }

    /// <summary>Everything that was flushed is there, or compaction had a reason to drop it that is still there.</summary>
    private static void CheckCompacted(LogModel model, PartitionLog log, List<WrittenBatch> found, List<WrittenBatch> actual)
    {
        var kept = actual.SelectMany(batch => batch.Records()).Select(record => record.Offset).ToHashSet();
        var lineage = Lineage(model, log, found);
        var fates = FatesOf(model, lineage);
        var committed = lineage.Where((batch, index) => fates[index] == Fate.Committed && !batch.View.IsControl)
            .SelectMany(batch => batch.Records()).ToList();
        var latestKept = LatestOffsets(committed.Where(record => kept.Contains(record.Offset)));
        var latestTombstone = LatestOffsets(committed.Where(record => record.Value is null && record.Offset < model.CompactedTo));
        foreach (var (batch, fate) in lineage.Zip(fates))
        {
            foreach (var record in batch.Records().Where(
                record => record.Offset >= log.LogStartOffset && !kept.Contains(record.Offset) && !model.Lost.Contains(record.Offset)))
            {
                if (record.Offset >= model.FlushedEndOffset || model.TruncatesTo is not null)
                {
                    model.Lost.Add(record.Offset);
                    continue;
                }

                Demand(record.Offset < model.CompactedTo, model,
                    $"{batch} was flushed (to {model.FlushedEndOffset}), not compacted (to {model.CompactedTo}), and offset "
                        + $"{record.Offset} is gone");
                var isReplaced = record.Key is { } key && (
                    latestKept.GetValueOrDefault(key, -1) > record.Offset || latestTombstone.GetValueOrDefault(key, -1) >= record.Offset);
                var mayGo = batch.View.IsControl || fate == Fate.Aborted || (fate == Fate.Committed && isReplaced);
                Demand(mayGo, model,
                    $"offset {record.Offset} of {batch} was flushed (to {model.FlushedEndOffset}) and is {fate}, and is gone while "
                        + $"nothing replaces key {record.Key}");
            }
        }

        foreach (var record in committed.Where(
            record => kept.Contains(record.Offset) && record.Key is not null && record.Offset >= log.LogStartOffset))
        {
            var tombstone = latestTombstone.GetValueOrDefault(record.Key!, -1);
            var isBack = tombstone > record.Offset && !latestKept.Any(latest => latest.Key == record.Key && latest.Value >= tombstone)
                && !model.Lost.Contains(tombstone);
            Demand(!isBack, model, $"key {record.Key} at offset {record.Offset} is back: its tombstone at {tombstone} is gone");
        }
    }

    /// <summary>The batches that the log was made of, oldest first, before compaction took some of them out.</summary>
    private static List<WrittenBatch> Lineage(LogModel model, PartitionLog log, List<WrittenBatch> found)
    {
        var tip = model.Tip;
        if (found.LastOrDefault() is { } last && tip?.Backwards().Any(batch => ReferenceEquals(batch, last)) != true)
            tip = last; // its append was not answered
        return [.. (tip?.Backwards() ?? []).Where(batch => batch.LastOffset < log.LogEndOffset).Reverse()];
    }

    /// <summary>
    /// What became of each batch's transaction. What was compacted had a marker then, which may be truncated since: as with Kafka, after a
    /// restart a log does not know any more that a transaction is unstable whose marker is above the high watermark. The transaction is
    /// open again, but its outcome stands: the coordinator does not change its mind, and sends the marker again.
    /// </summary>
    private static Fate[] FatesOf(LogModel model, List<WrittenBatch> lineage)
    {
        var fates = new Fate[lineage.Count];
        var decided = new Dictionary<long, Fate>();
        for (var i = lineage.Count - 1; i >= 0; i--)
        {
            var batch = lineage[i].View;
            if (batch.IsControl)
                decided[batch.ProducerId] = FateBy(ReplayedProducers.IsAbort(lineage[i]));
            if (batch.IsControl || !batch.IsTransactional)
                fates[i] = Fate.Committed;
            else if (!decided.TryGetValue(batch.ProducerId, out fates[i]) && batch.LastOffset < model.CompactedTo
                && model.OutcomeOf(lineage[i]) is { } isAbort)
                fates[i] = FateBy(isAbort);
        }

        return fates;
    }

    private static Fate FateBy(bool isAbort) => isAbort ? Fate.Aborted : Fate.Committed;

    private static Dictionary<string, long> LatestOffsets(IEnumerable<WrittenRecord> records) =>
        records.Where(record => record.Key is not null).GroupBy(record => record.Key!)
        .ToDictionary(key => key.Key, key => key.Max(record => record.Offset));
}
