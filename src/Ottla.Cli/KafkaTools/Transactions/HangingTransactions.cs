using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Cli.KafkaTools.Transactions;

/// <summary>Finds transactions that are open in a partition, and whose coordinator does not know of them (KIP-664).</summary>
/// <param name="client">The cluster.</param>
internal sealed class HangingTransactions(ToolClient client)
{
    /// <summary>Finds them.</summary>
    /// <param name="topic">In which topic; null for all.</param>
    /// <param name="index">In which partition of it; null for all.</param>
    /// <param name="broker">On which broker; null for leaders.</param>
    /// <param name="age">Only those that are older.</param>
    public async Task<IReadOnlyList<(TopicPartition Partition, ProducerDescription Producer)>> FindAsync(
        string? topic, int? index, int? broker, TimeSpan age)
    {
        var open = await OpenAsync(await PartitionsAsync(topic, index, broker), broker, age);
        return open.Count == 0 ? [] : await HangingAsync(open);
    }

    private async Task<IReadOnlyList<TopicPartition>> PartitionsAsync(string? topic, int? index, int? broker)
    {
        if (topic is not null && index is not null)
            return [new TopicPartition(topic, index.Value)];
        var topics = topic is not null ? [topic]
            : (await client.CallAsync("listTopics", admin => admin.ListTopicsAsync(includeInternal: true))).Select(
                each => each.Name).ToList();
        if (topics.Count == 0)
            return [];
        var partitions = new List<TopicPartition>();
        foreach (var described in (await client.CallAsync("describeTopics", admin => admin.DescribeTopicsAsync(topics))).Values)
        {
            if (!described.IsSuccess)
                throw TransactionsTool.Failed($"Failed to describe {topics.Count} topics", JavaErrors.Of(described, "describeTopics"));
            partitions.AddRange(described.Value.Partitions.Where(each => broker is null || each.Replicas.Contains(broker.Value))
                .Select(each => new TopicPartition(described.Value.Name, each.Index)));
        }

        return partitions;
    }

    private async Task<IReadOnlyList<(TopicPartition Partition, ProducerDescription Producer)>> OpenAsync(
        IReadOnlyList<TopicPartition> partitions, int? broker, TimeSpan age)
    {
        if (partitions.Count == 0)
            return [];
        var now = TimeProvider.System.GetUtcNow();
        var open = new List<(TopicPartition, ProducerDescription)>();
        foreach (var (partition, result) in await client.CallAsync(
            "describeProducers(api=METADATA)", admin => admin.DescribeProducersAsync(partitions, broker)))
        {
            if (!result.IsSuccess)
            {
                throw TransactionsTool.Failed(
                    $"Failed to describe producers for {partitions.Count} partitions",
                        JavaErrors.Of(result, "describeProducers(api=METADATA)"));
            }

            open.AddRange(result.Value.Where(each => each.CurrentTransactionStartOffset is not null && now - each.LastTimestamp > age)
                .Select(each => (partition, each)));
        }

        return open;
    }

    private async Task<IReadOnlyList<(TopicPartition Partition, ProducerDescription Producer)>> HangingAsync(
        IReadOnlyList<(TopicPartition Partition, ProducerDescription Producer)> open)
    {
        var filter = new ListTransactionsFilter { ProducerIds = [.. open.Select(each => each.Producer.ProducerId).Distinct()] };
        var listing = await client.CallAsync("listTransactions", admin => admin.ListTransactionsAsync(filter));
        foreach (var failure in listing.Failures.Values)
            throw TransactionsTool.Failed("Failed to list transactions", JavaErrors.Of(failure, "listTransactions"));
        var ids = listing.Items.ToLookup(each => each.ProducerId, each => each.TransactionalId);
        var all = listing.Items.Select(each => each.TransactionalId).ToList();
        var described = all.Count == 0 ? null
            : await client.CallAsync("describeTransactions", admin => admin.DescribeTransactionsAsync(all));
        return [.. open.Where(each => !ids[each.Producer.ProducerId].Any(id => IsKnown(described![id], each.Partition)))];

        static bool IsKnown(AdminResult<TransactionDescription> result, TopicPartition partition)
        {
            if (result.Error != ErrorCode.TransactionalIdNotFound && !result.IsSuccess)
                throw TransactionsTool.Failed("Failed to describe transactions", JavaErrors.Of(result, "describeTransactions"));
            return result.IsSuccess && result.Value.Partitions.Contains(partition);
        }
    }
}
