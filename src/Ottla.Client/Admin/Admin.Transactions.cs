using Ottla.Client.Admins;
using Ottla.Client.Calls;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Client;

public sealed partial class Admin
{
    /// <inheritdoc/>
    public async Task<AdminResults<TopicPartition, IReadOnlyList<ProducerDescription>>> DescribeProducersAsync(
        IEnumerable<TopicPartition> partitions, int? brokerId = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(partitions);
        TopicPartition[] all = [.. partitions];
        IItemRoute<TopicPartition> route = brokerId is { } id
            ? new NodeRoute<TopicPartition>(_client, _ => id, othersToController: false) : new LeaderRoute(_client, all);
        return Results(await Items.RunAsync(
            new ItemCall<TopicPartition, IReadOnlyList<ProducerDescription>, DescribeProducersRequest, DescribeProducersResponse>
            {
                IsRetriable = error => error == ErrorCode.UnknownTopicOrPartition
                    || (error == ErrorCode.NotLeaderOrFollower && brokerId is null),
                Request = (_, asked, _) => new DescribeProducersRequest
                {
                    Topics = [.. asked.GroupBy(partition => partition.Topic).Select(topic => new DescribeProducersRequest.TopicRequest
                    {
                        Name = topic.Key,
                        PartitionIndexes = [.. topic.Select(partition => partition.Partition)],
                    })],
                },
                Read = (answer, answers) =>
                {
                    foreach (var topic in answer.Topics)
                    {
                        foreach (var each in topic.Partitions)
                        {
                            answers.Take(
                                new TopicPartition(topic.Name, each.PartitionIndex), each.ErrorCode, each.ErrorMessage,
                                () => [.. each.ActiveProducers.Select(ToDescription)]);
                        }
                    }
                },
            },
            all, route, cancellation));
    }

    /// <inheritdoc/>
    public async Task<ClusterListing<ListedTransaction>> ListTransactionsAsync(
        ListTransactionsFilter? filter = null, CancellationToken cancellation = default)
    {
        filter ??= new ListTransactionsFilter();
        return new ClusterListing<ListedTransaction>(await AtAllBrokersAsync(
            new ItemCall<int, IReadOnlyList<ListedTransaction>, ListTransactionsRequest, ListTransactionsResponse>
            {
                IsRetriable = error => error is ErrorCode.CoordinatorLoadInProgress or ErrorCode.CoordinatorNotAvailable,
                Request = (_, _, _) => new ListTransactionsRequest
                {
                    StateFilters = [.. filter.States],
                    ProducerIdFilters = [.. filter.ProducerIds],
                    DurationFilter = filter.LongerThan is { } longer ? (long)longer.TotalMilliseconds : -1,
                    TransactionalIdPattern = filter.TransactionalIdPattern,
                },
                Read = (answer, answers) =>
                {
                    if (answer.UnknownStateFilters.Length > 0)
                    {
                        answers.FailAll(
                            ErrorCode.InvalidRequest, $"The broker knows no state {string.Join(", ", answer.UnknownStateFilters)}");
                        return;
                    }

                    answers.Take(answers.Asked[0], answer.ErrorCode, null, () => [.. answer.TransactionStates.Select(each =>
                        new ListedTransaction(each.TransactionalId, each.ProducerId, each.TransactionState))]);
                },
            },
            cancellation));
    }

    /// <inheritdoc/>
    public async Task<AdminResults<string, TransactionDescription>> DescribeTransactionsAsync(
        IEnumerable<string> transactionalIds, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(transactionalIds);
        return Results(await Items.RunAsync(
            new ItemCall<string, TransactionDescription, DescribeTransactionsRequest, DescribeTransactionsResponse>
            {
                IsRetriable = AdminErrors.OfCoordinator,
                Request = (_, asked, _) => new DescribeTransactionsRequest { TransactionalIds = [.. asked] },
                Read = (answer, answers) =>
                {
                    foreach (var each in answer.TransactionStates)
                        answers.Take(each.TransactionalId, each.ErrorCode, null, () => ToDescription(each) with
                        {
                            CoordinatorId = _client.Calls.Coordinators.Known(CoordinatorType.Transaction, each.TransactionalId)?.Id,
                        });
                },
            },
            transactionalIds, new CoordinatorRoute(_client, CoordinatorType.Transaction), cancellation));
    }

