using System.Text;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Storage.Compaction;
using Ottla.Storage.Files;
using Ottla.Storage.Log;

namespace Ottla.UnitTests.Storage.Compaction;

public sealed class CompactionTests
{
    [Fact]
    public async Task KeepsTheLastRecordOfEveryKeyAtItsOffset()
    {
        using var log = new CompactedLog();
        log.Append(("a", "1"), ("b", "1"), ("c", "1"));
        log.Append(("a", "2"));
        log.Append(("b", "2"), ("a", "3"));
        await log.CompactAsync();
        Assert.Equal([(2, "c", "1"), (4, "b", "2"), (5, "a", "3")], log.Records());
        Assert.Equal([(0, 2, 1), (4, 5, 2)], log.Batches().Select(batch => (batch.BaseOffset, batch.LastOffset, batch.Count)));
        Assert.Equal(6, log.Append(("d", "1")).FirstOffset);
    }

    [Theory]
    [InlineData(CompressionType.None)]
    [InlineData(CompressionType.Gzip)]
    [InlineData(CompressionType.Snappy)]
    public async Task RebuiltBatchesKeepTheirCodecTimestampsAndHeaders(CompressionType codec)
    {
        using var log = new CompactedLog();
        var options = new RecordBatchOptions { Compression = codec, ProducerId = 5, ProducerEpoch = 0, BaseSequence = 0 };
        log.Append(options, ("a", new string('x', 500)), ("b", new string('y', 500)));
        log.Time.AdvanceMs(10);
        log.Append(options with { BaseSequence = 2 }, ("a", new string('z', 500)), ("c", "1"));
        await log.CompactAsync();
        Assert.Equal(
            [(0, 1, 1, codec, 0, 1), (2, 3, 2, codec, 2, 3)], log.Batches().Select(
                batch => (batch.BaseOffset, batch.LastOffset, batch.Count, batch.Compression, batch.BaseSequence, batch.LastSequence)));
        log.Log.Visit(0, 1 << 20, long.MaxValue, (_, _) => { }, (_, record) =>
        {
            Assert.Equal(record.Offset < 2 ? 1_000_000 : 1_000_010, record.Timestamp);
            foreach (var header in record.Headers)
                Assert.Equal(record.Key, header.Value);
            Assert.Equal(1, record.HeaderCount);
        });
    }

    [Fact]
    public async Task NeverTouchesTheActiveSegmentOrWhatIsNotCommitted()
    {
        using var log = new CompactedLog();
        log.Append(("a", "1"));
        log.Append(("a", "2"));
        Assert.False(await log.Manager.Cleaner.CleanDirtiestAsync(), "there is only the active segment");
        log.Roll();
        log.Log.AppendAsLeader(
            CompactedLog.Batch(new RecordBatchOptions(), log.NowMs, ("a", "3")), 0, AppendOrigin.Client, new Instant(log.NowMs));
        log.Roll();
        Assert.True(await log.Manager.Cleaner.CleanDirtiestAsync());
        Assert.False(await log.Manager.Cleaner.CleanDirtiestAsync(), "offset 2 is above the high watermark");
        Assert.Equal([(1, "a", "2"), (2, "a", "3")], log.Records());
        log.Log.AdvanceHighWatermark(3);
        Assert.True(await log.Manager.Cleaner.CleanDirtiestAsync());
        Assert.Equal([(2, "a", "3")], log.Records());
    }

    [Fact]
    public async Task StopsBeforeAnOpenTransaction()
    {
        using var log = new CompactedLog();
        log.Append(("a", "1"));
        log.Append(("a", "2"));
        log.Roll();
        log.Append(Transactional(9, 0), ("a", "3"));
        await log.CompactAsync();
        Assert.Equal([(1, "a", "2"), (2, "a", "3")], log.Records());
        log.End(9, commit: true);
        await log.CompactAsync();
        Assert.Equal([(2, "a", "3")], log.Records());
    }

