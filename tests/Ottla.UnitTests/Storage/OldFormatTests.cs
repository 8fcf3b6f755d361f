using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Ottla.Protocol.Batches;
using Ottla.Storage.Inspection;
using Ottla.Storage.Log;
using Ottla.Storage.Upkeep;
using Ottla.UnitTests.Protocol.Batches;
using Ottla.UnitTests.Storage.Compaction;

namespace Ottla.UnitTests.Storage;

/// <summary>
/// Logs with messages of magic 0 and 1, as brokers before 0.11 wrote them: kept, indexed, served, compacted and inspected.
/// </summary>
public sealed class OldFormatTests
{
    private const int Messages = 60;
    private static readonly LogConfig Config = LogConfig.Default with { IndexIntervalBytes = 200, RetentionMs = -1 };
    private readonly FakeTimeProvider _time = new(DateTimeOffset.FromUnixTimeMilliseconds(100_000));

    [Theory]
    [InlineData(0, false)]
    [InlineData(1, false)]
    [InlineData(1, true)]
    public void SegmentsWithoutIndexesAreIndexedAndServed(byte magic, bool hadCleanShutdown)
    {
        using var disk = TestDisk.Create(real: false);
        WriteSegment(disk, magic);
        var log = TestLog.Open(disk, Config, _time, new LogOpenOptions { HadCleanShutdown = hadCleanShutdown });
        Assert.Equal((0, Messages), (log.LogStartOffset, log.LogEndOffset));
        Assert.Equal(Enumerable.Range(0, Messages).Select(i => ((long)i, (string?)$"value-{i}")), log.ReadAll());
        for (var offset = 0; offset < Messages; offset++)
            Assert.Equal(offset, log.ReadAll(offset, maxBytes: 1)[0].Offset);
        Assert.Equal(42, log.ReadAll(bound: 42).Count);
        Assert.Equal(39, log.ReadAll(bound: 41).Count); // a compressed message is served as a whole
        Assert.Equal(magic == 0 ? -1 : 30, log.OffsetForTimestamp(1_300).Offset);
        Assert.Equal(magic == 0 ? -1 : Messages - 1, log.OffsetOfMaxTimestamp().Offset);
        Assert.True(disk.FileSystem.GetLength(disk.At("t-0", "00000000000000000000.index")) > 0 || !hadCleanShutdown);

        // New records follow, and the old ones stay after a stop and after a crash.
        Assert.Equal(Messages, log.Append(TestLog.Batch("new")).FirstOffset);
        var all = log.ReadAll();
        using (var crashed = disk.Crash())
            Assert.Equal(all, TestLog.Open(crashed, Config, _time).ReadAll());
        log.Close();
        Assert.Equal(all, TestLog.Open(disk, Config, _time, new LogOpenOptions { HadCleanShutdown = true, RecoveryPoint = Messages + 1 })
            .ReadAll());
    }

    [Fact]
    public void ADamagedMessageIsCutOffWithWhatFollows()
    {
        using var disk = TestDisk.Create(real: false);
        WriteSegment(disk, 1);
        var path = disk.At("t-0", "00000000000000000000.log");
        var bytes = disk.Read(path);
        bytes[^3] ^= 1;
        disk.Write(path, bytes);
        Assert.Equal(Messages - 1, TestLog.Open(disk, Config, _time).LogEndOffset);
        disk.Write(path, bytes.AsSpan(0, bytes.Length - 20));
        Assert.Equal(Messages - 1, TestLog.Open(disk, Config, _time).LogEndOffset);
    }

    [Fact]
    public void CompressedMessagesAreFoundByTimeAndOffset()
    {
        using var disk = TestDisk.Create(real: false);
        disk.FileSystem.CreateDirectory(disk.At("t-0"));
        byte[] bytes = [.. OldMessages.Compressed(1, 0, CompressionType.Gzip, false, 1_002, (1_000, "a", "0"), (1_001, "b", "1"),
            (1_002, "c", "2")),
            .. OldMessages.Compressed(1, 3, CompressionType.Snappy, false, 1_005, (1_003, "a", "3"), (1_005, "b", "4"), (1_004, "c", "5"))];
        disk.Write(disk.At("t-0", "00000000000000000000.log"), bytes);
        var log = TestLog.Open(disk, Config, _time);
        Assert.Equal(6, log.LogEndOffset);
        Assert.Equal([(4L, "4"), (5, "5")], log.ReadAll(4)!);
        Assert.Equal((1, 4, 4), (log.OffsetForTimestamp(1_001).Offset, log.OffsetForTimestamp(1_004).Offset, log.OffsetOfMaxTimestamp()
            .Offset));
        log.TruncateTo(4); // within a compressed message, which goes as a whole
        Assert.Equal([(0L, "0"), (1, "1"), (2, "2")], log.ReadAll()!);
    }

