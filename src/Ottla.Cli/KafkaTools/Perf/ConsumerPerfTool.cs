using System.Globalization;
using Ottla.Cli.KafkaTools.Options;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.Kernel;

namespace Ottla.Cli.KafkaTools.Perf;

/// <summary>kafka-consumer-perf-test: reads records, and says how fast.</summary>
internal sealed class ConsumerPerfTool : IRebalanceListener
{
    private const double BytesPerMegabyte = 1024 * 1024;
    private const long TimeoutMsDefault = 10_000;
    private const int ReportMsDefault = 5000;
    private const string TimeFormat = "yyyy-MM-dd HH:mm:ss:fff";

    private readonly TimeProvider _time = TimeProvider.System;
    private readonly TextWriter _output;
    private readonly ParsedOptions _options;
    private long _bytes;
    private long _records;
    private long _joiningSince = TimeProvider.System.GetTimestamp();
    private TimeSpan _joined;

    private ConsumerPerfTool(TextWriter output, ParsedOptions options) => (_output, _options) = (output, options);

    /// <summary>Runs the tool.</summary>
    public static async Task<int> RunAsync(ToolContext context)
    {
        var options = Parse(context);
        await using var client = ToolClient.Open(Properties(context, options));
        await using var consumer = client.Client.CreateConsumer<byte[], byte[]>(client.Properties.Consumer);
        try
        {
            await new ConsumerPerfTool(context.Output, options).RunAsync(consumer);
            return 0;
        }
        catch (KafkaException e)
        {
            throw JavaErrors.Of(e, "consume");
        }
    }

    /// <inheritdoc/>
    public ValueTask OnAssignedAsync(IReadOnlyList<TopicPartition> partitions, CancellationToken cancellation)
    {
        _joined += _time.GetElapsedTime(_joiningSince);
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask OnRevokedAsync(IReadOnlyList<TopicPartition> partitions, CancellationToken cancellation)
    {
        _joiningSince = _time.GetTimestamp();
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask OnLostAsync(IReadOnlyList<TopicPartition> partitions, CancellationToken cancellation) =>
        OnRevokedAsync(partitions, cancellation);

    private static ParsedOptions Parse(ToolContext context)
    {
        try
        {
            var options = JoptTool.Parse(context, "This tool is used to verify the consumer performance.");
            options.RequireOneOf("topic", "include");
            options.RequireOneOf("num-records", "messages");
            options.Require("bootstrap-server");
            OldNames.Refuse(options, ("command-config", "consumer.config"));
            OldNames.Warn(
                options, context, "Warning: --{0} is deprecated. Use --{1} instead.", ("messages", "num-records"),
                ("consumer.config", "command-config"));
            return options;
        }
        catch (OptionException e)
        {
            throw new UsageException(e.Message);
        }
    }

    private static Dictionary<string, string> Properties(ToolContext context, ParsedOptions options)
    {
        var file = options.Value("command-config") ?? options.Value("consumer.config");
        var properties = (file is null ? context.Properties : ToolClient.ReadFile(file)).ToDictionary();
        foreach (var (name, value) in JoptTool.KeyValues(options.Values("command-property")))
            properties[name] = value;
        properties["bootstrap.servers"] = options.Value("bootstrap-server")!;
        properties["group.id"] = options.Value("group") ?? $"perf-consumer-{Uuid.NewRandom()}";
        properties["max.partition.fetch.bytes"] = options.Value("fetch-size") ?? "1048576";
        properties["auto.offset.reset"] = options.Has("from-latest") ? "latest" : "earliest";
        properties["check.crcs"] = "false";
        properties.TryAdd("client.id", "perf-consumer-client");
        properties.TryAdd("group.protocol", "classic");
        return properties;
    }

    private async Task RunAsync(Consumer<byte[], byte[]> consumer)
    {
        if (!_options.Has("hide-header"))
        {
            _output.WriteLine(
                (_options.Has("show-detailed-stats") ? "time, threadId" : "start.time, end.time")
                    + ", data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, fetch.MB.sec, "
                    + "fetch.nMsg.sec");
        }

        if (_options.Value("topic") is { } topic)
            consumer.Subscribe([topic], this);
        else
            consumer.SubscribePattern(_options.Value("include")!, this);
        var startedAt = _time.GetTimestamp();
        var start = _time.GetLocalNow();
        await ConsumeAsync(consumer, startedAt);
        var elapsed = _time.GetElapsedTime(startedAt);
        if (!_options.Has("show-detailed-stats"))
            Print($"{start.ToString(TimeFormat, CultureInfo.InvariantCulture)}, "
                + $"{_time.GetLocalNow().ToString(TimeFormat, CultureInfo.InvariantCulture)}", elapsed);
    }

    private async Task ConsumeAsync(Consumer<byte[], byte[]> consumer, long startedAt)
    {
        var wanted = _options.Long("num-records") ?? _options.Long("messages")!.Value;
        var timeout = TimeSpan.FromMilliseconds(_options.Long("timeout") ?? TimeoutMsDefault);
        var interval = TimeSpan.FromMilliseconds(_options.Long("reporting-interval") ?? ReportMsDefault);
        var reportedAt = startedAt;
        while (_records < wanted)
        {
            if (await consumer.ConsumeOneAsync(timeout) is not { } record)
            {
                _output.WriteLine(
                    $"WARNING: Exiting before consuming the expected number of records: timeout ({(long)timeout.TotalMilliseconds} ms) "
                        + "exceeded. You can use the --timeout option to increase the timeout.");
                return;
            }

            _records++;
            _bytes += (record.Key?.Length ?? 0) + (record.Value?.Length ?? 0);
            if (!_options.Has("show-detailed-stats") || _time.GetElapsedTime(reportedAt) < interval)
                continue;
            Print($"{_time.GetLocalNow().ToString(TimeFormat, CultureInfo.InvariantCulture)}, 0", _time.GetElapsedTime(startedAt));
            reportedAt = _time.GetTimestamp();
        }
    }

    private void Print(string head, TimeSpan elapsed)
    {
        var fetching = elapsed - _joined > TimeSpan.Zero ? elapsed - _joined : elapsed;
        var megabytes = _bytes / BytesPerMegabyte;
        _output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{head}, {megabytes:F4}, {megabytes / elapsed.TotalSeconds:F4}, {_records}, {_records / elapsed.TotalSeconds:F4}, "
                + $"{(long)_joined.TotalMilliseconds}, {(long)fetching.TotalMilliseconds}, {megabytes / fetching.TotalSeconds:F4}, "
                + $"{_records / fetching.TotalSeconds:F4}"));
    }
}
