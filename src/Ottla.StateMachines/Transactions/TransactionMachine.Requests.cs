using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.StateMachines.Transactions;

// Requests of producers. The order of the checks is Kafka's, because clients choose their next action by the error.
public sealed partial class TransactionMachine
{
    private void Initialize(InitProducerIdRequest request, Step step)
    {
        CheckInitialize(request);
        var timeoutMs = request.Enable2Pc ? int.MaxValue : request.TransactionTimeoutMs;
        ProducerIdAndEpoch? expected = request.ProducerId != -1 ? new ProducerIdAndEpoch(request.ProducerId, request.ProducerEpoch) : null;
        if (!_ids.TryGetValue(request.TransactionalId!, out var id))
        {
            if (TryTakeProducerId(step, out var producerId))
                AnswerInitialized(TransactionMetadata.Create(request.TransactionalId!, producerId, timeoutMs, step.Now), step);
            return;
        }

        var known = id.Metadata;
        if (known.State.IsCompleting())
            throw new ApiException(ErrorCode.ConcurrentTransactions);
        if (expected is { } claimed && claimed.Id != known.ProducerId
            && !(claimed.Id == known.PreviousProducerId && claimed.Epoch >= TransactionMetadata.LastUsableEpoch))
            throw new ApiException(ErrorCode.ProducerFenced);
        if (known.State == TransactionState.Ongoing)
        {
            // The open transaction is aborted first, with an epoch that no producer gets. The producer asks again and then gets the next
            // one.
            if (Abort(id, step))
                step.Fail(ErrorCode.ConcurrentTransactions);
            return;
        }

        if (NextProducer(id, expected, step) is { } next)
            AnswerInitialized(known.Initialize(next, timeoutMs, step.Now), step);
    }

    private void CheckInitialize(InitProducerIdRequest request)
    {
        if (string.IsNullOrEmpty(request.TransactionalId) || request.ProducerId == -1 != (request.ProducerEpoch == -1))
            throw new ApiException(ErrorCode.InvalidRequest);
        if (request.Enable2Pc && !Config.TransactionTwoPhaseCommitEnable)
            throw new ApiException(ErrorCode.TransactionalIdAuthorizationFailed);
        if (request.KeepPreparedTxn)
            throw new ApiException(ErrorCode.UnsupportedVersion);
        if (!request.Enable2Pc && (request.TransactionTimeoutMs <= 0 || request.TransactionTimeoutMs > Config.TransactionMaxTimeoutMs))
            throw new ApiException(ErrorCode.InvalidTransactionTimeout);
    }

    /// <summary>The producer id and epoch for a producer that initializes; null when a producer id must be allocated first.</summary>
    private ProducerIdAndEpoch? NextProducer(TransactionalId id, ProducerIdAndEpoch? expected, Step step)
    {
        var known = id.Metadata;
        if (expected is { } claimed && claimed.Epoch != known.ProducerEpoch)
        {
            // A producer that missed the response asks again. It is still the latest producer, or the last epoch would differ.
            return claimed.Epoch == id.LastProducerEpoch ? known.Producer : throw new ApiException(ErrorCode.ProducerFenced);
        }

        var lastEpoch = expected is null ? (short)-1 : known.ProducerEpoch;
        ProducerIdAndEpoch next;
        if (!known.IsEpochExhausted)
            next = new ProducerIdAndEpoch(known.ProducerId, (short)(known.ProducerEpoch + 1));
        else if (TryTakeProducerId(step, out var producerId))
            next = new ProducerIdAndEpoch(producerId, 0);
        else
            return null;
        step.Effects.WhenTaken(_ => id.RecordEpochBump(lastEpoch));
        return next;
    }

    private void AnswerInitialized(TransactionMetadata metadata, Step step)
    {
        Write(metadata, step);
        step.Reply(metadata.Producer);
    }

    private void AddPartitions(AddPartitionsCommand add, Step step)
    {
        RequireTransactionalId(add.TransactionalId);
        var known = Find(add.TransactionalId, ErrorCode.InvalidProducerIdMapping).Metadata;
        if (known.State.IsCompleting())
            // Checked first, because the producer may already know the producer id that it gets when the transaction completes.
            throw new ApiException(ErrorCode.ConcurrentTransactions);
        CheckProducer(known, add.Producer);
        if (known.State != TransactionState.Ongoing || !known.Partitions.IsSupersetOf(add.Partitions))
            Write(known.Add(add.Partitions, add.ClientTransactionVersion, step.Now), step);
        step.Reply(known.Producer);
    }

    private Dictionary<TopicPartition, ErrorCode> Verify(VerifyPartitionsCommand verify)
    {
        RequireTransactionalId(verify.TransactionalId);
        var known = Find(verify.TransactionalId, ErrorCode.InvalidProducerIdMapping).Metadata;
        CheckProducer(known, verify.Producer);
        if (known.State.IsCompleting())
            throw new ApiException(ErrorCode.ConcurrentTransactions);
        return verify.Partitions.Distinct().ToDictionary(
            partition => partition, partition => known.Partitions.Contains(partition) ? ErrorCode.None : ErrorCode.TransactionAbortable);
    }

