using System.Globalization;
using System.Text;
using Confluent.Kafka;
using Ottla.SystemTests.Clients;
using Ottla.SystemTests.Harness;

namespace Ottla.SystemTests.Tests;

/// <summary>
/// Processes copy records from one topic to another in transactions that commit their group's offsets too. They and the broker are killed
/// with SIGKILL at random; in the end a READ_COMMITTED reader finds every record once, and in order, and the history of all that was read
/// and sent has no anomaly.
/// </summary>
[Trait(Categories.Trait, Categories.Kill)]
public sealed class ExactlyOnceTests
{
    private const int Partitions = 4;
    private const int RecordsPerRound = 25;
    private const int Seed = 20261126;

    private static readonly TimeSpan ProgressLimit = TimeSpan.FromSeconds(60);

    /// <summary>How often something is killed; OTTLA_KILLS says otherwise.</summary>
    private static readonly int? Kills =
        int.TryParse(Environment.GetEnvironmentVariable("OTTLA_KILLS"), NumberStyles.None, CultureInfo.InvariantCulture, out var kills)
        ? kills : null;

    [ClientFact("librdkafka", "confluent-dotnet")]
    public Task CopiesOfLibrdkafkaAreExact() => CopiesAreExactAsync(CommandOf("librdkafka"), processes: 2, kills: Kills ?? 50);

    // In a group of the new protocol (KIP-848), where the broker says how long a session is.
    [ClientFact("librdkafka-2.16-kip848", "confluent-dotnet")]
    public Task CopiesOfTheNewLibrdkafkaAreExact() =>
        CopiesAreExactAsync(CommandOf("librdkafka-2.16-kip848"), processes: 2, kills: Kills ?? 10, GroupBrokerFixture.ShortSessions);

    // At the protocol level of transaction.version 2; each process has half of the partitions.
    [ClientFact("confluent-dotnet")]
    public Task CopiesOfOurOwnClientAreExact() => CopiesAreExactAsync(CommandOfOurOwn(processes: 2), processes: 2, kills: Kills ?? 50);

    // kafkajs has no static members: after a crash its group waits for the session's end.
    [ClientFact("kafkajs", "confluent-dotnet")]
    public Task CopiesOfKafkajsAreExact() => CopiesAreExactAsync(CommandOf("kafkajs"), processes: 1, kills: Kills ?? 8);

    /// <summary>How the copier of a number is started.</summary>
    private delegate MemberCommand CopierCommand(BrokerProcess broker, string group, string from, string to, int number);

    private static CopierCommand CommandOf(string client) => (broker, group, from, to, number) =>
        ((DriverClient)ClientCatalog.Get(client)).TransformCommand(broker.Bootstrap, group, from, to, IdOf(group, number));

    private static CopierCommand CommandOfOurOwn(int processes) => (broker, group, from, to, number) =>
        TransactionalCopier.Command(
            broker.Port, group, from, to, IdOf(group, number),
            Enumerable.Range(0, Partitions).Where(partition => partition % processes == number));

    private static string IdOf(string group, int number) => string.Create(CultureInfo.InvariantCulture, $"{group}-{number}");

