using Ottla.Client;

namespace Ottla.ClientLoad;

/// <summary>Sends with <c>Ottla.Client</c>. Everything that is not named here is a default.</summary>
internal sealed class OttlaProduceLoad : ILoad
{
    /// <summary>Records that are sent and not acknowledged, where each outcome is awaited.</summary>
    public const int Window = 10_000;

    /// <summary>Records of a transaction.</summary>
    public const int TransactionRecords = 1_000;

    private readonly LoadArguments _arguments;
    private readonly OttlaClient _client;
    private readonly Producer<ReadOnlyMemory<byte>?, ReadOnlyMemory<byte>> _producer;
    private readonly ReadOnlyMemory<byte> _value;

    public OttlaProduceLoad(LoadArguments arguments)
    {
        _arguments = arguments;
        _client = new OttlaClient(new OttlaClientOptions { BootstrapServers = arguments.Bootstrap, AllowAutoCreateTopics = true });
        var value = new byte[arguments.RecordBytes];
        new Random(1).NextBytes(value);
        _value = value;
        _producer = _client.CreateProducer<ReadOnlyMemory<byte>?, ReadOnlyMemory<byte>>(arguments.Load switch
        {
            "forget" => new ProducerOptions { Acks = Acks.Leader, Idempotence = false },
            "enqueue" or "await" => new ProducerOptions(),
            "transactions" => new ProducerOptions { TransactionalId = $"load-{Guid.NewGuid():N}" },
            _ => throw new FormatException($"There is no load {arguments.Load}."),
        });
    }

    public Task RunAsync(long records) => _arguments.Load switch
    {
        "await" => AwaitEachAsync(records),
        "transactions" => InTransactionsAsync(records),
        _ => EnqueueAsync(records),
    };

    public async ValueTask DisposeAsync()
    {
        await _producer.DisposeAsync();
        await _client.DisposeAsync();
    }

    private async Task EnqueueAsync(long records)
    {
        for (var i = 0L; i < records; i++)
            await _producer.EnqueueAsync(new ProducerRecord<ReadOnlyMemory<byte>?, ReadOnlyMemory<byte>>(_arguments.Topic, null, _value));
        await _producer.FlushAsync();
    }

    private async Task AwaitEachAsync(long records)
    {
        var open = new Task<RecordMetadata>?[Window];
        for (var i = 0L; i < records; i++)
        {
            ref var place = ref open[i % Window];
            if (place is { } earlier)
                await earlier;
            open[i % Window] = _producer.ProduceAsync(_arguments.Topic, null, _value);
        }

        foreach (var last in open)
        {
            if (last is not null)
                await last;
        }
    }

    private async Task InTransactionsAsync(long records)
    {
        while (records > 0)
        {
            await using var transaction = await _producer.BeginTransactionAsync();
            for (var i = Math.Min(records, TransactionRecords); i > 0; i--, records--)
            {
                await _producer.EnqueueAsync(
                    new ProducerRecord<ReadOnlyMemory<byte>?, ReadOnlyMemory<byte>>(_arguments.Topic, null, _value));
            }

            await transaction.CommitAsync();
        }
    }
}
