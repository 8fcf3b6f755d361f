using System.Globalization;
using System.Text.Json;
using Ottla.Broker;
using Ottla.Configuration;
using Ottla.Network.Transport;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using Ottla.Storage.Files;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Broker;

/// <summary>
/// Log directories that Kafka wrote and that were damaged afterwards (tests/golden/damaged): a node serves at least what Kafka itself made
/// of them, or refuses to start as Kafka does.
/// </summary>
public sealed class DamagedDirectoryTests
{
    /// <summary>Where more is kept than Kafka keeps.</summary>
    private static readonly Dictionary<string, Expected> KeepsMore = new()
    {
        // Of the last segment only what comes from the batch on whose offset is wrong is cut off; Kafka cuts the whole segment.
        ["offset_back_last10"] = new(0, 84, 84, "0-31 33-80 82-83", "0-29 31 33-80 82-83"),
    };

    [Theory]
    [InlineData("partition-damages-1")]
    [InlineData("partition-damages-2")]
    [InlineData("cleaner_missing")]
    [InlineData("quorum_state_missing")]
    [InlineData("trunc_mid_batch_clean")]
    public async Task What_Kafka_serves_of_damaged_logs_is_served(string name)
    {
        var (logDirs, expected) = Read(name);
        await using var node = await DamagedNode.StartAsync(name, logDirs);
        await using var client = await node.ConnectAsync();
        var differences = new List<string>();
        foreach (var (partition, (damage, kafka)) in expected)
        {
            var wanted = KeepsMore.GetValueOrDefault(damage, kafka);
            var served = await ServedAsync(client, partition[..partition.LastIndexOf('-')]);
            if (served != wanted)
                differences.Add($"{partition} ({damage}): {wanted} expected, but it is {served}");
        }

        Assert.True(differences.Count == 0, string.Join('\n', differences));
    }

    [Fact]
    public async Task Offsets_of_groups_survive()
    {
        foreach (var name in (string[])["cleaner_missing", "quorum_state_missing", "trunc_mid_batch_clean"])
        {
            await using var node = await DamagedNode.StartAsync(name, Read(name).LogDirs);
            await using var client = await node.ConnectAsync();
            var request = new OffsetFetchRequest
            {
                Groups =
                [
                    new OffsetFetchRequest.OffsetFetchRequestGroup
                    {
                        GroupId = "g",
                        Topics = [new OffsetFetchRequest.OffsetFetchRequestTopics { Name = "d", PartitionIndexes = [0] }],
                    },
                ],
            };
            OffsetFetchResponse.OffsetFetchResponseGroup group;
            do
                group = Assert.Single((await client.CallAsync<OffsetFetchRequest, OffsetFetchResponse>(request, 8)).Groups);
            while ((ErrorCode)group.ErrorCode is ErrorCode.CoordinatorLoadInProgress or ErrorCode.NotCoordinator);
            AssertError(ErrorCode.None, group.ErrorCode);
            Assert.Equal(7, Assert.Single(Assert.Single(group.Topics).Partitions).CommittedOffset);
        }
    }

