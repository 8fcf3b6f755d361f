using Microsoft.Extensions.Time.Testing;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Storage.Files;
using Ottla.Storage.Log;

namespace Ottla.UnitTests.Storage;

/// <summary>What a log is after its process or its disk did not end well.</summary>
public sealed class RecoveryTests
{
    private static readonly LogConfig Small = new() { SegmentBytes = 1_000, IndexIntervalBytes = 200, SegmentIndexBytes = 4_096 };
    private readonly FakeTimeProvider _time = new(DateTimeOffset.FromUnixTimeMilliseconds(1_000));

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void TornLastBatchIsCutOffAtEveryByte(bool real)
    {
        using var disk = TestDisk.Create(real);
        var log = TestLog.Open(disk, LogConfig.Default, _time);
        for (var i = 0; i < 3; i++)
            log.Append(TestLog.Batch($"record{i}"));
        var expected = log.ReadAll();
        var keptBytes = log.SizeInBytes;
        log.Append(TestLog.Batch("torn", 2));
        var path = disk.At("t-0", "00000000000000000000.log");
        var bytes = disk.Read(path);
        for (var length = keptBytes; length < bytes.Length; length += real ? 17 : 1)
        {
            using var crashed = disk.Crash();
            crashed.Write(crashed.At("t-0", Path.GetFileName(path)), bytes.AsSpan(0, (int)length));
            var recovered = TestLog.Open(crashed, LogConfig.Default, _time);
            Assert.Equal(3, recovered.LogEndOffset);
            Assert.Equal(keptBytes, crashed.FileSystem.GetLength(crashed.At("t-0", Path.GetFileName(path))));
            Assert.Equal(expected, recovered.ReadAll());
            Assert.Equal(3, recovered.Append(TestLog.Batch("next")).FirstOffset);
        }
    }

    [Fact]
    public void EveryFlippedBitOfAnUnflushedBatchIsFound()
    {
        using var disk = TestDisk.Create(real: false);
        var log = TestLog.Open(disk, LogConfig.Default, _time);
        log.Append(TestLog.Batch("kept"));
        var start = (int)log.SizeInBytes;
        log.Append(TestLog.Batch("damaged"));
        var path = disk.At("t-0", "00000000000000000000.log");
        var bytes = disk.Read(path);
        for (var position = start + RecordBatchLayout.MagicOffset; position < bytes.Length; position++)
        {
            using var crashed = disk.Crash();
            var damaged = (byte[])bytes.Clone();
            damaged[position] ^= 0x10;
            crashed.Write(path, damaged);
            var recovered = TestLog.Open(crashed, LogConfig.Default, _time);
            Assert.Equal((1, start), (recovered.LogEndOffset, recovered.SizeInBytes));
        }
    }

    [Fact]
    public void CorruptionInTheMiddleDropsAllThatFollows()
    {
        using var disk = TestDisk.Create(real: false);
        var log = Filled(disk, 40);
        Assert.True(log.SegmentCount > 3, $"{log.SegmentCount} segments");
        using var crashed = disk.Crash();
        var files = Files(crashed, ".log");
        var bytes = crashed.Read(crashed.At("t-0", files[1]));
        bytes[^1] ^= 1;
        crashed.Write(crashed.At("t-0", files[1]), bytes);
        var expected = log.ReadAll();
        var recovered = TestLog.Open(crashed, Small, _time);
        Assert.Equal(2, recovered.SegmentCount);
        Assert.Equal(expected.Where(record => record.Offset < recovered.LogEndOffset), recovered.ReadAll());
        _ = LogFileNames.TryParseOffset(files[2], out var thirdSegment);
        Assert.Equal(thirdSegment - 1, recovered.LogEndOffset);
        Assert.Equal(2, Files(crashed, ".log").Count);
    }

    [Fact]
    public void CorruptionBeforeTheRecoveryPointIsNotLookedFor()
    {
        using var disk = TestDisk.Create(real: false);
        var log = Filled(disk, 40);
        log.Flush();
        using var crashed = disk.Crash();
        var first = crashed.At("t-0", Files(crashed, ".log")[0]);
        var bytes = crashed.Read(first);
        bytes[^1] ^= 1;
        crashed.Write(first, bytes);
        var recovered = TestLog.Open(crashed, Small, _time, new LogOpenOptions { RecoveryPoint = log.RecoveryPoint });
        Assert.Equal(40, recovered.LogEndOffset);
    }

    [Theory]
    [InlineData(".index", 0)]
    [InlineData(".timeindex", 0)]
    [InlineData(".index", 7)]
    [InlineData(".index", 65_536)]
    [InlineData(".timeindex", 65_532)]
    public void LostOrOverlongIndexIsRebuilt(string suffix, int length)
    {
        using var disk = TestDisk.Create(real: false);
        var log = Filled(disk, 40);
        var expected = log.ReadAll();
        log.Close();
        var path = disk.At("t-0", Files(disk, suffix)[1]);
        var original = disk.Read(path);
        Assert.True(original.Length > 0, "there is something to lose");
        if (length == 0)
        {
            disk.FileSystem.Delete(path);
        }
        else
        {
            var damaged = new byte[length];
            original.AsSpan(0, Math.Min(length, original.Length)).CopyTo(damaged);
            disk.Write(path, damaged);
        }

        log = TestLog.Open(disk, Small, _time, new LogOpenOptions { HadCleanShutdown = true, RecoveryPoint = 40 });
        Assert.Equal(expected, log.ReadAll());
        Assert.Equal(25, log.OffsetForTimestamp(1_025).Offset);
        Assert.Equal(original, disk.Read(path));
    }

