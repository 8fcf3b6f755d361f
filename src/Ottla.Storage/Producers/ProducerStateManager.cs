using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Logging;
using Ottla.Kernel;
using Ottla.Protocol.Batches;
using Ottla.Storage.Files;
using Ottla.Storage.Log;

namespace Ottla.Storage.Producers;

/// <summary>A transaction that a marker ended.</summary>
internal readonly record struct CompletedTransaction(long ProducerId, long FirstOffset, long LastOffset, bool IsAborted);

/// <summary>
/// The producers of a log: their sequences for duplicate detection, their open transactions for the last stable offset, and the
/// snapshots of both on disk.
/// </summary>
/// <remarks>The log's lock guards it; it lives as long as the log. Recovery makes its own for a short time.</remarks>
internal sealed partial class ProducerStateManager(IFileSystem fileSystem, string directory, LogConfig config, ILogger logger)
{
    private readonly Dictionary<long, ProducerState> _producers = [];

    /// <summary>Transactions without a marker: first offset to producer.</summary>
    private readonly SortedList<long, long> _openTransactions = [];

    /// <summary>Transactions whose marker may still be above the high watermark: first offset to the marker's.</summary>
    private readonly SortedList<long, long> _unreplicatedTransactions = [];

    /// <summary>Transactions that the coordinator has not confirmed yet, by producer.</summary>
    private readonly Dictionary<long, TransactionVerification> _verifications = [];

    private readonly SortedSet<long> _snapshots = [];
    private readonly List<string> _unsyncedSnapshots = [];
    private string _directory = directory;
    private long _snapshotOffset;
    private long _lastGuard;

    /// <summary>The state covers the log up to this offset.</summary>
    public long EndOffset { get; private set; }

    public int Count => _producers.Count;

    public bool IsEmpty => _producers.Count == 0 && _unreplicatedTransactions.Count == 0;

    /// <summary>The offset of the latest snapshot on disk, or null.</summary>
    public long? LatestSnapshotOffset => _snapshots.Count == 0 ? null : _snapshots.Max;

    /// <summary>The first offset whose outcome some replica may not know yet, or null.</summary>
    public long? FirstUnstableOffset
    {
        get
        {
            long? open = _openTransactions.Count > 0 ? _openTransactions.Keys[0] : null;
            long? unreplicated = _unreplicatedTransactions.Count > 0 ? _unreplicatedTransactions.Keys[0] : null;
            return open is null || unreplicated < open ? unreplicated ?? open : open;
        }
    }

    public ProducerState? Find(long producerId) => _producers.GetValueOrDefault(producerId);

    public TransactionVerification? FindVerification(long producerId) => _verifications.GetValueOrDefault(producerId);

    /// <summary>Begins or continues the verification of a producer's transaction.</summary>
    public VerificationGuard StartVerification(long producerId, short epoch, int sequence, bool bumpsEpoch, Instant now)
    {
        if (_verifications.TryGetValue(producerId, out var verification))
        {
            verification.Note(sequence, epoch);
            return verification.Guard;
        }

        var guard = new VerificationGuard(++_lastGuard);
        _verifications.Add(producerId, new TransactionVerification(guard, now, sequence, epoch, bumpsEpoch));
        return guard;
    }

    public IReadOnlyDictionary<long, LastRecordOfProducer> LastRecords() =>
        _producers.Values.ToDictionary(
            producer => producer.ProducerId, producer => new LastRecordOfProducer(producer.LastDataOffset, producer.ProducerEpoch));

    public IReadOnlyList<ActiveProducer> ActiveProducers() =>
    [
        .. _producers.Values.Select(producer => new ActiveProducer(
            producer.ProducerId, producer.ProducerEpoch, producer.LastSequence, producer.LastTimestampMs, producer.CoordinatorEpoch,
            producer.CurrentTransactionFirstOffset)),
    ];

    /// <summary>Updates the state for a batch of the log.</summary>
    /// <returns>True when it ended a transaction; the caller indexes it and then calls <see cref="Complete"/>.</returns>
    public bool Apply(in RecordBatchView batch, out CompletedTransaction completed)
    {
        completed = default;
        if (!batch.HasProducerId)
            return false;
        if (batch.IsTransactional && _verifications.Count > 0)
            EndVerification(batch);
        if (batch.IsControl)
            return batch.RecordCount > 0 && ApplyMarker(batch, out completed);
        var producer = FindOrAdd(batch.ProducerId);
        producer.AddBatch(
            batch.ProducerEpoch, new ProducerBatch(batch.LastSequence, batch.LastOffset, batch.LastOffsetDelta, batch.MaxTimestamp));
        if (batch.IsTransactional && producer.CurrentTransactionFirstOffset < 0)
        {
            producer.CurrentTransactionFirstOffset = batch.BaseOffset;
            _openTransactions[batch.BaseOffset] = batch.ProducerId;
        }

        return false;
    }

    /// <summary>
    /// The last stable offset for the index entry of an aborted transaction: the start of the next open transaction, otherwise the offset
    /// after the marker.
    /// </summary>
    public long LastStableOffsetAt(in CompletedTransaction completed)
    {
        foreach (var (firstOffset, producerId) in _openTransactions)
        {
            if (producerId != completed.ProducerId)
                return firstOffset;
        }

        return completed.LastOffset + 1;
    }

