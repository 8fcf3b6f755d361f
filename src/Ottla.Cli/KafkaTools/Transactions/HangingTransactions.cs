using Ottla.Cli.KafkaTools.Options;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Cli.KafkaTools.Transactions;

/// <summary>Finds transactions that are open in a partition, and whose coordinator does not know of them (KIP-664).</summary>
internal sealed class HangingTransactions(ToolContext context, ParsedOptions options, ToolClient client)
{
    private const int TimeoutMinutesDefault = 15;

    /// <summary>Finds and prints them.</summary>
    public async Task FindAsync()
    {
        var topic = options.Value("topic");
        var broker = options.Int("broker-id");
        if (topic is null && broker is null)
            throw new ToolException("The `find-hanging` command requires either --topic or --broker-id to limit the scope of the search");
        if (options.Has("partition") && topic is null)
            throw new ToolException("The --partition argument requires --topic to be provided");
        var age = TimeSpan.FromMinutes(options.Int("max-transaction-timeout") ?? TimeoutMinutesDefault);
        var open = await OpenAsync(await PartitionsAsync(topic, broker), broker, age);
        var hanging = open.Count == 0 ? [] : await HangingAsync(open);
        var now = TimeProvider.System.GetUtcNow();
        context.Output.Write(TabTable.Of(
            ["Topic", "Partition", "ProducerId", "ProducerEpoch", "CoordinatorEpoch", "StartOffset", "LastTimestamp", "Duration(min)"],
            [
                .. hanging.Select(each => new[]
                {
                    each.Partition.Topic, $"{each.Partition.Partition}", $"{each.Producer.ProducerId}", $"{each.Producer.ProducerEpoch}",
                    $"{each.Producer.CoordinatorEpoch}", $"{each.Producer.CurrentTransactionStartOffset}",
                    $"{each.Producer.LastTimestamp?.ToUnixTimeMilliseconds() ?? -1}",
                    $"{(long)((now - each.Producer.LastTimestamp) ?? TimeSpan.Zero).TotalMinutes}",
                }),
            ]));
    }

    private async Task<IReadOnlyList<TopicPartition>> PartitionsAsync(string? topic, int? broker)
    {
        if (topic is not null && options.Int("partition") is { } index)
            return [new TopicPartition(topic, index)];
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