    [Fact]
    public void UncleanStartAlsoRepairsTheActiveSegmentsIndexes()
    {
        using var disk = TestDisk.Create(real: false);
        var log = Filled(disk, 40);
        var expected = log.ReadAll();
        using var crashed = disk.Crash();
        foreach (var name in Files(crashed, "index"))
            crashed.Write(crashed.At("t-0", name), [1, 2, 3]);
        Assert.Equal(expected, TestLog.Open(crashed, Small, _time).ReadAll());
    }

    [Fact]
    public void InterruptedDeletionsAndCleaningsAreFinished()
    {
        using var disk = TestDisk.Create(real: false);
        Filled(disk, 40).Close();
        var files = Files(disk, ".log");
        var fileSystem = disk.FileSystem;
        disk.Write(disk.At("t-0", files[0] + ".deleted"), [1]);
        disk.Write(disk.At("t-0", files[3] + ".cleaned"), [1]);
        disk.Write(disk.At("t-0", files[3] + ".swap"), [1]);
        disk.Write(disk.At("t-0", "00000000000000000009-0000000001.checkpoint.deleted"), [1]);
        // A whole swapped-in segment that replaces the first two.
        byte[] merged = [.. disk.Read(disk.At("t-0", files[0])), .. disk.Read(disk.At("t-0", files[1]))];
        disk.Write(disk.At("t-0", files[0] + ".swap"), merged);
        var log = TestLog.Open(disk, Small, _time, new LogOpenOptions { HadCleanShutdown = true });
        Assert.Equal(40, log.ReadAll().Count);
        Assert.Equal(files.Count - 1, log.SegmentCount);
        Assert.Equal(merged, disk.Read(disk.At("t-0", files[0])));
        Assert.Equal(
            ["00000000000000000009-0000000001.checkpoint.deleted"],
            fileSystem.ListFiles(disk.At("t-0")).Where(name => name.Split('.').Length > 2));
    }

    [Fact]
    public void LogStartPastTheEndEmptiesTheLog()
    {
        using var disk = TestDisk.Create(real: false);
        Filled(disk, 10).Close();
        var log = TestLog.Open(disk, Small, _time, new LogOpenOptions { HadCleanShutdown = true, LogStartOffset = 50 });
        Assert.Equal((50, 50, 1), (log.LogStartOffset, log.LogEndOffset, log.SegmentCount));
        Assert.Equal(50, log.Append(TestLog.Batch("x")).FirstOffset);
    }

    [Fact]
    public void FailedWriteTakesTheLogOffline()
    {
        using var disk = TestDisk.Create(real: false);
        var fileSystem = (InMemoryFileSystem)disk.FileSystem;
        Exception? reported = null;
        var log = TestLog.Open(disk, Small, _time, new LogOpenOptions { OnFailure = (_, failure) => reported = failure });
        log.Append(TestLog.Batch("a"));
        var full = new IOException("No space left on device");
        fileSystem.Fault = (operation, path) => operation == FileOperation.Write
            && path.EndsWith(".log", StringComparison.Ordinal) ? full : null;
        Assert.Equal(ErrorCode.KafkaStorageError, Assert.Throws<LogException>(() => log.Append(TestLog.Batch("b"))).ErrorCode);
        fileSystem.Fault = null;
        Assert.Same(full, reported);
        Assert.True(log.IsOffline);
        Assert.Equal(ErrorCode.KafkaStorageError, Assert.Throws<LogException>(() => log.Append(TestLog.Batch("c"))).ErrorCode);
        using var crashed = disk.Crash();
        Assert.Single(TestLog.Open(crashed, Small, _time).ReadAll());
    }

    [Fact]
    public void FailedFlushDoesNotMoveTheRecoveryPoint()
    {
        using var disk = TestDisk.Create(real: false);
        var fileSystem = (InMemoryFileSystem)disk.FileSystem;
        var log = TestLog.Open(disk, Small with { FlushMessages = 1 }, _time);
        log.Append(TestLog.Batch("a"));
        Assert.Equal(1, log.RecoveryPoint);
        fileSystem.Fault = (operation, _) => operation == FileOperation.Flush ? new IOException("fsync") : null;
        Assert.Equal(ErrorCode.KafkaStorageError, Assert.Throws<LogException>(() => log.Append(TestLog.Batch("b"))).ErrorCode);
        Assert.True(log.IsOffline);
        Assert.Equal(1, log.RecoveryPoint);
    }

    private PartitionLog Filled(TestDisk disk, int count)
    {
        var log = TestLog.Open(disk, Small, _time);
        for (var i = 0; i < count; i++)
            log.Append(TestLog.Batch($"r{i}", timestamp: 1_000 + i));
        return log;
    }

    private static List<string> Files(TestDisk disk, string suffix) =>
        [.. disk.FileSystem.ListFiles(disk.At("t-0")).Where(name => name.EndsWith(suffix, StringComparison.Ordinal))];
}
