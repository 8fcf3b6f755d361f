using System.Globalization;
using System.Text;
using System.Text.Json;
using Ottla.SystemTests.Wire;

namespace Ottla.SystemTests.Clients;

/// <summary>
/// A process that copies its partitions of a topic in transactions, as the drivers' command <c>transform</c> of README.md does, with our
/// own client at the protocol level of transaction.version 2: partitions and groups come into a transaction with the first write, every end
/// of a transaction brings another epoch. Some transactions it aborts.
/// </summary>
internal sealed class TransactionalCopier(
    TransactionProtocol protocol, string group, string topic, string toTopic, IReadOnlyList<int> partitions)
{
    private const int TransactionalAttribute = 0x10;
    private const int AbortEvery = 7;

    private readonly Dictionary<int, int> _sequences = [];
    private Dictionary<int, long> _positions = [];
    private int _transactions;

    /// <summary>The command line of such a process.</summary>
    public static MemberCommand Command(int port, string group, string topic, string toTopic, string id, IEnumerable<int> partitions) =>
        new(
        "dotnet",
        [typeof(TransactionalCopier).Assembly.Location, "copy", Text(port), group, topic, toTopic, id, .. partitions.Select(Text)],
        new Dictionary<string, string>(),
        GroupEvent.ParseJson,
        EndsWithInput: true);

    /// <summary>What the process does: copies until the input ends.</summary>
    /// <returns>The exit code: 0, or 3 after an error that no producer may go on from.</returns>
    public static async Task<int> RunAsync(int port, string group, string topic, string toTopic, string id, IReadOnlyList<int> partitions)
    {
        var endOfInput = Task.Run(() =>
        {
            while (Console.In.Read() >= 0)
            {
            }
        });
        await using var protocol = new TransactionProtocol(port, id);
        try
        {
            await new TransactionalCopier(protocol, group, topic, toTopic, partitions).CopyUntilAsync(endOfInput);
            return 0;
        }
        catch (KafkaErrorException fatal)
        {
            Console.Error.WriteLine(fatal);
            return 3;
        }
    }

    private async Task CopyUntilAsync(Task endOfInput)
    {
        await protocol.InitializeAsync();
        await RewindAsync();
        while (!endOfInput.IsCompleted)
        {
            var records = await protocol.FetchAsync(topic, _positions);
            if (records.Count > 0)
                await CopyAsync(records);
        }
    }

    private async Task CopyAsync(List<CopiedRecord> records)
    {
        // Told before it is done: whatever happens to this process, it is known what may have been sent.
        Tell(new GroupEvent
        {
            Event = GroupEvent.Transaction,
            Records = [.. records.Select(record => new[] { record.Partition, record.Offset, ValueOf(record) })]
        });
        var byPartition = records.GroupBy(record => record.Partition).ToDictionary(each => each.Key, each => each.ToList());
        var next = byPartition.ToDictionary(each => each.Key, each => each.Value[^1].Offset + 1);
        try
        {
            await protocol.ProduceAsync(toTopic, byPartition.ToDictionary(each => each.Key, each => Batch(each.Key, each.Value)));
            await protocol.CommitOffsetsAsync(group, topic, next);
            if (++_transactions % AbortEvery == 0)
            {
                await AbortAsync();
                return;
            }

            await protocol.EndAsync(commit: true);
        }
        catch (KafkaErrorException refusal) when (refusal.IsAbortable)
        {
            Console.Error.WriteLine(refusal.Message);
            await AbortAsync();
            return;
        }

        _sequences.Clear();
        foreach (var (partition, offset) in next)
            _positions[partition] = offset;
        Tell(new GroupEvent { Event = GroupEvent.Committed, Partition = -1, Offset = records.Count });
    }

    private async Task AbortAsync()
    {
        await protocol.EndAsync(commit: false);
        _sequences.Clear();
        Tell(new GroupEvent { Event = GroupEvent.Aborted });
        await RewindAsync();
    }

    /// <summary>Goes to what the group has committed.</summary>
    private async Task RewindAsync() =>
        _positions = (await protocol.CommittedAsync(group, topic, partitions)).ToDictionary(each => each.Partition, each => each.Offset);

    private byte[] Batch(int partition, List<CopiedRecord> records)
    {
        var sequence = _sequences.GetValueOrDefault(partition);
        _sequences[partition] = sequence + records.Count;
        return new BatchBuilder
        {
            TimestampMs = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(),
            Attributes = TransactionalAttribute,
            ProducerId = protocol.ProducerId,
            ProducerEpoch = protocol.ProducerEpoch,
            BaseSequence = sequence,
            Records = records.Count,
            Value = index => records[index].Value,
        }.Build();
    }

    private static long ValueOf(CopiedRecord record) => long.Parse(Encoding.ASCII.GetString(record.Value), CultureInfo.InvariantCulture);

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static void Tell(GroupEvent what) => Console.Out.WriteLine(JsonSerializer.Serialize(what));
}
