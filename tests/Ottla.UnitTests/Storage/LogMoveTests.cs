using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Storage.Files;
using Ottla.Storage.Log;
using Ottla.Storage.Upkeep;

namespace Ottla.UnitTests.Storage;

/// <summary>Logs that move between log directories.</summary>
public sealed class LogMoveTests
{
    private static readonly TopicPartition Partition = new("t", 0);

    private readonly FakeTimeProvider _time = new(DateTimeOffset.FromUnixTimeMilliseconds(1_000));
    private readonly List<string> _cordoned = [];

    [Fact]
    public async Task LogMovesWithAllItHasAndGoesOn()
    {
        using var disk = TestDisk.Create(real: false);
        var manager = Open(disk);
        var log = manager.GetOrCreate(Partition, new Uuid(1, 1), disk.At("one"));
        Fill(log, 0, 20);
        log.AdvanceLogStartOffset(3);
        using var slice = log.Read(3, 1 << 20, minOneBatch: true, long.MaxValue).Slice!;
        var before = log.ReadAll();
        var placement = manager.PlacementVersion;

        manager.Move(Partition, disk.At("two"));
        Assert.Equal(disk.At("two"), Assert.Single(manager.Mover.Moves).Target.Path);
        await MoveAsync(manager);

        Assert.NotEqual(placement, manager.PlacementVersion);
        Assert.Equal(disk.At("two"), manager.FindDirectory(Partition)!.Path);
        Assert.Equal(disk.At("two", "t-0"), log.Directory);
        Assert.Equal(before, log.ReadAll());
        slice.Read(0, new byte[slice.Length]);
        Assert.Equal(20, log.Append(TestLog.Idempotent(7, 0, 20)).FirstOffset); // its sequence was not forgotten
        _time.AdvanceMs(60_000);
        manager.Tick(Instant.Now(_time));
        Assert.Empty(disk.FileSystem.ListDirectories(disk.At("one")));
        manager.Close();

        using var again = Open(disk);
        Assert.Equal(disk.At("two"), again.FindDirectory(Partition)!.Path);
        Assert.Equal((3, 21), (again.Find(Partition)!.LogStartOffset, again.Find(Partition)!.LogEndOffset));
        Assert.Equal(21, again.Find(Partition)!.Append(TestLog.Idempotent(7, 0, 21)).FirstOffset);
    }

    [Fact]
    public void DeathAtEveryFileOperationOfAMoveLosesNothing()
    {
        for (var survivors = 0; ; survivors++)
        {
            using var disk = TestDisk.Create(real: false);
            var fileSystem = (InMemoryFileSystem)disk.FileSystem;
            var manager = Open(disk);
            var log = manager.GetOrCreate(Partition, new Uuid(1, 1), disk.At("one"));
            Fill(log, 0, 8);
            log.Flush();
            manager.WriteCheckpoints();
            var count = 0;
            fileSystem.Fault = (_, _) => ++count > survivors ? new IOException("dead") : null;
            _ = Record.Exception(() =>
            {
                manager.Move(Partition, disk.At("two"));
                var move = manager.Mover.Moves[0];
                log.CopyBatches(move.Copy, 300);
                log.CopyBatches(move.Copy, 300);
                manager.Finish(move);
            });
            fileSystem.Fault = null;
            using var crashed = disk.Crash();
            using var again = Open(crashed);
            var found = again.Find(Partition);
            Assert.True(found is not null, $"died after {survivors} operations: the log is gone");
            Assert.Equal(Enumerable.Range(0, 8).Select(i => (long)i), found.ReadAll().Select(record => record.Offset));
            Assert.Equal(8, found.Append(TestLog.Idempotent(7, 0, 8)).FirstOffset);
            if (count <= survivors)
            {
                Assert.True(survivors > 20, $"{survivors} operations");
                return;
            }
        }
    }

    [Fact]
    public async Task MoveIsResumedAfterARestartAndFollowsTruncation()
    {
        using var disk = TestDisk.Create(real: false);
        var manager = Open(disk);
        var log = manager.GetOrCreate(Partition, new Uuid(1, 1), disk.At("one"));
        Fill(log, 0, 10);
        manager.Move(Partition, disk.At("two"));
        log.CopyBatches(manager.Mover.Moves[0].Copy, 300);
        manager.Close();

        using var again = Open(disk);
        var move = Assert.Single(again.Mover.Moves);
        Assert.InRange(move.Copy.LogEndOffset, 1, 9);
        log = again.Find(Partition)!;
        again.Truncate(log, 1, leaderEpoch: 0);
        log.Append(TestLog.Batch("other"));
        await MoveAsync(again);
        Assert.Equal(["p/0", "other/0"], log.ReadAll().Select(record => record.Value));
        Assert.Equal(disk.At("two"), again.FindDirectory(Partition)!.Path);
    }

    [Fact]
    public void MovesAreRefusedGivenUpAndEndWithTheirTopic()
    {
        using var disk = TestDisk.Create(real: false);
        using var manager = Open(disk);
        manager.GetOrCreate(Partition, new Uuid(1, 1), disk.At("one"));
        Assert.Equal(ErrorCode.LogDirNotFound, Refusal(() => manager.Move(Partition, disk.At("none"))));
        Assert.Equal(ErrorCode.ReplicaNotAvailable, Refusal(() => manager.Move(new TopicPartition("u", 0), disk.At("two"))));
        _cordoned.Add(disk.At("two"));
        Assert.Equal(ErrorCode.InvalidReplicaAssignment, Refusal(() => manager.Move(Partition, disk.At("two"))));
        Assert.Equal(disk.At("one"), Path.GetDirectoryName(manager.GetOrCreate(new TopicPartition("v", 0), new Uuid(2, 2)).Directory));
        _cordoned.Clear();
        manager.Move(Partition, disk.At("two"));
        manager.Move(Partition, disk.At("one"));
        Assert.Empty(manager.Mover.Moves);
        manager.Move(Partition, disk.At("two"));
        Assert.True(manager.Delete(Partition));
        Assert.Empty(manager.Mover.Moves);
        _time.AdvanceMs(60_000);
        manager.Tick(Instant.Now(_time));
        Assert.Empty(disk.FileSystem.ListDirectories(disk.At("two")));
    }

    private static ErrorCode Refusal(Action move) => Assert.Throws<LogException>(move).ErrorCode;

    private static void Fill(PartitionLog log, int from, int to)
    {
        for (var i = from; i < to; i++)
            log.Append(TestLog.Idempotent(7, 0, i), epoch: i / 5);
    }

    private async Task MoveAsync(LogManager manager)
    {
        using var stopping = new CancellationTokenSource();
        var running = manager.Mover.RunAsync(stopping.Token);
        while (manager.Mover.Moves.Count > 0)
        {
            _time.AdvanceMs(1_000);
            await Task.Yield();
        }

        await stopping.CancelAsync();
        await running;
    }

    private LogManager Open(TestDisk disk) => LogManager.Open(
        new LogManagerOptions
        {
            LogDirectories = [disk.At("one"), disk.At("two")],
            ConfigFor = _ => LogConfig.Default with { SegmentBytes = 400, RetentionMs = -1 },
            RecoveryParallelism = 1,
            CordonedDirectories = () => _cordoned,
        },
        disk.FileSystem,
        _time,
        NullLogger.Instance);
}
