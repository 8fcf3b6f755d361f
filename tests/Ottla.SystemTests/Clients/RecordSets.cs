using System.Text;

namespace Ottla.SystemTests.Clients;

/// <summary>The records that tests produce, and the comparison with what was read.</summary>
public static class RecordSets
{
    /// <summary>How many records <see cref="Varied"/> has.</summary>
    public const int VariedCount = 200;

    /// <summary>How many partitions they are spread over.</summary>
    public const int VariedPartitions = 3;

    private const int LargeValueBytes = 500_000;
    private const int Seed = 20261123;

    /// <summary>
    /// Records of every kind that a client can send: null and empty keys and values, headers empty, null and with one name twice,
    /// text in several scripts, timestamps that go back and forth, one value of 500 KB that does not compress.
    /// </summary>
    public static IReadOnlyList<TestRecord> Varied(ClientLimits limits)
    {
        var random = new Random(Seed);
        // Within the last hour: a broker refuses timestamps far in the future, and may delete records past their retention.
        var start = DateTimeOffset.UtcNow.AddHours(-1).ToUnixTimeMilliseconds();
        return [.. Enumerable.Range(0, VariedCount).Select(index => Adapt(Create(index, start, random), limits))];
    }

    /// <summary>Fails the test unless exactly these records were read, in order, with offsets from 0 on in every partition.</summary>
    public static void AssertRead(IReadOnlyList<TestRecord> expected, IReadOnlyList<ConsumedRecord> consumed, ClientLimits producerLimits)
    {
        Assert.Equal(expected.Count, consumed.Count);
        foreach (var partition in expected.GroupBy(record => record.Partition))
        {
            var read = consumed.Where(record => record.Partition == partition.Key).ToList();
            Assert.Equal(partition.Count(), read.Count);
            foreach (var (sent, got, offset) in partition.Zip(read).Select((pair, index) => (pair.First, pair.Second, index)))
            {
                Assert.Equal(offset, got.Offset);
                var difference = FindDifference(sent, got, producerLimits);
                Assert.True(difference is null, $"Partition {partition.Key}, offset {offset}: {difference}");
            }
        }
    }

    private static TestRecord Create(int index, long start, Random random)
    {
        byte[]? key = (index % 5, index % 7) switch
        {
            (0, _) => null,
            (_, 0) => [],
            _ => Encoding.UTF8.GetBytes($"key-{index}-ключ-鍵"),
        };
        byte[]? value = index switch
        {
            VariedCount / 2 => RandomBytes(random, LargeValueBytes),
            _ when index % 11 == 0 => null,
            _ when index % 13 == 0 => [],
            _ => Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat($"välue {index} 🐙 ", 1 + index % 9))),
        };
        var headers = new List<byte[]?[]>();
        if (index % 3 == 0)
        {
            headers.Add(["trace"u8.ToArray(), "1"u8.ToArray()]);
            headers.Add(["twice"u8.ToArray(), "first"u8.ToArray()]);
            headers.Add(["twice"u8.ToArray(), "second"u8.ToArray()]);
            headers.Add(["empty"u8.ToArray(), []]);
            headers.Add(["naïve"u8.ToArray(), "päivää"u8.ToArray()]);
        }

        if (index % 6 == 1)
            headers.Add(["null"u8.ToArray(), null]);
        return new TestRecord(index % VariedPartitions, start + index * 7 - index % 4 * 1000, key, value, headers);
    }

    private static byte[] RandomBytes(Random random, int count)
    {
        var bytes = new byte[count];
        random.NextBytes(bytes);
        return bytes;
    }

    private static TestRecord Adapt(TestRecord record, ClientLimits limits)
    {
        if (limits.HasFlag(ClientLimits.EmptyIsNull))
            record = record with { Key = NullIfEmpty(record.Key), Value = NullIfEmpty(record.Value) };
        if (limits.HasFlag(ClientLimits.NoKeylessTombstones) && record is { Key: null, Value: null })
            record = record with { Key = "tombstone"u8.ToArray() };
        if (limits.HasFlag(ClientLimits.NoHeaders))
            record = record with { Headers = [] };
        if (limits.HasFlag(ClientLimits.NoNullHeaderValues))
            record = record with { Headers = [.. record.Headers.Select(header => new[] { header[0], header[1] ?? [] })] };
        return record;
    }

    private static byte[]? NullIfEmpty(byte[]? bytes) => bytes is { Length: 0 } ? null : bytes;

    private static string? FindDifference(TestRecord sent, ConsumedRecord got, ClientLimits producerLimits)
    {
        if (!AreEqual(sent.Key, got.Key))
            return $"key {Harness.Text.Excerpt(sent.Key)} was read as {Harness.Text.Excerpt(got.Key)}.";
        if (!AreEqual(sent.Value, got.Value))
            return $"value {Harness.Text.Excerpt(sent.Value)} was read as {Harness.Text.Excerpt(got.Value)}.";
        if (!producerLimits.HasFlag(ClientLimits.NoTimestamps) && sent.Timestamp != got.Timestamp)
            return $"timestamp {sent.Timestamp} was read as {got.Timestamp}.";
        var same = sent.Headers.Count == got.Headers.Count
            && sent.Headers.Zip(got.Headers)
            .All(pair => AreEqual(pair.First[0], pair.Second[0]) && AreEqual(pair.First[1], pair.Second[1]));
        return same ? null : $"headers {Show(sent.Headers)} were read as {Show(got.Headers)}.";
    }

    private static bool AreEqual(byte[]? left, byte[]? right) =>
        left is null || right is null ? left is null && right is null : left.AsSpan().SequenceEqual(right);

    private static string Show(IReadOnlyList<byte[]?[]> headers) =>
        $"[{string.Join(", ", headers.Select(header => $"{Harness.Text.Excerpt(header[0])}={Harness.Text.Excerpt(header[1])}"))}]";
}