    /// <summary>Ends a transaction; it stays unstable until its marker is below the high watermark.</summary>
    public void Complete(in CompletedTransaction completed)
    {
        var wasOpen = _openTransactions.Remove(completed.FirstOffset);
        Invariant.Check(wasOpen, "a completed transaction was open");
        _unreplicatedTransactions[completed.FirstOffset] = completed.LastOffset;
    }

    /// <summary>
    /// Forgets the transactions whose markers are below <paramref name="highWatermark"/>, because all replicas have these.
    /// </summary>
    public void OnHighWatermark(long highWatermark)
    {
        for (var i = _unreplicatedTransactions.Count - 1; i >= 0; i--)
        {
            if (_unreplicatedTransactions.Values[i] < highWatermark)
                _unreplicatedTransactions.RemoveAt(i);
        }
    }

    public void OnLogStartOffset(long logStartOffset)
    {
        OnHighWatermark(logStartOffset);
        EndOffset = Math.Max(EndOffset, logStartOffset);
        _snapshotOffset = LatestSnapshotOffset ?? logStartOffset;
    }

    public void AdvanceTo(long endOffset) => EndOffset = endOffset;

    /// <summary>Removes producers that are idle for too long and have no open transaction.</summary>
    public void RemoveExpired(Instant now, long expirationMs)
    {
        foreach (var (producerId, producer) in _producers)
        {
            if (IsExpired(producer, now, expirationMs))
                _producers.Remove(producerId);
        }

        foreach (var (producerId, verification) in _verifications)
        {
            if (now.MillisecondsSince(verification.StartedAt) >= expirationMs)
                _verifications.Remove(producerId);
        }
    }

    /// <summary>Loads the latest snapshot in range; the caller replays the log from <see cref="EndOffset"/> on.</summary>
    public void TruncateAndReload(long logStartOffset, long logEndOffset, Instant now)
    {
        DeleteSnapshots(offset => offset > logEndOffset || offset <= logStartOffset);
        if (logEndOffset == EndOffset)
        {
            OnLogStartOffset(logStartOffset);
            return;
        }

        Clear();
        while (LatestSnapshotOffset is { } offset)
        {
            if (TryRead(offset, out var producers))
            {
                foreach (var producer in producers.Where(producer => !IsExpired(producer, now, config.ProducerIdExpirationMs)))
                    Add(producer);
                _snapshotOffset = offset;
                EndOffset = offset;
                return;
            }

            DeleteSnapshot(offset);
        }

        _snapshotOffset = logStartOffset;
        EndOffset = logStartOffset;
    }

    /// <summary>Clears the state for a log that is empty and starts at <paramref name="offset"/>.</summary>
    public void TruncateFullyAndStartAt(long offset)
    {
        Clear();
        DeleteSnapshots(_ => true);
        _snapshotOffset = 0;
        EndOffset = offset;
    }

    /// <summary>Starts from the given snapshot, for a replay that leaves the snapshots on disk alone.</summary>
    public void StartFrom(IEnumerable<ProducerState> producers, long offset)
    {
        Clear();
        foreach (var producer in producers)
            Add(producer);
        EndOffset = offset;
    }

    private void EndVerification(in RecordBatchView batch)
    {
        // If each transaction has its own epoch, a marker of this epoch ended the previous transaction; the verification is for the next.
        if (_verifications.TryGetValue(batch.ProducerId, out var verification)
            && !(batch.IsControl && verification.BumpsEpoch && batch.ProducerEpoch == verification.Epoch))
            _verifications.Remove(batch.ProducerId);
    }

    private bool ApplyMarker(in RecordBatchView batch, out CompletedTransaction completed)
    {
        var marker = EndTransactionMarker.Read(batch);
        var producer = FindOrAdd(batch.ProducerId);
        var firstOffset = producer.CurrentTransactionFirstOffset;
        producer.SetEpoch(batch.ProducerEpoch);
        producer.CoordinatorEpoch = marker.CoordinatorEpoch;
        producer.LastTimestampMs = batch.MaxTimestamp;
        producer.CurrentTransactionFirstOffset = -1;
        completed = new CompletedTransaction(batch.ProducerId, firstOffset, batch.BaseOffset, marker.IsAbort);
        return firstOffset >= 0;
    }

    private static bool IsExpired(ProducerState producer, Instant now, long expirationMs) =>
        producer.CurrentTransactionFirstOffset < 0 && now.UnixMilliseconds - producer.LastTimestampMs >= expirationMs;

    private ProducerState FindOrAdd(long producerId)
    {
        if (_producers.TryGetValue(producerId, out var producer))
            return producer;
        producer = new ProducerState(producerId);
        _producers.Add(producerId, producer);
        return producer;
    }

    private void Add(ProducerState producer)
    {
        _producers[producer.ProducerId] = producer;
        if (producer.CurrentTransactionFirstOffset >= 0)
            _openTransactions[producer.CurrentTransactionFirstOffset] = producer.ProducerId;
    }

    private void Clear()
    {
        _producers.Clear();
        _openTransactions.Clear();
        _unreplicatedTransactions.Clear();
    }

    private bool TryRead(long offset, [NotNullWhen(true)] out List<ProducerState>? producers)
    {
        try
        {
            producers = ProducerSnapshotFile.Read(fileSystem, SnapshotPath(offset));
            return true;
        }
        catch (InvalidDataException failure)
        {
            LogCorruptSnapshot(logger, failure, SnapshotPath(offset));
            producers = null;
            return false;
        }
    }

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "The producer snapshot {Path} is corrupt. The broker deletes it and rebuilds the producers from the log")]
    private static partial void LogCorruptSnapshot(ILogger logger, Exception failure, string path);
}
