using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Storage.Log;

namespace Ottla.Storage.Producers;

/// <summary>
/// The rules by which a producer's batches may be appended: epochs never go back, sequences have no gaps, markers come from a
/// current coordinator (KIP-98, KIP-360, KIP-890).
/// </summary>
/// <remarks>
/// Checks the batches of one append in order, each against the state after the ones before it. Changes no other state: that is updated when
/// the bytes are written. The log's lock guards it; it lives as long as the log.
/// </remarks>
internal sealed class ProducerAppendChecks(ProducerStateManager producers)
{
    /// <summary>The transaction version from which every marker bumps the epoch (KIP-890).</summary>
    private const short EpochBumpingTransactionVersion = 2;

    private readonly List<Pending> _pending = [];

    /// <summary>Starts the checks of an append.</summary>
    public void Begin() => _pending.Clear();

    /// <summary>Checks the next batch of the append.</summary>
    /// <param name="batch">The batch, with its offsets.</param>
    /// <param name="origin">The sender.</param>
    /// <param name="transactionVersion">For markers: the transaction version of the producer.</param>
    /// <param name="guard">
    /// For data of a transaction that is not open yet: the guard from its verification; null when the data needs none.
    /// </param>
    /// <exception cref="LogException">The batch must not be appended.</exception>
    public void Check(in RecordBatchView batch, AppendOrigin origin, short transactionVersion, VerificationGuard? guard)
    {
        var slot = FindOrAdd(batch.ProducerId);
        var pending = _pending[slot];
        if (!batch.IsControl)
            CheckData(batch, origin, guard, ref pending);
        else if (batch.RecordCount > 0)
            CheckMarker(batch, origin, transactionVersion, ref pending);
        _pending[slot] = pending;
    }

    private static void CheckData(in RecordBatchView batch, AppendOrigin origin, VerificationGuard? guard, ref Pending pending)
    {
        var epoch = batch.ProducerEpoch;
        if (epoch < pending.Epoch && origin != AppendOrigin.Replication)
            throw InvalidEpoch(batch, pending.Epoch);
        if (batch.IsTransactional && guard is { } given && origin != AppendOrigin.Replication)
            CheckVerified(batch, given, pending);
        if (origin == AppendOrigin.Client)
            CheckSequence(batch, pending);
        if (pending.TransactionFirstOffset >= 0 && !batch.IsTransactional && origin != AppendOrigin.Replication)
            throw new LogException(
                ErrorCode.InvalidTxnState,
                $"Producer {batch.ProducerId} sent a batch outside its transaction, which is open since offset "
                    + $"{pending.TransactionFirstOffset}.");
        pending.Epoch = epoch;
        pending.LastSequence = batch.LastSequence;
        pending.Verification = null;
        if (batch.IsTransactional && pending.TransactionFirstOffset < 0)
            pending.TransactionFirstOffset = batch.BaseOffset;
    }

    private static void CheckVerified(in RecordBatchView batch, VerificationGuard guard, in Pending pending)
    {
        var isOpen = pending.TransactionFirstOffset >= 0 && pending.Epoch == batch.ProducerEpoch;
        if (!isOpen && (guard == VerificationGuard.None || pending.Verification?.Guard != guard))
            throw new LogException(
                ErrorCode.InvalidTxnState, $"Producer {batch.ProducerId} sent a batch before its coordinator confirmed the transaction.");
    }

    private static void CheckSequence(in RecordBatchView batch, in Pending pending)
    {
        if (pending.Verification is { } verification
            && (batch.BaseSequence > verification.LowestSequence
                || (verification.BumpsEpoch && !pending.HadBatches && batch.BaseSequence != 0)))
            throw new LogException(
                ErrorCode.OutOfOrderSequenceNumber,
                $"Producer {batch.ProducerId} (epoch {batch.ProducerEpoch}) began a transaction with sequence {batch.BaseSequence} "
                    + $"instead of {(verification.BumpsEpoch ? 0 : verification.LowestSequence)}.");
        // Without state (it was deleted, or the producer is new) the first batch may have any sequence.
        if (!pending.HadState)
            return;
        var first = batch.BaseSequence;
        var expected = batch.ProducerEpoch != pending.Epoch || pending.LastSequence == int.MaxValue ? 0 : pending.LastSequence + 1;
        if (first != expected)
            throw new LogException(
                ErrorCode.OutOfOrderSequenceNumber,
                $"Producer {batch.ProducerId} (epoch {batch.ProducerEpoch}, known epoch {pending.Epoch}) sent sequence {first} "
                    + $"instead of {expected}.");
    }

    private static void CheckMarker(in RecordBatchView batch, AppendOrigin origin, short transactionVersion, ref Pending pending)
    {
        var epoch = batch.ProducerEpoch;
        var marker = EndTransactionMarker.Read(batch);
        if (origin != AppendOrigin.Replication)
        {
            var bumps = transactionVersion >= EpochBumpingTransactionVersion;
            var isStale = bumps ? epoch <= pending.Epoch : epoch < pending.Epoch;
            // A coordinator writes its marker again when it recovers, which does no harm after the transaction.
            var isRetry = bumps && epoch == pending.Epoch && (pending.TransactionFirstOffset < 0 || epoch == short.MaxValue);
            if (isStale && !isRetry)
                throw InvalidEpoch(batch, pending.Epoch);
            if (marker.CoordinatorEpoch < pending.CoordinatorEpoch)
                throw new LogException(
                    ErrorCode.TransactionCoordinatorFenced,
                    $"A marker for producer {batch.ProducerId} has coordinator epoch {marker.CoordinatorEpoch}, older than "
                        + $"{pending.CoordinatorEpoch}.");
        }

        if (pending.Epoch != epoch)
            pending.LastSequence = RecordBatchLayout.NoSequence;
        pending.Epoch = epoch;
        pending.CoordinatorEpoch = marker.CoordinatorEpoch;
        pending.TransactionFirstOffset = -1;
    }

    public static LogException InvalidEpoch(long producerId, short producerEpoch, short known) =>
        new(ErrorCode.InvalidProducerEpoch, $"Producer {producerId} used epoch {producerEpoch}; the log has already seen epoch {known}.");

    private static LogException InvalidEpoch(in RecordBatchView batch, short known) =>
        InvalidEpoch(batch.ProducerId, batch.ProducerEpoch, known);

    private int FindOrAdd(long producerId)
    {
        for (var i = 0; i < _pending.Count; i++)
        {
            if (_pending[i].ProducerId == producerId)
                return i;
        }

        var state = producers.Find(producerId);
        _pending.Add(new Pending
        {
            ProducerId = producerId,
            HadBatches = state is { BatchCount: > 0 },
            Verification = producers.FindVerification(producerId),
            HadState = state is not null && state.ProducerEpoch != RecordBatchLayout.NoProducerEpoch,
            Epoch = state?.ProducerEpoch ?? RecordBatchLayout.NoProducerEpoch,
            LastSequence = state?.LastSequence ?? RecordBatchLayout.NoSequence,
            CoordinatorEpoch = state?.CoordinatorEpoch ?? -1,
            TransactionFirstOffset = state?.CurrentTransactionFirstOffset ?? -1,
        });
        return _pending.Count - 1;
    }

    /// <summary>A producer's state after the batches checked so far.</summary>
    private struct Pending
    {
        public long ProducerId;
        public bool HadState;
        public bool HadBatches;
        public TransactionVerification? Verification;
        public short Epoch;
        public int LastSequence;
        public int CoordinatorEpoch;
        public long TransactionFirstOffset;
    }
}
