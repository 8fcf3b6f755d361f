using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Ottla.Kernel;
using Ottla.Simulator.Disk;
using Ottla.Storage.Files;
using Ottla.Storage.Log;
using Ottla.Storage.Upkeep;

namespace Ottla.UnitTests.Storage;

/// <summary>
/// Many logs at a time: making one waits for no disk, and closing them flushes the volume instead of each. Nothing that counts is lost for
/// it.
/// </summary>
public sealed class ManyLogsTests
{
    private const int Many = LogManager.VolumeFlushLogsMin + 8;
    private const ulong Seeds = 10;

    private readonly FakeTimeProvider _time = new(DateTimeOffset.FromUnixTimeMilliseconds(1_000));

    [Fact]
    public void Making_a_log_waits_for_no_disk()
    {
        var disk = new InMemoryFileSystem(_time);
        using var manager = Open(disk);
        var operations = new List<FileOperation>();
        disk.Fault = (operation, _) =>
        {
            operations.Add(operation);
            return null;
        };
        Make(manager, Many);
        Assert.DoesNotContain(
            operations, operation => operation is FileOperation.Flush or FileOperation.FlushDirectory or FileOperation.FlushVolume);
        Assert.InRange(operations.Count, Many, 3 * Many);

        operations.Clear();
        manager.Tick(Instant.Now(_time));
        Assert.Single(operations, FileOperation.FlushVolume);
        Assert.All(manager.Logs, log => Assert.Equal(IdOf(log.Partition), PartitionMetadataFile.Read(disk, log.Directory)));
    }

    [Fact]
    public void Records_that_were_flushed_survive_with_their_new_log_and_its_topic_id()
    {
        for (var seed = 1UL; seed <= Seeds; seed++)
        {
            var disk = new SimDisk(_time, new Prng(seed));
            var manager = Open(disk);
            Make(manager, 3);
            var log = manager.Find(new TopicPartition("t", 1))!;
            log.Append(TestLog.Batch("kept", count: 3));
            log.Flush();
            manager.WriteCheckpoints();

            using var again = Open(disk.AfterPowerLoss());
            var found = again.Find(log.Partition);
            Assert.Equal(3, found?.LogEndOffset);
            Assert.Equal(IdOf(log.Partition), found!.TopicId);
        }
    }

    [Theory]
    [InlineData(2)]
    [InlineData(Many)]
    public void Topic_ids_are_there_before_records_are_and_whole_or_not_at_all_after_a_power_loss(int count)
    {
        for (var seed = 1UL; seed <= Seeds; seed++)
        {
            var disk = new SimDisk(_time, new Prng(seed));
            var manager = Open(disk);
            Make(manager, count);
            var early = manager.Find(new TopicPartition("t", 0))!;
            early.Append(TestLog.Batch("early"));
            Assert.Equal(IdOf(early.Partition), PartitionMetadataFile.Read(disk, early.Directory));
            disk.Faults.OperationsUntilDeath = (int)seed * 7;
            _ = Xunit.Record.Exception(() => manager.Tick(Instant.Now(_time)));
            disk.Faults.OperationsUntilDeath = null;

            using var again = Open(disk.AfterPowerLoss());
            Assert.All(again.Directories, directory => Assert.False(directory.IsOffline));
            Assert.All(again.Logs, log => Assert.True(log.TopicId is null || log.TopicId == IdOf(log.Partition)));
            Make(again, count);
            Assert.All(again.Logs, log => Assert.Equal(IdOf(log.Partition), log.TopicId));
        }
    }