    /// <inheritdoc/>
    public async Task AbortTransactionAsync(HangingTransaction transaction, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        var partition = transaction.Partition;
        var results = await Items.RunAsync(
            new ItemCall<TopicPartition, Done, WriteTxnMarkersRequest, WriteTxnMarkersResponse>
            {
                IsRetriable = error => error is ErrorCode.UnknownTopicOrPartition or ErrorCode.NotLeaderOrFollower
                    or ErrorCode.BrokerNotAvailable or ErrorCode.ReplicaNotAvailable,
                Request = (_, _, _) => new WriteTxnMarkersRequest
                {
                    Markers = [new()
                    {
                        ProducerId = transaction.ProducerId,
                        ProducerEpoch = transaction.ProducerEpoch,
                        CoordinatorEpoch = Math.Max(transaction.CoordinatorEpoch, 0),
                        TransactionResult = false,
                        Topics = [new() { Name = partition.Topic, PartitionIndexes = [partition.Partition] }],
                    }],
                },
                Read = (answer, answers) =>
                {
                    foreach (var topic in answer.Markers.Where(marker => marker.ProducerId == transaction.ProducerId)
                        .SelectMany(marker => marker.Topics))
                    {
                        foreach (var each in topic.Partitions)
                            answers.Take(new TopicPartition(topic.Name, each.PartitionIndex), each.ErrorCode, null, () => default);
                    }
                },
            },
            [partition], new LeaderRoute(_client, [partition]), cancellation);
        Outcomes(results).ThrowIfFailed();
    }

    /// <inheritdoc/>
    public async Task ForceTerminateTransactionAsync(string transactionalId, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(transactionalId);
        (await FenceProducersAsync([transactionalId], cancellation)).ThrowIfFailed();
    }

    /// <inheritdoc/>
    public async Task<AdminResults<string, FencedProducer>> FenceProducersAsync(
        IEnumerable<string> transactionalIds, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(transactionalIds);
        return Results(await Items.RunAsync(
            new ItemCall<string, FencedProducer, InitProducerIdRequest, InitProducerIdResponse>
            {
                IsOneByOne = true,
                IsRetriable = error => AdminErrors.OfCoordinator(error) || error == ErrorCode.ConcurrentTransactions,
                Request = (_, asked, _) => new InitProducerIdRequest
                {
                    TransactionalId = asked[0],
                    TransactionTimeoutMs = RequestTimeoutMs, // nobody begins a transaction with it
                },
                Read = (answer, answers) => answers.Take(
                    answers.Asked[0], answer.ErrorCode, null, () => new FencedProducer(answer.ProducerId, answer.ProducerEpoch)),
            },
            transactionalIds, new CoordinatorRoute(_client, CoordinatorType.Transaction), cancellation));
    }

    private static ProducerDescription ToDescription(DescribeProducersResponse.ProducerState producer) => new(
        producer.ProducerId, producer.ProducerEpoch, producer.LastSequence, ToTime(producer.LastTimestamp), producer.CoordinatorEpoch,
        producer.CurrentTxnStartOffset >= 0 ? producer.CurrentTxnStartOffset : null);

    private static TransactionDescription ToDescription(DescribeTransactionsResponse.TransactionStateData transaction) => new(
        transaction.TransactionalId, transaction.TransactionState, transaction.ProducerId, transaction.ProducerEpoch,
        TimeSpan.FromMilliseconds(transaction.TransactionTimeoutMs), ToTime(transaction.TransactionStartTimeMs),
        [.. transaction.Topics.SelectMany(topic => topic.Partitions.Select(partition => new TopicPartition(topic.Topic, partition)))]);
}
