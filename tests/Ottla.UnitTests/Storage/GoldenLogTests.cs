using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Ottla.Kernel;
using Ottla.Storage.Log;
using Ottla.Storage.Producers;
using Ottla.Storage.Upkeep;

namespace Ottla.UnitTests.Storage;

/// <summary>
/// Log directories that Kafka wrote: they open, serve the records that Kafka served, and what we write for them is what Kafka wrote.
/// </summary>
public sealed class GoldenLogTests
{
    /// <summary>What the broker that wrote them was configured with.</summary>
    private static readonly LogConfig Config =
        new() { SegmentBytes = 1 << 20, SegmentIndexBytes = 65_536, IndexIntervalBytes = 1024, RetentionMs = -1 };

    private readonly FakeTimeProvider _time = new(DateTimeOffset.FromUnixTimeMilliseconds(1767225600000));

    public static TheoryData<bool, bool> Archives => new() { { true, false }, { true, true }, { false, false }, { false, true } };

    [Theory]
    [MemberData(nameof(Archives))]
    public void ServesExactlyTheRecordsThatKafkaServed(bool clean, bool real)
    {
        using var disk = TestDisk.CopyOf(clean ? GoldenData.CleanDirectory : GoldenData.UncleanCopy(), real);
        using var manager = Open(disk);
        Assert.Equal(clean, manager.Directories[0].HadCleanShutdown);
        Assert.Equal(clean ? 111 : -1, manager.PreviousBrokerEpoch);
        foreach (var expected in GoldenData.Partitions())
        {
            var log = manager.Find(new TopicPartition(expected.Topic, expected.Partition));
            Assert.NotNull(log);
            var isCommitted = expected.Isolation == "read_committed";
            Assert.Equal(expected.Low, log.LogStartOffset);
            Assert.Equal(expected.High, isCommitted ? log.LastStableOffset : log.HighWatermark);
            var records = Consume(log, isCommitted);
            var wanted = GoldenData.Records()
                .Where(record => record.Isolation == expected.Isolation && record.Topic == expected.Topic
                    && record.Partition == expected.Partition)
                .Select(record => (record.Offset, record.Timestamp, record.Key, record.Value)).ToList();
            Assert.Equal(expected.Records, wanted.Count);
            Assert.Equal(wanted, records);
        }
    }

    [Fact]
    public void RebuiltIndexesAreThoseOfKafka()
    {
        using var disk = TestDisk.CopyOf(GoldenData.CleanDirectory, real: false);
        var compared = 0;
        var different = new List<string>();
        foreach (var directory in disk.FileSystem.ListDirectories(disk.Root))
        {
            if (directory == "__cluster_metadata-0")
                continue; // appended to in three runs of the broker: every close added a time entry and restarted the interval
            foreach (var name in disk.FileSystem.ListFiles(disk.At(directory))
                .Where(name => name.EndsWith("index", StringComparison.Ordinal)))
                disk.FileSystem.Delete(disk.At(directory, name));
            var start = directory == "trimmed-0" ? 7000 : 0;
            var options = new LogOpenOptions { LogStartOffset = start };
            var log = PartitionLog.Open(
                disk.FileSystem, disk.At(directory), new TopicPartition(directory, 0), Config, options, _time, NullLogger.Instance);
            log.Close();
            foreach (var path in Directory.EnumerateFiles(Path.Combine(GoldenData.CleanDirectory, directory), "*index"))
            {
                var ours = disk.Read(disk.At(directory, Path.GetFileName(path)));
                compared++;
                if (!File.ReadAllBytes(path).AsSpan().SequenceEqual(ours))
                    different.Add(
                        $"{directory}/{Path.GetFileName(path)}: {new FileInfo(path).Length} bytes expected, {ours.Length} written");
            }
        }

        Assert.Empty(different);

        Assert.True(compared > 50, $"{compared} index files were compared");
    }