    [Fact]
    public async Task CompactionKeepsTheLastRecordOfEveryKey()
    {
        using var disk = TestDisk.Create(real: false);
        disk.FileSystem.CreateDirectory(disk.At("t-0"));
        byte[] bytes = [.. OldMessages.Message(0, 0, 0, "a", "0"), .. OldMessages.Message(1, 1, 1_001, "b", "1"),
            .. OldMessages.Compressed(1, 2, CompressionType.Gzip, false, 1_004, (1_002, "a", "2"), (1_003, "c", "3"), (1_004, "d", "4")),
            .. OldMessages.Message(1, 5, 1_005, "c", "5"), .. OldMessages.Message(1, 6, 1_006, "d", null),
                .. OldMessages.Message(1, 7, 1_007, "e", "7")];
        disk.Write(disk.At("t-0", "00000000000000000000.log"), bytes);
        using var log = new CompactedLog(disk);
        await log.CompactAsync();
        Assert.Equal([(1, "b", "1"), (2, "a", "2"), (5, "c", "5"), (6, "d", null), (7, "e", "7")], log.Records());
        var batches = new List<(byte, long, long, CompressionType)>();
        log.Log.Visit(0, 1 << 20, long.MaxValue, (batch, _) => batches.Add(
            (batch.Magic, batch.BaseOffset, batch.LastOffset, batch.Compression)), (_, _) => { });
        // What is whole stays as it is; what is not, and the tombstone, which gets a time to go, are written in today's format.
        Assert.Equal([((byte)1, 1, 1, CompressionType.None), (2, 2, 4, CompressionType.Gzip), (1, 5, 5, CompressionType.None),
            (2, 6, 6, CompressionType.None), (1, 7, 7, CompressionType.None)], batches);
        Assert.Equal(2, log.Log.OffsetForTimestamp(1_002).Offset);
        log.Time.AdvanceMs(2_000);
        log.Append(("b", "8"));
        await log.CompactAsync();
        Assert.Equal([(2, "a", "2"), (5, "c", "5"), (7, "e", "7"), (8, "b", "8")], log.Records());
    }

    [Fact]
    public async Task LogsMoveToOtherDirectories()
    {
        using var disk = TestDisk.Create(real: false);
        WriteSegment(disk, 1, "one/t-0");
        var options = new LogManagerOptions { LogDirectories = [disk.At("one"), disk.At("two")], ConfigFor = _ => Config };
        using var manager = LogManager.Open(options, disk.FileSystem, _time, NullLogger.Instance);
        var before = manager.Find(TestLog.Partition)!.ReadAll();
        manager.Move(TestLog.Partition, disk.At("two"));
        using var stopping = new CancellationTokenSource();
        var moves = manager.Mover.RunAsync(stopping.Token);
        while (manager.Mover.Moves.Count > 0)
        {
            _time.AdvanceMs(1_000);
            await Task.Yield();
        }

        await stopping.CancelAsync();
        await moves;
        Assert.Equal(disk.At("two"), manager.FindDirectory(TestLog.Partition)!.Path);
        Assert.Equal(before, manager.Find(TestLog.Partition)!.ReadAll());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void VerifyFindsNothingAndDumpShowsTheRecords(byte magic)
    {
        using var disk = TestDisk.Create(real: false);
        WriteSegment(disk, magic);
        TestLog.Open(disk, Config, _time).Close();
        var findings = new List<LogFinding>();
        new LogVerifier(disk.FileSystem, findings.Add).Verify(disk.At("t-0"));
        Assert.DoesNotContain(findings, finding => finding.Severity == FindingSeverity.Error);

        using var text = new StringWriter();
        using (var dump = new LogDump(disk.FileSystem, text, new LogDumpOptions { Records = true }))
            Assert.True(dump.Dump(disk.At("t-0", "00000000000000000000.log"), "t-0"));
        Assert.Contains($"magic: {magic}", text.ToString(), StringComparison.Ordinal);
        Assert.Contains("value-59", text.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("isvalid: false", text.ToString(), StringComparison.Ordinal);
    }

    /// <summary>Messages, single and compressed in threes, of one key each; those of magic 1 ten milliseconds apart.</summary>
    private static void WriteSegment(TestDisk disk, byte magic, string directory = "t-0")
    {
        disk.FileSystem.CreateDirectory(disk.At(directory));
        var bytes = new List<byte>();
        for (var i = 0; i < Messages;)
        {
            if (i % 12 != 3)
            {
                bytes.AddRange(OldMessages.Message(magic, i, 1_000 + i * 10, $"key-{i}", $"value-{i}"));
                i++;
                continue;
            }

            (long, string?, string?) At(int index) => (1_000 + index * 10, $"key-{index}", $"value-{index}");
            bytes.AddRange(OldMessages.Compressed(magic, i, CompressionType.Gzip, isLogAppendTime: false, 1_000 + (i + 2) * 10, At(i),
                At(i + 1), At(i + 2)));
            i += 3;
        }

        disk.Write(disk.At(directory, "00000000000000000000.log"), bytes.ToArray());
    }
}
