using System.Globalization;
using Ottla.Cli.KafkaTools.Options;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol.Batches;

namespace Ottla.Cli.KafkaTools.Perf;

/// <summary>kafka-e2e-latency: sends records one by one, and says how long each takes until it is read.</summary>
internal sealed class EndToEndLatencyTool
{
    private const int ReportEvery = 1000;
    private static readonly string[] Demanded = ["bootstrap-server", "topic", "num-records", "producer-acks", "record-size"];
    private static readonly TimeSpan ReadTimeout = TimeSpan.FromMinutes(1);

    private readonly TimeProvider _time = TimeProvider.System;
    private readonly TextWriter _output;
    private readonly ParsedOptions _options;
    private readonly string _topic;
    private readonly Prng _random = new(0);

    private EndToEndLatencyTool(TextWriter output, ParsedOptions options) =>
        (_output, _options, _topic) = (output, options, options.Value("topic")!);

    /// <summary>Runs the tool.</summary>
    public static async Task<int> RunAsync(ToolContext context)
    {
        var options = Parse(context with { Arguments = Named(context) });
        await using var client = ToolClient.Open(Properties(context, options));
        var tool = new EndToEndLatencyTool(context.Output, options);
        try
        {
            await tool.RunAsync(client);
            return 0;
        }
        catch (KafkaException e)
        {
            throw JavaErrors.Of(e, "produce");
        }
    }

    /// <summary>Gives arguments without names, as older versions took them, their names.</summary>
    private static IReadOnlyList<string> Named(ToolContext context)
    {
        var arguments = context.Arguments;
        if (arguments.Count == 0 || arguments.Any(argument => Demanded.Contains(argument.TrimStart('-')) && argument.StartsWith('-')))
            return arguments;
        if (arguments.Count != Demanded.Length && arguments.Count != Demanded.Length + 1)
        {
            throw new ToolException(
                $"Invalid number of arguments. Expected 5 or 6 positional arguments, but got {arguments.Count}. Usage: bootstrap-server "
                    + "topic num-records producer-acks record-size [optional] command-config");
        }

        context.Output.WriteLine(
            "WARNING: Positional argument usage is deprecated and will be removed in Apache Kafka 5.0. Please use named arguments instead: "
                + "--bootstrap-server, --topic, --num-records, --producer-acks, --record-size, --command-config");
        return [.. arguments.Zip(Demanded.Append("command-config")).SelectMany(each => new[] { $"--{each.Second}", each.First })];
    }

    private static ParsedOptions Parse(ToolContext context)
    {
        ParsedOptions options;
        try
        {
            options = JoptTool.Parse(context, "This tool measures how long records take from a producer to a consumer.");
        }
        catch (OptionException e)
        {
            throw new UsageException(e.Message);
        }

        options.Require(Demanded);
        if (options.Value("producer-acks") is not ("1" or "all"))
        {
            throw new UsageException(
                "Invalid value for --producer-acks. Latency testing requires synchronous acknowledgement. Please use '1' or 'all'.");
        }

        if (options.Int("num-records") is <= 0)
            throw new UsageException("Value for --num-records must be a positive integer.");
        foreach (var name in new[] { "record-size", "record-key-size", "record-header-key-size", "num-headers" })
        {
            if (options.Int(name) is < 0)
                throw new UsageException($"Value for --{name} must be a non-negative integer.");
        }

        if (options.Int("record-header-size") is < -1)
            throw new UsageException("Value for --record-header-size must be a non-negative integer or -1 for null header value.");
        return options;
    }

    private static Dictionary<string, string> Properties(ToolContext context, ParsedOptions options)
    {
        var properties = (options.Value("command-config") is { } file ? ToolClient.ReadFile(file) : context.Properties).ToDictionary();
        properties["bootstrap.servers"] = options.Value("bootstrap-server")!;
        properties["group.id"] = $"test-group-{TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds()}";
        properties["enable.auto.commit"] = "false";
        properties["auto.offset.reset"] = "latest";
        properties["fetch.max.wait.ms"] = "0";
        properties["linger.ms"] = "0";
        properties["acks"] = options.Value("producer-acks")!;
        properties["enable.idempotence"] = properties["acks"] == "all" ? "true" : "false"; // it needs all in-sync replicas
        return properties;
    }

