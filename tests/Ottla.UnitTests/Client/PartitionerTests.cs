using System.IO.Compression;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Client;
using Ottla.Client.Cluster;
using Ottla.Client.Producing;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.UnitTests.Broker;

namespace Ottla.UnitTests.Client;

/// <summary>Partitions as the Java client chooses them (tests/golden/client/partitioner.jsonl.gz), and as librdkafka does.</summary>
public sealed class PartitionerTests
{
    [Fact]
    public void Keys_go_where_the_Java_client_puts_them()
    {
        var lines = Lines("murmur2").ToList();
        Assert.Equal(200, lines.Count);
        foreach (var line in lines)
        {
            var key = Convert.FromHexString(line.GetProperty("keyHex").GetString()!);
            Assert.Equal(line.GetProperty("murmur2").GetInt32(), KeyHash.Murmur2(key));
            foreach (var partition in line.GetProperty("partition").EnumerateObject())
                Assert.Equal(partition.Value.GetInt32(), KeyHash.PartitionByMurmur2(key, int.Parse(partition.Name)));
        }
    }

    [Fact]
    public void Keys_can_go_where_librdkafka_puts_them()
    {
        // CRC-32 of "123456789" is the check value of the algorithm's definition.
        Assert.Equal((int)(0xCBF43926 % 100), KeyHash.PartitionByCrc32(Encoding.UTF8.GetBytes("123456789"), 100));
        Assert.InRange(KeyHash.PartitionByCrc32([0xff, 0xff], 7), 0, 6);
    }

    [Fact]
    public void Records_without_keys_go_where_the_Java_client_puts_them()
    {
        var lines = Lines("sticky").ToList();
        Assert.Equal(37, lines.Count);
        foreach (var line in lines)
            CheckSticky(line);
    }

    [Fact]
    public void Loads_are_those_of_the_Java_client()
    {
        var lines = Lines("load").ToList();
        Assert.True(lines.Count >= 20, $"{lines.Count} tables");
        foreach (var line in lines)
        {
            var length = line.GetProperty("length").GetInt32();
            var all = Ints(line, "queueSizes");
            var ids = Ints(line, "partitionIds");
            var (lengths, candidates) = (all[..length], ids[..length]);
            var cluster = Enumerable.Range(0, line.GetProperty("clusterPartitions").GetInt32()).ToArray();
            if (line.TryGetProperty("rackAware", out _))
            {
                var near = line.GetProperty("leaderRacks").EnumerateArray().Take(length)
                    .Select(each => each.GetString() == line.GetProperty("rack").GetString()).ToArray();
                if (near.Contains(true))
                {
                    lengths = [.. lengths.Where((_, place) => near[place])];
                    candidates = [.. candidates.Where((_, place) => near[place])];
                }

                cluster = [.. cluster.Where(partition => partition % 2 == 0)]; // the rack of the partition's leader there
            }

            var loads = PartitionLoads.Of(lengths, candidates, length == all.Length && all.Distinct().Count() == 1);
            var chosen = Ints(line, "chosen");
            for (var random = 0; random < chosen.Length; random++)
            {
                var partition = loads?.Choose(random) ?? cluster[random % cluster.Length];
                Assert.True(chosen[random] == partition, $"{line}: random {random} chose {partition}");
            }
        }
    }

    private static void CheckSticky(JsonElement line)
    {
        var partitions = line.GetProperty("partitions").GetInt32();
        var withoutLeader = Ints(line, "withoutLeader");
        var randoms = Ints(line, "random");
        var used = 0;
        var options = new ProducerOptions { BatchBytes = line.GetProperty("batchSize").GetInt32(), RequestBytesMax = 1 << 30 };
        var rack = line.TryGetProperty("rackAware", out var isRackAware) && isRackAware.GetBoolean()
            ? line.GetProperty("rack").GetString() : null;
        var leaderRacks = line.TryGetProperty("leaderRackOfPartitionModulo2", out var racks)
            ? racks.EnumerateArray().Select(each => each.GetString()).ToArray() : [null, null];
        var context = new ProducerContext(
            options, new MemoryLimit(long.MaxValue), new BufferPool(), new TestClock(), NullLogger.Instance, rack);
        var image = new TopicImage(
            "t", Uuid.Zero, false,
            [.. Enumerable.Range(0, partitions).Select(index =>
                new PartitionImage(index, withoutLeader.Contains(index) ? -1 : index % 2, 0, [], [], [], ErrorCode.None))],
            ErrorCode.None);
        var topic = new TopicQueues(context, image, () => randoms[used++ % randoms.Length], leader => leaderRacks[leader]);
        var sizes = Ints(line, "valueSizes");
        var chosen = Ints(line, "chosen");
        var newBatch = Ints(line, "newBatch");
        var randomsUsed = Ints(line, "randomsUsed");
        var keys = line.TryGetProperty("keys", out var given) ? given.EnumerateArray().ToArray() : null;
        for (var i = 0; i < sizes.Length; i++)
        {
            var takenBytes = 0L;
            byte[]? key = keys?[i].GetString() is { } text ? Encoding.UTF8.GetBytes(text) : null;
            var outcome = topic.Append(
                null, context.Time.GetUtcNow().ToUnixTimeMilliseconds(), NullableBytes.From(key), new byte[sizes[i]], default,
                new RecordCallback((Action<DeliveryResult>?)null), ref takenBytes, out var queue, out var appended);
            Assert.Equal(AppendOutcome.Appended, outcome);
            Assert.True(
                (chosen[i], newBatch[i] == 1) == (queue.Partition, appended.NewBatch is not null),
                $"record {i} went to {queue.Partition}, new batch: {appended.NewBatch is not null}; {line}");
            Assert.True(randomsUsed[i] >= used - 1, $"record {i} used {used} random numbers; {line}");
        }
    }

    private static int[] Ints(JsonElement line, string name) =>
        [.. line.GetProperty(name).EnumerateArray().Select(each => each.GetInt32())];

    private static IEnumerable<JsonElement> Lines(string kind)
    {
        using var file = new GZipStream(File.OpenRead(GoldenData.Path("client/partitioner.jsonl.gz")), CompressionMode.Decompress);
        using var reader = new StreamReader(file);
        while (reader.ReadLine() is { } line)
        {
            var element = JsonDocument.Parse(line).RootElement;
            if (element.GetProperty("kind").GetString() == kind)
                yield return element;
        }
    }
}
