using System.Text;
using Ottla.Client;
using Ottla.Kernel;

namespace Ottla.Testing;

/// <summary>A topic of a test broker: filled and read by a client of its own, whose requests meet no faults.</summary>
/// <remarks>What is read are the committed records of all partitions, from the beginning.</remarks>
public sealed class TestTopic
{
    private const int ShownMax = 50;

    private static readonly TimeSpan Slice = TimeSpan.FromMilliseconds(50);

    /// <summary>How long expectations wait for records by default, in real time.</summary>
    public static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(10);

    private readonly OttlaTestBroker _broker;

    internal TestTopic(OttlaTestBroker broker, string name) => (_broker, Name) = (broker, name);

    /// <summary>Its name.</summary>
    public string Name { get; }

    /// <summary>Creates it.</summary>
    /// <param name="partitions">The number of partitions.</param>
    /// <param name="configs">Topic configs by Kafka's names.</param>
    /// <exception cref="KafkaException">It cannot be created.</exception>
    public async Task<TestTopic> CreateAsync(int partitions = 1, IReadOnlyDictionary<string, string?>? configs = null)
    {
        var topic = new NewTopic(Name) { Partitions = partitions };
        if (configs is not null)
            topic = topic with { Configs = configs };
        (await _broker.Admin.CreateTopicsAsync([topic])).ThrowIfFailed();
        return this;
    }

    /// <summary>Writes records without keys.</summary>
    /// <param name="values">Their values.</param>
    public async Task ProduceAsync(params IEnumerable<string> values)
    {
        foreach (var value in values)
            await ProduceKeyedAsync(null, value);
    }

    /// <summary>Writes a record.</summary>
    /// <param name="key">Its key; null for none.</param>
    /// <param name="value">Its value; null for a tombstone.</param>
    /// <param name="partition">Its partition; null for the one of its key.</param>
    public Task<RecordMetadata> ProduceKeyedAsync(string? key, string? value, int? partition = null) => _broker.Producer.ProduceAsync(
        new ProducerRecord<byte[]?, byte[]?>(Name, ToBytes(key), ToBytes(value)) { Partition = partition });

    /// <summary>Reads what is there now.</summary>
    public async Task<IReadOnlyList<TestRecord>> ReadAsync()
    {
        var partitions = await PartitionsAsync();
        var ends = (await _broker.Admin.ListOffsetsAsync(
            partitions.ToDictionary(partition => partition, _ => OffsetSpec.Latest), IsolationLevel.ReadCommitted)).GetValues();
        await using var consumer = await ConsumeAsync(partitions);
        var records = new List<TestRecord>();
        while (partitions.Any(partition => consumer.Position(partition) < ends[partition].Offset))
        {
            if (await consumer.ConsumeOneAsync(Slice) is { } result)
                records.Add(TestRecord.Of(result));
        }

        return records;
    }

    /// <summary>Waits until records with these values are there, beside others perhaps.</summary>
    /// <param name="values">The values; one that is given twice has to be there twice.</param>
    /// <exception cref="TopicAssertionException">They do not come within <see cref="DefaultTimeout"/>.</exception>
    public Task ShouldContainAsync(params IEnumerable<string?> values)
    {
        var wanted = values.ToList();
        return AwaitAsync(
            records => IsWithin(wanted, records), DefaultTimeout,
            $"the values {string.Join(", ", wanted.Select(value => value ?? "(tombstone)"))}");
    }

    /// <summary>Waits until a record is there that a test looks for.</summary>
    /// <param name="predicate">Whether a record is the one.</param>
    /// <param name="timeout">How long; null for <see cref="DefaultTimeout"/>.</param>
    /// <returns>The first one.</returns>
    /// <exception cref="TopicAssertionException">It does not come in time.</exception>
    public async Task<TestRecord> ShouldContainAsync(Func<TestRecord, bool> predicate, TimeSpan? timeout = null) =>
        (await AwaitAsync(records => records.Any(predicate), timeout ?? DefaultTimeout, "a certain record")).First(predicate);

