using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using TransactionStateData = Ottla.Protocol.Messages.DescribeTransactionsResponse.TransactionStateData;

namespace Ottla.StateMachines.Transactions;

// Requests of administrators.
public sealed partial class TransactionMachine
{
    private TransactionStateData Describe(string transactionalId)
    {
        if (!_ids.TryGetValue(transactionalId, out var id))
        {
            var error = transactionalId.Length == 0 ? ErrorCode.InvalidRequest : ErrorCode.TransactionalIdNotFound;
            return new TransactionStateData { TransactionalId = transactionalId, ErrorCode = (short)error };
        }

        var known = id.Metadata;
        return new TransactionStateData
        {
            TransactionalId = transactionalId,
            TransactionState = known.State.ToString(),
            TransactionTimeoutMs = known.TimeoutMs,
            TransactionStartTimeMs = known.StartMs,
            ProducerId = known.ProducerId,
            ProducerEpoch = known.ProducerEpoch,
            Topics =
            [
                // Of those that still wait for a marker, once the outcome is decided.
                .. (known.State.IsCompleting() ? id.PartitionsWithoutMarker : known.Partitions)
                    .GroupBy(partition => partition.Topic, StringComparer.Ordinal).Select(topic =>
                    new DescribeTransactionsResponse.TopicData { Topic = topic.Key,
                        Partitions = [.. topic.Select(partition => partition.Partition).Order()] }),
            ],
        };
    }

    private List<ListTransactionsResponse.TransactionStateData> List(ListTransactionsCommand filter, Instant now) =>
    [
        .. Transactions.Where(transaction => IsListed(transaction, filter, now))
            .Select(transaction => new ListTransactionsResponse.TransactionStateData
        {
            TransactionalId = transaction.TransactionalId,
            ProducerId = transaction.ProducerId,
            TransactionState = transaction.State.ToString(),
        }),
    ];

    private TransactionCounts Count()
    {
        var byState = new Dictionary<TransactionState, int>();
        Instant? oldest = null;
        foreach (var transaction in Transactions)
        {
            byState[transaction.State] = byState.GetValueOrDefault(transaction.State) + 1;
            if (transaction.State != TransactionState.Ongoing && !transaction.State.IsCompleting())
                continue;
            var start = new Instant(transaction.StartMs);
            oldest = oldest is null || start < oldest.Value ? start : oldest;
        }

        return new TransactionCounts(byState, oldest);
    }

    private static bool IsListed(TransactionMetadata transaction, ListTransactionsCommand filter, Instant now) =>
        filter.States?.Contains(transaction.State) != false
        && (filter.ProducerIds.Count == 0 || filter.ProducerIds.Contains(transaction.ProducerId))
        && (filter.DurationMs < 0 || now.UnixMilliseconds - transaction.StartMs > filter.DurationMs)
        && filter.Pattern?.Matches(transaction.TransactionalId) != false;
}
