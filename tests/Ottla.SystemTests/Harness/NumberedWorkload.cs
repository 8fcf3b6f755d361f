using System.Buffers.Binary;
using System.Globalization;
using Confluent.Kafka;
using Ottla.SystemTests.Clients;

namespace Ottla.SystemTests.Harness;

/// <summary>
/// Numbers the records of each partition from 0 and produces them, idempotently and with acks=all, until stopped. One task produces; the
/// client's polling thread reports deliveries. Any record that fails for good ends the test.
/// </summary>
/// <param name="bootstrap">The cluster.</param>
/// <param name="topic">The topic.</param>
/// <param name="partitions">Its partitions.</param>
/// <param name="valueBytes">The length of a value.</param>
/// <param name="roundsPerSecond">How many records each partition gets per second; null for as many as go.</param>
/// <param name="settings">More configs of the client, such as its login.</param>
public sealed class NumberedWorkload(
    string bootstrap, string topic, int partitions, int valueBytes = sizeof(long), int? roundsPerSecond = null,
    IReadOnlyDictionary<string, string>? settings = null) : IDisposable
{
    // Few enough that a restart finds the producer with work in flight, and not with minutes of it.
    private const int UnacknowledgedMax = 2000;

    private static readonly TimeSpan s_progressLimit = TimeSpan.FromSeconds(30);

    private readonly List<long>[] _offsets = [.. Enumerable.Range(0, partitions).Select(_ => new List<long>())];
    private readonly SemaphoreSlim _room = new(UnacknowledgedMax);
    private readonly CancellationTokenSource _stop = new();
    private long _acknowledged;
    private volatile string? _failure;

    public long Acknowledged => Interlocked.Read(ref _acknowledged);

    public void Stop() => _stop.Cancel();

    public void Dispose()
    {
        _stop.Dispose();
        _room.Dispose();
    }

    public Task StartAsync() => Task.Run(ProduceAsync);

    /// <summary>Every record is there once, in order, at the offset that was acknowledged. Only after the producer ended.</summary>
    public void AssertComplete(IReadOnlyList<ConsumedRecord> consumed)
    {
        for (var partition = 0; partition < partitions; partition++)
        {
            var read = consumed.Where(record => record.Partition == partition).ToList();
            for (var index = 0; index < read.Count; index++)
            {
                var number = BinaryPrimitives.ReadInt64LittleEndian(read[index].Value!);
                Assert.True(
                    number == index && read[index].Offset == index,
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"Partition {partition}: offset {read[index].Offset} has record {number} where {index} was due."));
            }

            Assert.Equal(_offsets[partition], Enumerable.Range(0, read.Count).Select(index => (long)index));
        }
    }

    private async Task ProduceAsync()
    {
        var config = new ProducerConfig
        {
            BootstrapServers = bootstrap,
            Acks = Acks.All,
            EnableIdempotence = true,
            LingerMs = 1,
            MessageTimeoutMs = 120_000,
            ReconnectBackoffMs = 10,
            ReconnectBackoffMaxMs = 100,
            RetryBackoffMs = 20,
        };
        foreach (var (name, value) in settings ?? new Dictionary<string, string>())
            config.Set(name, value);
        using var rounds = roundsPerSecond is { } rate ? new PeriodicTimer(TimeSpan.FromSeconds(1.0 / rate)) : null;
        using var producer = new ProducerBuilder<Null, byte[]>(config)
            .SetErrorHandler((_, error) => _failure ??= error.IsFatal ? error.Reason : null)
            .SetLogHandler((_, _) => { })
            .Build();
        for (long number = 0; !_stop.IsCancellationRequested && _failure is null; number++)
        {
            for (var partition = 0; partition < partitions; partition++)
            {
                await _room.WaitAsync();
                var value = new byte[valueBytes];
                BinaryPrimitives.WriteInt64LittleEndian(value, number);
                producer.Produce(new TopicPartition(topic, partition), new Message<Null, byte[]> { Value = value }, OnDelivery);
            }

            if (rounds is not null)
                await rounds.WaitForNextTickAsync();
        }

        // Every record gives its room back. (Flush would report deliveries on this thread too, beside the polling thread.)
        using var deadline = new CancellationTokenSource(s_progressLimit);
        for (var room = 0; room < UnacknowledgedMax && _failure is null; room++)
            await _room.WaitAsync(deadline.Token);
        if (_failure is not null)
            throw new InvalidOperationException(_failure);
    }

    private void OnDelivery(DeliveryReport<Null, byte[]> report)
    {
        if (report.Error.IsError)
            _failure ??= report.Error.Reason;
        else
            _offsets[report.Partition.Value].Add(report.Offset.Value);
        Interlocked.Increment(ref _acknowledged);
        _room.Release();
    }
}
