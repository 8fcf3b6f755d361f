using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Storage.Files;
using Ottla.Storage.Log;
using Ottla.Storage.Upkeep;
using Ottla.UnitTests.Storage.Compaction;

namespace Ottla.UnitTests.Storage;

/// <summary>
/// A disk without room: appends are refused without a trace, all else goes on, and nothing needs to be done when there is room again.
/// </summary>
public sealed class FullDiskTests
{
    private static readonly TopicPartition Partition = new("t", 0);

    private readonly FakeTimeProvider _time = new(DateTimeOffset.FromUnixTimeMilliseconds(1_000));

    /// <summary>
    /// Which operation is the first that finds no room: 0 for none, and so on through a history with rolls, markers, epochs, flushes and a
    /// close.
    /// </summary>
    [Fact]
    public void WhereverRoomRunsOutNothingAcknowledgedIsLost()
    {
        for (var room = 0; ; room++)
        {
            using var disk = TestDisk.Create(real: false);
            var fileSystem = (InMemoryFileSystem)disk.FileSystem;
            var acknowledged = new List<string>();
            var full = new RoomFor(fileSystem, room);
            using (var manager = Open(disk, LogConfig.Default with { SegmentBytes = 400, IndexIntervalBytes = 100, RetentionMs = -1 }))
            {
                var log = manager.GetOrCreate(Partition, new Uuid(1, 1));
                full.Begin();
                Fill(log, acknowledged, "before", tolerant: true);
                manager.Tick(Instant.Now(_time));
                Assert.Equal(acknowledged, Values(log));
                var wasFull = full.WasRefused;
                full.End();
                Fill(log, acknowledged, "after", tolerant: false);
                Assert.Equal(acknowledged, Values(log));
                Assert.False(manager.Directories[0].IsOffline);
                if (room % 2 == 0)
                    manager.Close();
                else
                    log.Flush();
                using var crashed = disk.Crash();
                using var again = Open(crashed, LogConfig.Default with { SegmentBytes = 400, IndexIntervalBytes = 100, RetentionMs = -1 });
                Assert.Equal(acknowledged, Values(again.Find(Partition)!));
                if (!log.IsClosed)
                    Assert.Equal(
                        log.CollectAbortedTransactions(0, long.MaxValue),
                        again.Find(Partition)!.CollectAbortedTransactions(0, long.MaxValue));
                if (!wasFull)
                {
                    Assert.True(room > 40, $"{room} operations need room");
                    return;
                }
            }
        }
    }

    [Fact]
    public void WhatWasWrittenInPartIsCutOff()
    {
        using var disk = TestDisk.Create(real: false);
        var fileSystem = (InMemoryFileSystem)disk.FileSystem;
        using var manager = Open(disk);
        var log = manager.GetOrCreate(Partition, new Uuid(1, 1));
        log.Append(TestLog.Batch("one"));
        var path = Path.Combine(log.Directory, "00000000000000000000.log");
        var length = fileSystem.GetLength(path);
        fileSystem.Fault = (operation, name) =>
        {
            if (operation != FileOperation.Write || name != path)
                return null;
            fileSystem.Fault = null;
            using var file = fileSystem.Open(path, FileOpenMode.Existing);
            file.Write(length, [1, 2, 3]);
            return new DiskFullException(path);
        };
        var refusal = Assert.Throws<LogException>(() => log.Append(TestLog.Batch("two")));
        Assert.Equal((ErrorCode.KafkaStorageError, true), (refusal.ErrorCode, refusal.IsDiskFull));
        Assert.Equal(length, fileSystem.GetLength(path));
        Assert.True(manager.Directories[0].IsFull);
        Assert.Equal(1, log.Append(TestLog.Batch("three")).FirstOffset);
        manager.Tick(Instant.Now(_time));
        Assert.True(manager.Directories[0].IsFull, "something was refused since the last look");
        manager.Tick(Instant.Now(_time));
        Assert.False(manager.Directories[0].IsFull);
    }

    [Fact]
    public void RetentionRunsOnAFullDiskAndAtOnce()
    {
        using var disk = TestDisk.Create(real: false);
        var fileSystem = (InMemoryFileSystem)disk.FileSystem;
        using var manager = Open(disk, LogConfig.Default with { SegmentBytes = 200, RetentionMs = 10_000, FileDeleteDelayMs = 0 });
        var log = manager.GetOrCreate(Partition, new Uuid(1, 1));
        for (var i = 0; i < 5; i++)
            log.Append(TestLog.Batch("padded to be about a hundred", timestamp: 1_000 + i), epoch: i);
        fileSystem.Fault = NoRoom;
        Assert.Throws<LogException>(() => log.Append(TestLog.Batch("padded to be about a hundred"), epoch: 5));
        _time.AdvanceMs(20_000);
        manager.Tick(Instant.Now(_time));
        manager.Tick(Instant.Now(_time));
        Assert.False(manager.Directories[0].IsOffline);
        Assert.True(log.LogStartOffset >= 4, $"starts at {log.LogStartOffset}");
        Assert.DoesNotContain(
            fileSystem.ListFiles(log.Directory), name => name.StartsWith("00000000000000000000", StringComparison.Ordinal));
        Assert.True(manager.Delete(Partition));
        _time.AdvanceMs(60_000);
        manager.Tick(Instant.Now(_time));
        Assert.Empty(fileSystem.ListDirectories(disk.Root));
        Assert.Throws<LogException>(() => manager.GetOrCreate(Partition, new Uuid(2, 2)));
        fileSystem.Fault = null;
        manager.GetOrCreate(Partition, new Uuid(2, 2)).Append(TestLog.Batch("x"));
    }

