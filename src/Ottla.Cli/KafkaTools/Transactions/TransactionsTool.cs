using Ottla.Cli.KafkaTools.Options;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Cli.KafkaTools.Transactions;

/// <summary>kafka-transactions: lists, describes and ends transactions, and finds those that hang.</summary>
internal sealed class TransactionsTool
{
    private const string More = ". Enable debug logging for additional detail.";

    private readonly ToolContext _context;
    private readonly ParsedOptions _options;
    private readonly ToolClient _client;

    private TransactionsTool(ToolContext context, ParsedOptions options, ToolClient client) =>
        (_context, _options, _client) = (context, options, client);

    /// <summary>Runs the tool.</summary>
    public static async Task<int> RunAsync(ToolContext context)
    {
        if (context.Arguments is ["-v"] or ["--version"])
        {
            context.Output.WriteLine(JoptTool.KafkaVersion);
            return 0;
        }

        var parsed = ArgparseParser.Parse(
            context, "list", "describe", "describe-producers", "abort", "find-hanging", "forceTerminateTransaction");
        if (!parsed.Main.Has("bootstrap-server"))
            throw new ArgumentParserException("argument --bootstrap-server is required");
        await using var client = ToolClient.Open(parsed.Main.Value("bootstrap-server"), commandConfig: parsed.Main.Value("command-config"));
        var tool = new TransactionsTool(context, parsed.Sub, client);
        await (parsed.Command switch
        {
            "list" => tool.ListAsync(),
            "describe" => tool.DescribeAsync(),
            "describe-producers" => tool.DescribeProducersAsync(),
            "abort" => tool.AbortAsync(),
            "find-hanging" => tool.FindHangingAsync(),
            _ => tool.TerminateAsync(),
        });
        return 0;
    }

    /// <summary>What the tool ends with when a call failed.</summary>
    public static ToolException Failed(string what, JavaException cause) => new($"{what}: {cause.Message}{More}");

    private async Task ListAsync()
    {
        var filter = new ListTransactionsFilter
        {
            LongerThan = _options.Long("duration-filter") is { } duration ? TimeSpan.FromMilliseconds(duration) : null,
            TransactionalIdPattern = _options.Value("transactional-id-pattern"),
        };
        ClusterListing<ListedTransaction> listing;
        try
        {
            listing = await _client.CallAsync("listTransactions", admin => admin.ListTransactionsAsync(filter));
        }
        catch (JavaException e)
        {
            throw Failed("Failed to list transactions", e);
        }

        foreach (var (broker, failure) in listing.Failures)
        {
            throw Failed("Failed to list transactions", JavaException.Kafka(
                "KafkaException",
                $"ListTransactions request sent to broker {broker} failed: {JavaErrors.Of(failure, "listTransactions").Message}"));
        }

        // The listing does not say which broker has a transaction: its coordinator does.
        var described = listing.Items.Count == 0 ? null : await _client.CallAsync(
            "describeTransactions", admin => admin.DescribeTransactionsAsync(listing.Items.Select(each => each.TransactionalId)));
        _context.Output.Write(TabTable.Of(
            ["TransactionalId", "Coordinator", "ProducerId", "TransactionState"],
            [
                .. listing.Items.Select(each => new[]
                {
                    each.TransactionalId, Coordinator(described![each.TransactionalId]), $"{each.ProducerId}", each.State,
                }),
            ]));

        static string Coordinator(AdminResult<TransactionDescription> result) =>
            result.IsSuccess && result.Value.CoordinatorId is { } id ? $"{id}" : "-";
    }

    private async Task DescribeAsync()
    {
        _options.Demand("transactional-id");
        var id = _options.Value("transactional-id")!;
        var result = (await _client.CallAsync("describeTransactions", admin => admin.DescribeTransactionsAsync([id])))[id];
        if (!result.IsSuccess)
        {
            throw Failed($"Failed to describe transaction state of transactional-id `{id}`",
                result.Error == ErrorCode.TransactionalIdNotFound
                ? JavaException.Kafka(
                    "TransactionalIdNotFoundException",
                    $"DescribeTransactions request for transactionalId `{id}` failed because the ID could not be found")
                : JavaErrors.Of(result, "describeTransactions(api=FIND_COORDINATOR)"));
        }

        var transaction = result.Value;
        var duration = TimeProvider.System.GetUtcNow() - transaction.StartedAt;
        _context.Output.Write(TabTable.Of(
            [
                "CoordinatorId", "TransactionalId", "ProducerId", "ProducerEpoch", "TransactionState", "TransactionTimeoutMs",
                "CurrentTransactionStartTimeMs", "TransactionDurationMs", "TopicPartitions",
            ],
            [
                [
                    transaction.CoordinatorId is { } node ? $"{node}"
                        : "-", id, $"{transaction.ProducerId}", $"{transaction.ProducerEpoch}",
                    transaction.State, $"{(long)transaction.Timeout.TotalMilliseconds}",
                    transaction.StartedAt is { } started ? $"{started.ToUnixTimeMilliseconds()}" : "None",
                    duration is { } open ? $"{(long)open.TotalMilliseconds}" : "None", string.Join(',', transaction.Partitions),
                ],
            ]));
    }

