using System.Text;
using Microsoft.Extensions.Time.Testing;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Storage.Log;

namespace Ottla.UnitTests.Storage;

/// <summary>Segments, reads, retention, and readers who hold on to what is taken away.</summary>
public sealed class PartitionLogTests
{
    private readonly FakeTimeProvider _time = new(DateTimeOffset.FromUnixTimeMilliseconds(1_000));

    [Theory]
    [MemberData(nameof(TestDisk.Kinds), MemberType = typeof(TestDisk))]
    public void ClosedLogHasTheFilesKafkaExpects(bool real)
    {
        using var disk = TestDisk.Create(real);
        var config = LogConfig.Default with { SegmentBytes = 300, IndexIntervalBytes = 100 };
        var log = TestLog.Open(disk, config, _time);
        for (var i = 0; i < 6; i++)
            log.Append(TestLog.Idempotent(7, 0, i, text: "padded to a hundred bytes"), epoch: 4);
        log.AssignTopicId(new Uuid(1, 2));
        log.Close();
        Assert.Equal(
            [
                "00000000000000000000.index", "00000000000000000000.log", "00000000000000000000.timeindex",
                "00000000000000000003.index", "00000000000000000003.log", "00000000000000000003.snapshot", "00000000000000000003.timeindex",
                "00000000000000000006.snapshot", "leader-epoch-checkpoint", "partition.metadata",
            ],
            disk.FileSystem.ListFiles(disk.At("t-0")));
        Assert.Equal(8, disk.FileSystem.GetLength(disk.At("t-0", "00000000000000000000.index")));
        Assert.Equal(12, disk.FileSystem.GetLength(disk.At("t-0", "00000000000000000000.timeindex")));
        Assert.Equal("0\n1\n4 0\n", Encoding.UTF8.GetString(disk.Read(disk.At("t-0", "leader-epoch-checkpoint"))));
        var reopened = TestLog.Open(disk, config, _time, new LogOpenOptions { HadCleanShutdown = true });
        Assert.Equal((6, 2, new Uuid(1, 2)), (reopened.LogEndOffset, reopened.SegmentCount, reopened.TopicId));
        Assert.Equal(ErrorCode.InconsistentTopicId, Assert.Throws<LogException>(() => reopened.AssignTopicId(new Uuid(1, 3))).ErrorCode);
    }

    [Theory]
    [MemberData(nameof(TestDisk.Kinds), MemberType = typeof(TestDisk))]
    public void ReadsStayWithinSizeAndBound(bool real)
    {
        using var disk = TestDisk.Create(real);
        var log = TestLog.Open(disk, LogConfig.Default with { IndexIntervalBytes = 150 }, _time);
        for (var i = 0; i < 50; i++)
            log.Append(TestLog.Batch("x", count: 3, padding: i));
        var sizeOfFirst = Length(log.Read(0, 1, minOneBatch: true, long.MaxValue));
        Assert.True(sizeOfFirst > 1, "the first batch comes whole");
        Assert.Null(log.Read(0, 1, minOneBatch: false, long.MaxValue).Slice);
        Assert.Equal(sizeOfFirst, Length(log.Read(2, sizeOfFirst, minOneBatch: false, long.MaxValue)));
        Assert.Equal(sizeOfFirst, Length(log.Read(0, 1 << 20, minOneBatch: true, upperBoundOffset: 5)));
        Assert.Null(log.Read(0, 1 << 20, minOneBatch: true, upperBoundOffset: 2).Slice);
        Assert.Null(log.Read(150, 1 << 20, minOneBatch: true, long.MaxValue).Slice);
        Assert.Equal(log.SizeInBytes, Length(log.Read(0, int.MaxValue, minOneBatch: true, long.MaxValue)));
        Assert.Equal(ErrorCode.OffsetOutOfRange, Assert.Throws<LogException>(() => log.Read(151, 1, true, long.MaxValue)).ErrorCode);
        log.AdvanceLogStartOffset(10);
        Assert.Equal(ErrorCode.OffsetOutOfRange, Assert.Throws<LogException>(() => log.Read(9, 1, true, long.MaxValue)).ErrorCode);
    }

