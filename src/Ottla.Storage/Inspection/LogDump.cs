using System.Globalization;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Metadata;
using Ottla.Storage.Files;
using Ottla.Storage.Log;
using Ottla.Storage.Producers;

namespace Ottla.Storage.Inspection;

/// <summary>The options of a dump.</summary>
public sealed record LogDumpOptions
{
    /// <summary>Whether to print the records of batches too. Batches of internal topics always have them.</summary>
    public bool Records { get; init; }

    /// <summary>Whether the lines of records show what is in them, and not only their metadata.</summary>
    public bool Contents { get; init; } = true;

    /// <summary>Whether the lines of records show their metadata. Those of control records are empty without.</summary>
    public bool RecordMetadata { get; init; } = true;

    /// <summary>
    /// Whether everything is as with kafka-dump-log 4.4: states of transactions have their names, the records of a batch with a wrong
    /// checksum are shown, and a record that cannot be decoded, or an index entry that points past the log, ends the dump.
    /// </summary>
    public bool AsKafka { get; init; }

    /// <summary>How far a file of batches is read, in bytes; a batch that reaches further is not shown.</summary>
    public long BytesMax { get; init; } = long.MaxValue;

    /// <summary>How to decode the records; null to decide by the directory's name.</summary>
    public RecordDecoder? Decoder { get; init; }

    /// <summary>The first offset to print.</summary>
    public long FromOffset { get; init; }

    /// <summary>The last offset to print.</summary>
    public long ToOffset { get; init; } = long.MaxValue;

    /// <summary>Whether to print one JSON object per line instead of text.</summary>
    public bool Json { get; init; }
}

/// <summary>Prints the content of the files of logs, as kafka-dump-log does. Never writes to them.</summary>
/// <remarks>Owned by one command. Holds one batch, or one small file, at a time.</remarks>
public sealed class LogDump : IDisposable
{
    /// <summary>Whether a file of this name can be dumped.</summary>
    public static bool CanDump(string fileName) =>
        fileName is LogFileNames.LeaderEpochCheckpoint or LogFileNames.PartitionMetadata or MetaProperties.Name or QuorumStateFile.FileName
            or OffsetCheckpointFile.RecoveryPoint or OffsetCheckpointFile.LogStartOffset or OffsetCheckpointFile.HighWatermark
            or OffsetCheckpointFile.Cleaner
        || IsBatchFile(fileName) || (LogFileNames.TryParseOffset(fileName, out _) && Path.GetExtension(fileName)
            is LogFileNames.OffsetIndexSuffix or LogFileNames.TimeIndexSuffix or LogFileNames.TransactionIndexSuffix
            or LogFileNames.ProducerSnapshotSuffix);

    private readonly IFileSystem _fileSystem;
    private readonly DumpOutput _output;
    private readonly LogDumpOptions _options;
    private bool _isClean = true;

    /// <summary>Begins a dump.</summary>
    public LogDump(IFileSystem fileSystem, TextWriter writer, LogDumpOptions options)
    {
        _fileSystem = fileSystem;
        _options = options;
        _output = options.Json ? new JsonDumpOutput(writer) : new TextDumpOutput(writer);
    }

    /// <summary>Dumps a file.</summary>
    /// <param name="path">Its absolute path.</param>
    /// <param name="shownAs">The path as the user named it.</param>
    /// <returns>False when a part of the file is corrupt. The rest is printed.</returns>
    /// <exception cref="IOException">The file is unreadable.</exception>
    /// <exception cref="ArgumentException">The file is of an unknown kind.</exception>
    /// <exception cref="InvalidDataException">What ends a dump as Kafka's is in the file.</exception>
    public bool Dump(string path, string shownAs)
    {
        var name = Path.GetFileName(path);
        if (!CanDump(name))
            throw new ArgumentException($"{shownAs} is not a file of a log: Kafka has no files of such a name.");
        _isClean = true;
        _output.File(shownAs);
        try
        {
            if (IsBatchFile(name))
                DumpBatches(path, name);
            else
                DumpSmall(path, name);
        }
        catch (InvalidDataException failure) when (!_options.AsKafka)
        {
            Problem(null, failure.Message);
        }

        return _isClean;
    }