    private static async Task CopiesAreExactAsync(
        CopierCommand command, int processes, int kills, IReadOnlyDictionary<string, string>? settings = null)
    {
        await using var broker = await BrokerProcess.StartAsync(settings);
        var (from, to, group) = (BrokerFixture.NewTopicName("from"), BrokerFixture.NewTopicName("to"), BrokerFixture.NewTopicName("copy"));
        var admin = ClientCatalog.Get("confluent-dotnet");
        await admin.CreateTopicAsync(broker.Bootstrap, from, Partitions);
        await admin.CreateTopicAsync(broker.Bootstrap, to, Partitions);

        var history = new CopyHistory(from, to);
        var copiers = new GroupMember[processes];
        for (var i = 0; i < processes; i++)
            copiers[i] = Start(i);
        try
        {
            var random = new Random(Seed);
            var produced = 0;
            for (var kill = 0; kill < kills; kill++)
            {
                var records = Records(produced, RecordsPerRound);
                await admin.ProduceAsync(broker.Bootstrap, from, "none", records);
                history.AddProduced(records);
                produced += RecordsPerRound;

                // Not when all is done: somewhere in the middle of it.
                var target = (produced - random.Next(1, RecordsPerRound)) * Partitions;
                await AwaitCopiesAsync(target);
                var victim = random.Next(processes + 1);
                if (victim == processes)
                {
                    await broker.KillAsync();
                    await broker.StartAgainAsync();
                }
                else
                {
                    await copiers[victim].KillAsync();
                    await RestartAsync(victim);
                }
            }

            await AwaitCopiesAsync(produced * Partitions);
            var copies = await Task.Run(() => ReadCommitted(broker.Bootstrap, to));
            AssertExact(copies, produced);
            foreach (var copier in copiers)
            {
                await copier.KillAsync();
                history.AddProcess(copier.Events);
            }

            history.AddReader(from, await Task.Run(() => ReadCommitted(broker.Bootstrap, from)));
            history.AddReader(to, copies);
            var report = history.Check();
            Assert.True(report.IsClean, report.ToString());
            Assert.True(report.SendCount >= 2 * produced * Partitions, $"The history has less than was sent and copied: {report}");
        }
        finally
        {
            foreach (var copier in copiers)
                await copier.DisposeAsync();
        }

        GroupMember Start(int number) => GroupMember.Start(command(broker, group, from, to, number));

        async Task RestartAsync(int number)
        {
            await copiers[number].DisposeAsync();
            history.AddProcess(copiers[number].Events);
            copiers[number] = Start(number);
        }

        // A copier that meets what it cannot go on from ends, and is started again, as a supervisor would.
        async Task AwaitCopiesAsync(int target)
        {
            try
            {
                await Until.TrueAsync($"{target} records are copied", ProgressLimit, async () =>
                {
                    for (var i = 0; i < processes; i++)
                    {
                        if (copiers[i].HasEnded)
                            await RestartAsync(i);
                    }

                    return CountCommitted(broker.Bootstrap, group, from) >= target;
                });
            }
            catch (TimeoutException e)
            {
                throw new TimeoutException(
                    $"{e.Message}\n{CountCommitted(broker.Bootstrap, group, from)} "
                        + $"are\n{string.Join<GroupMember>('\n', copiers)}\nbroker:\n{broker.Output}");
            }
        }
    }

    private static List<TestRecord> Records(int first, int count) =>
        [.. Enumerable.Range(0, Partitions).SelectMany(partition => Enumerable.Range(first, count).Select(number => new TestRecord(
            partition, 1_700_000_000_000 + number, null, Encoding.ASCII.GetBytes(number.ToString(CultureInfo.InvariantCulture)), [])))];

    /// <summary>How far the group has come: the sum of its committed offsets. They commit together with the copies.</summary>
    private static long CountCommitted(string bootstrap, string group, string topic)
    {
        using var consumer = new ConsumerBuilder<Ignore, Ignore>(
            new ConsumerConfig { BootstrapServers = bootstrap, GroupId = group, IsolationLevel = IsolationLevel.ReadUncommitted })
            .SetLogHandler((_, _) => { }).Build();
        return consumer.Committed(Enumerable.Range(0, Partitions).Select(partition => new TopicPartition(topic, partition)), ProgressLimit)
            .Sum(committed => Math.Max(committed.Offset.Value, 0));
    }

    private static List<(int Partition, long Offset, string Value)> ReadCommitted(string bootstrap, string topic)
    {
        using var consumer = new ConsumerBuilder<Ignore, string>(new ConsumerConfig
        {
            BootstrapServers = bootstrap,
            GroupId = "reader",
            EnableAutoCommit = false,
            IsolationLevel = IsolationLevel.ReadCommitted,
            AutoOffsetReset = AutoOffsetReset.Earliest,
            EnablePartitionEof = true,
        }).SetLogHandler((_, _) => { }).Build();
        consumer.Assign(Enumerable.Range(0, Partitions).Select(partition => new TopicPartitionOffset(topic, partition, Offset.Beginning)));
        var values = new List<(int, long, string)>();
        for (var ends = 0; ends < Partitions;)
        {
            var result = consumer.Consume(ProgressLimit) ?? throw new TimeoutException("The end of a partition was not reached.");
            if (result.IsPartitionEOF)
                ends++;
            else
                values.Add((result.Partition.Value, result.Offset.Value, result.Message.Value));
        }

        return values;
    }

    private static void AssertExact(List<(int Partition, long Offset, string Value)> copies, int produced)
    {
        for (var partition = 0; partition < Partitions; partition++)
        {
            var expected = Enumerable.Range(0, produced).Select(number => number.ToString(CultureInfo.InvariantCulture));
            Assert.Equal(expected, copies.Where(copy => copy.Partition == partition).Select(copy => copy.Value));
        }
    }
}