    private async Task DescribeProducersAsync()
    {
        _options.Demand("topic", "partition");
        var partition = new TopicPartition(_options.Value("topic")!, _options.Int("partition")!.Value);
        var broker = _options.Int("broker-id");
        var result = (await _client.CallAsync(
            "describeProducers(api=METADATA)", admin => admin.DescribeProducersAsync([partition], broker)))[partition];
        if (!result.IsSuccess)
        {
            throw Failed(
                $"Failed to describe producers for partition {partition} on {(broker is null ? "leader" : $"broker {broker}")}",
                JavaErrors.Of(result, "describeProducers(api=METADATA)"));
        }

        _context.Output.Write(TabTable.Of(
            ["ProducerId", "ProducerEpoch", "LatestCoordinatorEpoch", "LastSequence", "LastTimestamp", "CurrentTransactionStartOffset"],
            [
                .. result.Value.Select(producer => new[]
                {
                    $"{producer.ProducerId}", $"{producer.ProducerEpoch}", $"{producer.CoordinatorEpoch}", $"{producer.LastSequence}",
                    $"{producer.LastTimestamp?.ToUnixTimeMilliseconds() ?? -1}", producer.CurrentTransactionStartOffset is { } at ? $"{at}"
                        : "None",
                }),
            ]));
    }

    private async Task FindHangingAsync()
    {
        const int timeoutMinutesDefault = 15;
        var topic = _options.Value("topic");
        var broker = _options.Int("broker-id");
        if (topic is null && broker is null)
            throw new ToolException("The `find-hanging` command requires either --topic or --broker-id to limit the scope of the search");
        if (_options.Has("partition") && topic is null)
            throw new ToolException("The --partition argument requires --topic to be provided");
        var hanging = await new HangingTransactions(_client).FindAsync(
            topic, _options.Int("partition"), broker,
            TimeSpan.FromMinutes(_options.Int("max-transaction-timeout") ?? timeoutMinutesDefault));
        var now = TimeProvider.System.GetUtcNow();
        _context.Output.Write(TabTable.Of(
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

    private async Task AbortAsync()
    {
        _options.Demand("topic", "partition");
        var partition = new TopicPartition(_options.Value("topic")!, _options.Int("partition")!.Value);
        HangingTransaction transaction;
        if (_options.Long("start-offset") is { } start)
        {
            transaction = await FindAsync(partition, start);
        }
        else if (_options.Long("producer-id") is { } producerId)
        {
            var epoch = _options.Int("producer-epoch") ?? throw new ToolException("Missing required argument --producer-epoch");
            var coordinator = _options.Int("coordinator-epoch") ?? throw new ToolException("Missing required argument --coordinator-epoch");
            transaction = new HangingTransaction(partition, producerId, (short)epoch, Math.Max(0, coordinator));
        }
        else
        {
            throw new ToolException(
                "The transaction to abort must be identified either with --start-offset (for brokers on 3.0 or above) or with "
                    + "--producer-id, --producer-epoch, and --coordinator-epoch (for older brokers)");
        }

        try
        {
            await _client.CallAsync("abortTransaction", admin => admin.AbortTransactionAsync(transaction));
        }
        catch (JavaException e)
        {
            throw Failed($"Failed to abort transaction {transaction}", e);
        }
    }

    private async Task<HangingTransaction> FindAsync(TopicPartition partition, long start)
    {
        var result = (await _client.CallAsync(
            "describeProducers(api=METADATA)", admin => admin.DescribeProducersAsync([partition])))[partition];
        if (!result.IsSuccess)
        {
            throw Failed(
                $"Failed to validate producer state for partition {partition}", JavaErrors.Of(result, "describeProducers(api=METADATA)"));
        }

        var producer = result.Value.FirstOrDefault(each => each.CurrentTransactionStartOffset == start)
            ?? throw new ToolException($"Could not find any open transactions starting at offset {start} on partition {partition}");
        return new HangingTransaction(
            partition, producer.ProducerId, (short)producer.ProducerEpoch, Math.Max(0, producer.CoordinatorEpoch));
    }

    private async Task TerminateAsync()
    {
        _options.Demand("transactionalId");
        var id = _options.Value("transactionalId")!;
        try
        {
            await _client.CallAsync("forceTerminateTransaction", admin => admin.ForceTerminateTransactionAsync(id));
        }
        catch (JavaException e)
        {
            throw Failed($"Failed to force terminate transactionalId `{id}`", e);
        }
    }
}
