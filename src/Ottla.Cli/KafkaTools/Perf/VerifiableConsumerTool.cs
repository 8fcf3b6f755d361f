using System.Text;
using Ottla.Cli.Commands;
using Ottla.Cli.KafkaTools.Options;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.Kernel;

namespace Ottla.Cli.KafkaTools.Perf;

/// <summary>kafka-verifiable-consumer: reads records in a group, and tells of what it gets, reads and commits.</summary>
internal sealed class VerifiableConsumerTool : IRebalanceListener
{
    private static readonly string[] Policies = ["earliest", "latest", "none"];

    private readonly ParsedOptions _options;
    private readonly VerifiableJson _events;

    private VerifiableConsumerTool(ParsedOptions options, VerifiableJson events) => (_options, _events) = (options, events);

    /// <summary>Runs the tool.</summary>
    public static async Task<int> RunAsync(ToolContext context)
    {
        var options = ArgparseParser.Parse(context).Main;
        options.Demand("topic", "group-id", "bootstrap-server");
        if (options.Value("reset-policy") is { } policy && !Policies.Contains(policy))
            throw new ArgumentParserException($"argument --reset-policy: invalid choice: '{policy}'");
        OldNames.Warn(
            options, context, "Option --{0} has been deprecated and will be removed in a future version. Use --{1} instead.",
            ("consumer.config", "command-config"));
        using var signals = new StopSignals();
        await using var client = ToolClient.Open(Properties(options));
        var events = new VerifiableJson(context.Output);
        events.Write("startup_complete");
        try
        {
            var consumer = client.Client.CreateConsumer<byte[], byte[]>(client.Properties.Consumer);
            await using (consumer)
                await new VerifiableConsumerTool(options, events).RunAsync(consumer, signals.Token);
        }
        catch (KafkaException e)
        {
            throw JavaErrors.Of(e, "consume");
        }

        events.Write("shutdown_complete");
        events.Write("shutdown_requested");
        return signals.ExitCode ?? 0;
    }

    /// <inheritdoc/>
    public ValueTask OnAssignedAsync(IReadOnlyList<TopicPartition> partitions, CancellationToken cancellation)
    {
        _events.Write("partitions_assigned", $"\"partitions\":[{List(partitions)}]");
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask OnRevokedAsync(IReadOnlyList<TopicPartition> partitions, CancellationToken cancellation)
    {
        _events.Write("partitions_revoked", $"\"partitions\":[{List(partitions)}]");
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask OnLostAsync(IReadOnlyList<TopicPartition> partitions, CancellationToken cancellation) =>
        OnRevokedAsync(partitions, cancellation);

    private static Dictionary<string, string> Properties(ParsedOptions options)
    {
        var file = options.Value("command-config") ?? options.Value("consumer.config");
        var properties = file is null ? [] : ToolClient.ReadFile(file).ToDictionary();
        properties["bootstrap.servers"] = options.Value("bootstrap-server")!;
        properties["group.id"] = options.Value("group-id")!;
        properties["group.protocol"] = options.Value("group-protocol") ?? "classic";
        properties["enable.auto.commit"] = options.Has("enable-autocommit") ? "true" : "false";
        properties["auto.offset.reset"] = options.Value("reset-policy") ?? "earliest";
        if (options.Value("group-instance-id") is { } instance)
            properties["group.instance.id"] = instance;
        if (options.Value("group-remote-assignor") is { } assignor)
            properties["group.remote.assignor"] = assignor;
        if (properties["group.protocol"] == "classic")
        {
            properties["session.timeout.ms"] = options.Value("session-timeout") ?? "30000";
            properties["partition.assignment.strategy"] =
                options.Value("assignment-strategy") ?? "org.apache.kafka.clients.consumer.RangeAssignor";
        }

        return properties;
    }

    private async Task RunAsync(Consumer<byte[], byte[]> consumer, CancellationToken stopped)
    {
        consumer.Subscribe([_options.Value("topic")!], this);
        var left = _options.Long("max-messages") is { } most and >= 0 ? most : long.MaxValue;
        try
        {
            await foreach (var batch in consumer.ConsumeBatchesAsync(stopped))
            {
                var records = batch.Records.Take((int)Math.Min(left, batch.Records.Count)).ToList();
                left -= records.Count;
                Report(batch.TopicPartition, records, batch.Records.Count);
                if (!_options.Has("enable-autocommit"))
                    await CommitAsync(consumer, records[^1].Next);
                if (left == 0)
                    return;
            }
        }
        catch (OperationCanceledException) when (stopped.IsCancellationRequested)
        {
            // A signal ends the reading in order.
        }
    }

    private void Report(TopicPartition partition, List<ConsumeResult<byte[], byte[]>> records, int polled)
    {
        if (_options.Has("verbose"))
        {
            foreach (var record in records)
            {
                _events.Write(
                    "record_data",
                    $"\"key\":{Text(record.Key)},\"value\":{Text(record.Value)},\"topic\":{VerifiableJson.Quote(partition.Topic)},"
                        + $"\"partition\":{partition.Partition},\"offset\":{record.Offset}");
            }
        }

        _events.Write(
            "records_consumed",
            $"\"count\":{polled},\"partitions\":[{{\"topic\":{VerifiableJson.Quote(partition.Topic)},"
                + $"\"partition\":{partition.Partition},\"count\":{records.Count},\"minOffset\":{records[0].Offset},"
                + $"\"maxOffset\":{records[^1].Offset}}}]");

        static string Text(byte[]? bytes) => VerifiableJson.Quote(bytes is null ? null : Encoding.UTF8.GetString(bytes));
    }

    private async Task CommitAsync(Consumer<byte[], byte[]> consumer, PartitionOffset offset)
    {
        var offsets = $"\"offsets\":[{{\"topic\":{VerifiableJson.Quote(offset.Partition.Topic)},\"partition\":{offset.Partition.Partition},"
            + $"\"offset\":{offset.Offset.Offset}}}]";
        try
        {
            await consumer.CommitAsync([offset]);
            _events.Write("offsets_committed", $"{offsets},\"success\":true");
        }
        catch (KafkaException e)
        {
            _events.Write("offsets_committed", $"{offsets},\"error\":{VerifiableJson.Quote(e.Detail ?? e.Message)},\"success\":false");
        }
    }

    private static string List(IReadOnlyList<TopicPartition> partitions) => string.Join(',', partitions.Select(
        partition => $"{{\"topic\":{VerifiableJson.Quote(partition.Topic)},\"partition\":{partition.Partition}}}"));
}
