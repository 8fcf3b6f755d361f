using System.Globalization;
using Ottla.Cli.Commands;
using Ottla.Cli.KafkaTools.Options;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.Kernel;

namespace Ottla.Cli.KafkaTools.Perf;

/// <summary>kafka-verifiable-producer: sends numbers, and tells of each what became of it.</summary>
internal static class VerifiableProducerTool
{
    /// <summary>Runs the tool.</summary>
    public static async Task<int> RunAsync(ToolContext context)
    {
        var options = ArgparseParser.Parse(context).Main;
        options.Demand("topic", "bootstrap-server");
        if (options.Has("producer.config") && options.Has("command-config"))
            throw new ArgumentParserException("Options --producer.config and --command-config are mutually exclusive.");
        OldNames.Warn(
            options, context, "Option --{0} has been deprecated and will be removed in a future version. Use --{1} instead.",
            ("producer.config", "command-config"));
        var file = options.Value("command-config") ?? options.Value("producer.config");
        var properties = new Dictionary<string, string>
        {
            ["bootstrap.servers"] = options.Value("bootstrap-server")!,
            ["acks"] = options.Value("acks") ?? "-1",
            ["allow.auto.create.topics"] = "true",
        };
        foreach (var (name, value) in file is null ? new Dictionary<string, string>() : ToolClient.ReadFile(file))
            properties[name] = value;
        using var signals = new StopSignals();
        await using var client = ToolClient.Open(properties);
        await RunAsync(context, options, client, signals.Token);
        return signals.ExitCode ?? 0;
    }

    private static async Task RunAsync(ToolContext context, ParsedOptions options, ToolClient client, CancellationToken stopped)
    {
        var events = new VerifiableJson(context.Output);
        var topic = options.Value("topic")!;
        var countMax = options.Long("max-messages") is { } most and >= 0 ? most : long.MaxValue;
        var throughput = options.Int("throughput") ?? -1;
        var time = TimeProvider.System;
        var startedAt = time.GetTimestamp();
        var acked = 0L;
        var sent = 0L;
        events.Write("startup_complete");
        var producer = client.Client.CreateProducer<string, string>(client.Properties.Producer);
        await using (producer)
        {
            var pace = new Pace(throughput);
            try
            {
                for (; sent < countMax && !stopped.IsCancellationRequested; sent++)
                {
                    var record = RecordOf(options, topic, sent, time.GetElapsedTime(startedAt));
                    try
                    {
                        await producer.EnqueueAsync(record, delivery => Report(events, record, delivery, ref acked), stopped);
                    }
                    catch (KafkaException e)
                    {
                        ReportError(events, record, e);
                    }

                    await pace.WaitAsync(sent + 1, stopped);
                }
            }
            catch (OperationCanceledException) when (stopped.IsCancellationRequested)
            {
                // A signal ends the sending; what was sent is waited for.
            }

            await producer.FlushAsync(CancellationToken.None);
        }

        events.Write("shutdown_complete");
        var average = acked * 1000.0 / Math.Max(1, time.GetElapsedTime(startedAt).TotalMilliseconds);
        events.Write(
            "tool_data",
            $"\"sent\":{sent},\"acked\":{acked},\"target_throughput\":{throughput},\"avg_throughput\":{JavaNumbers.Of(average)}");
    }

    private static ProducerRecord<string, string> RecordOf(ParsedOptions options, string topic, long index, TimeSpan age)
    {
        var value = options.Int("value-prefix") is { } prefix ? $"{prefix}.{index}" : index.ToString(CultureInfo.InvariantCulture);
        var key = options.Int("repeating-keys") is { } keys and > 0 ? (index % keys).ToString(CultureInfo.InvariantCulture) : null;
        return new ProducerRecord<string, string>(topic, key, value)
        {
            Timestamp = options.Long("message-create-time") is { } created and >= 0
                ? DateTimeOffset.FromUnixTimeMilliseconds(created) + age : null,
        };
    }

    private static void Report(VerifiableJson events, in ProducerRecord<string, string> record, in DeliveryResult delivery, ref long acked)
    {
        if (delivery.Error is { } error)
        {
            ReportError(events, record, error);
            return;
        }

        Interlocked.Increment(ref acked);
        events.Write(
            "producer_send_success",
            $"\"key\":{VerifiableJson.Quote(record.Key)},\"value\":{VerifiableJson.Quote(record.Value)},"
                + $"\"partition\":{delivery.Metadata.Partition},\"offset\":{delivery.Metadata.Offset},"
                + $"\"topic\":{VerifiableJson.Quote(record.Topic)}");
    }

    private static void ReportError(VerifiableJson events, in ProducerRecord<string, string> record, KafkaException error)
    {
        var java = JavaErrors.Of(error.ErrorCode, error.Detail);
        events.Write(
            "producer_send_error",
            $"\"topic\":{VerifiableJson.Quote(record.Topic)},\"key\":{VerifiableJson.Quote(record.Key)},"
                + $"\"value\":{VerifiableJson.Quote(record.Value)},\"exception\":{VerifiableJson.Quote($"class {java.Class}")},"
                + $"\"message\":{VerifiableJson.Quote(java.Message)}");
    }
}