    [Theory]
    [InlineData(3)]
    [InlineData(Many)]
    public void A_stop_makes_everything_durable(int count)
    {
        for (var seed = 1UL; seed <= Seeds; seed++)
        {
            var disk = new SimDisk(_time, new Prng(seed));
            var manager = Open(disk);
            Make(manager, count);
            foreach (var log in manager.Logs)
                Fill(log);
            manager.Close();

            disk = disk.AfterPowerLoss();
            using var again = Open(disk);
            Assert.True(again.Directories[0].HadCleanShutdown);
            Assert.Equal(count, again.Logs.Count);
            foreach (var log in again.Logs)
            {
                Assert.Equal((6, 6, IdOf(log.Partition)), (log.LogEndOffset, log.RecoveryPoint, log.TopicId));
                Assert.Equal(3, log.LatestEpoch);
                Assert.Equal(6, log.Append(TestLog.Idempotent(7, 0, 3), epoch: 3).FirstOffset); // its producers were not forgotten
            }
        }
    }

    [Fact]
    public void A_stop_of_many_logs_flushes_the_volume_and_of_idle_ones_nothing()
    {
        var disk = new InMemoryFileSystem(_time);
        var manager = Open(disk);
        Make(manager, Many);
        foreach (var log in manager.Logs)
            Fill(log);
        var operations = new List<(FileOperation Operation, string Path)>();
        disk.Fault = (operation, path) =>
        {
            operations.Add((operation, path));
            return null;
        };
        manager.Close();
        Assert.Equal(2, operations.Count(operation => operation.Operation == FileOperation.FlushVolume));
        Assert.DoesNotContain(
            operations, operation => operation.Operation is FileOperation.Flush or FileOperation.FlushDirectory
            && operation.Path.Contains("/t-", StringComparison.Ordinal));

        using var again = Open(disk);
        operations.Clear();
        again.Close();
        Assert.DoesNotContain(operations, operation => operation.Path.Contains("/t-", StringComparison.Ordinal));
    }

    [Fact]
    public void A_volume_that_cannot_be_flushed_leaves_no_mark_of_an_orderly_stop()
    {
        var disk = new InMemoryFileSystem(_time);
        var manager = Open(disk);
        Make(manager, Many);
        foreach (var log in manager.Logs)
            Fill(log);
        disk.Fault = (operation, _) => operation == FileOperation.FlushVolume ? new IOException("The disk is gone.") : null;
        manager.Close();
        disk.Fault = null;
        Assert.False(CleanShutdownFile.Exists(disk, "/logs"));
    }

    [Fact]
    public void Death_at_any_operation_of_a_stop_of_many_logs_loses_nothing_that_was_flushed()
    {
        for (var survived = 0; ; survived += 13)
        {
            var disk = new SimDisk(_time, new Prng((ulong)survived));
            var manager = Open(disk);
            Make(manager, Many);
            foreach (var log in manager.Logs)
            {
                Fill(log);
                log.Flush(4);
            }

            manager.WriteCheckpoints();
            disk.Faults.OperationsUntilDeath = survived;
            var death = Xunit.Record.Exception(() => manager.Close());
            var isDead = disk.IsDead;
            using var again = Open(disk.AfterPowerLoss());
            Assert.Equal(Many, again.Logs.Count);
            Assert.All(again.Logs, log => Assert.InRange(log.LogEndOffset, 4, 6));
            if (!isDead)
            {
                Assert.Null(death);
                Assert.True(survived > 2 * Many, $"{survived} operations");
                return;
            }
        }
    }

    private static Uuid IdOf(TopicPartition partition) => new(1, (ulong)partition.Partition + 1);

    private static void Make(LogManager manager, int count)
    {
        for (var i = 0; i < count; i++)
        {
            var partition = new TopicPartition("t", i);
            manager.GetOrCreate(partition, IdOf(partition));
        }
    }

    private static void Fill(PartitionLog log)
    {
        log.BeginLeading(3);
        log.Append(TestLog.Batch("a", count: 3), epoch: 3);
        for (var i = 0; i < 3; i++)
            log.Append(TestLog.Idempotent(7, 0, i), epoch: 3);
    }

    private LogManager Open(IFileSystem disk) => LogManager.Open(
        new LogManagerOptions
        {
            LogDirectories = ["/logs"],
            RecoveryParallelism = 1,
            ConfigFor = _ => LogConfig.Default with { SegmentBytes = 300, RetentionMs = -1 }
        },
        disk,
        _time,
        NullLogger.Instance);
}