    [Fact]
    public void ALogIsDeletedAtOnceWhereThereIsNoRoomToRenameIt()
    {
        using var disk = TestDisk.Create(real: false);
        var fileSystem = (InMemoryFileSystem)disk.FileSystem;
        using var manager = Open(disk);
        manager.GetOrCreate(Partition, new Uuid(1, 1)).Append(TestLog.Batch("old"));
        fileSystem.Fault = (operation, path) => operation == FileOperation.RenameDirectory ? new DiskFullException(path) : null;
        Assert.True(manager.Delete(Partition));
        Assert.Empty(fileSystem.ListDirectories(disk.Root));
        fileSystem.Fault = null;
        var again = manager.GetOrCreate(Partition, new Uuid(2, 2));
        Assert.Equal(0, again.Append(TestLog.Batch("new")).FirstOffset);
        Assert.False(manager.Directories[0].IsOffline);
    }

    [Fact]
    public async Task CompactionWithoutRoomLeavesNoTraceAndIsTriedAgain()
    {
        using var log = new CompactedLog();
        log.Append(("a", "1"));
        log.Append(("a", "2"));
        log.Roll();
        var fileSystem = (InMemoryFileSystem)log.Disk.FileSystem;
        fileSystem.Fault = (operation, path) => path.EndsWith(".cleaned", StringComparison.Ordinal) ? NoRoom(operation, path) : null;
        Assert.False(await log.Manager.Cleaner.CleanDirtiestAsync());
        Assert.Empty(log.Manager.Cleaner.Uncleanable);
        Assert.Empty(log.Files("cleaned"));
        Assert.True(log.Manager.Directories[0].IsFull);
        fileSystem.Fault = null;
        Assert.True(await log.Manager.Cleaner.CleanDirtiestAsync());
        Assert.Single(log.Records());
    }

    [Fact]
    public void OrderlyEndOnAFullDiskIsNoCleanOne()
    {
        using var disk = TestDisk.Create(real: false);
        var fileSystem = (InMemoryFileSystem)disk.FileSystem;
        using (var manager = Open(disk))
        {
            manager.GetOrCreate(Partition, new Uuid(1, 1)).Append(TestLog.Idempotent(7, 0, 0));
            fileSystem.Fault = NoRoom;
            manager.Close();
            fileSystem.Fault = null;
        }

        using var again = Open(disk);
        Assert.False(again.Directories[0].HadCleanShutdown);
        Assert.Equal(1, again.Find(Partition)!.Append(TestLog.Idempotent(7, 0, 1)).FirstOffset);
    }

    [Fact]
    public void TheDisksErrorsAreToldApart()
    {
        if (!OperatingSystem.IsLinux())
            return; // /dev/full is Linux's
        using var file = new RealFileSystem().Open("/dev/full", FileOpenMode.Existing);
        Assert.Throws<DiskFullException>(() => file.Write(0, [1]));
    }

    private static DiskFullException? NoRoom(FileOperation operation, string path) =>
        operation is FileOperation.Write ? new DiskFullException(path) : null;

    private static void Fill(PartitionLog log, List<string> acknowledged, string text, bool tolerant)
    {
        for (var i = 0; i < 12; i++)
        {
            var epoch = log.LatestEpoch + (i % 4 == 0 ? 1 : 0);
            var value = $"{text}-{i}";
            Try(() => log.Append(TestLog.Batch(value, padding: 40), epoch: Math.Max(epoch, 0)),
                () => acknowledged.Add($"{value}/0{new string('.', 40)}"));
            var producer = log.ActiveProducers().FirstOrDefault(producer => producer.ProducerId == 9);
            Try(() => log.Append(
                TestLog.Idempotent(9, 0, producer.ProducerId == 9 ? producer.LastSequence + 1 : 0, transactional: true, text: value),
                epoch: log.LatestEpoch), () => acknowledged.Add($"{value}/0"));
            Try(
                () => log.Append(
                    ControlBatches.BuildEndTransactionMarker(ControlRecordType.Abort, 0, 9, 0, 1_000), AppendOrigin.Coordinator,
                    epoch: log.LatestEpoch),
                () => acknowledged.Add("control"));
            if (i % 5 == 4)
                Try(() => log.Flush(), () => { });
        }

        void Try(Action append, Action onSuccess)
        {
            try
            {
                append();
                onSuccess();
            }
            catch (LogException failure) when (tolerant && failure.IsDiskFull)
            {
                Assert.False(log.IsOffline);
            }
        }
    }

    private static List<string> Values(PartitionLog log) => [.. log.ReadAll().Select(record => record.Value!)];

    private LogManager Open(TestDisk disk, LogConfig? config = null) => LogManager.Open(
        new LogManagerOptions { LogDirectories = [disk.Root], ConfigFor = _ => config ?? LogConfig.Default with { RetentionMs = -1 } },
        disk.FileSystem, _time, NullLogger.Instance);

    /// <summary>Room for so many writes, and no more until it is ended.</summary>
    private sealed class RoomFor(InMemoryFileSystem fileSystem, int writes)
    {
        private int _left = writes;

        public bool WasRefused { get; private set; }

        public void Begin() => fileSystem.Fault = (operation, path) =>
        {
            if (operation is not FileOperation.Write and not FileOperation.Open
                || (operation == FileOperation.Open && fileSystem.FileExists(path)) || --_left >= 0)
                return null;
            WasRefused = true;
            return new DiskFullException(path);
        };

        public void End() => fileSystem.Fault = null;
    }
}