    [Fact]
    public async Task TombstonesStayUntilTheirHorizonHasPassed()
    {
        using var log = new CompactedLog();
        log.Append(("a", "1"), ("b", "1"));
        log.Append(("a", null), ("c", "1"));
        await log.CompactAsync();
        Assert.Equal([(1, "b", "1"), (2, "a", null), (3, "c", "1")], log.Records());
        Assert.Equal(log.NowMs + 1_000, log.Batches()[1].DeleteHorizonMs);
        log.Append(("x", "1"));
        log.Time.AdvanceMs(999);
        await log.CompactAsync();
        Assert.Contains((2, "a", null), log.Records());
        log.Append(("x", "2"));
        log.Time.AdvanceMs(1);
        await log.CompactAsync();
        Assert.Equal([(1, "b", "1"), (3, "c", "1"), (5, "x", "2")], log.Records());
    }

    [Fact]
    public async Task AbortedRecordsGoAtOnceAndTheirMarkerLater()
    {
        using var log = new CompactedLog();
        log.Append(("a", "1"));
        log.Append(Transactional(9, 0), ("a", "aborted"), ("b", "aborted"));
        log.End(9, commit: false);
        log.Append(Transactional(9, 2), ("c", "committed"));
        log.End(9, commit: true);
        await log.CompactAsync();
        Assert.Equal([(0, "a", "1"), (4, "c", "committed")], log.Records());
        // The marker is still needed by those who read the records before they went: it is indexed, and has no horizon yet.
        Assert.Equal([3, 5], log.Batches().Where(batch => batch.IsControl).Select(batch => batch.BaseOffset));
        Assert.All(log.Batches(), batch => Assert.Null(batch.DeleteHorizonMs));
        Assert.Single(log.Log.CollectAbortedTransactions(0, 6));
        log.Append(("c", "2"));
        await log.CompactAsync();
        Assert.Equal([log.NowMs + 1_000, null], log.Batches().Where(batch => batch.IsControl).Select(batch => batch.DeleteHorizonMs));
        Assert.Empty(log.Log.CollectAbortedTransactions(0, 6));
        log.Append(("d", "1"));
        log.Time.AdvanceMs(1_000);
        await log.CompactAsync();
        log.Append(("e", "1"));
        log.Time.AdvanceMs(1_000);
        await log.CompactAsync();
        Assert.Equal([(0, "a", "1"), (6, "c", "2"), (7, "d", "1"), (8, "e", "1")], log.Records());
        // the producer is alive: its last batch stays, and so does the marker
        Assert.Equal([4, 5], log.Batches().Where(batch => batch.IsControl || batch.Count == 0).Select(batch => batch.BaseOffset));
    }

    [Fact]
    public async Task EmptyBatchRemembersTheSequenceOfALiveProducer()
    {
        using var log = new CompactedLog();
        var first = new RecordBatchOptions { ProducerId = 5, ProducerEpoch = 2, BaseSequence = 0 };
        log.Append(first, ("a", "1"), ("b", "1"));
        log.Append(first with { BaseSequence = 2 }, ("a", "2"), ("b", "2"));
        log.Append(("a", "3"), ("b", "3"));
        await log.CompactAsync();
        Assert.Equal([(4, "a", "3"), (5, "b", "3")], log.Records());
        Assert.Equal(
            (2, 3, 0, 2, 3), log.Batches()
            .Select(batch => (batch.BaseOffset, batch.LastOffset, batch.Count, batch.BaseSequence, batch.LastSequence)).First());
        log.Manager.Close();
        using var again = Reopen(log, deleteSnapshots: true);
        Assert.Equal(6, again.Append(first with { BaseSequence = 4 }, ("c", "1")).FirstOffset); // else OUT_OF_ORDER_SEQUENCE_NUMBER
        await again.CompactAsync();
        Assert.DoesNotContain(again.Batches(), batch => batch.Count == 0);
    }

