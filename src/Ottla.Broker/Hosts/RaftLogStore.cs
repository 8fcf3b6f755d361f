using Microsoft.Extensions.Logging;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Raft;
using Ottla.Storage.Files;
using Ottla.Storage.Log;

namespace Ottla.Broker.Hosts;

/// <summary>Everything of the metadata log that is on disk: the log itself, <c>quorum-state</c> and the snapshots.</summary>
/// <remarks>
/// Owned by one <see cref="RaftHost"/>, whose loop calls it; <see cref="WriteSnapshotFile"/> and <see cref="EpochBefore"/> may be called
/// from elsewhere.
/// </remarks>
internal sealed partial class RaftLogStore
{
    private const int ReadBytes = 1024 * 1024;

    /// <summary>Room kept for the log on a disk that others fill: enough for thousands of changes, so that topics can be deleted.</summary>
    private const int ReserveBytes = 1024 * 1024;

    private readonly IFileSystem _fileSystem;
    private readonly RaftHostOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly string _directory;
    private readonly MetadataSnapshotFiles _files;
    private readonly PartitionLog _log;
    private readonly List<LogPosition> _snapshots;

    private RaftLogStore(IFileSystem fileSystem, RaftHostOptions options, TimeProvider time, ILogger logger)
    {
        _fileSystem = fileSystem;
        _options = options;
        _time = time;
        _logger = logger;
        _directory = Path.Combine(options.LogDirectory, RaftBootstrap.Partition.ToString());
        fileSystem.CreateDurableDirectory(_directory);
        _files = new MetadataSnapshotFiles(fileSystem, _directory, logger);
        _snapshots = _files.Recover();
        // Retention is by snapshot, never by the log's own rules; and as Kafka does, the log is always recovered: it is the one that must
        // be right.
        var config = new LogConfig
        {
            SegmentBytes = options.SegmentBytes,
            SegmentMs = options.SegmentMs,
            MaxMessageBytes = MetadataBatch.SizeBytesMax,
            ReserveBytes = ReserveBytes,
            RetentionMs = -1,
            RetentionBytes = -1,
            Delete = true,
        };
        _log = PartitionLog.Open(fileSystem, _directory, RaftBootstrap.Partition, config,
            new LogOpenOptions { HadCleanShutdown = false, MayHaveGaps = false }, time, logger);
    }

    /// <summary>The newest snapshot.</summary>
    public LogPosition? LatestSnapshot => _snapshots.Count > 0 ? _snapshots[^1] : null;

    /// <summary>The first offset of the log.</summary>
    public long LogStartOffset => _log.LogStartOffset;

    /// <summary>The offset of the next record.</summary>
    public long EndOffset => _log.LogEndOffset;

    /// <summary>Opens the directory, and finds the newest snapshot that is whole and what the log has after it.</summary>
    /// <exception cref="IOException">The disk fails.</exception>
    /// <exception cref="InvalidDataException">
    /// The files do not make a whole: the log begins after the last good snapshot, or is corrupt.
    /// </exception>
    public static RaftLogStore Open(
        IFileSystem fileSystem, RaftHostOptions options, TimeProvider time, ILogger logger, out RaftEvent.Started started)
    {
        var store = new RaftLogStore(fileSystem, options, time, logger);
        try
        {
            started = store.Load();
            return store;
        }
        catch (ProtocolException exception)
        {
            store._log.Close();
            throw new InvalidDataException($"The metadata log in {store._directory} cannot be read: {exception.Message}", exception);
        }
    }

    /// <summary>Persists the election state: fsync and rename.</summary>
    public void Save(ElectionState state, QuorumHistory history)
    {
        var data = new QuorumStateData { LeaderId = state.LeaderId, LeaderEpoch = state.Epoch, VotedId = state.Voted?.Id ?? -1 };
        var version = history.KRaftVersion > 0 ? (short)1 : (short)0;
        if (version == 0)
            data.CurrentVoters = [.. history.Voters.Voters.Select(voter => new QuorumStateData.Voter { VoterId = voter.Key.Id })];
        else
            data.VotedDirectoryId = state.Voted?.DirectoryId ?? Uuid.Zero;
        _fileSystem.ReplaceFile(Path.Combine(_directory, QuorumStateFile.FileName), QuorumStateFile.Format(data, version));
    }

    /// <summary>Writes batches that carry their offsets and epochs at the end of the log.</summary>
    /// <returns>What was written.</returns>
    public List<AppendedBatch> Append(Memory<byte> batches)
    {
        var appended = Describe(batches);
        if (appended.Count > 0)
            _log.AppendAsFollower(batches, Instant.Now(_time));
        return appended;
    }

