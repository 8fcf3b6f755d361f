using System.Globalization;
using System.Text;
using Ottla.Cli.KafkaTools.Options;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.Kernel;

namespace Ottla.Cli.KafkaTools.Perf;

/// <summary>kafka-producer-perf-test: sends records, and says how fast.</summary>
internal sealed class ProducerPerfTool
{
    private const int TransactionMsDefault = 3000;
    private const int ReportMsDefault = 5000;

    private readonly bool _isTransactional;
    private readonly ParsedOptions _options;
    private readonly Prng _random;
    private readonly IReadOnlyList<byte[]> _payloads;
    private readonly byte[] _fill;

    private ProducerPerfTool(ParsedOptions options, IReadOnlyList<byte[]> payloads, bool isTransactional)
    {
        _isTransactional = isTransactional;
        _options = options;
        _payloads = payloads;
        _random = new Prng((ulong)(options.Long("random-seed") ?? 0));
        _fill = new byte[options.Int("record-size") ?? 0];
        const int letters = 26;
        for (var i = 0; i < _fill.Length; i++)
            _fill[i] = (byte)('A' + (_random.NextUInt64() % letters));
    }

    /// <summary>Runs the tool.</summary>
    public static async Task<int> RunAsync(ToolContext context)
    {
        var options = ProducerPerfOptions.Parse(context);
        var payloads = options.Value("payload-file") is { } file ? ReadPayloads(context.Output, file, options) : [];
        await using var client = ToolClient.Open(ProducerPerfOptions.Properties(context, options));
        await using var producer = client.Client.CreateProducer<byte[], byte[]>(client.Properties.Producer);
        var warmup = options.Long("warmup-records") ?? 0;
        if (warmup > 0)
        {
            context.Output.WriteLine(
                $"Warmup first {warmup} records. Steady state results will print after the complete test summary.");
        }

        var interval = TimeSpan.FromMilliseconds(options.Long("reporting-interval") ?? ReportMsDefault);
        var stats = new LatencyStats(context.Output, interval, isSteadyState: false);
        var tool = new ProducerPerfTool(options, payloads, client.Properties.Producer.TransactionalId is not null);
        try
        {
            var steady = await tool.SendAsync(context, producer, stats, interval, warmup);
            stats.PrintTotal();
            steady?.PrintTotal();
        }
        catch (KafkaException e)
        {
            throw JavaErrors.Of(e, "produce");
        }

        return 0;
    }

    private static List<byte[]> ReadPayloads(TextWriter output, string path, ParsedOptions options)
    {
        output.WriteLine($"Reading payloads from: {Path.GetFullPath(path)}");
        var delimiter = (options.Value("payload-delimiter") ?? "\n").Replace("\\n", "\n", StringComparison.Ordinal);
        var payloads = JsonFile.ReadText(path).Split(delimiter).Where(text => text.Length > 0).Select(Encoding.UTF8.GetBytes).ToList();
        output.WriteLine($"Number of records read: {payloads.Count}");
        return payloads.Count > 0 ? payloads : throw JavaException.IllegalArgument("Payload file does not contain any records.");
    }

    private async Task<LatencyStats?> SendAsync(
        ToolContext context, Producer<byte[], byte[]> producer, LatencyStats stats, TimeSpan interval, long warmup)
    {
        var time = TimeProvider.System;
        var topic = _options.Value("topic")!;
        var count = _options.Long("num-records")!.Value;
        var pace = new Pace(double.Parse(_options.Value("throughput")!, CultureInfo.InvariantCulture));
        var duration = TimeSpan.FromMilliseconds(_options.Long("transaction-duration-ms") ?? TransactionMsDefault);
        LatencyStats? steady = null;
        ProducerTransaction? transaction = null;
        var openedAt = 0L;
        for (long i = 0; i < count; i++)
        {
            if (_isTransactional && transaction is null)
            {
                transaction = await producer.BeginTransactionAsync();
                openedAt = time.GetTimestamp();
            }

            if (warmup > 0 && i == warmup)
                steady = new LatencyStats(context.Output, interval, isSteadyState: true);
            var value = PayloadOf(i);
            var sentAt = time.GetTimestamp();
            var also = steady;
            await producer.EnqueueAsync(new ProducerRecord<byte[], byte[]>(topic, KeyOf(i), value), delivery =>
            {
                if (delivery.Error is { } error)
                {
                    context.Error.WriteLine(JavaErrors.Of(error.ErrorCode, error.Detail).Text);
                    return;
                }

                var latency = time.GetElapsedTime(sentAt);
                stats.Add(latency, value.Length);
                also?.Add(latency, value.Length);
            });
            if (transaction is not null && time.GetElapsedTime(openedAt) >= duration)
            {
                await transaction.CommitAsync();
                transaction = null;
            }

            await pace.WaitAsync(i + 1, CancellationToken.None);
        }

        if (transaction is not null)
            await transaction.CommitAsync();
        await producer.FlushAsync();
        return steady;
    }

    private byte[] PayloadOf(long index) => _options.Has("payload-monotonic") ? Encoding.UTF8.GetBytes($"{index}")
        : _payloads.Count > 0 ? _payloads[(int)(_random.NextUInt64() % (ulong)_payloads.Count)] : _fill;

    private byte[]? KeyOf(long index)
    {
        if (_options.Long("record-key-range") is not { } range || _options.Value("key-distribution") is null or "none")
            return null;
        var key = _options.Value("key-distribution") == "random" ? (long)(_random.NextUInt64() % (ulong)range) : index % range;
        return Encoding.UTF8.GetBytes($"{key}");
    }
}