    [Fact]
    public void GapsOfCompactionAreStepped()
    {
        using var disk = TestDisk.Create(real: false);
        var log = TestLog.Open(disk, LogConfig.Default with { SegmentBytes = 250 }, _time);
        foreach (var offset in (long[])[0, 10, 20, 30, 40])
            log.AppendAsFollower(
                TestLog.Batch($"at{offset}", options: new RecordBatchOptions { BaseOffset = offset, PartitionLeaderEpoch = 1 }),
                new Instant(1_000));
        Assert.True(log.SegmentCount > 1, "the gap lies between segments too");
        for (var start = 0; start <= 41; start++)
            Assert.Equal(
                [.. new long[] { 0, 10, 20, 30, 40 }.Where(offset => offset >= start)], log.ReadAll(start).Select(record => record.Offset));
        Assert.Equal(ErrorCode.UnknownServerError, Assert.Throws<LogException>(() => log.AppendAsFollower(
            TestLog.Batch("late", options: new RecordBatchOptions { BaseOffset = 40 }), new Instant(1_000))).ErrorCode);
        var damaged = TestLog.Batch("bad", options: new RecordBatchOptions { BaseOffset = 41 });
        damaged[^1] ^= 1;
        Assert.Equal(
            ErrorCode.CorruptMessage, Assert.Throws<LogException>(() => log.AppendAsFollower(damaged, new Instant(1_000))).ErrorCode);
        var good = TestLog.Batch("cut", options: new RecordBatchOptions { BaseOffset = 41 });
        Assert.Equal(41, log.AppendAsFollower((byte[])[.. good, .. good.AsSpan(0, 40)], new Instant(1_000)).LastOffset);
    }

    [Fact]
    public void SegmentsRollBySizeTimeIndexAndOffset()
    {
        using var disk = TestDisk.Create(real: false);
        var byTime = TestLog.Open(disk, LogConfig.Default with { SegmentMs = 100 }, _time, name: "time-0");
        byTime.Append(TestLog.Batch("a", timestamp: 1_000));
        byTime.Append(TestLog.Batch("b", timestamp: 1_100));
        Assert.Equal(1, byTime.SegmentCount);
        byTime.Append(TestLog.Batch("c", timestamp: 1_101));
        Assert.Equal(2, byTime.SegmentCount);

        var byIndex = TestLog.Open(disk, LogConfig.Default with { SegmentIndexBytes = 48, IndexIntervalBytes = 0 }, _time, name: "index-0");
        for (var i = 0; i < 10; i++)
            byIndex.Append(TestLog.Batch("a", timestamp: 1_000 + i));
        Assert.Equal(3, byIndex.SegmentCount);

        var byOffset = TestLog.Open(disk, LogConfig.Default, _time, name: "offset-0");
        byOffset.Append(TestLog.Batch("a"));
        byOffset.AppendAsFollower(TestLog.Batch("b", options: new RecordBatchOptions { BaseOffset = int.MaxValue }), new Instant(1_000));
        Assert.Equal(1, byOffset.SegmentCount);
        byOffset.AppendAsFollower(
            TestLog.Batch("c", options: new RecordBatchOptions { BaseOffset = int.MaxValue + 1L }), new Instant(1_000));
        Assert.Equal(2, byOffset.SegmentCount);

        var tooLarge = TestLog.Open(disk, LogConfig.Default with { SegmentBytes = 100 }, _time, name: "size-0");
        Assert.Equal(
            ErrorCode.RecordListTooLarge, Assert.Throws<LogException>(() => tooLarge.Append(TestLog.Batch("a", padding: 200))).ErrorCode);
    }

    [Fact]
    public void RetentionDeletesByTimeSizeAndStartOffset()
    {
        using var disk = TestDisk.Create(real: false);
        var log = TestLog.Open(disk, LogConfig.Default with { SegmentBytes = 300, RetentionMs = 1_000, FileDeleteDelayMs = 50 }, _time);
        for (var i = 0; i < 12; i++)
            log.Append(TestLog.Batch("padded to be about a hundred", timestamp: 1_000 + i * 100));
        var segments = log.SegmentCount;
        Assert.Equal(0, log.DeleteOldSegments(new Instant(2_000)));
        Assert.Equal(1, log.DeleteOldSegments(new Instant(2_000 + 300)));
        Assert.Equal(log.FirstSegmentOffset, log.LogStartOffset);
        Assert.Equal(segments - 1, log.SegmentCount);
        Assert.Contains(disk.FileSystem.ListFiles(disk.At("t-0")), name => name == "00000000000000000000.log.deleted");
        Assert.Equal(0, log.UnlinkDeletedSegments(new Instant(2_300 + 49)));
        Assert.Equal(1, log.UnlinkDeletedSegments(new Instant(2_300 + 50)));
        Assert.DoesNotContain(disk.FileSystem.ListFiles(disk.At("t-0")), name => name.EndsWith(".deleted", StringComparison.Ordinal));

        log.Config = log.Config with { RetentionMs = -1, RetentionBytes = log.SizeInBytes - 1 };
        Assert.Equal(0, log.DeleteOldSegments(new Instant(9_999)));
        log.Config = log.Config with { RetentionBytes = log.SizeInBytes / 2 };
        Assert.True(log.DeleteOldSegments(new Instant(9_999)) > 0, "half of the bytes are too much");
        Assert.True(log.SizeInBytes >= log.Config.RetentionBytes, "never less than configured is left");

        log.Config = log.Config with { RetentionBytes = -1 };
        log.AdvanceLogStartOffset(log.LogEndOffset);
        Assert.True(log.DeleteOldSegments(new Instant(9_999)) > 0, "what is below the start offset goes");
        Assert.Equal(1, log.SegmentCount);

        log.Config = log.Config with { RetentionMs = 0 };
        Assert.Equal(1, log.DeleteOldSegments(new Instant(99_999)));
        Assert.Equal((12, 12, 0), (log.LogStartOffset, log.LogEndOffset, log.SizeInBytes));
    }