    private async Task RunAsync(ToolClient client)
    {
        var partitions = await PartitionsAsync(client);
        await using var consumer = client.Client.CreateConsumer<byte[], byte[]>(client.Properties.Consumer);
        await using var producer = client.Client.CreateProducer<byte[], byte[]>(client.Properties.Producer);
        consumer.Assign(partitions);
        consumer.SeekToEnd(partitions);
        foreach (var partition in partitions)
            await consumer.PositionAsync(partition);
        var latencies = new List<double>();
        for (var i = 0; i < _options.Int("num-records")!.Value; i++)
        {
            var latency = await MeasureAsync(producer, consumer);
            if (i % ReportEvery == 0)
                _output.WriteLine($"{i}\t{JavaNumbers.Of(latency)}");
            latencies.Add(latency);
        }

        await consumer.CommitAsync();
        _output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Avg latency: {latencies.Average():F4} ms"));
        latencies.Sort();
        _output.WriteLine($"Percentiles: 50th = {At(0.5)}, 99th = {At(0.99)}, 99.9th = {At(0.999)}");

        long At(double part) => (long)latencies[(int)(latencies.Count * part)];
    }

    private async Task<IReadOnlyList<TopicPartition>> PartitionsAsync(ToolClient client)
    {
        if (!(await client.CallAsync("listTopics", admin => admin.ListTopicsAsync())).Any(topic => topic.Name == _topic))
        {
            _output.WriteLine($"Topic \"{_topic}\" does not exist. Will create topic with 1 partition(s) and replication factor = 1");
            var created = await client.CallAsync("createTopics", admin => admin.CreateTopicsAsync(
                [new NewTopic(_topic) { Partitions = 1, ReplicationFactor = 1 }]));
            created[_topic].ThrowIfFailed("createTopics");
        }

        var described = (await client.CallAsync("describeTopics", admin => admin.DescribeTopicsAsync([_topic])))[_topic];
        described.ThrowIfFailed("describeTopics");
        return [.. described.Value.Partitions.Select(partition => new TopicPartition(_topic, partition.Index))];
    }

    /// <summary>Sends a record, reads it, and compares.</summary>
    /// <returns>How long that took, in milliseconds.</returns>
    private async Task<double> MeasureAsync(Producer<byte[], byte[]> producer, Consumer<byte[], byte[]> consumer)
    {
        var key = _options.Int("record-key-size") is { } size and > 0 ? Bytes(size) : null;
        var value = Bytes(_options.Int("record-size")!.Value);
        var headers = Enumerable.Range(0, _options.Int("num-headers") ?? 0).Select(_ => Header()).ToArray();
        var begunAt = _time.GetTimestamp();
        await producer.ProduceAsync(new ProducerRecord<byte[], byte[]>(_topic, key, value) { Headers = headers });
        var read = await consumer.ConsumeOneAsync(ReadTimeout)
            ?? throw new ToolException($"poll() timed out before finding a result (timeout:[{(long)ReadTimeout.TotalMilliseconds}ms])");
        var elapsed = _time.GetElapsedTime(begunAt).TotalMilliseconds;
        if (!value.AsSpan().SequenceEqual(read.Value) || !(key ?? []).AsSpan().SequenceEqual(read.Key ?? []))
            throw new ToolException("The message read did not match the message sent");
        return read.Headers.Count == headers.Length ? elapsed
            : throw new ToolException("Header count mismatch between sent and received messages");
    }

    private RecordHeader Header()
    {
        var key = System.Text.Encoding.ASCII.GetString(Bytes(_options.Int("record-header-key-size") ?? 0));
        var size = _options.Int("record-header-size") ?? 0;
        return size < 0 ? new RecordHeader(key, null) : new RecordHeader(key, Bytes(size));
    }

    /// <summary>Bytes of one random letter.</summary>
    private byte[] Bytes(int count)
    {
        const int letters = 26;
        var bytes = new byte[count];
        Array.Fill(bytes, (byte)('A' + (_random.NextUInt64() % letters)));
        return bytes;
    }
}
