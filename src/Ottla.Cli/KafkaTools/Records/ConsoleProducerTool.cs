using System.Text;
using Ottla.Cli.KafkaTools.Options;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;

namespace Ottla.Cli.KafkaTools.Records;

/// <summary>kafka-console-producer: sends the lines of standard input.</summary>
internal static class ConsoleProducerTool
{
    private const string LineReader = "org.apache.kafka.tools.LineMessageReader";

    /// <summary>The options that stand for properties, and their defaults.</summary>
    private static readonly (string Option, string Property, string? Default)[] Merged =
    [
        ("timeout", "linger.ms", "1000"), ("request-required-acks", "acks", "-1"), ("request-timeout-ms", "request.timeout.ms", "1500"),
        ("message-send-max-retries", "retries", "3"), ("retry-backoff-ms", "retry.backoff.ms", "100"),
        ("socket-buffer-size", "send.buffer.bytes", "102400"), ("max-memory-bytes", "buffer.memory", "33554432"),
        ("batch-size", "batch.size", "16384"), ("max-partition-memory-bytes", "batch.size", null),
        ("metadata-expiry-ms", "metadata.max.age.ms", "300000"), ("max-block-ms", "max.block.ms", "60000"),
    ];

    /// <summary>Runs the tool.</summary>
    public static async Task<int> RunAsync(ToolContext context)
    {
        var options = Parse(context);
        if (options.Value("line-reader") is { } reader && reader != LineReader)
            throw new ToolException($"{reader} is a Java class that this program cannot load.");
        var lines = new LineRecordReader(options.Value("topic")!, ReaderProperties(options));
        await using var client = ToolClient.Open(ProducerProperties(options));
        Producer<byte[], byte[]> producer;
        try
        {
            producer = client.Client.CreateProducer<byte[], byte[]>(client.Properties.Producer);
        }
        catch (ArgumentException e)
        {
            throw new JavaException("org.apache.kafka.common.config.ConfigException", e.Message);
        }

        await using (producer)
            await SendAsync(context, producer, lines, options.Has("sync"));
        return 0;
    }

    private static ParsedOptions Parse(ToolContext context)
    {
        try
        {
            var options = JoptTool.Parse(context, "This tool helps to read data from standard input and publish it to Kafka.");
            options.Require("topic");
            OldNames.Refuse(options, ("command-config", "producer.config"), ("command-property", "producer-property"),
                ("reader-property", "property"));
            OldNames.Warn(
                options, context, "Warning: --{0} is deprecated and will be removed in a future version. Use --{1} instead.",
                ("producer-property", "command-property"), ("producer.config", "command-config"), ("property", "reader-property"));
            if (options.Has("max-partition-memory-bytes"))
            {
                context.Output.WriteLine(
                    "Warning: --max-partition-memory-bytes is deprecated and will be removed in Apache Kafka 5.0. Use --batch-size "
                        + "instead.");
            }

            JoptTool.ValidateBootstrap(options.Value("bootstrap-server"));
            return options;
        }
        catch (OptionException e)
        {
            throw new UsageException(e.Message);
        }
    }

    private static Dictionary<string, string> ReaderProperties(ParsedOptions options)
    {
        var properties = options.Value("reader-config") is { } file ? ToolClient.ReadFile(file).ToDictionary() : [];
        foreach (var (name, value) in JoptTool.KeyValues([.. options.Values("property"), .. options.Values("reader-property")]))
            properties[name] = value;
        return properties;
    }

    private static Dictionary<string, string> ProducerProperties(ParsedOptions options)
    {
        var file = options.Value("command-config") ?? options.Value("producer.config");
        var properties = file is null ? [] : ToolClient.ReadFile(file).ToDictionary();
        foreach (var (name, value) in JoptTool.KeyValues([.. options.Values("producer-property"), .. options.Values("command-property")]))
            properties[name] = value;
        properties["bootstrap.servers"] = options.Value("bootstrap-server")!;
        properties["compression.type"] = !options.Has("compression-codec") ? "none" : options.Value("compression-codec") ?? "gzip";
        properties.TryAdd("client.id", "console-producer");
        properties["allow.auto.create.topics"] = "true"; // Java's producers always ask for topics so
        foreach (var (option, property, standard) in Merged)
        {
            if (options.Value(option) is { } value)
                properties[property] = value;
            else if (standard is not null)
                properties.TryAdd(property, standard);
        }

        return properties;
    }

    private static async Task SendAsync(ToolContext context, Producer<byte[], byte[]> producer, LineRecordReader lines, bool isSync)
    {
        using var input = new StreamReader(Console.OpenStandardInput(), new UTF8Encoding(false));
        var isInteractive = !Console.IsInputRedirected && !Console.IsOutputRedirected;
        for (var number = 1; ; number++)
        {
            if (isInteractive)
            {
                await context.Output.WriteAsync('>');
                await context.Output.FlushAsync();
            }

            if (await input.ReadLineAsync() is not { } line)
                return;
            var record = lines.Parse(line, number);
            try
            {
                if (isSync)
                    await producer.ProduceAsync(record);
                else
                    await producer.EnqueueAsync(record, delivery => Report(context, record, delivery.Error));
            }
            catch (FatalProducerException e)
            {
                throw JavaErrors.Of(e, "produce");
            }
            catch (KafkaException e) when (!isSync)
            {
                Report(context, record, e);
            }
            catch (KafkaException e)
            {
                throw JavaErrors.Of(e, "produce").OfFuture();
            }
        }
    }

    private static void Report(ToolContext context, ProducerRecord<byte[], byte[]> record, KafkaException? error)
    {
        if (error is null)
            return;
        context.Log(
            "ERROR",
            $"Error when sending message to topic {record.Topic} with key: {Size(record.Key)}, value: {Size(record.Value)} with error:",
            "org.apache.kafka.clients.producer.internals.ErrorLoggingCallback");
        context.Error.WriteLine(JavaErrors.Of(error.ErrorCode, error.Detail).Text);

        static string Size(byte[]? bytes) => bytes is null ? "null" : $"{bytes.Length} bytes";
    }
}
