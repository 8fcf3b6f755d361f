using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.UnitTests.Client.Errors;

namespace Ottla.UnitTests.Client.Consumer;

/// <summary>
/// A node that waits for records of a partition without any holds up the other partitions that it leads. On a simulated clock, so that the
/// times are those of the waits alone.
/// </summary>
public sealed class FetchWaitTests
{
    private const string Topic = "waits";
    private const int Records = 200;

    [Fact]
    public void A_partition_without_records_does_not_hold_up_one_with_many()
    {
        var elapsed = TimeSpan.MaxValue;
        Run(async (run, consumer) =>
        {
            var from = run.Process.Clock.GetUtcNow();
            for (var i = 0; i < Records; i++)
            {
                Assert.NotNull(await consumer.ConsumeOneAsync(TimeSpan.FromMinutes(1)));
                await run.Process.Delay(TimeSpan.FromMilliseconds(5)); // so answers wait, and the partition is left out
            }

            elapsed = run.Process.Clock.GetUtcNow() - from;
        });
        Assert.True(elapsed < TimeSpan.FromSeconds(4), $"{Records} records were read in {elapsed}");
    }

    [Fact]
    public void A_node_is_not_asked_all_the_time_while_the_application_takes_nothing()
    {
        const int seconds = 60;
        var asked = int.MaxValue;
        Run(async (run, consumer) =>
        {
            Assert.NotNull(await consumer.ConsumeOneAsync(TimeSpan.FromMinutes(1)));
            await run.Process.Delay(TimeSpan.FromSeconds(5));
            var before = Fetches();
            await run.Process.Delay(TimeSpan.FromSeconds(seconds));
            asked = Fetches() - before;

            int Fetches() => run.Faults.Seen.Count(request => request.Key == ApiKey.Fetch);
        });
        Assert.InRange(asked, 1, (int)(seconds / new ConsumerOptions().FetchMaxWait.TotalSeconds) + 1);
    }

    [Fact]
    public void Batches_come_from_every_partition_in_turn()
    {
        Run(async (run, consumer) =>
        {
            await using (var producer = run.Client.CreateProducer<string, string>())
                await producer.ProduceAsync(new ProducerRecord<string, string>(Topic, null, "other") { Partition = 0 });
            await using var batches = consumer.ConsumeBatchesAsync().GetAsyncEnumerator();
            var before = 0;
            for (var isOther = false; !isOther; before++)
            {
                Assert.True(await batches.MoveNextAsync());
                isOther = batches.Current.TopicPartition.Partition == 0;
                await run.Process.Delay(TimeSpan.FromMilliseconds(20)); // there are always more of the first partition
            }

            Assert.InRange(before, 1, Records / 4);
        });
    }

    /// <summary>Runs a consumer of a partition without records and one with many, of which an answer has one or two.</summary>
    private static void Run(Func<ClientRun, Consumer<string, string>, Task> body) => ClientWorld.Run(1, (world, _) => world.WithClientAsync(
        async run =>
        {
            await run.Client.CreateAdmin().CreateTopicsAsync([new NewTopic(Topic) { Partitions = 2 }]);
            await using (var producer = run.Client.CreateProducer<string, string>())
            {
                for (var i = 0; i < Records; i++)
                    await producer.ProduceAsync(new ProducerRecord<string, string>(Topic, null, new string('v', 1_000)) { Partition = 1 });
            }

            await using var consumer = run.Client.CreateConsumer<string, string>(
                new ConsumerOptions { OffsetReset = OffsetReset.Earliest, MaxPartitionFetchBytes = 2_500 });
            consumer.Assign([new TopicPartition(Topic, 0), new TopicPartition(Topic, 1)]);
            await body(run, consumer);
        },
        options => options with { RequestTimeout = TimeSpan.FromSeconds(5), ApiTimeout = TimeSpan.FromSeconds(10) }));
}
