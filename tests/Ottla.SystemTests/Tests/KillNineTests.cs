using System.Globalization;
using Confluent.Kafka;
using Ottla.SystemTests.Clients;
using Ottla.SystemTests.Harness;

namespace Ottla.SystemTests.Tests;

/// <summary>
/// An idempotent producer with acks=all goes on while its broker is killed with SIGKILL again and again and comes back on the same
/// directory. In the end every record is there once, in order, at the offset that was acknowledged.
/// (A killed process loses nothing that it gave to the operating system; power loss is the simulator's matter.)
/// </summary>
[Trait(Categories.Trait, Categories.Kill)]
public sealed class KillNineTests
{
    private const int Rounds = 20;
    private const int Partitions = 3;
    private const int Seed = 20261124;

    // How many more records are acknowledged before the next kill.
    private const int AcknowledgedMin = 200;
    private const int AcknowledgedMax = 3000;

    private static readonly TimeSpan ProgressLimit = TimeSpan.FromSeconds(30);

    [ClientFact("confluent-dotnet")]
    public async Task AcknowledgedRecordsSurviveKillsOnceAndInOrder()
    {
        await using var broker = await BrokerProcess.StartAsync();
        var client = ClientCatalog.Get("confluent-dotnet");
        var topic = BrokerFixture.NewTopicName("killed");
        await client.CreateTopicAsync(broker.Bootstrap, topic, Partitions);

        using var workload = new Workload(broker.Bootstrap, topic);
        var random = new Random(Seed);
        var producing = workload.StartAsync();
        for (var round = 1; round <= Rounds; round++)
        {
            var target = workload.Acknowledged + random.Next(AcknowledgedMin, AcknowledgedMax);
            await Until.TrueAsync(
                $"round {round}: {target} records are acknowledged\n{broker.Output}",
                ProgressLimit,
                () => workload.Acknowledged >= target || producing.IsCompleted);
            Assert.False(producing.IsCompleted, $"The producer stopped in round {round}: {producing.Exception}");
            await broker.KillAsync();
            await broker.StartAgainAsync();
        }

        workload.Stop();
        await producing;
        AssertComplete(workload, await client.ConsumeAsync(broker.Bootstrap, topic));
    }

    private static void AssertComplete(Workload workload, IReadOnlyList<ConsumedRecord> consumed)
    {
        for (var partition = 0; partition < Partitions; partition++)
        {
            var read = consumed.Where(record => record.Partition == partition).ToList();
            for (var index = 0; index < read.Count; index++)
            {
                var number = BitConverter.ToInt64(read[index].Value!);
                Assert.True(
                    number == index && read[index].Offset == index,
                    string.Create(CultureInfo.InvariantCulture, $"Partition {partition}: offset {read[index].Offset} has record {number} where {index} was due."));
            }

            Assert.Equal(workload.OffsetsOf(partition), Enumerable.Range(0, read.Count).Select(index => (long)index));
        }
    }

    /// <summary>
    /// Numbers the records of each partition from 0 and produces them until stopped. One task produces; the client's polling thread
    /// reports deliveries. Any record that fails for good ends the test.
    /// </summary>
    private sealed class Workload(string bootstrap, string topic) : IDisposable
    {
        // Few enough that a restart finds the producer with work in flight, and not with minutes of it.
        private const int UnacknowledgedMax = 2000;

        private readonly List<long>[] _offsets = [.. Enumerable.Range(0, Partitions).Select(_ => new List<long>())];
        private readonly SemaphoreSlim _room = new(UnacknowledgedMax);
        private readonly CancellationTokenSource _stop = new();
        private long _acknowledged;
        private volatile string? _failure;

        public long Acknowledged => Interlocked.Read(ref _acknowledged);

        /// <summary>The acknowledged offsets of a partition, in the order of its records. Only after the producer ended.</summary>
        public List<long> OffsetsOf(int partition) => _offsets[partition];

        public void Stop() => _stop.Cancel();

        public void Dispose()
        {
            _stop.Dispose();
            _room.Dispose();
        }

        public Task StartAsync() => Task.Run(ProduceAsync);

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
            using var producer = new ProducerBuilder<Null, byte[]>(config)
                .SetErrorHandler((_, error) => _failure ??= error.IsFatal ? error.Reason : null)
                .SetLogHandler((_, _) => { })
                .Build();
            for (long number = 0; !_stop.IsCancellationRequested && _failure is null; number++)
            {
                for (var partition = 0; partition < Partitions; partition++)
                {
                    await _room.WaitAsync();
                    producer.Produce(
                        new TopicPartition(topic, partition), new Message<Null, byte[]> { Value = BitConverter.GetBytes(number) }, OnDelivery);
                }
            }

            // Every record gives its room back. (Flush would report deliveries on this thread too, beside the polling thread.)
            using var deadline = new CancellationTokenSource(ProgressLimit);
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
}
