using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Metadata;
using Ottla.Storage.Files;
using Ottla.Storage.Log;
using Ottla.Storage.Producers;

namespace Ottla.Storage.Inspection;

/// <summary>
/// Checks the directory of one partition: segments, producer state replayed from them, leader epochs, stray files. Lives for one directory.
/// </summary>
/// <param name="fileSystem">The disk.</param>
/// <param name="directory">The partition's directory.</param>
/// <param name="isCompacted">
/// Whether the cleaner has compacted the log: then offsets may be missing, and the producers cannot be replayed.
/// </param>
/// <param name="unflushedFrom">
/// After an unclean shutdown the recovery point: the next start repairs problems from there on. Otherwise <see cref="long.MaxValue"/>.
/// </param>
/// <param name="report">Receives the findings.</param>
internal sealed class PartitionVerifier(
    IFileSystem fileSystem, string directory, bool isCompacted, long unflushedFrom, Action<LogFinding> report)
{
    private readonly ProducerStateManager _producers = new(fileSystem, directory, LogConfig.Default, NullLogger.Instance);
    private readonly List<EpochEntry> _epochs = [];
    private SortedDictionary<long, string> _snapshots = [];
    private bool _canReplay;
    private int _lastEpoch = -1;

    /// <summary>The first segment's base offset.</summary>
    public long StartOffset { get; private set; }

    /// <summary>The offset after the last batch.</summary>
    public long EndOffset { get; private set; }

    public void Verify()
    {
        var names = fileSystem.ListFiles(directory);
        var segments = names.Where(name => name.EndsWith(LogFileNames.LogSuffix, StringComparison.Ordinal)
            && LogFileNames.TryParseOffset(name, out _))
            .Select(OffsetOf).Order().ToList();
        _snapshots = new SortedDictionary<long, string>(names
            .Where(name => name.EndsWith(LogFileNames.ProducerSnapshotSuffix, StringComparison.Ordinal)
                && LogFileNames.TryParseOffset(name, out _))
            .ToDictionary(OffsetOf, name => Path.Combine(directory, name)));
        CheckNames(names, segments);
        LoadEpochs();
        if (segments.Count == 0)
        {
            Report(FindingSeverity.Error, directory, null, null, "the directory has no segment");
            return;
        }

        StartOffset = segments[0];
        EndOffset = StartOffset;
        StartReplay();
        for (var i = 0; i < segments.Count; i++)
            VerifySegment(segments, i);
        if (_canReplay)
            CompareSnapshotsUpTo(EndOffset);
        foreach (var (offset, path) in _snapshots)
        {
            if (ReadSnapshot(path) is not null && offset > EndOffset)
                Report(FindingSeverity.Error, path, null, offset, $"the producer snapshot is past the log's end, {EndOffset}");
        }

        if (_epochs.Count > 0 && _epochs[^1].StartOffset > EndOffset)
            Report(
                FindingSeverity.Error, EpochsPath, null, _epochs[^1].StartOffset,
                $"epoch {_epochs[^1].Epoch} starts past the log's end, {EndOffset}");
    }

    private string EpochsPath => Path.Combine(directory, LogFileNames.LeaderEpochCheckpoint);

    private static long OffsetOf(string name) => LogFileNames.TryParseOffset(name, out var offset) ? offset : -1;

    private void Report(FindingSeverity severity, string file, long? position, long? offset, string problem)
    {
        var isExplained = severity == FindingSeverity.Error && offset >= unflushedFrom;
        report(new LogFinding(
            isExplained ? FindingSeverity.Info : severity, file, position, offset,
            isExplained ? problem + " (not flushed before an unclean shutdown: the next start repairs it)" : problem));
    }

    private void CheckNames(IReadOnlyList<string> names, List<long> segments)
    {
        foreach (var name in names)
        {
            var path = Path.Combine(directory, name);
            var extension = Path.GetExtension(name);
            if (extension is LogFileNames.DeletedSuffix or LogFileNames.SwapSuffix or LogFileNames.CleanedSuffix or ".tmp" or ".part")
                Report(FindingSeverity.Warning, path, null, null,
                    $"an interrupted operation left this {extension} file; the next start finishes or removes it");
            else if (extension is LogFileNames.OffsetIndexSuffix or LogFileNames.TimeIndexSuffix or LogFileNames.TransactionIndexSuffix
                && !segments.Contains(OffsetOf(name)))
                Report(FindingSeverity.Warning, path, null, OffsetOf(name), "the index has no segment");
            else if (!LogDump.CanDump(name))
                Report(FindingSeverity.Warning, path, null, null, "the file does not belong to a log");
            else if (name.EndsWith(".checkpoint", StringComparison.Ordinal))
                CheckMetadataSnapshot(path);
        }
    }

    private void CheckMetadataSnapshot(string path)
    {
        using var file = fileSystem.Open(path, FileOpenMode.ReadExisting);
        using var scan = new SegmentScan(file, []);
        var reader = new SnapshotReader(controlOnly: true);
        try
        {
            while (scan.MoveNext())
            {
                if (scan.Problem is not null)
                    throw new MalformedMessageException(scan.Problem);
                reader.Add(scan.Batch);
            }

            reader.Finish();
        }
        catch (ProtocolException failure)
        {
            Report(FindingSeverity.Error, path, scan.Position, null, failure.Message);
        }
    }

    private void LoadEpochs()
    {
        try
        {
            _epochs.AddRange(LeaderEpochCache.Read(fileSystem, EpochsPath));
        }
        catch (InvalidDataException failure)
        {
            Report(FindingSeverity.Error, EpochsPath, null, null, failure.Message);
        }

        for (var i = 1; i < _epochs.Count; i++)
        {
            if (_epochs[i].Epoch <= _epochs[i - 1].Epoch || _epochs[i].StartOffset <= _epochs[i - 1].StartOffset)
                Report(
                    FindingSeverity.Error, EpochsPath, null, _epochs[i].StartOffset,
                    $"epoch {_epochs[i].Epoch} (start offset {_epochs[i].StartOffset}) must have a greater epoch and start offset "
                        + $"than the entry before it: epoch {_epochs[i - 1].Epoch} (start offset {_epochs[i - 1].StartOffset})");
        }
    }

    /// <summary>
    /// Starts the replay of producer state: from nothing if the log starts at offset 0, otherwise from the snapshot at its start.
    /// </summary>
    private void StartReplay()
    {
        _canReplay = !isCompacted;
        if (StartOffset == 0)
            return;
        var start = _snapshots.TryGetValue(StartOffset, out var path) ? ReadSnapshot(path, isQuiet: true) : null;
        if (start is not null)
            _producers.StartFrom(start, StartOffset);
        _canReplay &= start is not null;
    }

    private void VerifySegment(List<long> segments, int i)
    {
        var baseOffset = segments[i];
        var path = Path.Combine(directory, LogFileNames.ForOffset(baseOffset, LogFileNames.LogSuffix));
        if (baseOffset < EndOffset)
            Report(
                FindingSeverity.Error, path, null, baseOffset,
                $"the segment begins at offset {baseOffset}, but the one before it ends at {EndOffset - 1}");
        else if (baseOffset > EndOffset && !isCompacted)
            Report(
                FindingSeverity.Error, path, null, EndOffset,
                $"the offsets {EndOffset} to {baseOffset - 1} are missing: no segment has them, and the log is not compacted");
        if (_canReplay)
            CompareSnapshotsUpTo(baseOffset);
        var aborted = new List<AbortedTransaction>();
        var segment = new SegmentVerifier(
            fileSystem, directory, baseOffset, isCompacted,
            finding => Report(finding.Severity, finding.File, finding.Position, finding.Offset, finding.Problem));
        segment.Verify((in RecordBatchView batch, long position) =>
        {
            CheckEpoch(batch, position, path);
            if (_canReplay)
                Replay(batch, position, path, aborted);
        });
        _canReplay &= segment.IsIntact;
        if (_canReplay)
            CompareTransactions(baseOffset, aborted);
        EndOffset = Math.Max(EndOffset, segment.NextOffset);
        if (i + 1 < segments.Count && segments[i + 1] < segment.NextOffset)
            Report(
                FindingSeverity.Error, path, null, segments[i + 1],
                $"the segment ends at offset {segment.NextOffset - 1}, but the next one begins at {segments[i + 1]}");
    }

    private void CheckEpoch(in RecordBatchView batch, long position, string path)
    {
        var epoch = batch.PartitionLeaderEpoch;
        var offset = batch.BaseOffset;
        if (epoch < 0)
            return;
        if (epoch < _lastEpoch)
            Report(
                FindingSeverity.Error, path, position, offset,
                $"the batch has leader epoch {epoch}, lower than epoch {_lastEpoch} of the batch before it");
        _lastEpoch = Math.Max(_lastEpoch, epoch);
        var covering = _epochs.FindLastIndex(entry => entry.StartOffset <= offset);
        if (covering >= 0 && _epochs[covering].Epoch != epoch)
            Report(
                FindingSeverity.Error, EpochsPath, null, offset,
                $"this file gives offset {offset} epoch {_epochs[covering].Epoch}; the log gives it epoch {epoch} (position {position} of "
                    + $"{Path.GetFileName(path)})");
    }

    private void Replay(in RecordBatchView batch, long position, string path, List<AbortedTransaction> aborted)
    {
        CompareSnapshotsUpTo(batch.BaseOffset);
        try
        {
            if (_producers.Apply(batch, out var completed))
            {
                var lastStableOffset = _producers.LastStableOffsetAt(completed);
                _producers.Complete(completed);
                if (completed.IsAborted)
                    aborted.Add(new AbortedTransaction(
                        completed.ProducerId, completed.FirstOffset, completed.LastOffset, lastStableOffset));
            }

            _producers.AdvanceTo(batch.NextOffset);
        }
        catch (CorruptRecordException failure)
        {
            Report(FindingSeverity.Error, path, position, batch.BaseOffset, failure.Message);
            _canReplay = false;
        }
    }

    private void CompareTransactions(long baseOffset, List<AbortedTransaction> expected)
    {
        var path = Path.Combine(directory, LogFileNames.ForOffset(baseOffset, LogFileNames.TransactionIndexSuffix));
        if (!fileSystem.FileExists(path))
        {
            if (expected.Count > 0)
                Report(
                    FindingSeverity.Error, path, null, expected[0].LastOffset,
                    $"the transaction index is missing, but the log has {expected.Count} aborted transactions");
            return;
        }

        var found = new List<AbortedTransaction?>();
        var end = IndexEntries.Read(fileSystem, path, TransactionIndex.EntryBytes, (_, entry) => found.Add(TransactionIndex.Parse(entry)));
        if (end < fileSystem.GetLength(path))
            Report(FindingSeverity.Error, path, end, null, "the end of the transaction index is not an entry");
        for (var i = 0; i < Math.Max(found.Count, expected.Count); i++)
        {
            AbortedTransaction? isThere = i < found.Count ? found[i] : null;
            AbortedTransaction? wanted = i < expected.Count ? expected[i] : null;
            if (isThere != wanted)
                Report(
                    FindingSeverity.Error, path, (long)i * TransactionIndex.EntryBytes, (wanted ?? isThere)?.LastOffset,
                    $"the entry is {Describe(isThere)}, but the log implies {Describe(wanted)}");
        }
    }

    private static string Describe(AbortedTransaction? transaction) =>
        transaction is { } t
            ? $"producer {t.ProducerId}, offsets {t.FirstOffset} to {t.LastOffset}, last stable offset {t.LastStableOffset}"
            : "none";

    /// <summary>
    /// Compares the snapshots that were taken before <paramref name="offset"/> or at it with the state that the replay has
    /// reached.
    /// </summary>
    private void CompareSnapshotsUpTo(long offset)
    {
        foreach (var (at, path) in _snapshots.Where(snapshot => snapshot.Key <= offset).ToList())
        {
            if (ReadSnapshot(path) is { } producers && at >= _producers.EndOffset && at > StartOffset)
                Compare(path, at, producers);
            _snapshots.Remove(at);
        }
    }

    private void Compare(string path, long at, List<ProducerState> producers)
    {
        foreach (var there in producers)
        {
            var wanted = _producers.Find(there.ProducerId);
            if (wanted is null)
                Report(
                    FindingSeverity.Error, path, null, at,
                    $"the snapshot has producer {there.ProducerId}, but the log before offset {at} does not have it");
            else if (Describe(there) != Describe(wanted))
                Report(
                    FindingSeverity.Error, path, null, at,
                    $"the snapshot has producer {there.ProducerId} with {Describe(there)}, but the log implies {Describe(wanted)}");
        }

        // A missing producer may have expired, but not one with an open transaction.
        foreach (var active in _producers.ActiveProducers())
        {
            if (active.CurrentTransactionStartOffset >= 0 && producers.All(producer => producer.ProducerId != active.ProducerId))
                Report(
                    FindingSeverity.Error, path, null, at,
                    $"the snapshot lacks producer {active.ProducerId}, whose transaction is open since offset "
                        + $"{active.CurrentTransactionStartOffset}");
        }
    }

    private static string Describe(ProducerState producer) =>
        $"epoch {producer.ProducerEpoch}, last sequence {producer.LastSequence} at offset {producer.LastDataOffset}, "
            + $"transaction open since {producer.CurrentTransactionFirstOffset}, coordinator epoch {producer.CoordinatorEpoch}";

    private List<ProducerState>? ReadSnapshot(string path, bool isQuiet = false)
    {
        try
        {
            return ProducerSnapshotFile.Read(fileSystem, path);
        }
        catch (InvalidDataException failure)
        {
            if (!isQuiet)
                Report(FindingSeverity.Error, path, null, OffsetOf(Path.GetFileName(path)), failure.Message);
            return null;
        }
    }
}
