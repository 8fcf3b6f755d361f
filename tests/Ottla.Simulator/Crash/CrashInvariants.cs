using Ottla.Protocol.Batches;
using Ottla.Storage.Log;
using Ottla.Storage.Producers;

namespace Ottla.Simulator.Crash;

/// <summary>What must hold of a log that was opened again, whatever happened before.</summary>
internal static partial class CrashInvariants
{
    private const int ReadBytesMax = 64 * 1024;

    /// <summary>Checks a recovered log against its model, which takes over what was found.</summary>
    /// <exception cref="SimulationException">Something does not hold.</exception>
    public static void Check(LogModel model, PartitionLog log)
    {
        Demand(log.TopicId == model.TopicId, model, $"it has the topic id {log.TopicId}");
        var (found, actual) = ReadAll(model, log);
        CheckOffsets(model, log, found);
        if (model.IsCompacted)
            CheckCompacted(model, log, found, actual);
        else
            CheckFlushed(model, log, found);
        CheckEpochs(model, log, found);
        var kept = (found.LastOrDefault()?.Backwards() ?? []).Where(batch => !model.IsLost(batch)).Reverse().ToList();
        CheckProducers(model, log, kept, actual);
        CheckAborted(model, log, kept, actual);
        CheckLookups(model, log, actual);
        var maxTimestamp = actual.Count == 0 ? -1 : actual.Max(batch => batch.View.MaxTimestamp);
        // The records that remain of the first batch may be older ones.
        Demand(log.OffsetOfMaxTimestamp().TimestampMs <= maxTimestamp || log.LogStartOffset > log.FirstSegmentOffset, model,
            $"its greatest timestamp is {log.OffsetOfMaxTimestamp().TimestampMs}, not {maxTimestamp}");
        model.Tip = model.IsCompacted
            ? Lineage(model, log, found).LastOrDefault()
            : found.LastOrDefault() ?? model.Tip?.Backwards().FirstOrDefault(batch => batch.LastOffset < log.LogStartOffset);
        model.ForgetLostFrom(log.LogEndOffset);
        model.LeaderEpoch = Math.Max(model.LeaderEpoch, log.LatestEpoch) + 1;
        model.TruncatesTo = null;
        model.Log = log;
    }

    /// <summary>A log that is not there must have had nothing to lose.</summary>
    /// <exception cref="SimulationException">It had.</exception>
    public static void CheckMissing(LogModel model)
    {
        var lost = model.Flushed().FirstOrDefault();
        Demand(model.MayBeGone || lost is null, model, $"the log is gone with {lost}, which was flushed");
    }

    /// <summary>
    /// Checks a log one of whose flushed batches is damaged: that one is gone, or does not match its checksum, and what else is there was
    /// written.
    /// </summary>
    /// <exception cref="SimulationException">Something does not hold.</exception>
    public static void CheckDamaged(LogModel model, PartitionLog log, long baseOffset)
    {
        for (var next = log.LogStartOffset; ;)
        {
            using var slice = log.Read(next, 1, minOneBatch: true, long.MaxValue).Slice;
            if (slice is null)
                return;
            var bytes = new byte[slice.Length];
            slice.Read(0, bytes);
            var batch = new RecordBatchView(bytes);
            Demand(batch.IsCrcValid ? model.Find(bytes).Any() : batch.BaseOffset == baseOffset, model,
                $"the batch at offset {batch.BaseOffset} was changed, and not that at {baseOffset}");
            Demand(batch.NextOffset > next, model, $"the batch at offset {batch.BaseOffset} comes after offset {next - 1}");
            next = batch.NextOffset;
        }
    }

    /// <summary>Reads every batch and finds out what it was when it was written.</summary>
    private static (List<WrittenBatch> Written, List<WrittenBatch> Actual) ReadAll(LogModel model, PartitionLog log)
    {
        var history = new FoundHistory(model, log.LogStartOffset);
        var actual = new List<WrittenBatch>();
        var next = log.LogStartOffset;
        while (true)
        {
            using var slice = log.Read(next, ReadBytesMax, minOneBatch: true, long.MaxValue).Slice;
            if (slice is null)
                break;
            var bytes = new byte[slice.Length];
            slice.Read(0, bytes);
            for (var rest = bytes.AsMemory(); !rest.IsEmpty;)
            {
                var batch = new RecordBatchView(rest.Span);
                var (baseOffset, size) = (batch.BaseOffset, batch.SizeInBytes);
                Demand(batch.IsCrcValid, model, $"the batch at offset {baseOffset} is corrupt");
                Demand(batch.LastOffset >= next, model, $"the batch at offset {baseOffset} comes after offset {next - 1}");
                var writers = model.Find(rest[..size]).ToList();
                if (writers.Count == 0)
                    writers = [.. model.FindTorn(rest[..size])];
                Demand(writers.Count > 0, model,
                    $"nobody wrote the batch at offset {baseOffset}: {new WrittenBatch(rest[..size], null)} of producer "
                        + $"{new RecordBatchView(rest.Span).ProducerId}, control {new RecordBatchView(rest.Span).IsControl}");
                Demand(history.TryAdd(writers), model,
                    $"{writers[0]} was written after {writers[0].Previous}, and now follows {history.Written().LastOrDefault()}; the log "
                        + $"starts at {log.LogStartOffset}");
                actual.Add(new WrittenBatch(rest[..size], null));
                next = batch.NextOffset;
                rest = rest[size..];
            }
        }

        var written = history.Written();
        foreach (var (batch, left) in written.Zip(actual))
        {
            if (batch.View.PartitionLeaderEpoch != left.View.PartitionLeaderEpoch)
                batch.LoseEpoch(left.View.PartitionLeaderEpoch);
        }

        return (written, actual);
    }

