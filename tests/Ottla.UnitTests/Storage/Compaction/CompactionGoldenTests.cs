using Microsoft.Extensions.Time.Testing;
using Ottla.Kernel;
using Ottla.Protocol.Batches;
using Ottla.Storage.Log;

namespace Ottla.UnitTests.Storage.Compaction;

/// <summary>What Kafka's cleaner made of a topic, made again.</summary>
public sealed class CompactionGoldenTests
{
    private const string First = "00000000000000000000.log";
    private const string Second = "00000000000000002900.log";
    private const int Keys = 50;

    /// <summary>
    /// Kafka's broker compacted offsets 0 to 2899 of <c>compacted</c>: records with the keys k0 to k49 in turn, in batches of 100, by one
    /// idempotent producer. What was there before is gone, but the keys are known, and so is every record that stayed: the rest is filled
    /// in, and compacted here.
    /// </summary>
    [Fact]
    public async Task SameInputGivesTheBytesOfKafka()
    {
        var kafka = File.ReadAllBytes(Path.Combine(GoldenData.CleanDirectory, "compacted-0", First));
        var stayed = Values(kafka);
        Assert.Equal(Enumerable.Range(2850, 50).Select(offset => (long)offset), stayed.Keys);
        using var log = new CompactedLog(config: CompactedLog.Config with { SegmentBytes = 1 << 20, IndexIntervalBytes = 1024 });
        for (var baseOffset = 0L; baseOffset < 2900; baseOffset += 100)
        {
            using var builder = new RecordBatchBuilder(
                new RecordBatchOptions { ProducerId = 12, ProducerEpoch = 0, BaseSequence = (int)baseOffset });
            for (var offset = baseOffset; offset < baseOffset + 100; offset++)
            {
                var value = stayed.TryGetValue(offset, out var known) ? known.Value : "was compacted away"u8.ToArray();
                builder.Append(1_767_225_600_000 + 1_000 * offset, System.Text.Encoding.UTF8.GetBytes($"k{offset % Keys}"), value);
            }

            log.Log.Append(builder.Build());
        }

        log.Roll();
        log.Log.AppendAsFollower(File.ReadAllBytes(Path.Combine(GoldenData.CleanDirectory, "compacted-0", Second)), Instant.Now(log.Time));
        log.Log.AdvanceHighWatermark(log.Log.LogEndOffset);
        Assert.True(await log.Manager.Cleaner.CleanDirtiestAsync());
        Assert.Equal(kafka, log.Disk.Read(log.Disk.At("t-0", First)));
        log.Manager.Close();
        foreach (var name in (string[])["00000000000000000000.index", "00000000000000000000.timeindex", "00000000000000002900.snapshot"])
            Assert.Equal(
                File.ReadAllBytes(Path.Combine(GoldenData.CleanDirectory, "compacted-0", name)), log.Disk.Read(log.Disk.At("t-0", name)));
        Assert.Contains(
            " 0 2900\n", System.Text.Encoding.UTF8.GetString(log.Disk.Read(log.Disk.At(OffsetCheckpointFile.Cleaner))),
            StringComparison.Ordinal);
    }

    /// <summary>
    /// The active segment that Kafka left is compacted too, once it is rolled: the last record of every key is what consumers of the whole
    /// saw last.
    /// </summary>
    [Fact]
    public async Task GoesOnWhereKafkaStopped()
    {
        using var disk = TestDisk.CopyOf(GoldenData.CleanDirectory, real: false);
        var time = new FakeTimeProvider(DateTimeOffset.FromUnixTimeMilliseconds(1_767_300_000_000));
        using var manager = Ottla.Storage.Upkeep.LogManager.Open(
            new Ottla.Storage.Upkeep.LogManagerOptions
            {
                LogDirectories = [disk.Root],
                ConfigFor = partition => CompactedLog.Config with { Compact = partition.Topic == "compacted", SegmentBytes = 1 << 20 },
            },
            disk.FileSystem,
            time,
            Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);
        var log = manager.Find(new TopicPartition("compacted", 0))!;
        Assert.False(await manager.Cleaner.CleanDirtiestAsync(), "Kafka's checkpoint says that all but the active segment is clean");
        log.Roll(Instant.Now(time));
        Assert.True(await manager.Cleaner.CleanDirtiestAsync());
        var expected = GoldenData.Records()
            .Where(record => record.Topic == "compacted" && record.Isolation == "read_uncommitted")
            .GroupBy(record => record.Key)
            .Select(group => group.Last())
            .OrderBy(record => record.Offset)
            .Select(record => (record.Offset, record.Key, record.Value));
        Assert.Equal(expected, CompactedLog.Records(log));
    }

    private static SortedDictionary<long, (byte[] Key, byte[] Value)> Values(ReadOnlyMemory<byte> segment)
    {
        var records = new SortedDictionary<long, (byte[] Key, byte[] Value)>();
        for (; !segment.IsEmpty; segment = segment[new RecordBatchView(segment.Span).SizeInBytes..])
        {
            using var reader = new RecordReader(segment);
            while (reader.TryRead(out var record))
                records[record.Offset] = (record.Key.ToArray(), record.Value.ToArray());
        }

        return records;
    }
}
