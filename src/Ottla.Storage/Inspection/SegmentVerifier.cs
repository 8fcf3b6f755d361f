using Ottla.Protocol.Batches;
using Ottla.Storage.Files;
using Ottla.Storage.Log;

namespace Ottla.Storage.Inspection;

/// <summary>
/// Checks the batches of one segment, and its offset and time index against them. Lives for one segment; holds one batch and the indexes.
/// </summary>
/// <param name="fileSystem">The disk.</param>
/// <param name="directory">The partition's directory.</param>
/// <param name="baseOffset">The segment's base offset.</param>
/// <param name="mayHaveGaps">Whether offsets may be missing, because the log is compacted.</param>
/// <param name="report">Receives the findings.</param>
internal sealed class SegmentVerifier(
    IFileSystem fileSystem, string directory, long baseOffset, bool mayHaveGaps, Action<LogFinding> report)
{
    /// <summary>Receives every whole batch.</summary>
    public delegate void ValidBatch(in RecordBatchView batch, long position);

    private readonly List<(long Offset, long Position)> _offsetEntries = [];
    private readonly List<(long TimestampMs, long Offset)> _timeEntries = [];
    private int _nextOffsetEntry;
    private int _nextTimeEntry;

    private string LogPath => PathOf(directory, baseOffset, LogFileNames.LogSuffix);

    /// <summary>The offset after the last batch.</summary>
    public long NextOffset { get; private set; }

    /// <summary>Whether all batches are whole, so that the state that follows from them can be compared.</summary>
    public bool IsIntact { get; private set; } = true;

    public void Verify(ValidBatch onBatch)
    {
        NextOffset = baseOffset;
        LoadIndexes();
        using var file = fileSystem.Open(LogPath, FileOpenMode.ReadExisting);
        using var scan = new SegmentScan(file, [.. _offsetEntries.Select(entry => entry.Position)]);
        while (scan.MoveNext())
        {
            if (scan.Problem is not null)
            {
                IsIntact = false;
                report(new LogFinding(FindingSeverity.Error, LogPath, scan.Position, NextOffset, scan.Problem));
            }

            if (scan.Batch.IsEmpty)
                continue;
            var batch = new RecordBatchView(scan.Batch.Span);
            CheckIndexesAt(batch, scan.Position, isTrusted: scan.Problem is null);
            if (scan.Problem is not null)
                continue;
            CheckOffsets(batch, scan.Position);
            CheckRecords(scan.Batch, batch, scan.Position);
            if (batch.LastOffset >= NextOffset)
                NextOffset = batch.NextOffset;
            onBatch(batch, scan.Position);
        }

        for (; _nextOffsetEntry < _offsetEntries.Count; _nextOffsetEntry++)
            BadOffsetEntry(
                _offsetEntries[_nextOffsetEntry], $"points to position {_offsetEntries[_nextOffsetEntry].Position}, past the last batch");
        for (; _nextTimeEntry < _timeEntries.Count; _nextTimeEntry++)
            BadTimeEntry(_timeEntries[_nextTimeEntry], "has an offset past the last batch");
    }

    private static string PathOf(string directory, long offset, string suffix) =>
        Path.Combine(directory, LogFileNames.ForOffset(offset, suffix));

    private void Bad(long position, long offset, string problem) =>
        report(new LogFinding(FindingSeverity.Error, LogPath, position, offset, problem));

    private void CheckOffsets(in RecordBatchView batch, long position)
    {
        if (batch.BaseOffset < baseOffset || batch.LastOffset - baseOffset > int.MaxValue)
            Bad(
                position, batch.BaseOffset,
                $"the batch of offsets {batch.BaseOffset} to {batch.LastOffset} does not belong in the segment that begins at "
                    + $"{baseOffset}");
        else if (batch.BaseOffset < NextOffset)
            Bad(
                position, batch.BaseOffset,
                $"the batch begins at offset {batch.BaseOffset}, but the one before it ends at {NextOffset - 1}");
        else if (!batch.IsMessage) // a message's header does not have its first offset
            CheckGap(batch.BaseOffset, position);
        if (batch.LastOffsetDelta < 0)
            Bad(position, batch.BaseOffset, $"the last offset of the batch is {-(long)batch.LastOffsetDelta} below its first");
    }

    private void CheckGap(long firstOffset, long position)
    {
        if (firstOffset > NextOffset && !mayHaveGaps)
            Bad(position, NextOffset, $"the offsets {NextOffset} to {firstOffset - 1} are missing, and the log is not compacted");
    }

    private void CheckRecords(ReadOnlyMemory<byte> bytes, in RecordBatchView batch, long position)
    {
        var first = batch.IsMessage ? NextOffset : batch.BaseOffset;
        var last = first - 1;
        var count = 0;
        var maxTimestamp = RecordBatchLayout.NoTimestamp;
        try
        {
            using var reader = new RecordReader(bytes);
            while (reader.TryReadOutline(out var record))
            {
                if (batch.IsMessage && count == 0)
                    CheckGap(first = record.Offset, position);
                if (record.Offset <= last || record.Offset > batch.LastOffset)
                    Bad(position, record.Offset,
                        $"a record has the offset {record.Offset}, out of order or outside its batch ({first} to {batch.LastOffset})");
                last = record.Offset;
                count++;
                maxTimestamp = Math.Max(maxTimestamp, record.Timestamp);
            }
        }
        catch (CorruptRecordException failure)
        {
            Bad(position, batch.BaseOffset, $"the records of the batch cannot be read: {failure.Message}");
            return;
        }

        if (!mayHaveGaps && count != batch.LastOffset - first + 1)
            Bad(position, first, $"the batch has {count} records for {batch.LastOffset - first + 1} offsets, and the log is not compacted");
        if (count > 0 && maxTimestamp != batch.MaxTimestamp)
            Bad(
                position, batch.BaseOffset,
                $"the header's greatest timestamp is {batch.MaxTimestamp}, but that of the records is {maxTimestamp}");
    }

    private void LoadIndexes()
    {
        ReadIndex(
            LogFileNames.OffsetIndexSuffix, OffsetIndex.EntryBytes, entry => _offsetEntries.Add(OffsetIndex.Parse(entry, baseOffset)));
        ReadIndex(LogFileNames.TimeIndexSuffix, TimeIndex.EntryBytes, entry => _timeEntries.Add(TimeIndex.Parse(entry, baseOffset)));
        for (var i = 1; i < _offsetEntries.Count; i++)
        {
            if (_offsetEntries[i].Offset <= _offsetEntries[i - 1].Offset || _offsetEntries[i].Position <= _offsetEntries[i - 1].Position)
                BadOffsetEntry(
                    _offsetEntries[i],
                    $"is not greater than the one before it (offset {_offsetEntries[i - 1].Offset}, position "
                        + $"{_offsetEntries[i - 1].Position})",
                    i);
        }

        for (var i = 1; i < _timeEntries.Count; i++)
        {
            if (_timeEntries[i].TimestampMs <= _timeEntries[i - 1].TimestampMs || _timeEntries[i].Offset < _timeEntries[i - 1].Offset)
                BadTimeEntry(
                    _timeEntries[i],
                    $"is not greater than the one before it (timestamp {_timeEntries[i - 1].TimestampMs}, offset "
                        + $"{_timeEntries[i - 1].Offset})",
                    i);
        }
    }

    private delegate void EntryReader(ReadOnlySpan<byte> entry);

    private void ReadIndex(string suffix, int entryBytes, EntryReader add)
    {
        var path = PathOf(directory, baseOffset, suffix);
        if (!fileSystem.FileExists(path))
        {
            report(new LogFinding(FindingSeverity.Warning, path, null, baseOffset, "the index is missing; the next start makes it anew"));
            return;
        }

        var end = IndexEntries.Read(fileSystem, path, entryBytes, (_, entry) => add(entry));
        var length = fileSystem.GetLength(path);
        if (length % entryBytes != 0)
            report(new LogFinding(
                FindingSeverity.Error, path, length - length % entryBytes, null,
                $"the index has {length} bytes, not a multiple of the {entryBytes} bytes of an entry"));
        else if (end < length)
            report(new LogFinding(
                FindingSeverity.Info, path, end, null,
                $"the last {length - end} bytes of the index are preallocated and unused: the broker did not shut down cleanly"));
    }

    /// <summary>Index entries are in the order of the log, so one pass over both is enough.</summary>
    private void CheckIndexesAt(in RecordBatchView batch, long position, bool isTrusted)
    {
        for (; _nextOffsetEntry < _offsetEntries.Count && _offsetEntries[_nextOffsetEntry].Position <= position; _nextOffsetEntry++)
        {
            var entry = _offsetEntries[_nextOffsetEntry];
            if (entry.Position < position)
                BadOffsetEntry(entry, $"points to position {entry.Position}, where no batch begins");
            else if (isTrusted && entry.Offset != batch.LastOffset)
                BadOffsetEntry(entry, $"points to position {entry.Position}, whose batch ends at offset {batch.LastOffset}");
        }

        if (!isTrusted)
            return;
        for (; _nextTimeEntry < _timeEntries.Count && _timeEntries[_nextTimeEntry].Offset <= batch.LastOffset; _nextTimeEntry++)
        {
            var entry = _timeEntries[_nextTimeEntry];
            if (entry.Offset < Math.Min(batch.BaseOffset, NextOffset))
                BadTimeEntry(entry, "is of an offset that is in no batch");
            else if (entry.TimestampMs != batch.MaxTimestamp)
                BadTimeEntry(entry, $"is wrong: the greatest timestamp of its batch is {batch.MaxTimestamp}");
        }
    }

    private void BadOffsetEntry((long Offset, long Position) entry, string problem, int? slot = null) => report(new LogFinding(
        FindingSeverity.Error, PathOf(directory, baseOffset, LogFileNames.OffsetIndexSuffix),
        (slot ?? _nextOffsetEntry) * (long)OffsetIndex.EntryBytes, entry.Offset, $"the entry of offset {entry.Offset} {problem}"));

    private void BadTimeEntry((long TimestampMs, long Offset) entry, string problem, int? slot = null) => report(new LogFinding(
        FindingSeverity.Error, PathOf(directory, baseOffset, LogFileNames.TimeIndexSuffix),
        (slot ?? _nextTimeEntry) * (long)TimeIndex.EntryBytes, entry.Offset,
        $"the entry of timestamp {entry.TimestampMs}, offset {entry.Offset} {problem}"));
}
