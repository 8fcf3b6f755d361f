using Ottla.Broker.Replicas;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Storage.Log;
using Ottla.Storage.Producers;

namespace Ottla.Broker.Hosts.Transactions;

/// <summary>The abilities of a transactional producer, by the version of its Produce or TxnOffsetCommit request.</summary>
public enum TransactionSupport
{
    /// <summary>It adds its partitions itself and does not know TRANSACTION_ABORTABLE.</summary>
    AddsPartitions,

    /// <summary>It adds its partitions itself and knows TRANSACTION_ABORTABLE (KIP-890).</summary>
    KnowsAbortable,

    /// <summary>Transaction version 2: the leader that receives its records adds the partition.</summary>
    LeavesPartitionsToBroker,
}

/// <summary>A transactional batch that is about to be appended to a partition.</summary>
/// <param name="Replica">The partition.</param>
/// <param name="Sequence">The first sequence of the batch.</param>
public readonly record struct TransactionalWrite(PartitionReplica Replica, int Sequence);

/// <summary>The result of a verification.</summary>
/// <param name="Error">Why the batch must not be appended; <see cref="ApiError.None"/> when it may.</param>
/// <param name="Guard">The guard that the append needs.</param>
public readonly record struct TransactionVerdict(ApiError Error, VerificationGuard Guard);

/// <summary>
/// Asks the coordinator before the first batch of a transaction is appended to a partition (KIP-890). Stateless; all connections use it.
/// </summary>
/// <param name="coordinators">The transaction coordinators.</param>
/// <param name="config">The configuration in force.</param>
/// <param name="time">The clock.</param>
public sealed class TransactionVerifier(ITransactionCoordinators coordinators, Func<BrokerConfig> config, TimeProvider time)
{
    /// <summary>Verifies, or adds, the partitions of a request.</summary>
    /// <returns>
    /// One result for each of <paramref name="writes"/>, in their order. Completes at once when all transactions are already open in their
    /// partitions.
    /// </returns>
    public async ValueTask<TransactionVerdict[]> VerifyAsync(
        string transactionalId, ProducerIdAndEpoch producer, IReadOnlyList<TransactionalWrite> writes, TransactionSupport support)
    {
        var verdicts = new TransactionVerdict[writes.Count];
        var adds = support == TransactionSupport.LeavesPartitionsToBroker;
        if (!adds && !config().TransactionPartitionVerificationEnable)
            return verdicts;
        HashSet<TopicPartition>? askedFor = null; // a request may name a partition twice
        for (var i = 0; i < verdicts.Length; i++)
        {
            verdicts[i] = Start(producer, writes[i], adds);
            if (verdicts[i].Guard != VerificationGuard.None)
                (askedFor ??= []).Add(writes[i].Replica.Partition);
        }

        if (askedFor is null)
            return verdicts;
        List<TopicPartition> asked = [.. askedFor];
        var errors = adds ? await AddAsync(transactionalId, producer, asked) : await AskAsync(transactionalId, producer, asked);
        for (var i = 0; i < verdicts.Length; i++)
        {
            if (verdicts[i].Guard != VerificationGuard.None && errors.TryGetValue(writes[i].Replica.Partition, out var error)
                && error != ErrorCode.None)
                verdicts[i] = new TransactionVerdict(new ApiError(Known(error, support)), VerificationGuard.None);
        }

        return verdicts;
    }

    private TransactionVerdict Start(ProducerIdAndEpoch producer, TransactionalWrite write, bool bumpsEpoch)
    {
        if (write.Replica.CheckLeader(currentLeaderEpoch: -1) is not ErrorCode.None and var error)
            return new TransactionVerdict(new ApiError(error), VerificationGuard.None);
        try
        {
            var guard = write.Replica.Log.StartTransactionVerification(
                producer.Id, producer.Epoch, write.Sequence, bumpsEpoch, Instant.Now(time));
            return new TransactionVerdict(ApiError.None, guard);
        }
        catch (LogException e)
        {
            return new TransactionVerdict(new ApiError(e.ErrorCode, e.Message), VerificationGuard.None);
        }
    }

    /// <summary>
    /// Adds the partitions. Retries for a while if the previous transaction is still completing: that is faster than a retry by the
    /// producer.
    /// </summary>
    private async ValueTask<IReadOnlyDictionary<TopicPartition, ErrorCode>> AddAsync(
        string transactionalId, ProducerIdAndEpoch producer, List<TopicPartition> partitions)
    {
        var settings = config();
        var deadline = Instant.Now(time).AddMilliseconds(Math.Min(settings.AddPartitionsToTxnRetryBackoffMaxMs, settings.RequestTimeoutMs));
        while (true)
        {
            try
            {
                await coordinators.AddPartitionsAsync(transactionalId, producer, partitions);
                return new Dictionary<TopicPartition, ErrorCode>();
            }
            catch (ApiException e) when (e.Error.Code == ErrorCode.ConcurrentTransactions && Instant.Now(time) < deadline)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(settings.AddPartitionsToTxnRetryBackoffMs), time);
            }
            catch (ApiException e)
            {
                return partitions.ToDictionary(partition => partition, _ => e.Error.Code);
            }
        }
    }

    private async ValueTask<IReadOnlyDictionary<TopicPartition, ErrorCode>> AskAsync(
        string transactionalId, ProducerIdAndEpoch producer, List<TopicPartition> partitions)
    {
        try
        {
            return await coordinators.VerifyPartitionsAsync(transactionalId, producer, partitions);
        }
        catch (ApiException e)
        {
            return partitions.ToDictionary(partition => partition, _ => e.Error.Code);
        }
    }

    /// <summary>Translates errors for clients of any version.</summary>
    private static ErrorCode Known(ErrorCode error, TransactionSupport support) => error switch
    {
        ErrorCode.ProducerFenced => ErrorCode.InvalidProducerEpoch,
        ErrorCode.TransactionAbortable when support == TransactionSupport.AddsPartitions => ErrorCode.InvalidTxnState,
        _ => error,
    };
}