    [Fact]
    public async Task MapThatIsTooSmallCleansStepByStep()
    {
        using var log = new CompactedLog(
            options: CleanerOptions.Default with { DedupeBufferBytes = KeyOffsetMap.BytesPerSlot * 10, LoadFactor = 0.5 });
        for (var i = 0; i < 40; i++)
            log.Append(($"k{i % 20}", $"{i}"));
        log.Roll();
        var passes = 0;
        while (await log.Manager.Cleaner.CleanDirtiestAsync())
            passes++;
        Assert.Equal(8, passes);
        Assert.Equal(Enumerable.Range(20, 20).Select(i => ((long)i, (string?)$"k{i % 20}", (string?)$"{i}")), log.Records());
        Assert.Equal(40, Checkpoint(log));
    }

    [Fact]
    public async Task SmallSegmentsBecomeOneUpToTheSegmentSize()
    {
        using var log = new CompactedLog(config: CompactedLog.Config with { SegmentBytes = 1_000 });
        for (var i = 0; i < 60; i++)
        {
            log.Append(($"k{i}", new string('x', 100)));
            log.Roll();
        }

        Assert.Equal(61, log.Log.SegmentCount);
        Assert.True(await log.Manager.Cleaner.CleanDirtiestAsync());
        Assert.InRange(log.Log.SegmentCount, 11, 15);
        Assert.Equal(60, log.Records().Count);
        Assert.Equal(
            log.Log.SizeInBytes, log.Files(".log").Where(name => name.EndsWith(".log", StringComparison.Ordinal))
            .Sum(name => log.Disk.FileSystem.GetLength(Path.Combine(log.Log.Directory, name))));
        log.Manager.Tick(Instant.Now(log.Time));
        Assert.Empty(log.Files("deleted"));
        Assert.Empty(log.Files("cleaned"));
        Assert.Empty(log.Files("swap"));
        log.Manager.Close();
        using var again = Reopen(log);
        Assert.Equal(60, again.Records().Count);
    }

    [Fact]
    public async Task ReadersOfOldSegmentsFinish()
    {
        using var log = new CompactedLog();
        log.Append(("a", "1"));
        log.Append(("a", "2"));
        using var slice = log.Log.Read(0, 1 << 20, minOneBatch: true, long.MaxValue).Slice!;
        await log.CompactAsync();
        log.Manager.Tick(Instant.Now(log.Time));
        var bytes = new byte[slice.Length];
        slice.Read(0, bytes);
        Assert.Equal(0, new RecordBatchView(bytes).BaseOffset);
        Assert.Equal([(1, "a", "2")], log.Records());
    }

    [Fact]
    public async Task RecordsWithoutKeyAreDropped()
    {
        using var log = new CompactedLog();
        log.Append((null, "1"), ("a", "1"));
        log.Append(("", "1"));
        await log.CompactAsync();
        Assert.Equal([(1, "a", "1"), (2, "", "1")], log.Records());
    }

    [Fact]
    public async Task LogIsCompactedWhenDirtyEnoughOrOverdueButNotTooYoung()
    {
        var config = CompactedLog.Config with { MinCleanableDirtyRatio = 0.5, MinCompactionLagMs = 1_000, MaxCompactionLagMs = 5_000 };
        using var log = new CompactedLog(config: config);
        log.Append(("a", "1"), ("b", "1"), ("c", "1"), ("d", "1"));
        log.Roll();
        Assert.False(await log.Manager.Cleaner.CleanDirtiestAsync(), "too young");
        log.Time.AdvanceMs(1_000);
        Assert.True(await log.Manager.Cleaner.CleanDirtiestAsync());
        log.Append(("a", "2"));
        log.Roll();
        log.Time.AdvanceMs(1_000);
        Assert.False(await log.Manager.Cleaner.CleanDirtiestAsync(), "too little is dirty");
        log.Time.AdvanceMs(4_001);
        Assert.True(await log.Manager.Cleaner.CleanDirtiestAsync(), "overdue");
        Assert.Equal(["b", "c", "d", "a"], log.Records().Select(record => record.Key));
    }