    [Fact]
    public void RetentionWaitsForTheHighWatermark()
    {
        using var disk = TestDisk.Create(real: false);
        var log = TestLog.Open(disk, LogConfig.Default with { SegmentBytes = 150, RetentionMs = 0 }, _time);
        for (var i = 0; i < 4; i++)
            log.AppendAsLeader(TestLog.Batch("padded to be about a hundred"), 0, AppendOrigin.Client, new Instant(1_000));
        Assert.Equal(0, log.DeleteOldSegments(new Instant(5_000)));
        log.AdvanceHighWatermark(2);
        Assert.Equal(2, log.DeleteOldSegments(new Instant(5_000)));
        Assert.Equal(ErrorCode.OffsetOutOfRange, Assert.Throws<LogException>(() => log.AdvanceLogStartOffset(3)).ErrorCode);
    }

    [Theory]
    [MemberData(nameof(TestDisk.Kinds), MemberType = typeof(TestDisk))]
    public void SlicesOutliveTruncationDeletionAndClose(bool real)
    {
        using var disk = TestDisk.Create(real);
        var log = TestLog.Open(disk, LogConfig.Default with { FileDeleteDelayMs = 0 }, _time);
        for (var i = 0; i < 10; i++)
            log.Append(TestLog.Batch($"first{i}"));
        var slice = log.Read(0, 1 << 20, true, long.MaxValue).Slice!;
        var before = new byte[slice.Length];
        slice.Read(0, before);
        log.TruncateTo(3);
        for (var i = 0; i < 10; i++)
            log.Append(TestLog.Batch($"second{i}"));
        AssertSame(slice, before);
        var other = log.Read(3, 1 << 20, true, long.MaxValue).Slice!;
        var otherBytes = new byte[other.Length];
        other.Read(0, otherBytes);
        log.TruncateFullyAndStartAt(100);
        log.UnlinkDeletedSegments(new Instant(long.MaxValue));
        log.Close();
        AssertSame(slice, before);
        AssertSame(other, otherBytes);
        slice.Dispose();
        other.Dispose();
        Assert.Throws<ObjectDisposedException>(() => slice.Read(0, before));
        Assert.Equal([(100L, (string?)"new/0")], Reopened());

        List<(long, string?)> Reopened()
        {
            var reopened = TestLog.Open(
                disk, LogConfig.Default, _time, new LogOpenOptions { HadCleanShutdown = true, LogStartOffset = 100 });
            reopened.Append(TestLog.Batch("new"));
            return reopened.ReadAll();
        }

        static void AssertSame(IFileSlice slice, byte[] expected)
        {
            var now = new byte[slice.Length];
            slice.Read(0, now);
            Assert.Equal(expected, now);
            if (slice.Source is { } handle)
            {
                Assert.Equal(expected.Length, RandomAccess.Read(handle, now, slice.SourcePosition));
                Assert.Equal(expected, now);
            }
        }
    }