    private static void CheckOffsets(LogModel model, PartitionLog log, List<WrittenBatch> found)
    {
        // It may end later than its last batch: a follower's log has gaps, and may have rolled at the end of one.
        Demand(found.Count == 0
            || log.LogEndOffset > found[^1].LastOffset, model, $"it ends at {log.LogEndOffset}, before the end of {found.LastOrDefault()}");
        Demand(log.LogStartOffset <= log.LogEndOffset, model, $"it starts at {log.LogStartOffset} and ends at {log.LogEndOffset}");
        Demand(log.HighWatermark >= log.LogStartOffset && log.HighWatermark <= log.LogEndOffset, model,
            $"its high watermark {log.HighWatermark} is not in [{log.LogStartOffset}, {log.LogEndOffset}]");
        Demand(log.RecoveryPoint <= log.LogEndOffset, model, $"its recovery point {log.RecoveryPoint} is past its end {log.LogEndOffset}");
        Demand(log.LogStartOffset <= model.StartOffsetMax
            || found.Count == 0, model, $"it starts at {log.LogStartOffset}, which nobody asked for: {model.StartOffsetMax}");
        Demand(log.LastStableOffset <= log.HighWatermark, model,
            $"its last stable offset {log.LastStableOffset} is past its high watermark {log.HighWatermark}");
    }

    private static void CheckFlushed(LogModel model, PartitionLog log, List<WrittenBatch> found)
    {
        foreach (var batch in model.Flushed())
            Demand(found.Contains(batch), model,
                $"{batch} was flushed (to {model.FlushedEndOffset}) and is gone; there are {found.FirstOrDefault()} to "
                    + $"{found.LastOrDefault()}");
        foreach (var batch in found.LastOrDefault()?.Backwards().TakeWhile(batch => batch.LastOffset >= log.LogStartOffset) ?? [])
        {
            if (!found.Contains(batch))
                model.Lost.Add(batch.BaseOffset);
        }
    }

    private static void CheckEpochs(LogModel model, PartitionLog log, List<WrittenBatch> found)
    {
        foreach (var batch in found)
        {
            var offset = Math.Max(batch.BaseOffset, log.LogStartOffset);
            var epoch = log.EpochForOffset(offset);
            // Deleted records may come back when their deletion was not yet written down; their epoch does not.
            var isDeleted = epoch == -1 && offset < model.StartOffsetMax;
            var isLost = batch.LostEpoch is { } lost && epoch >= batch.View.PartitionLeaderEpoch && epoch <= lost;
            Demand(epoch == batch.View.PartitionLeaderEpoch || isDeleted || isLost, model,
                $"offset {offset} should be of epoch {epoch}, but there is {batch}");
        }

        foreach (var (earlier, later) in log.LeaderEpochs.Zip(log.LeaderEpochs.Skip(1)))
            Demand(earlier.Epoch < later.Epoch
                && earlier.StartOffset < later.StartOffset, model, $"its epochs {earlier} and {later} do not grow");
        Demand(log.LeaderEpochs.All(epoch => epoch.StartOffset <= log.LogEndOffset), model,
            $"an epoch begins past its end {log.LogEndOffset}");
    }

