using Ottla.Client;
using Ottla.HistoryChecker.History;
using Ottla.Kernel;
using Ottla.Simulator.Worlds;

namespace Ottla.Simulator.Library;

/// <summary>Consumers of the library that choose their partitions themselves, and read committed records from the beginning.</summary>
internal static class LibraryReaders
{
    private const int KillPercent = 30;
    private const int LifeMsMax = 20_000;

    /// <summary>The longest that a reader waits for a record.</summary>
    public static readonly TimeSpan WaitMax = TimeSpan.FromSeconds(1);

    /// <summary>Begins to run them.</summary>
    public static List<Task> Start(
        LibrarySession session, SimProcess director, IReadOnlyList<TopicPartition> partitions, int count) =>
        [.. Enumerable.Range(0, count).Select(i => session.KeepRunningAsync(
            director, $"reader.{i}", KillPercent, LifeMsMax, (process, number) => ReadAsync(session, process, number, partitions)))];

    /// <summary>Takes what is at hand, and waits for the first record only.</summary>
    public static async Task<List<ConsumeResult<byte[], long>>> PollAsync(
        LibrarySession session, SimProcess process, Consumer<byte[], long> consumer, TimeSpan callbackBound)
    {
        var random = session.World.Random;
        var records = new List<ConsumeResult<byte[], long>>();
        var wait = WaitMax;
        for (var left = random.NextInt(1, 10); left > 0; left--)
        {
            var record = await session.EndsAsync(
                process, "waiting for a record", wait + callbackBound, consumer.ConsumeOneAsync(wait).AsTask());
            if (record is null)
                break;
            records.Add(record.Value);
            wait = TimeSpan.Zero;
        }

        return records;
    }

    private static async Task ReadAsync(
        LibrarySession session, SimProcess process, long number, IReadOnlyList<TopicPartition> partitions)
    {
        var client = session.NewLibraryClient(process);
        var options = new ConsumerOptions { IsolationLevel = IsolationLevel.ReadCommitted, OffsetReset = OffsetReset.Earliest };
        var consumer = new Consumer<byte[], long>(client, options);
        consumer.Assign(partitions);
        session.History.Add(new Operation
        {
            Process = number,
            Outcome = Outcome.Ok,
            Steps = [new Assign([.. partitions.Select(partition => new AssignedPartition(partition.ToString(), 0))])],
        });
        while (!session.IsOver)
        {
            var records = await PollAsync(session, process, consumer, TimeSpan.Zero);
            if (records.Count > 0)
                session.History.Add(new Operation { Process = number, Outcome = Outcome.Ok, Steps = [ToPoll(records)] });
            await process.Delay(TimeSpan.FromMilliseconds(session.World.Random.NextInt(1, 200)));
        }

        await session.EndsAsync(process, "closing a consumer", options.CloseTimeout, consumer.CloseAsync());
        await session.EndsAsync(process, "closing a client", TimeSpan.Zero, client.DisposeAsync().AsTask());
        session.Forget(process);
    }

    /// <summary>Records as a history has them.</summary>
    public static Poll ToPoll(IEnumerable<ConsumeResult<byte[], long>> records) =>
        new([.. records.Select(record => new PolledRecord(record.TopicPartition.ToString(), record.Offset, record.Value))]);
}