    /// <summary>What the whole batches at the start of <paramref name="batches"/> are.</summary>
    /// <exception cref="ProtocolException">They are corrupt.</exception>
    public static List<AppendedBatch> Describe(ReadOnlyMemory<byte> batches)
    {
        var described = new List<AppendedBatch>();
        while (RecordBatchView.TryReadSize(batches.Span, out var size, out _) && size <= batches.Length)
        {
            var batch = MetadataBatch.Decode(batches, controlOnly: true);
            described.Add(new AppendedBatch(batch.BaseOffset, batch.LastOffset + 1, batch.Epoch, ChangesOf(batch)));
            batches = batches[size..];
        }

        return described;
    }

    /// <summary>Cuts the log.</summary>
    public void TruncateTo(long endOffset) => _log.TruncateTo(endOffset);

    /// <summary>Makes the log survive power loss.</summary>
    public void Flush() => _log.Flush();

    /// <summary>Tells the log what is committed.</summary>
    public void AdvanceHighWatermark(long offset) => _log.AdvanceHighWatermark(offset);

    /// <summary>Whole batches from <paramref name="offset"/> on, below <paramref name="upTo"/>; empty at the end.</summary>
    public byte[] Read(long offset, long upTo, int maxBytes = ReadBytes)
    {
        using var slice = _log.Read(offset, maxBytes, minOneBatch: true, upTo).Slice;
        if (slice is null)
            return [];
        var bytes = new byte[slice.Length];
        slice.Read(0, bytes);
        return bytes;
    }

    /// <summary>Decodes the batches from <paramref name="offset"/> on that lie below <paramref name="upTo"/>.</summary>
    public IEnumerable<MetadataBatch> ReadBatches(long offset, long upTo, bool controlOnly = false)
    {
        while (offset < upTo)
        {
            ReadOnlyMemory<byte> bytes = Read(offset, upTo);
            if (bytes.IsEmpty)
                throw new InvalidDataException($"The metadata log ends at {offset}, before {upTo}.");
            while (!bytes.IsEmpty && RecordBatchView.TryReadSize(bytes.Span, out var size, out _))
            {
                var batch = MetadataBatch.Decode(bytes, controlOnly);
                bytes = bytes[size..];
                if (batch.LastOffset < offset)
                    continue;
                offset = batch.LastOffset + 1;
                yield return batch;
            }
        }
    }

    /// <summary>Opens a snapshot for reading.</summary>
    public OpenMetadataSnapshot OpenSnapshot(LogPosition id) => new(new OffsetAndEpoch(id.Offset, id.Epoch), _files.Open(id));

    /// <summary>The records of the bootstrap snapshot; none when there is no such snapshot.</summary>
    public IReadOnlyList<MetadataRecord> ReadBootstrap()
    {
        var id = new LogPosition(RaftBootstrap.SnapshotId.Offset, RaftBootstrap.SnapshotId.Epoch);
        return _snapshots.Contains(id) ? _files.Read(id).Records : [];
    }

    /// <summary>The epoch of the record before <paramref name="endOffset"/>; -1 when the log does not say. Safe from any thread.</summary>
    public int EpochBefore(long endOffset) => endOffset > _log.LogStartOffset ? _log.EpochForOffset(endOffset - 1) : -1;

    /// <summary>Writes a snapshot's file. Safe from any thread, one at a time; the loop then calls <see cref="AddSnapshot"/>.</summary>
    public void WriteSnapshotFile(
        LogPosition id, long lastContainedLogTimestampMs, QuorumHistory history, IEnumerable<MetadataRecord> records) =>
        _files.Write(id, SnapshotBuilder.Build(
            id.Epoch,
            lastContainedLogTimestampMs,
            history.KRaftVersionAt(id.Offset),
            MetadataSnapshotFiles.VotersOf(history, id.Offset),
            Instant.Now(_time).UnixMilliseconds,
            records));

    /// <summary>
    /// Takes a new snapshot in, and deletes the snapshots that <c>metadata.max.retention.*</c> says are too many, with the log before them.
    /// </summary>
    public RaftEvent.SnapshotWritten AddSnapshot(LogPosition id)
    {
        if (LatestSnapshot >= id)
        {
            _files.Delete(id); // while it was written, a newer one came from the leader
        }
        else
        {
            _snapshots.Add(id);
            Clean();
        }

        return new RaftEvent.SnapshotWritten(_snapshots[0], _snapshots[^1], _log.LogStartOffset);
    }