    /// <summary>
    /// Of the producers that it has batches of, the log must know what these say. It may know more, from batches that are gone, and it may
    /// know less of batches that are deleted: when a deletion was not yet written down these are back, and what was made of the log
    /// meanwhile does not have them.
    /// </summary>
    /// <param name="model">What the log was told.</param>
    /// <param name="log">The log.</param>
    /// <param name="kept">
    /// All batches that led to its last one, those that compaction or a deletion took too; not those that power loss took.
    /// </param>
    /// <param name="actual">The batches that are in it.</param>
    private static void CheckProducers(LogModel model, PartitionLog log, List<WrittenBatch> kept, List<WrittenBatch> actual)
    {
        var known = log.ActiveProducers();
        var ever = new ReplayedProducers(kept).Producers;
        var views = ViewsOf(model, actual).Select(view => view.Producers).ToList();
        foreach (var (producerId, expected) in views[0])
        {
            var producer = known.FirstOrDefault(producer => producer.ProducerId == producerId, new ActiveProducer(-1, -1, -1, -1, -1, -1));
            var holds = views.Any(
                view => view.TryGetValue(producerId, out var state) ? state.IsLike(producer, ever[producerId]) : producer.ProducerId < 0);
            Demand(holds, model,
                $"its batches leave producer {producerId} as {expected} (all together as {ever[producerId]}), the log knows it as "
                    + $"{producer}");
        }

        foreach (var producer in known)
        {
            Demand(model.Knows(producer.ProducerId), model, $"it knows producer {producer}, who never wrote");
            Demand(producer.CurrentTransactionStartOffset < log.LogEndOffset, model,
                $"{producer} has a transaction that starts past the log's end {log.LogEndOffset}");
            Demand(producer.CurrentTransactionStartOffset < 0 || log.LastStableOffset <= Math.Max(
                producer.CurrentTransactionStartOffset, log.LogStartOffset), model,
                    $"its last stable offset {log.LastStableOffset} is past the open transaction of {producer}");
        }
    }

    private static void CheckAborted(LogModel model, PartitionLog log, List<WrittenBatch> kept, List<WrittenBatch> actual)
    {
        var indexed = log.CollectAbortedTransactions(log.LogStartOffset, log.LogEndOffset)
            .Select(aborted => (aborted.ProducerId, aborted.FirstOffset, aborted.LastOffset)).ToList();
        // Of a transaction that began in deleted batches, the beginning may be forgotten, or the whole transaction; also when a damaged
        // checkpoint brings them back.
        var views = ViewsOf(model, actual).Select(view => view.Aborted.ToDictionary(aborted => (aborted.ProducerId, aborted.LastOffset)))
            .ToList();
        foreach (var aborted in views[0].Values)
        {
            var holds = views.Any(
                view => !view.TryGetValue((aborted.ProducerId, aborted.LastOffset), out var rest)
                || indexed.Any(known => IsFrom(rest, known)));
            Demand(holds, model, $"the aborted transaction {aborted} is in no transaction index");
        }

        var ever = new ReplayedProducers(kept).Aborted;
        foreach (var aborted in indexed)
            Demand(ever.Any(known => IsFrom(aborted, known)), model, $"{aborted} is indexed as an aborted transaction");
        Demand(indexed.Distinct().Count() == indexed.Count, model, "an aborted transaction is indexed twice");
    }

    /// <summary>
    /// What the batches of a log say of its producers: all of them first, then without one more of those that were deleted.
    /// </summary>
    private static IEnumerable<ReplayedProducers> ViewsOf(LogModel model, List<WrittenBatch> actual) =>
        Enumerable.Range(0, 1 + actual.Count(batch => batch.BaseOffset < model.StartOffsetMax))
        .Select(deleted => new ReplayedProducers(actual.Skip(deleted)));

    /// <summary>The indexes lead to every batch, by its offsets and by its time.</summary>
    private static void CheckLookups(LogModel model, PartitionLog log, List<WrittenBatch> actual)
    {
        foreach (var batch in actual)
        {
            foreach (var offset in (long[])[Math.Max(batch.BaseOffset, log.LogStartOffset), batch.LastOffset])
            {
                using var slice = log.Read(offset, 1, minOneBatch: true, long.MaxValue).Slice;
                var header = new byte[RecordBatchLayout.HeaderSizeBytes];
                slice?.Read(0, header);
                Demand(slice is not null && new RecordBatchView(header).BaseOffset == batch.BaseOffset, model,
                    $"a read at offset {offset} does not lead to {batch}");
            }
        }

        if (log.LogStartOffset > log.FirstSegmentOffset)
            return; // a segment counts as a whole, with records that are deleted
        var records = actual.SelectMany(batch => batch.Records()).ToList();
        foreach (var timestamp in records.Select(record => record.Timestamp).Distinct())
        {
            var first = records.First(record => record.Timestamp >= timestamp);
            var answer = log.OffsetForTimestamp(timestamp);
            Demand(answer.Offset == first.Offset, model,
                $"the first record of time {timestamp} or later is at {first.Offset}, and the log says {answer}");
        }
    }

    private static bool IsFrom(
        (long ProducerId, long FirstOffset, long LastOffset) transaction, (long ProducerId, long FirstOffset, long LastOffset) whole) =>
        transaction.ProducerId == whole.ProducerId && transaction.LastOffset == whole.LastOffset
        && transaction.FirstOffset >= whole.FirstOffset;

    private static void Demand(bool holds, LogModel model, string finding)
    {
        if (!holds)
            throw new SimulationException($"{model.Partition}: {finding}");
    }
}