    [Fact]
    public void ReappendedBatchesMakeTheFilesOfKafka()
    {
        using var golden = TestDisk.CopyOf(GoldenData.CleanDirectory, real: false);
        foreach (var name in (string[])["plain-0", "codec-zstd-0", "partitions-1"])
        {
            using var disk = TestDisk.Create(real: false);
            var source = PartitionLog.Open(
                golden.FileSystem, golden.At(name), TestLog.Partition, Config, new LogOpenOptions { HadCleanShutdown = true }, _time,
                NullLogger.Instance);
            var copy = PartitionLog.Open(
                disk.FileSystem, disk.At(name), TestLog.Partition, Config, new LogOpenOptions(), _time, NullLogger.Instance);
            for (var next = 0L; source.Read(next, 1, minOneBatch: true, long.MaxValue).Slice is { } slice;)
            {
                var bytes = new byte[slice.Length];
                slice.Read(0, bytes);
                slice.Dispose();
                copy.AppendAsFollower(bytes, Instant.Now(_time));
                next = copy.LogEndOffset;
            }

            copy.Close();
            foreach (var path in Directory.EnumerateFiles(Path.Combine(GoldenData.CleanDirectory, name)))
            {
                var file = Path.GetFileName(path);
                if (file is LogFileNames.PartitionMetadata or LogFileNames.LeaderEpochCheckpoint)
                    continue; // the id was never told; the later epoch is of a restart
                Assert.True(File.ReadAllBytes(path).AsSpan().SequenceEqual(disk.Read(disk.At(name, file))), $"{name}/{file}");
            }
        }
    }

    [Fact]
    public void ProducerSnapshotsRoundTrip()
    {
        using var disk = TestDisk.CopyOf(GoldenData.CleanDirectory, real: false);
        var producers = 0;
        foreach (var directory in disk.FileSystem.ListDirectories(disk.Root))
        {
            foreach (var name in disk.FileSystem.ListFiles(disk.At(directory))
                .Where(name => name.EndsWith(".snapshot", StringComparison.Ordinal)))
            {
                var read = ProducerSnapshotFile.Read(disk.FileSystem, disk.At(directory, name));
                producers += read.Count;
                ProducerSnapshotFile.Write(disk.FileSystem, disk.At("copy"), read, sync: true);
                Assert.Equal(disk.Read(disk.At(directory, name)), disk.Read(disk.At("copy")));
            }
        }

        Assert.True(producers > 20, $"{producers} producers were read");
    }

    [Fact]
    public void ProducerSnapshotRebuiltFromTheLogIsThatOfKafka()
    {
        foreach (var (directory, file) in (ReadOnlySpan<(string, string)>)[
            ("txn-0", "00000000000000000141.snapshot"), ("txn-0", "00000000000000000020.snapshot"),
            ("plain-0", "00000000000000010200.snapshot")])
        {
            using var disk = TestDisk.CopyOf(GoldenData.CleanDirectory, real: false);
            var expected = disk.Read(disk.At(directory, file));
            foreach (var name in disk.FileSystem.ListFiles(disk.At(directory))
                .Where(name => name.EndsWith(".snapshot", StringComparison.Ordinal)))
                disk.FileSystem.Delete(disk.At(directory, name));
            PartitionLog.Open(
                disk.FileSystem, disk.At(directory), TestLog.Partition, Config, new LogOpenOptions(), _time, NullLogger.Instance).Close();
            Assert.Equal(expected, disk.Read(disk.At(directory, file)));
        }
    }

    [Fact]
    public void EpochCheckpointsRoundTrip()
    {
        using var disk = TestDisk.CopyOf(GoldenData.CleanDirectory, real: false);
        foreach (var directory in disk.FileSystem.ListDirectories(disk.Root))
        {
            var expected = disk.Read(disk.At(directory, LogFileNames.LeaderEpochCheckpoint));
            var cache = new LeaderEpochCache(disk.FileSystem, disk.At(directory));
            cache.Load();
            var entries = cache.Entries.ToList();
            cache.Clear();
            foreach (var entry in entries)
                cache.Assign(entry.Epoch, entry.StartOffset);
            cache.WriteBack(long.MaxValue);
            Assert.Equal(expected, disk.Read(disk.At(directory, LogFileNames.LeaderEpochCheckpoint)));
        }
    }