    [Theory]
    [MemberData(nameof(TestDisk.Kinds), MemberType = typeof(TestDisk))]
    public async Task ReadersRunBesideAppendsRollsTruncationsAndDeletions(bool real)
    {
        using var disk = TestDisk.Create(real);
        var log = TestLog.Open(
            disk, LogConfig.Default with { SegmentBytes = 2_000, IndexIntervalBytes = 300, FileDeleteDelayMs = 0, RetentionMs = -1 },
            _time);
        var stop = false;
        var readers = Enumerable.Range(0, 2).Select(_ => Task.Run(() =>
        {
            var reads = 0;
            while (!Volatile.Read(ref stop) || reads == 0)
            {
                try
                {
                    foreach (var (offset, value) in log.ReadAll(log.LogStartOffset, maxBytes: 700))
                        Assert.StartsWith($"v{offset}-", value, StringComparison.Ordinal);
                    reads++;
                }
                catch (LogException moved) when (moved.ErrorCode == ErrorCode.OffsetOutOfRange)
                {
                    reads++; // the log was cut under the reader, as it may be
                }
            }
        })).ToList();
        var random = new Prng(42);
        for (var i = 0; i < 1_500; i++)
        {
            log.Append(TestLog.Batch($"v{log.LogEndOffset}-", padding: random.NextInt(100)));
            if (i % 50 == 49)
                log.TruncateTo(Math.Max(log.LogStartOffset, log.LogEndOffset - random.NextInt(30)));
            if (i % 70 == 69)
                log.AdvanceLogStartOffset(Math.Max(log.LogStartOffset, log.LogEndOffset - 40));
            if (i % 90 == 89)
            {
                log.DeleteOldSegments(new Instant(1_000));
                log.UnlinkDeletedSegments(new Instant(long.MaxValue));
                log.ReleaseIdle(new Instant(1_000));
                log.Flush();
            }
        }

        Volatile.Write(ref stop, true);
        await Task.WhenAll(readers);
        Assert.False(log.IsOffline);
    }

    [Fact]
    public void EpochsAnswerWhereTheyEnd()
    {
        using var disk = TestDisk.Create(real: false);
        var log = TestLog.Open(disk, LogConfig.Default, _time);
        foreach (var epoch in (int[])[2, 2, 5, 5, 5, 9])
            log.Append(TestLog.Batch("x"), epoch: epoch);
        Assert.Equal([new(2, 0), new(5, 2), new(9, 5)], log.LeaderEpochs);
        Assert.Equal(new EpochEndOffset(1, 0), log.EndOffsetForEpoch(1));
        Assert.Equal(new EpochEndOffset(2, 2), log.EndOffsetForEpoch(2));
        Assert.Equal(new EpochEndOffset(2, 2), log.EndOffsetForEpoch(4));
        Assert.Equal(new EpochEndOffset(5, 5), log.EndOffsetForEpoch(8));
        Assert.Equal(new EpochEndOffset(9, 6), log.EndOffsetForEpoch(9));
        Assert.Equal(new EpochEndOffset(-1, -1), log.EndOffsetForEpoch(10));
        log.TruncateTo(3);
        Assert.Equal([new(2, 0), new(5, 2)], log.LeaderEpochs);
        log.AdvanceHighWatermark(3);
        log.AdvanceLogStartOffset(1);
        Assert.Equal([new(2, 1), new(5, 2)], log.LeaderEpochs);
        Assert.Equal((2, 5), (log.EpochForOffset(1), log.EpochForOffset(2)));
        log.BeginLeading(11);
        Assert.Equal(11, log.LatestEpoch);
    }

    [Fact]
    public void AppendAllocatesNothingInSteadyState()
    {
        using var disk = TestDisk.Create(real: true);
        var log = TestLog.Open(disk, LogConfig.Default, _time);
        var batch = TestLog.Batch("x", count: 3);
        for (var i = 0; i < 2_000; i++)
            log.Append(batch);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 100; i++)
            log.Append(batch);
        // An index grows by doubling, so a rare array may fall into the window; nothing else may.
        Assert.True(
            GC.GetAllocatedBytesForCurrentThread() - before < 100 * 16,
            $"{GC.GetAllocatedBytesForCurrentThread() - before} bytes for 100 appends");
    }

    [Fact]
    public void BlocksReservedAheadAreNeitherVisibleNorKept()
    {
        using var disk = TestDisk.Create(real: true);
        var log = TestLog.Open(disk, LogConfig.Default, _time);
        for (var i = 0; i < 100; i++)
            log.Append(TestLog.Batch("x", padding: 10_000));
        Assert.Equal(log.SizeInBytes, disk.FileSystem.GetLength(disk.At("t-0", "00000000000000000000.log")));
        using var crashed = disk.Crash();
        Assert.Equal(100, TestLog.Open(crashed, LogConfig.Default, _time).LogEndOffset);
        log.Close();
        Assert.Equal(log.SizeInBytes, disk.FileSystem.GetLength(disk.At("t-0", "00000000000000000000.log")));
    }

    private static int Length(LogReadResult result)
    {
        using var slice = result.Slice;
        return slice?.Length ?? 0;
    }
}