    private void EndTransaction(EndTransactionCommand end, Step step)
    {
        RequireTransactionalId(end.TransactionalId);
        var id = Find(end.TransactionalId, ErrorCode.InvalidProducerIdMapping);
        if (end.ClientTransactionVersion >= TransactionMetadata.EpochBumpingVersion)
            EndAndBump(id, end, step);
        else
            EndInEpoch(id, end, step);
    }

    /// <summary>EndTxn up to version 4: the next transaction has the same epoch, so a late request looks like a current one.</summary>
    private void EndInEpoch(TransactionalId id, EndTransactionCommand end, Step step)
    {
        var known = id.Metadata;
        CheckProducer(known, end.Producer);
        if (known.State.IsCompleting())
            throw new ApiException(ErrorCode.ConcurrentTransactions);
        if (known.State == TransactionState.Ongoing)
            Prepare(id, known.Prepare(end.IsCommit, known.ProducerEpoch, nextProducerId: -1, clientTransactionVersion: 0, step.Now), step);
        else if (known.State != CompleteState(end.IsCommit))
            throw new ApiException(ErrorCode.InvalidTxnState);
        step.Reply(ProducerIdAndEpoch.None);
    }

    /// <summary>EndTxn from version 5 on: every end raises the epoch, so a late request has an old epoch.</summary>
    private void EndAndBump(TransactionalId id, EndTransactionCommand end, Step step)
    {
        var known = id.Metadata;
        if (known.State.IsCompleting())
            throw new ApiException(ErrorCode.ConcurrentTransactions);
        var isCurrent = end.Producer == known.Producer;
        var hasLastEpochBefore = known.ProducerEpoch == 0
            && end.Producer == new ProducerIdAndEpoch(known.PreviousProducerId, TransactionMetadata.LastUsableEpoch);
        // The response was lost: the producer does not know its new epoch, or the producer id that follows the last epoch.
        var isRetry = known.State != TransactionState.Empty && known.State != TransactionState.Ongoing
            && (hasLastEpochBefore || end.Producer == new ProducerIdAndEpoch(known.ProducerId, (short)(known.ProducerEpoch - 1)));
        if (hasLastEpochBefore && !isRetry)
            throw new ApiException(ErrorCode.ProducerFenced); // a newer producer fenced it; the producer id itself is valid
        if (!isRetry)
            CheckProducer(known, end.Producer);
        if (isRetry && known.State == CompleteState(end.IsCommit))
        {
            step.Reply(known.Producer);
            return;
        }

        // A transaction that never began may only be aborted, because the producer cannot know whether its first write arrived.
        if (!isCurrent || (known.State != TransactionState.Ongoing && end.IsCommit))
            throw new ApiException(ErrorCode.InvalidTxnState);
        if (PrepareWithBump(id, end.IsCommit, end.ClientTransactionVersion, step) is { } prepared)
            step.Reply(prepared.Complete(step.Now).Producer);
    }

    private void Fence(FenceTransactionCommand fence, Step step)
    {
        if (_ids.TryGetValue(fence.TransactionalId, out var id) && id.Metadata.State == TransactionState.Ongoing
            && id.Metadata.Producer == fence.Producer)
            Abort(id, step);
    }

    /// <summary>
    /// Aborts an open transaction with an epoch that fences its producer. Returns false when a producer id must be allocated first.
    /// </summary>
    private bool Abort(TransactionalId id, Step step)
    {
        if (TransactionVersion >= TransactionMetadata.EpochBumpingVersion)
            return PrepareWithBump(id, isCommit: false, TransactionVersion, step) is not null;
        Prepare(id, id.Metadata.Prepare(isCommit: false, NextEpoch(id.Metadata), nextProducerId: -1, clientTransactionVersion: 0, step.Now),
            step);
        return true;
    }

    private TransactionMetadata? PrepareWithBump(TransactionalId id, bool isCommit, short clientTransactionVersion, Step step)
    {
        var known = id.Metadata;
        var nextProducerId = -1L;
        if (known.IsEpochExhausted && !TryTakeProducerId(step, out nextProducerId))
            return null;
        var prepared = known.Prepare(isCommit, NextEpoch(known), nextProducerId, clientTransactionVersion, step.Now);
        Prepare(id, prepared, step);
        return prepared;
    }

    /// <summary>
    /// The next epoch. It does not grow beyond the largest short, which only a transaction that Kafka began wrongly can have.
    /// </summary>
    private static short NextEpoch(TransactionMetadata metadata) => (short)Math.Min(metadata.ProducerEpoch + 1, short.MaxValue);

    private static TransactionState CompleteState(bool isCommit) =>
        isCommit ? TransactionState.CompleteCommit : TransactionState.CompleteAbort;

    private static void RequireTransactionalId(string transactionalId)
    {
        if (transactionalId.Length == 0)
            throw new ApiException(ErrorCode.InvalidRequest);
    }

    private static void CheckProducer(TransactionMetadata known, ProducerIdAndEpoch producer)
    {
        if (known.ProducerId != producer.Id)
            throw new ApiException(ErrorCode.InvalidProducerIdMapping);
        if (known.ProducerEpoch != producer.Epoch)
            throw new ApiException(ErrorCode.ProducerFenced);
    }
}
