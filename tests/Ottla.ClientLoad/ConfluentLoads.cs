using Confluent.Kafka;

namespace Ottla.ClientLoad;

/// <summary>Sends with Confluent.Kafka, as its documentation does.</summary>
/// <remarks>
/// Acks and idempotence are those of the other client. Delivery reports are off where nobody wants them, and the queue is longer than by
/// default, so that its exceptions are rare: both are in favour of this client.
/// </remarks>
internal sealed class ConfluentProduceLoad : ILoad
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly LoadArguments _arguments;
    private readonly IProducer<Null, byte[]> _producer;
    private readonly Message<Null, byte[]> _message;
    private bool _isInitialized;

    public ConfluentProduceLoad(LoadArguments arguments)
    {
        _arguments = arguments;
        var value = new byte[arguments.RecordBytes];
        new Random(1).NextBytes(value);
        _message = new Message<Null, byte[]> { Value = value };
        var config = new ProducerConfig { BootstrapServers = arguments.Bootstrap, QueueBufferingMaxMessages = 1_000_000 };
        switch (arguments.Load)
        {
            case "forget":
                config.Acks = Acks.Leader;
                config.EnableIdempotence = false;
                config.EnableDeliveryReports = false;
                break;
            case "enqueue":
                config.Acks = Acks.All;
                config.EnableIdempotence = true;
                config.EnableDeliveryReports = false;
                break;
            case "await":
                config.Acks = Acks.All;
                config.EnableIdempotence = true;
                break;
            case "transactions":
                config.TransactionalId = $"load-{Guid.NewGuid():N}";
                config.EnableDeliveryReports = false;
                break;
            default:
                throw new FormatException($"There is no load {arguments.Load}.");
        }

        _producer = new ProducerBuilder<Null, byte[]>(config).Build();
    }

    public async Task RunAsync(long records)
    {
        switch (_arguments.Load)
        {
            case "await":
                await AwaitEachAsync(records);
                break;
            case "transactions":
                InTransactions(records);
                break;
            default:
                for (var i = 0L; i < records; i++)
                    Produce();
                _producer.Flush(Patience);
                break;
        }
    }

    public ValueTask DisposeAsync()
    {
        _producer.Dispose();
        return ValueTask.CompletedTask;
    }

    private void Produce()
    {
        while (true)
        {
            try
            {
                _producer.Produce(_arguments.Topic, _message);
                return;
            }
            catch (ProduceException<Null, byte[]> e) when (e.Error.Code == ErrorCode.Local_QueueFull)
            {
                Thread.Sleep(1);
            }
        }
    }

    private async Task AwaitEachAsync(long records)
    {
        var open = new Task<DeliveryResult<Null, byte[]>>?[OttlaProduceLoad.Window];
        for (var i = 0L; i < records; i++)
        {
            if (open[i % open.Length] is { } earlier)
                await earlier;
            open[i % open.Length] = _producer.ProduceAsync(_arguments.Topic, _message);
        }

        foreach (var last in open)
        {
            if (last is not null)
                await last;
        }
    }

    private void InTransactions(long records)
    {
        if (!_isInitialized)
            _producer.InitTransactions(Patience);
        _isInitialized = true;
        while (records > 0)
        {
            _producer.BeginTransaction();
            for (var i = Math.Min(records, OttlaProduceLoad.TransactionRecords); i > 0; i--, records--)
                Produce();
            _producer.CommitTransaction(Patience);
        }
    }
}

/// <summary>Reads with Confluent.Kafka, one record at a time: it has no batches.</summary>
internal sealed class ConfluentConsumeLoad : ILoad
{
    private readonly IConsumer<Ignore, byte[]> _consumer;
    private readonly int _recordBytes;

    public ConfluentConsumeLoad(LoadArguments arguments)
    {
        _recordBytes = arguments.RecordBytes;
        _consumer = new ConsumerBuilder<Ignore, byte[]>(new ConsumerConfig
        {
            BootstrapServers = arguments.Bootstrap,
            GroupId = $"load-{Guid.NewGuid():N}",
            AutoOffsetReset = AutoOffsetReset.Earliest,
            IsolationLevel = IsolationLevel.ReadUncommitted,
            CheckCrcs = true, // as the other client
            QueuedMinMessages = 1_000_000, // by default it rests for a second with 100,000 records at hand
            FetchQueueBackoffMs = 10,
        }).Build();
        _consumer.Subscribe(arguments.Topic);
    }

    public Task RunAsync(long records)
    {
        var bytes = 0L;
        for (var i = 0L; i < records; i++)
            bytes += _consumer.Consume(CancellationToken.None).Message.Value.Length;
        return bytes == records * _recordBytes
            ? Task.CompletedTask
            : throw new InvalidOperationException($"{records} records have {bytes} bytes.");
    }

    public ValueTask DisposeAsync()
    {
        _consumer.Close();
        _consumer.Dispose();
        return ValueTask.CompletedTask;
    }
}
