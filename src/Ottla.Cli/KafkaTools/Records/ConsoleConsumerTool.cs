using Ottla.Cli.Commands;
using Ottla.Cli.KafkaTools.Options;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.Kernel;

namespace Ottla.Cli.KafkaTools.Records;

/// <summary>kafka-console-consumer: prints records.</summary>
internal sealed class ConsoleConsumerTool
{
    private const string Class = "org.apache.kafka.tools.consumer.ConsoleConsumer";

    private readonly ToolContext _context;
    private readonly ParsedOptions _options;
    private readonly MessageFormatters.Formatter _formatter;
    private int _count;

    private ConsoleConsumerTool(ToolContext context, ParsedOptions options, MessageFormatters.Formatter formatter) =>
        (_context, _options, _formatter) = (context, options, formatter);

    /// <summary>Runs the tool.</summary>
    public static async Task<int> RunAsync(ToolContext context)
    {
        var options = ConsoleConsumerOptions.Parse(context);
        var properties = ConsoleConsumerOptions.Properties(options, context);
        var start = ConsoleConsumerOptions.StartOf(options);
        var formatter = ConsoleConsumerOptions.FormatterOf(options, context);
        try
        {
            using var signals = new StopSignals();
            await using var client = ToolClient.Open(properties);
            await new ConsoleConsumerTool(context, options, formatter).RunAsync(client, start, signals.Token);
            if (options.Has("enable-systest-events"))
                context.Output.WriteLine("shutdown_complete");
            return signals.ExitCode ?? 0;
        }
        catch (Exception e) when (e is JavaException or KafkaException or ArgumentException)
        {
            context.Log("ERROR", "Unknown error when running consumer: ", Class);
            context.Error.WriteLine(e is JavaException java ? java.Text : e.Message);
            return 1;
        }
    }

    private async Task RunAsync(ToolClient client, long start, CancellationToken stopped)
    {
        var consumerOptions = client.Properties.Consumer;
        await using var consumer = client.Client.CreateConsumer<byte[], byte[]>(consumerOptions);
        try
        {
            await _context.Output.FlushAsync(CancellationToken.None);
            Subscribe(consumer, start);
            await ConsumeAsync(consumer, storesOffsets: consumerOptions is { GroupId: not null, EnableAutoCommit: true }, stopped);
        }
        finally
        {
            await _context.Bytes.FlushAsync(CancellationToken.None);
            await consumer.CloseAsync();
            _context.Error.WriteLine($"Processed a total of {_count} messages");
        }
    }

    private void Subscribe(Consumer<byte[], byte[]> consumer, long start)
    {
        if (_options.Value("topic") is not { } topic)
        {
            consumer.SubscribePattern(_options.Value("include")!);
            return;
        }

        if (_options.Int("partition") is not { } index)
        {
            consumer.Subscribe([topic]);
            return;
        }

        var partition = new TopicPartition(topic, index);
        consumer.Assign([partition]);
        if (start == ConsoleConsumerOptions.Earliest)
            consumer.SeekToBeginning([partition]);
        else if (start == ConsoleConsumerOptions.Latest)
            consumer.SeekToEnd([partition]);
        else
            consumer.Seek(partition, start);
    }

    private async Task ConsumeAsync(Consumer<byte[], byte[]> consumer, bool storesOffsets, CancellationToken stopped)
    {
        var countMax = _options.Int("max-messages") ?? -1;
        var timeout = _options.Long("timeout-ms") is >= 0 and var ms and <= int.MaxValue
            ? TimeSpan.FromMilliseconds(ms) : TimeSpan.FromMilliseconds(int.MaxValue);
        while (countMax < 0 || _count < countMax)
        {
            ConsumeResult<byte[], byte[]>? received;
            try
            {
                var receiving = consumer.ConsumeOneAsync(timeout, stopped);
                if (!receiving.IsCompleted)
                    await _context.Bytes.FlushAsync(CancellationToken.None);
                received = await receiving;
                if (received is null)
                    throw JavaException.Kafka("TimeoutException", "");
            }
            catch (OperationCanceledException) when (stopped.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) when (e is KafkaException or JavaException)
            {
                _context.Log("ERROR", "Error processing message, terminating consumer process: ", Class);
                _context.Error.WriteLine(
                    e is KafkaException failure ? JavaErrors.Of(failure.ErrorCode, failure.Detail).Text : ((JavaException)e).Class);
                return;
            }

            _count++;
            Show(received.Value);
            if (storesOffsets)
                consumer.StoreOffset(received.Value.Next);
        }
    }

    private void Show(in ConsumeResult<byte[], byte[]> record)
    {
        try
        {
            _formatter(record, _context.Bytes);
        }
        catch (JavaException e) when (_options.Has("skip-message-on-error"))
        {
            _context.Log("ERROR", "Error processing message, skipping this message: ", Class);
            _context.Error.WriteLine(e.Text);
        }
    }
}