    /// <summary>Waits until so many records are there, and no more.</summary>
    /// <param name="count">The number.</param>
    /// <param name="timeout">How long; null for <see cref="DefaultTimeout"/>.</param>
    /// <returns>The records.</returns>
    /// <exception cref="TopicAssertionException">They do not come in time, or there are more.</exception>
    public async Task<IReadOnlyList<TestRecord>> ShouldHaveCountAsync(int count, TimeSpan? timeout = null)
    {
        var records = count == 0 ? [] : await AwaitAsync(records => records.Count >= count, timeout ?? DefaultTimeout, $"{count} records");
        var all = await ReadAsync();
        return all.Count == count ? all : throw Fail($"{count} records", all.Count > records.Count ? all : records);
    }

    /// <summary>There is no record.</summary>
    /// <exception cref="TopicAssertionException">There is one.</exception>
    public Task ShouldBeEmptyAsync() => ShouldHaveCountAsync(0);

    private static byte[]? ToBytes(string? text) => text is null ? null : Encoding.UTF8.GetBytes(text);

    private static bool IsWithin(List<string?> wanted, IEnumerable<TestRecord> records)
    {
        var missing = wanted.ToList();
        foreach (var record in records)
            missing.Remove(record.Value);
        return missing.Count == 0;
    }

    private async Task<IReadOnlyList<TestRecord>> AwaitAsync(Func<List<TestRecord>, bool> condition, TimeSpan timeout, string what)
    {
        var records = new List<TestRecord>();
        var began = TimeProvider.System.GetTimestamp();
        var partitions = await PartitionsAsync(timeout, what);
        await using var consumer = await ConsumeAsync(partitions);
        while (!condition(records))
        {
            if (TimeProvider.System.GetElapsedTime(began) > timeout)
                throw Fail($"{what} within {timeout.TotalSeconds} s", records);
            if (await consumer.ConsumeOneAsync(Slice) is { } result)
                records.Add(TestRecord.Of(result));
        }

        return records;
    }

    private async Task<List<TopicPartition>> PartitionsAsync() =>
        [.. (await _broker.Admin.DescribeTopicsAsync([Name])).GetValues()[Name].Partitions
            .Select(each => new TopicPartition(Name, each.Index))];

    /// <summary>Waits for a topic that a client has yet to create.</summary>
    private async Task<List<TopicPartition>> PartitionsAsync(TimeSpan timeout, string what)
    {
        var began = TimeProvider.System.GetTimestamp();
        while (true)
        {
            try
            {
                return await PartitionsAsync();
            }
            catch (KafkaException e) when (e.ErrorCode == Protocol.ErrorCode.UnknownTopicOrPartition)
            {
                if (TimeProvider.System.GetElapsedTime(began) > timeout)
                    throw new TopicAssertionException($"There is no topic {Name}, so it does not have {what}.\n{LastRequests}");
                await Task.Delay(Slice, TimeProvider.System);
            }
        }
    }

    private async Task<Consumer<byte[], byte[]>> ConsumeAsync(List<TopicPartition> partitions)
    {
        var consumer = new Consumer<byte[], byte[]>(
            _broker.Client,
            new ConsumerOptions
            {
                IsolationLevel = IsolationLevel.ReadCommitted,
                OffsetReset = OffsetReset.Earliest,
                FetchMaxWait = Slice,
            });
        consumer.Assign(partitions);
        foreach (var partition in partitions)
            await consumer.PositionAsync(partition);
        return consumer;
    }

    private TopicAssertionException Fail(string what, IReadOnlyCollection<TestRecord> records) => new(
        $"The topic {Name} does not have {what}. It has {records.Count}:\n"
        + string.Join('\n', records.Take(ShownMax).Select(record => $"  {record}"))
        + $"{(records.Count > ShownMax ? "\n  ..." : "")}\n{LastRequests}");

    private string LastRequests => $"What clients sent last:\n{_broker.Wire.Tail(ShownMax)}";
}