    /// <summary>Writes a piece of a snapshot that comes from the leader.</summary>
    public void WriteSnapshotPiece(LogPosition id, long position, ReadOnlySpan<byte> bytes) => _files.WritePiece(id, position, bytes);

    /// <summary>The snapshot that came in pieces is all there: it replaces the log and the older snapshots.</summary>
    /// <returns>The voters and <c>kraft.version</c> as of the snapshot.</returns>
    /// <exception cref="ProtocolException">It is not whole.</exception>
    public QuorumHistory InstallSnapshot(LogPosition id)
    {
        var snapshot = _files.Complete(id);
        _log.TruncateFullyAndStartAt(id.Offset);
        foreach (var older in _snapshots.Where(older => older != id))
            _files.Delete(older);
        _snapshots.Clear();
        _snapshots.Add(id);
        return HistoryOf(id, snapshot);
    }

    /// <summary>Fills a piece of a snapshot into an answer of the leader, or says why there is none.</summary>
    public FetchSnapshotReply ReadSnapshotPiece(FetchSnapshotReply reply)
    {
        if (!_snapshots.Contains(reply.Snapshot))
            return reply with { Error = ErrorCode.SnapshotNotFound };
        using var file = _files.Open(reply.Snapshot);
        var size = file.Length;
        if (reply.Position < 0 || reply.Position >= size)
            return reply with { Error = ErrorCode.PositionOutOfRange };
        var bytes = new byte[Math.Min(reply.MaxBytes, size - reply.Position)];
        file.ReadExactly(reply.Position, bytes);
        return reply with { Size = size, Bytes = bytes };
    }

    /// <summary>Flushes and closes the log.</summary>
    public void Close()
    {
        _files.Abandon();
        _log.Close();
    }

    private void Clean()
    {
        var total = _snapshots.Sum(_files.SizeOf);
        while (_snapshots.Count > 1)
        {
            var size = _files.SizeOf(_snapshots[0]);
            if (!IsTooMuch(total) && !IsTooOld(_snapshots[0]))
                return;
            total -= size;
            var next = _snapshots[1];
            if (_log.AdvanceLogStartOffset(next.Offset))
                _log.DeleteOldSegments(Instant.Now(_time));
            _files.Delete(_snapshots[0]);
            _snapshots.RemoveAt(0);
        }

        _log.UnlinkDeletedSegments(Instant.Now(_time));
    }

    private bool IsTooMuch(long snapshotBytes) => _options.RetentionBytesMax >= 0
        && _log.SizeInBytes + snapshotBytes > _options.RetentionBytesMax;

    private bool IsTooOld(LogPosition id) =>
        _options.RetentionMs >= 0
        && Instant.Now(_time).UnixMilliseconds - _files.Read(id, controlOnly: true).LastContainedLogTimestampMs > _options.RetentionMs;

    private RaftEvent.Started Load()
    {
        _log.AssignTopicId(RaftBootstrap.TopicId);
        var history = LoadSnapshot();
        // What was recovered may only be in the page cache: from here on it counts as flushed, so it must be.
        _log.Flush();
        foreach (var batch in ReadBatches(Math.Max(LatestSnapshot?.Offset ?? 0, _log.LogStartOffset), _log.LogEndOffset, controlOnly: true))
        {
            foreach (var change in ChangesOf(batch))
            {
                if (change.KRaftVersion is { } version)
                    history = history.WithKRaftVersion(change.Offset, version);
                if (change.Voters is { } voters)
                    history = history.WithVoters(change.Offset, voters);
            }
        }

        var logState = RaftLogState.Open(
            _log.LogStartOffset,
            _log.LogEndOffset,
            _log.LeaderEpochs.Select(entry => (entry.Epoch, entry.StartOffset)),
            _snapshots.Count > 0 ? _snapshots[0] : null,
            LatestSnapshot);
        return new RaftEvent.Started(LoadElection(), logState, history);
    }