    /// <inheritdoc/>
    public void Dispose() => (_output as IDisposable)?.Dispose();

    private static bool IsBatchFile(string name) =>
        name.EndsWith(".checkpoint", StringComparison.Ordinal)
            || (name.EndsWith(LogFileNames.LogSuffix, StringComparison.Ordinal) && LogFileNames.TryParseOffset(name, out _));

    private bool IsWanted(long firstOffset, long lastOffset) => lastOffset >= _options.FromOffset && firstOffset <= _options.ToOffset;

    private void Problem(long? position, string problem)
    {
        _isClean = false;
        _output.Problem(position, problem);
    }

    private void DumpBatches(string path, string name)
    {
        var directory = Path.GetDirectoryName(path)!;
        var decoder = _options.Decoder ?? DecoderOf(directory);
        IReadOnlyList<long> indexed = [];
        if (LogFileNames.TryParseOffset(name, out var baseOffset))
        {
            _output.Summary(DumpKinds.Segment, $"Log starting offset: {baseOffset}", ("baseOffset", baseOffset));
            var index = Path.Combine(directory, LogFileNames.ForOffset(baseOffset, LogFileNames.OffsetIndexSuffix));
            indexed = [.. IndexEntries.ReadOffsets(_fileSystem, index, baseOffset).Select(entry => entry.Position)];
        }
        else if (name.Split('-', '.') is [var offset, var epoch, _]
            && long.TryParse(offset, NumberStyles.None, CultureInfo.InvariantCulture, out var endOffset)
            && int.TryParse(epoch, NumberStyles.None, CultureInfo.InvariantCulture, out var endEpoch))
        {
            _output.Summary(
                DumpKinds.Snapshot, $"Snapshot end offset: {endOffset}, epoch: {endEpoch}", ("endOffset", endOffset), ("epoch", endEpoch));
            decoder = _options.Decoder ?? RecordDecoder.Metadata;
        }
        else
        {
            _output.Summary(DumpKinds.Snapshot, "KRaft bootstrap snapshot");
            decoder = _options.Decoder ?? RecordDecoder.Metadata;
        }

        using var file = _fileSystem.Open(path, FileOpenMode.ReadExisting);
        using var scan = new SegmentScan(file, indexed);
        while (scan.MoveNext() && scan.Position + scan.Batch.Length <= _options.BytesMax)
        {
            if (!scan.Batch.IsEmpty)
                DumpBatch(scan, decoder);
            else
                Problem(scan.Position, scan.Problem!);
        }
    }

    private void DumpBatch(SegmentScan scan, RecordDecoder decoder)
    {
        var batch = new RecordBatchView(scan.Batch.Span);
        // A damaged header is shown in any case: its offsets may be wrong.
        if (scan.Problem is null && !IsWanted(batch.BaseOffset, batch.LastOffset))
            return;
        _output.Begin(DumpKinds.Batch);
        if (batch.IsMessage)
            _output.Add("offset", batch.LastOffset);
        else
            DumpHeader(batch);
        _output.Add("position", scan.Position);
        _output.Add(batch.TimestampType, batch.MaxTimestamp);
        _output.Add("size", batch.SizeInBytes);
        _output.Add("magic", batch.Magic);
        _output.Add("compresscodec", batch.Compression.ToString().ToLowerInvariant());
        _output.Add("crc", batch.Crc);
        _output.Add("isvalid", scan.Problem is null);
        _output.End();
        if (scan.Problem is not null && !_options.AsKafka)
            Problem(scan.Position, scan.Problem);
        else if (_options.Records || decoder != RecordDecoder.None)
            DumpRecords(scan, batch, decoder);
    }