    [Fact]
    public async Task A_log_that_was_cut_after_a_clean_stop_says_which_file_and_what_was_lost()
    {
        await using var node = await DamagedNode.StartAsync("trunc_mid_batch_clean", ["a", "b"]);
        var cut = Assert.Single(node.Warnings, warning => warning.StartsWith("Cut ", StringComparison.Ordinal));
        Assert.Contains("d-0/00000000000000000024.log", cut, StringComparison.Ordinal);
        Assert.Contains("from offset 143 on", cut, StringComparison.Ordinal);
        Assert.Contains(node.Warnings, warning => warning.Contains("d-0 ends at offset 143", StringComparison.Ordinal)
            && warning.Contains("144", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_missing_quorum_state_is_named()
    {
        await using var node = await DamagedNode.StartAsync("quorum_state_missing", ["a", "b"]);
        Assert.Contains(node.Warnings, warning => warning.Contains("__cluster_metadata-0/quorum-state is missing",
            StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_log_whose_files_are_gone_does_not_start_in_silence()
    {
        await using var node = await DamagedNode.StartAsync("partition-damages-1", ["a"]);
        Assert.Contains(node.Warnings, warning => warning.Contains("e06-0 ends at offset 32, but its checkpoints record offset 47",
            StringComparison.Ordinal));
        Assert.Contains(
            node.Warnings, warning => warning.Contains("e16-0/leader-epoch-checkpoint contradicts the batches", StringComparison.Ordinal)
            || warning.Contains("e26-0/leader-epoch-checkpoint contradicts the batches", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_partition_in_two_directories_refuses_the_start_and_both_stay()
    {
        var root = GoldenData.DamagedCopy("duplicate_log");
        var before = Directory.GetFiles(root, "*.log", SearchOption.AllDirectories).Order()
            .Select(path => (path, new FileInfo(path).Length)).ToList();
        var refused = await Assert.ThrowsAsync<InvalidDataException>(() => DamagedNode.StartInAsync(root, ["a", "b"]));
        Assert.Contains($"Duplicate log directories for d-0 are found in both {root}/a/d-0 and {root}/b/d-0", refused.Message,
            StringComparison.Ordinal);
        Assert.Equal(before, Directory.GetFiles(root, "*.log", SearchOption.AllDirectories).Order()
            .Select(path => (path, new FileInfo(path).Length)));
        Directory.Delete(root, recursive: true);
    }

    /// <summary>Kafka refuses; the snapshot before it and the log after that say the same.</summary>
    [Fact]
    public async Task A_metadata_snapshot_that_is_cut_off_costs_nothing_when_an_older_one_is_there()
    {
        await using var node = await DamagedNode.StartAsync("meta_snapshot_trunc", ["a", "b"]);
        await using var client = await node.ConnectAsync();
        Assert.Equal(new Expected(0, 144, 144, "0-23 25-41 43-65 67-92 94-113 115-137 139-143",
            "0-14 18-23 25-41 43-62 67-86 90-92 94-113 115-134 139-143"), await ServedAsync(client, "d"));
        Assert.Contains(node.Warnings, warning => warning.Contains("is incomplete", StringComparison.Ordinal));
    }

    private static async Task<Expected> ServedAsync(TestConnection client, string topic)
    {
        var request = new ListOffsetsRequest
        {
            ReplicaId = -1,
            Topics =
            [
                new ListOffsetsRequest.ListOffsetsTopic
                {
                    Name = topic,
                    Partitions = [
                        new ListOffsetsRequest.ListOffsetsPartition { PartitionIndex = 0, CurrentLeaderEpoch = -1, Timestamp = -2 }],
                },
            ],
        };
        var listed = Assert.Single(Assert.Single((await client.CallAsync<ListOffsetsRequest, ListOffsetsResponse>(request)).Topics)
            .Partitions);
        AssertError(ErrorCode.None, listed.ErrorCode, topic);
        var (uncommitted, fetched) = await ReadAsync(client, topic, listed.Offset, committed: false);
        var (committed, _) = await ReadAsync(client, topic, listed.Offset, committed: true);
        return new Expected(listed.Offset, fetched.HighWatermark, fetched.LastStableOffset, uncommitted, committed);
    }

    /// <summary>The offsets that a consumer gets, up to the first batch that is broken.</summary>
    private static async Task<(string Offsets, FetchResponse.PartitionData Fetched)> ReadAsync(TestConnection client, string topic,
        long from, bool committed)
    {
        var offsets = new List<long>();
        while (true)
        {
            var fetched = await client.FetchAsync(topic, from, changeRequest: asked => asked.IsolationLevel = (sbyte)(committed ? 1 : 0));
            AssertError(ErrorCode.None, fetched.ErrorCode, topic);
            var aborted = (fetched.AbortedTransactions ?? []).OrderBy(transaction => transaction.FirstOffset).ToList();
            var abortedProducers = new HashSet<long>();
            var rest = fetched.Records.Memory;
            if (rest.Length == 0)
                return (Ranges(offsets), fetched);
            for (; rest.Length > 0; rest = rest[new RecordBatchView(rest.Span).SizeInBytes..])
            {
                if (!new RecordBatchView(rest.Span).IsCrcValid)
                    return (Ranges(offsets), fetched);
                from = new RecordBatchView(rest.Span).NextOffset;
                Visit(rest, aborted, abortedProducers, offsets);
            }
        }
    }

    private static void Visit(ReadOnlyMemory<byte> bytes, List<FetchResponse.AbortedTransaction> aborted, HashSet<long> abortedProducers,
        List<long> offsets)
    {
        var batch = new RecordBatchView(bytes.Span);
        for (; aborted.Count > 0 && aborted[0].FirstOffset <= batch.LastOffset; aborted.RemoveAt(0))
            abortedProducers.Add(aborted[0].ProducerId);
        if (batch.IsControl)
        {
            abortedProducers.Remove(batch.ProducerId);
            return;
        }

        if (batch.IsTransactional && abortedProducers.Contains(batch.ProducerId))
            return;
        using var reader = new RecordReader(bytes);
        while (reader.TryReadOutline(out var record))
            offsets.Add(record.Offset);
    }

    private static string Ranges(List<long> offsets)
    {
        var ranges = new List<string>();
        for (var i = 0; i < offsets.Count;)
        {
            var end = i;
            while (end + 1 < offsets.Count && offsets[end + 1] == offsets[end] + 1)
                end++;
            ranges.Add(end == i ? $"{offsets[i]}" : $"{offsets[i]}-{offsets[end]}");
            i = end + 1;
        }

        return string.Join(' ', ranges);
    }

    private static (List<string> LogDirs, Dictionary<string, (string Damage, Expected Kafka)> Partitions) Read(string name)
    {
        using var json = JsonDocument.Parse(File.ReadAllBytes(GoldenData.Path(Path.Combine("damaged", $"{name}.expected.json"))));
        var root = json.RootElement;
        var partitions = new Dictionary<string, (string, Expected)>();
        if (root.TryGetProperty("partitions", out var damaged))
        {
            foreach (var each in damaged.EnumerateObject())
                partitions[each.Name] = (each.Value.GetProperty("damage").GetString()!,
                    Expected.From(each.Value, "high_watermark", "last_stable_offset", "read_uncommitted", "read_committed"));
        }
        else
        {
            foreach (var each in root.GetProperty("kafka_state").EnumerateObject()
                .Where(each => each.Value.ValueKind == JsonValueKind.Object))
                partitions[each.Name] = (root.GetProperty("damage").GetString()!, Expected.From(each.Value, "hw", "lso", "ru", "rc"));
        }

        Assert.NotEmpty(partitions);
        return ([.. root.GetProperty("log_dirs").EnumerateArray().Select(directory => directory.GetString()!)], partitions);
    }

    /// <summary>What is served of a partition: ranges of offsets at both isolation levels.</summary>
    private sealed record Expected(long LogStart, long HighWatermark, long LastStableOffset, string Uncommitted, string Committed)
    {
        public static Expected From(JsonElement json, string highWatermark, string lastStableOffset, string uncommitted,
            string committed) => new(
            Number(json.GetProperty("start")),
            Number(json.GetProperty(highWatermark)),
            Number(json.GetProperty(lastStableOffset)),
            json.GetProperty(uncommitted).GetString()!,
            json.GetProperty(committed).GetString()!);

        private static long Number(JsonElement json) =>
            json.ValueKind == JsonValueKind.String ? long.Parse(json.GetString()!, CultureInfo.InvariantCulture) : json.GetInt64();
    }

    /// <summary>A node on a real disk, whose directories go with it.</summary>
    private sealed class DamagedNode(string root, BrokerNode node, InMemoryTransport network, WarningLoggers loggers) : IAsyncDisposable
    {
        public IReadOnlyList<string> Warnings => loggers.Logger.Warnings;

        public static Task<DamagedNode> StartAsync(string name, IReadOnlyList<string> logDirs) =>
            StartInAsync(GoldenData.DamagedCopy(name), logDirs);

        public static async Task<DamagedNode> StartInAsync(string root, IReadOnlyList<string> logDirs)
        {
            var network = new InMemoryTransport();
            var loggers = new WarningLoggers();
            var config = BrokerConfig.LoadDevMode([], new Dictionary<string, string>
            {
                ["node.id"] = "1",
                ["log.dirs"] = string.Join(',', logDirs.Select(directory => Path.Combine(root, directory))),
                ["log.retention.ms"] = "-1",
                ["log.cleaner.enable"] = "false",
            });
            var platform = new NodePlatform(new RealFileSystem(), network, new TestClock(), loggers, Seed: 42);
            return new DamagedNode(root, await BrokerNode.StartAsync(config, mayFormat: true, platform).WaitAsync(TestNode.Patience),
                network, loggers);
        }

        public async Task<TestConnection> ConnectAsync() => new(await network.ConnectAsync(node.EndPoints[0], default));

        public async ValueTask DisposeAsync()
        {
            await node.DisposeAsync().AsTask().WaitAsync(TestNode.Patience);
            Directory.Delete(root, recursive: true);
        }
    }
}