    [Fact]
    public void DirectoryFilesAreRead()
    {
        using var disk = TestDisk.CopyOf(GoldenData.CleanDirectory, real: false);
        using var manager = Open(disk);
        var properties = manager.Directories[0].Properties;
        Assert.Equal("T3R0bGEtZ29sZGVuLTAwMQ", properties!.ClusterId);
        Assert.Equal(1, properties.NodeId);
        Assert.Equal(Uuid.Parse("fQ6xrtJPS9uzrMpDtGCdHA"), properties.DirectoryId);
        var plain = manager.Find(new TopicPartition("plain", 0))!;
        Assert.Equal(Uuid.Parse("duQzATG9SK6pii1tPzj1yQ"), plain.TopicId);
        Assert.Null(manager.Find(new TopicPartition(LogManager.MetadataTopic, 0)));
        var metadata = disk.Read(disk.At("plain-0", LogFileNames.PartitionMetadata));
        PartitionMetadataFile.Write(disk.FileSystem, disk.At("plain-0"), plain.TopicId!.Value);
        Assert.Equal(metadata, disk.Read(disk.At("plain-0", LogFileNames.PartitionMetadata)));
    }

    [Fact]
    public void ClosingWritesTheCheckpointsOfKafka()
    {
        using var disk = TestDisk.CopyOf(GoldenData.CleanDirectory, real: false);
        string[] names = [
            OffsetCheckpointFile.RecoveryPoint, OffsetCheckpointFile.HighWatermark, OffsetCheckpointFile.LogStartOffset,
            CleanShutdownFile.Name];
        var before = names.ToDictionary(name => name, name => Lines(disk, name));
        var manager = Open(disk);
        Assert.False(disk.FileSystem.FileExists(disk.At(CleanShutdownFile.Name)));
        manager.Close(brokerEpoch: 111);
        foreach (var name in names)
            Assert.Equal(before[name], Lines(disk, name));
    }

    [Fact]
    public void FindsOffsetsByTimestamp()
    {
        using var disk = TestDisk.CopyOf(GoldenData.CleanDirectory, real: false);
        using var manager = Open(disk);
        foreach (var topic in (string[])["plain", "codec-gzip", "codec-zstd", "trimmed", "logappend"])
        {
            var log = manager.Find(new TopicPartition(topic, 0))!;
            var records = GoldenData.Records()
                .Where(record => record.Topic == topic && record.Partition == 0 && record.Isolation == "read_uncommitted").ToList();
            foreach (var record in records.Where((_, i) => i % 97 == 0))
            {
                var wanted = records.First(other => other.Timestamp >= record.Timestamp);
                Assert.Equal(
                    (wanted.Timestamp, wanted.Offset),
                    (log.OffsetForTimestamp(record.Timestamp).TimestampMs, log.OffsetForTimestamp(record.Timestamp).Offset));
            }

            var max = records.Max(record => record.Timestamp);
            Assert.False(log.OffsetForTimestamp(max + 1).IsFound);
            Assert.Equal(records.First(record => record.Timestamp == max).Offset, log.OffsetOfMaxTimestamp().Offset);
            Assert.Equal(records[0].Offset, log.OffsetForTimestamp(0).Offset);
        }
    }

    private static List<string> Lines(TestDisk disk, string name) =>
        [.. Encoding.UTF8.GetString(disk.Read(disk.At(name))).Split('\n').Order(StringComparer.Ordinal)];

    private LogManager Open(TestDisk disk) => LogManager.Open(
        new LogManagerOptions { LogDirectories = [disk.Root], ConfigFor = _ => Config, RecoveryParallelism = 2 }, disk.FileSystem, _time,
        NullLogger.Instance);

    private static List<(long Offset, long Timestamp, string? Key, string? Value)> Consume(PartitionLog log, bool committed)
    {
        var bound = committed ? log.LastStableOffset : log.HighWatermark;
        var aborted = committed ? log.CollectAbortedTransactions(log.LogStartOffset, bound) : [];
        var records = new List<(long Offset, long Timestamp, string? Key, string? Value)>();
        log.Visit(log.LogStartOffset, 100_000, bound, (_, _) => { }, (batch, record) =>
        {
            var producerId = batch.ProducerId;
            var offset = record.Offset;
            if (batch.IsTransactional && aborted.Any(
                transaction => transaction.ProducerId == producerId && transaction.FirstOffset <= offset
                && offset <= transaction.LastOffset))
                return;
            records.Add(
                (offset, record.Timestamp, record.HasKey ? Encoding.Latin1.GetString(record.Key) : null, record.HasValue
                    ? Encoding.Latin1.GetString(record.Value) : null));
        });
        return records;
    }
}