    private void DumpHeader(in RecordBatchView batch)
    {
        _output.Add("baseOffset", batch.BaseOffset);
        _output.Add("lastOffset", batch.LastOffset);
        _output.Add("count", batch.RecordCount);
        _output.Add("baseSequence", batch.BaseSequence);
        _output.Add("lastSequence", batch.LastSequence);
        _output.Add("producerId", batch.ProducerId);
        _output.Add("producerEpoch", batch.ProducerEpoch);
        _output.Add("partitionLeaderEpoch", batch.PartitionLeaderEpoch);
        _output.Add("isTransactional", batch.IsTransactional);
        _output.Add("isControl", batch.IsControl);
        _output.Add("deleteHorizonMs", batch.DeleteHorizonMs);
    }

    private void DumpRecords(SegmentScan scan, in RecordBatchView batch, RecordDecoder decoder)
    {
        try
        {
            using var reader = new RecordReader(scan.Batch);
            while (reader.TryRead(out var record))
            {
                if (IsWanted(record.Offset, record.Offset))
                    RecordLine.Write(_output, _options, batch, record, decoder, problem => Problem(scan.Position, problem));
            }
        }
        catch (CorruptRecordException failure)
        {
            Problem(scan.Position, failure.Message);
        }
    }

    private void DumpSmall(string path, string name)
    {
        var directory = Path.GetDirectoryName(path)!;
        switch (name)
        {
            case LogFileNames.LeaderEpochCheckpoint:
                foreach (var entry in LeaderEpochCache.Read(_fileSystem, path))
                    Line(DumpKinds.LeaderEpoch, ("epoch", entry.Epoch), ("startOffset", entry.StartOffset));
                break;
            case LogFileNames.PartitionMetadata:
                Property("topicId", PartitionMetadataFile.Read(_fileSystem, directory)?.ToString());
                break;
            case MetaProperties.Name:
                var properties = MetaProperties.Read(_fileSystem, directory);
                _output.Begin(DumpKinds.Properties);
                _output.Add("version", properties!.Version);
                _output.Add("clusterId", properties.ClusterId ?? "");
                _output.Add("nodeId", properties.NodeId ?? -1);
                _output.Add("directoryId", properties.DirectoryId?.ToString() ?? "");
                _output.End();
                break;
            case QuorumStateFile.FileName:
                Property(
                    "quorumState", System.Text.Encoding.UTF8.GetString(_fileSystem.ReadAllBytes(path, QuorumStateFile.LengthMaxBytes)));
                break;
            case OffsetCheckpointFile.RecoveryPoint or OffsetCheckpointFile.LogStartOffset or OffsetCheckpointFile.HighWatermark
                or OffsetCheckpointFile.Cleaner:
                DumpOffsets(directory, name);
                break;
            default:
                DumpIndex(path, name);
                break;
        }
    }

    private void DumpOffsets(string directory, string name)
    {
        foreach (var (partition, offset) in new OffsetCheckpointFile(_fileSystem, directory, name).Read())
        {
            _output.Begin(DumpKinds.PartitionOffset);
            _output.Add("topic", partition.Topic);
            _output.Add("partition", partition.Partition);
            _output.Add("offset", offset);
            _output.End();
        }
    }