    [Fact]
    public async Task DirtiestLogComesFirst()
    {
        using var log = new CompactedLog();
        var other = log.Manager.GetOrCreate(new TopicPartition("other", 0), new Uuid(8, 8));
        log.Append(("a", "1"));
        await log.CompactAsync();
        log.Append(("a", "2"));
        log.Roll();
        for (var i = 0; i < 3; i++)
            other.Append(CompactedLog.Batch(new RecordBatchOptions(), log.NowMs, ("a", $"{i}")));
        other.Roll(Instant.Now(log.Time));
        Assert.True(await log.Manager.Cleaner.CleanDirtiestAsync());
        Assert.Equal([(2, "a", "2")], CompactedLog.Records(other));
        Assert.Equal(2, log.Records().Count);
        Assert.True(await log.Manager.Cleaner.CleanDirtiestAsync());
        Assert.Single(log.Records());
        Assert.False(await log.Manager.Cleaner.CleanDirtiestAsync());
    }

    [Fact]
    public async Task CompactAndDeleteDoesBoth()
    {
        var config = CompactedLog.Config with { Delete = true, RetentionMs = 10_000 };
        using var log = new CompactedLog(config: config);
        log.Append(("a", "1"), ("b", "1"));
        log.Roll();
        log.Time.AdvanceMs(8_000);
        log.Append(("a", "2"));
        await log.CompactAsync();
        Assert.Equal([(1, "b", "1"), (2, "a", "2")], log.Records());
        log.Append(("c", "1"));
        log.Roll();
        log.Time.AdvanceMs(300_000);
        log.Append(("d", "1"));
        log.Manager.Tick(Instant.Now(log.Time));
        Assert.Equal(0, log.Log.LogStartOffset); // that of a compacted log is the cleaner's
        await log.Manager.Cleaner.CleanDirtiestAsync();
        Assert.Equal([(4, "d", "1")], log.Records());
        Assert.Equal(4, log.Log.LogStartOffset);
        await log.CompactAsync();
        Assert.Equal([(4, "d", "1")], log.Records());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task DeletedRecordsLeaveTheDiskAtTheNextRoundOfTheCleaner(bool delete)
    {
        using var log = new CompactedLog(config: CompactedLog.Config with { Delete = delete, MinCleanableDirtyRatio = 1 });
        log.Append(("a", "1"));
        log.Roll();
        log.Append(("b", "1"));
        log.Log.AdvanceLogStartOffset(1);
        Assert.Equal(2, log.Log.SegmentCount);
        using var stopping = new CancellationTokenSource();
        var running = log.Manager.Cleaner.RunAsync(stopping.Token);
        while (log.Log.SegmentCount > 1)
            await Task.Yield();
        log.Append(("c", "1"));
        log.Roll();
        log.Append(("d", "1"));
        log.Log.AdvanceLogStartOffset(3);
        while (log.Log.SegmentCount > 1) // after log.cleaner.backoff.ms, not after log.retention.check.interval.ms
        {
            Assert.True(log.NowMs < 1_000_000 + (100 * log.Options.BackoffMs), "the cleaner does not do it");
            await Task.Delay(1); // the cleaner has to keep up with its clock
            log.Time.AdvanceMs(100);
        }

        Assert.Equal([(3, "d", "1")], log.Records());
        await stopping.CancelAsync();
        await running;
    }

    [Fact]
    public async Task ChangesOfTheConfigurationDoNotWaitForWhatWasConfiguredBefore()
    {
        using var log = new CompactedLog(options: CleanerOptions.Default with { BackoffMs = 1_000_000_000_000 });
        using var stopping = new CancellationTokenSource();
        var running = log.Manager.Cleaner.RunAsync(stopping.Token);
        log.Append(("a", "1"));
        log.Append(("a", "2"));
        log.Roll();
        log.Options = log.Options with { BackoffMs = 1, IoBytesPerSecondMax = 0.001 };
        while (!log.Manager.Cleaner.IsCleaning(TestLog.Partition))
            await NapAsync();
        var startedMs = log.NowMs;
        log.Options = log.Options with { IoBytesPerSecondMax = double.MaxValue };
        while (log.Records().Count > 1)
            await NapAsync();
        Assert.True(log.NowMs < startedMs + 3_600_000, "an hour was owed for the first chunk alone");
        await stopping.CancelAsync();
        await running;

        async Task NapAsync()
        {
            await Task.Delay(1); // the cleaner has to keep up with its clock
            log.Time.AdvanceMs(100);
        }
    }

    [Fact]
    public async Task WhatCannotBeExpandedWithinBoundsStaysAndTheRestIsCompacted()
    {
        using var log = new CompactedLog(config: CompactedLog.Config with { MaxDecompressedMessageBytes = 1_000 });
        log.Append(("a", "1"), ("b", "1"));
        log.Append(new RecordBatchOptions { Compression = CompressionType.Gzip }, ("a", "2"), ("bomb", new string('x', 5_000)), ("b", "2"));
        log.Append(new RecordBatchOptions { Compression = CompressionType.Gzip }, ("c", "1"));
        log.Append(("c", "2"), ("bomb", "defused"));
        log.Roll();
        Assert.True(await log.Manager.Cleaner.CleanDirtiestAsync());
        Assert.Empty(log.Manager.Cleaner.Uncleanable);
        // "b" stays twice: its second record is in a batch of which nothing is known.
        Assert.Equal(["1", "2", new string('x', 5_000), "2", "2", "defused"], log.Log.ReadAll().Select(record => record.Value));
        Assert.Equal([1L, 2, 3, 4, 6, 7], log.Log.ReadAll().Select(record => record.Offset));
    }

    [Fact]
    public void LookUpsByTimeExpandWithinBounds()
    {
        using var log = new CompactedLog(config: CompactedLog.Config with { MaxDecompressedMessageBytes = 1_000 });
        log.Append(new RecordBatchOptions { Compression = CompressionType.Gzip }, ("bomb", new string('x', 5_000)), ("a", "1"));
        Assert.Equal(ErrorCode.InvalidRecord, Assert.Throws<LogException>(() => log.Log.OffsetForTimestamp(log.NowMs)).ErrorCode);
        log.Log.Config = CompactedLog.Config;
        Assert.Equal(0, log.Log.OffsetForTimestamp(log.NowMs).Offset);
    }

    [Fact]
    public async Task CorruptLogIsLeftAlone()
    {
        using var log = new CompactedLog();
        log.Append(("a", "1"));
        log.Append(("a", "2"));
        log.Roll();
        using (var file = log.Disk.FileSystem.Open(log.Disk.At("t-0", "00000000000000000000.log"), FileOpenMode.Existing))
            file.Write(70, [0xff]);
        Assert.False(await log.Manager.Cleaner.CleanDirtiestAsync());
        Assert.Equal([TestLog.Partition], log.Manager.Cleaner.Uncleanable);
        Assert.False(await log.Manager.Cleaner.CleanDirtiestAsync());
        Assert.False(log.Log.IsOffline);
        Assert.Empty(log.Files("cleaned"));
        log.Manager.Delete(TestLog.Partition);
        Assert.Empty(log.Manager.Cleaner.Uncleanable);
    }

    [Fact]
    public async Task CheckpointFollowsTruncationAndDeletion()
    {
        using var log = new CompactedLog();
        log.Append(("a", "1"));
        log.Append(("a", "2"));
        await log.CompactAsync();
        Assert.Equal(2, Checkpoint(log));
        log.Append(("b", "1"));
        Assert.Equal(FollowerTruncation.Truncated, log.Manager.Truncate(log.Log, 1, leaderEpoch: 0));
        Assert.Equal(0, Checkpoint(log));
        log.Append(("b", "2"));
        await log.CompactAsync();
        Assert.Equal([(1, "b", "2")], log.Records());
        log.Manager.Delete(TestLog.Partition);
        Assert.Null(Checkpoint(log));
    }

    [Fact]
    public async Task ThrottledCompactionTakesItsTime()
    {
        using var log = new CompactedLog(options: CleanerOptions.Default with { IoBytesPerSecondMax = 1_000 });
        for (var i = 0; i < 5; i++)
            log.Append(("a", new string('x', 1_000)));
        log.Roll();
        var size = log.Log.SizeInBytes;
        var compaction = log.Manager.Cleaner.CleanDirtiestAsync();
        var waitedMs = 0L;
        while (!compaction.IsCompleted)
        {
            log.Time.AdvanceMs(100);
            waitedMs += 100;
            await Task.Yield();
        }

        Assert.True(await compaction);
        Assert.True(waitedMs >= 2 * size, $"read twice, {size} bytes took {waitedMs} ms");
    }

    [Fact]
    public async Task TruncationMeanwhileEndsACompaction()
    {
        using var log = new CompactedLog(options: CleanerOptions.Default with { IoBytesPerSecondMax = 1_000 });
        for (var i = 0; i < 5; i++)
            log.Append(($"k{i}", new string('x', 1_000)));
        log.Roll();
        var compaction = log.Manager.Cleaner.CleanDirtiestAsync();
        log.Manager.Truncate(log.Log, 3, leaderEpoch: 0);
        while (!compaction.IsCompleted)
        {
            log.Time.AdvanceMs(1_000);
            await Task.Yield();
        }

        Assert.Equal(["k0", "k1", "k2"], log.Records().Select(record => record.Key));
        Assert.Empty(log.Files("cleaned"));
        Assert.Equal(0, Checkpoint(log)); // it was begun, and so there may be gaps
        Assert.False(log.Log.IsOffline);
    }

    [Fact]
    public async Task WorkersComeAndGoWithTheConfigurationAndEndWithTheNode()
    {
        using var log = new CompactedLog();
        log.Append(("a", "1"));
        log.Append(("a", "2"));
        log.Roll();
        using var stopping = new CancellationTokenSource();
        var running = log.Manager.Cleaner.RunAsync(stopping.Token);
        while (log.Records().Count > 1)
            await Task.Yield();
        log.Options = log.Options with { Threads = 0 };
        log.Append(("a", "3"));
        log.Roll();
        for (var i = 0; i < 10; i++)
        {
            log.Time.AdvanceMs(log.Options.BackoffMs);
            await Task.Yield();
        }

        Assert.Equal(2, log.Records().Count);
        log.Options = log.Options with { Threads = 3 };
        while (log.Records().Count > 1)
        {
            log.Time.AdvanceMs(log.Options.BackoffMs);
            await Task.Yield();
        }

        await stopping.CancelAsync();
        await running;
    }

    [Fact]
    public async Task CheckpointHasTheFormatOfKafka()
    {
        using var log = new CompactedLog();
        log.Append(("a", "1"));
        await log.CompactAsync();
        Assert.Equal("0\n1\nt 0 1\n", Encoding.UTF8.GetString(log.Disk.Read(log.Disk.At(OffsetCheckpointFile.Cleaner))));
        log.Manager.Close();
        using var again = Reopen(log);
        Assert.False(await again.Manager.Cleaner.CleanDirtiestAsync());
        again.Manager.Close();
        log.Disk.Write(log.Disk.At(OffsetCheckpointFile.Cleaner), "nonsense"u8);
        using var third = Reopen(log);
        Assert.False(third.Manager.Directories[0].IsOffline);
        Assert.True(await third.Manager.Cleaner.CleanDirtiestAsync());
    }

    private static RecordBatchOptions Transactional(long producerId, int sequence) =>
        new() { ProducerId = producerId, ProducerEpoch = 0, BaseSequence = sequence, IsTransactional = true };

    private static long? Checkpoint(CompactedLog log) =>
        new OffsetCheckpointFile(log.Disk.FileSystem, log.Disk.Root, OffsetCheckpointFile.Cleaner).Read()
        .TryGetValue(TestLog.Partition, out var offset) ? offset : null;

    private static CompactedLog Reopen(CompactedLog log, bool deleteSnapshots = false)
    {
        foreach (var name in deleteSnapshots ? log.Files(".snapshot") : [])
            log.Disk.FileSystem.Delete(Path.Combine(log.Log.Directory, name));
        if (deleteSnapshots)
            CleanShutdownFile.Delete(log.Disk.FileSystem, log.Disk.Root); // producers are then read from the log
        return new CompactedLog(log.Disk.Crash(), time: log.Time);
    }
}
