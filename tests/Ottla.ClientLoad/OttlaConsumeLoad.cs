using Ottla.Client;

namespace Ottla.ClientLoad;

/// <summary>Reads with <c>Ottla.Client</c>: one record at a time, one batch, or one batch as it is stored.</summary>
internal sealed class OttlaConsumeLoad : ILoad
{
    private readonly OttlaClient _client;
    private readonly Consumer<Ignored, byte[]> _consumer;
    private readonly string _load;
    private readonly int _recordBytes;
    private IAsyncEnumerator<ConsumeResult<Ignored, byte[]>>? _records;
    private IAsyncEnumerator<ConsumeBatch<Ignored, byte[]>>? _batches;
    private IAsyncEnumerator<RawBatch>? _raw;

    public OttlaConsumeLoad(LoadArguments arguments)
    {
        _load = arguments.Load;
        _recordBytes = arguments.RecordBytes;
        _client = new OttlaClient(new OttlaClientOptions { BootstrapServers = arguments.Bootstrap, AllowAutoCreateTopics = true });
        _consumer = _client.CreateConsumer<Ignored, byte[]>(new ConsumerOptions
        {
            GroupId = $"load-{Guid.NewGuid():N}",
            OffsetReset = OffsetReset.Earliest,
        });
        _consumer.Subscribe([arguments.Topic]);
    }

    public async Task RunAsync(long records)
    {
        var bytes = 0L;
        if (_load == "consume-raw")
        {
            await ReadRawAsync(records);
            return;
        }

        if (_load == "consume-batches")
        {
            _batches ??= _consumer.ConsumeBatchesAsync().GetAsyncEnumerator();
            for (var left = records; left > 0;)
            {
                await _batches.MoveNextAsync();
                var batch = _batches.Current.Records;
                left -= batch.Count;
                for (var i = 0; i < batch.Count; i++)
                    bytes += batch[i].Value!.Length;
            }

            if (bytes < records * _recordBytes)
                throw new InvalidOperationException($"{records} records have {bytes} bytes.");
            return;
        }

        _records ??= _consumer.ConsumeAsync().GetAsyncEnumerator();
        for (var i = 0L; i < records; i++)
        {
            await _records.MoveNextAsync();
            bytes += _records.Current.Value!.Length;
        }

        if (bytes != records * _recordBytes)
            throw new InvalidOperationException($"{records} records have {bytes} bytes.");
    }

    public async ValueTask DisposeAsync()
    {
        if (_records is not null)
            await _records.DisposeAsync();
        if (_batches is not null)
            await _batches.DisposeAsync();
        if (_raw is not null)
            await _raw.DisposeAsync();
        await _consumer.DisposeAsync();
        await _client.DisposeAsync();
    }

    private async Task ReadRawAsync(long records)
    {
        var bytes = 0L;
        _raw ??= _consumer.ConsumeRawBatchesAsync().GetAsyncEnumerator();
        for (var left = records; left > 0;)
        {
            await _raw.MoveNextAsync();
            while (_raw.Current.TryRead(out var record))
            {
                bytes += record.Value.Length;
                left--;
            }
        }

        if (bytes < records * _recordBytes)
            throw new InvalidOperationException($"{records} records have {bytes} bytes.");
    }
}