    private void DumpIndex(string path, string name)
    {
        if (!LogFileNames.TryParseOffset(name, out var baseOffset))
            throw new ArgumentException($"{path} has no offset in its name.", nameof(name));
        switch (Path.GetExtension(name))
        {
            case LogFileNames.OffsetIndexSuffix:
                var logEnd = _options.AsKafka ? LogEndBeside(path, baseOffset) : long.MaxValue;
                DumpEntries(path, OffsetIndex.EntryBytes, (_, bytes) =>
                {
                    var entry = OffsetIndex.Parse(bytes, baseOffset);
                    if (entry.Position >= logEnd)
                        throw new InvalidDataException(
                            $"The entry of offset {entry.Offset} points to position {entry.Position}, but the log ends at {logEnd}.");
                    if (IsWanted(entry.Offset, entry.Offset))
                        Line(DumpKinds.OffsetIndexEntry, ("offset", entry.Offset), ("position", entry.Position));
                });
                break;
            case LogFileNames.TimeIndexSuffix:
                DumpEntries(path, TimeIndex.EntryBytes, (_, bytes) =>
                {
                    var entry = TimeIndex.Parse(bytes, baseOffset);
                    if (IsWanted(entry.Offset, entry.Offset))
                        Line(DumpKinds.TimeIndexEntry, ("timestamp", entry.TimestampMs), ("offset", entry.Offset));
                });
                break;
            case LogFileNames.TransactionIndexSuffix:
                DumpEntries(path, TransactionIndex.EntryBytes, (_, bytes) =>
                {
                    var entry = TransactionIndex.Parse(bytes) ?? throw new InvalidDataException("an entry has an unknown version");
                    if (IsWanted(entry.FirstOffset, entry.LastOffset))
                    {
                        Line(
                            DumpKinds.AbortedTransaction, ("version", 0), ("producerId", entry.ProducerId),
                            ("firstOffset", entry.FirstOffset),
                            ("lastOffset", entry.LastOffset), ("lastStableOffset", entry.LastStableOffset));
                    }
                });
                break;
            default:
                foreach (var producer in ProducerSnapshotFile.Read(_fileSystem, path))
                    DumpProducer(producer);
                break;
        }
    }

    /// <summary>The length of an index's log, in bytes; the greatest number when it is not there.</summary>
    private long LogEndBeside(string indexPath, long baseOffset)
    {
        var log = Path.Combine(Path.GetDirectoryName(indexPath)!, LogFileNames.ForOffset(baseOffset, LogFileNames.LogSuffix));
        return _fileSystem.FileExists(log) ? _fileSystem.GetLength(log) : long.MaxValue;
    }

    private void DumpEntries(string path, int entryBytes, IndexEntries.Visit visit)
    {
        var end = IndexEntries.Read(_fileSystem, path, entryBytes, visit);
        var partBytes = _fileSystem.GetLength(path) % entryBytes;
        if (partBytes != 0)
            Problem(end, $"the last entry has {partBytes} of its {entryBytes} bytes");
    }

    private void DumpProducer(ProducerState producer)
    {
        _output.Begin(DumpKinds.Producer);
        _output.Add("producerId", producer.ProducerId);
        _output.Add("producerEpoch", producer.ProducerEpoch);
        _output.Add("coordinatorEpoch", producer.CoordinatorEpoch);
        _output.Add(
            "currentTxnFirstOffset", producer.CurrentTransactionFirstOffset < 0 ? null : (long?)producer.CurrentTransactionFirstOffset);
        _output.Add("lastTimestamp", producer.LastTimestampMs);
        if (producer.BatchCount > 0)
        {
            _output.Add("firstSequence", RecordBatchLayout.DecrementSequence(producer.LastSequence, producer.LastOffsetDelta));
            _output.Add("lastSequence", producer.LastSequence);
            _output.Add("lastOffset", producer.LastDataOffset);
            _output.Add("offsetDelta", producer.LastOffsetDelta);
            _output.Add("timestamp", producer.LastTimestampMs);
        }

        _output.End();
    }

    private void Line(string kind, params ReadOnlySpan<(string Name, long Value)> facts)
    {
        _output.Begin(kind);
        foreach (var (name, value) in facts)
            _output.Add(name, value);
        _output.End();
    }

    private void Property(string name, string? value)
    {
        _output.Begin(DumpKinds.Properties);
        _output.Add(name, value ?? "");
        _output.End();
    }

    private static RecordDecoder DecoderOf(string directory) =>
        LogFileNames.TryParseDirectory(Path.GetFileName(directory), out var partition)
            ? RecordJson.DecoderOf(partition.Topic)
            : RecordDecoder.None;
}