    /// <summary>Finds the newest whole snapshot and fits the log to it.</summary>
    private QuorumHistory LoadSnapshot()
    {
        while (LatestSnapshot is { } id)
        {
            MetadataSnapshot snapshot;
            try
            {
                snapshot = _files.Read(id, controlOnly: true);
            }
            catch (ProtocolException exception)
            {
                LogBadSnapshot(_logger, id.Offset, id.Epoch, exception);
                _snapshots.RemoveAt(_snapshots.Count - 1);
                continue;
            }

            RefuseDamage(id, HistoryOf(id, snapshot).Voters);
            // It was fetched from a leader just before the crash: the log before it is superfluous, and may be of another leader.
            if (id.Offset > _log.LogEndOffset || (EpochBefore(id.Offset) is >= 0 and var epoch && epoch != id.Epoch))
                _log.TruncateFullyAndStartAt(id.Offset);
            if (_log.LogStartOffset > id.Offset)
                throw new InvalidDataException(
                    $"{_directory} has no whole snapshot at or after the start of its log, {_log.LogStartOffset}.");
            foreach (var older in _snapshots.Where(older => older.Offset < _log.LogStartOffset))
                _files.Delete(older);
            _snapshots.RemoveAll(older => older.Offset < _log.LogStartOffset);
            return HistoryOf(id, snapshot);
        }

        if (_log.LogStartOffset > 0)
            throw new InvalidDataException($"{_directory} has no whole snapshot, and its log begins at {_log.LogStartOffset}.");
        return QuorumHistory.Begin(_options.StaticVoters);
    }

    /// <summary>
    /// A voter has flushed all of its log before it writes or fetches a snapshot. If what was cut off lies before the end of one, no power
    /// loss has torn it: what this voter had acknowledged after the snapshot may be lost with it, and it must not vote by what is left.
    /// </summary>
    private void RefuseDamage(LogPosition snapshot, VoterSet voters)
    {
        if (!_log.WasCut || snapshot.Offset <= _log.LogEndOffset || !_options.Raft.CanBecomeVoter)
            return;
        if (voters.Voters.Count == 1 && voters.Contains(_options.Raft.Local))
        {
            LogLoss(_logger, _directory, _log.LogEndOffset, snapshot.Offset);
            return; // nobody else has it
        }

        throw new InvalidDataException(
            $"The metadata log in {_directory} is damaged at offset {_log.LogEndOffset}, before the end of its snapshot, "
            + $"{snapshot.Offset}. What this controller had acknowledged after the snapshot may be lost, so it must not vote any more. "
            + "The other voters have it: remove this controller from the voters, format its metadata directory anew, and add it again");
    }

    private QuorumHistory HistoryOf(LogPosition id, MetadataSnapshot snapshot)
    {
        var history = QuorumHistory.Begin(_options.StaticVoters);
        if (snapshot.KRaftVersion > 0)
            history = history.WithKRaftVersion(id.Offset - 1, snapshot.KRaftVersion);
        return snapshot.Voters is { } voters ? history.WithVoters(id.Offset - 1, VoterSet.FromRecord(voters)) : history;
    }

    private ElectionState LoadElection()
    {
        var path = Path.Combine(_directory, QuorumStateFile.FileName);
        if (!_fileSystem.FileExists(path))
        {
            if (_log.LatestEpoch >= 0)
                LogElectionLost(_logger, path, _log.LatestEpoch);
            return ElectionState.None;
        }

        var data = QuorumStateFile.Parse(_fileSystem.ReadAllBytes(path, QuorumStateFile.LengthMaxBytes), out _);
        return new ElectionState(
            data.LeaderEpoch, data.LeaderId, data.VotedId >= 0 ? new ReplicaKey(data.VotedId, data.VotedDirectoryId) : null);
    }

    private static List<QuorumChange> ChangesOf(MetadataBatch batch)
    {
        var changes = new List<QuorumChange>();
        foreach (var control in batch.ControlRecords)
        {
            if (control.Message is VotersRecord voters)
                changes.Add(new QuorumChange(control.Offset, VoterSet.FromRecord(voters), null));
            else if (control.Message is KRaftVersionRecord version)
                changes.Add(new QuorumChange(control.Offset, null, version.KRaftVersion));
        }

        return changes;
    }

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "{Path} is missing, though the metadata log has records of epoch {Epoch}. The node goes on from that epoch and does "
            + "not know whom it voted for")]
    private static partial void LogElectionLost(ILogger logger, string path, int epoch);

    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "The metadata log in {Directory} is damaged at offset {EndOffset}: changes of metadata after its snapshot, which ends at "
            + "{SnapshotOffset}, are lost. This node is the only voter, so nobody else has them")]
    private static partial void LogLoss(ILogger logger, string directory, long endOffset, long snapshotOffset);

    [LoggerMessage(Level = LogLevel.Error, Message = "The metadata snapshot {Offset}-{Epoch} is incomplete; using an older one")]
    private static partial void LogBadSnapshot(ILogger logger, long offset, int epoch, Exception exception);
}
