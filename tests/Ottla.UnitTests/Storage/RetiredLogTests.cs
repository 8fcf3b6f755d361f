using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Ottla.Kernel;
using Ottla.Protocol.Batches;
using Ottla.Storage.Files;
using Ottla.Storage.Upkeep;
using Ottla.UnitTests.Storage.Compaction;

namespace Ottla.UnitTests.Storage;

/// <summary>
/// Logs that are deleted, or change their directory, in the middle of a flush or a compaction: before every single file operation of it.
/// </summary>
public sealed class RetiredLogTests
{
    private static readonly TopicPartition s_partition = new("t", 0);

    private readonly FakeTimeProvider _time = new(DateTimeOffset.FromUnixTimeMilliseconds(1_000_000));

    [Fact]
    public Task A_log_that_is_deleted_while_it_is_flushed_costs_no_directory() =>
        InterruptAsync(Upkeep, Delete, minOperations: 5, AssertGone);

    [Fact]
    public Task A_log_that_is_deleted_while_it_is_compacted_costs_no_directory() =>
        InterruptAsync(CompactAsync, Delete, minOperations: 20, AssertGone);

    [Fact]
    public Task A_log_that_is_made_anew_while_its_predecessor_is_compacted_is_its_own() => InterruptAsync(
        CompactAsync,
        manager =>
        {
            Delete(manager);
            manager.GetOrCreate(s_partition, new Uuid(2, 2), manager.Directories[0].Path).Append(Keyed("new", 0));
        },
        minOperations: 20,
        manager =>
        {
            Assert.Equal(["new"], manager.Find(s_partition)!.ReadAll().Select(record => record.Value));
            Assert.Null(manager.Directories[0].Cleaned.Find(s_partition)); // its predecessor's line would leave its own records uncompacted
        });

    [Fact]
    public Task A_log_that_is_swapped_while_it_is_flushed_is_whole() => InterruptAsync(Upkeep, Swap, minOperations: 5, AssertSwapped);

    [Fact]
    public Task A_log_that_is_swapped_while_it_is_compacted_is_whole() =>
        InterruptAsync(CompactAsync, Swap, minOperations: 20, AssertSwapped);

    [Fact]
    public void A_directory_that_cannot_be_removed_costs_no_logs_and_is_removed_later()
    {
        using var disk = TestDisk.Create(real: false);
        var fileSystem = (InMemoryFileSystem)disk.FileSystem;
        using var manager = Open(disk);
        Fill(manager);
        Delete(manager);
        fileSystem.Fault = (operation, _) => operation == FileOperation.DeleteDirectory ? new IOException("It cannot be removed.") : null;
        _time.AdvanceMs(60_000);
        manager.Tick(Instant.Now(_time));
        Assert.All(manager.Directories, directory => Assert.False(directory.IsOffline));
        Assert.Single(disk.FileSystem.ListDirectories(disk.At("one")));

        fileSystem.Fault = null;
        _time.AdvanceMs(60_000);
        manager.Tick(Instant.Now(_time));
        Assert.Empty(disk.FileSystem.ListDirectories(disk.At("one")));
    }

    /// <summary>
    /// Lets <paramref name="strike"/> happen before the first file operation of <paramref name="work"/>, then before the second, and so on.
    /// </summary>
    private async Task InterruptAsync(Func<LogManager, Task> work, Action<LogManager> strike, int minOperations, Action<LogManager> check)
    {
        for (var before = 0; ; before++)
        {
            using var disk = TestDisk.Create(real: false);
            var fileSystem = (InMemoryFileSystem)disk.FileSystem;
            using var manager = Open(disk);
            Fill(manager);
            var interloper = new Interloper(() => strike(manager));
            var count = 0;
            fileSystem.Fault = (_, _) =>
            {
                if (!interloper.IsHere && count++ == before)
                    interloper.Strike();
                return null;
            };
            await work(manager);
            fileSystem.Fault = null;
            if (count <= before)
            {
                Assert.True(before >= minOperations, $"{before} operations");
                return;
            }

            interloper.Join();
            Assert.True(
                manager.Directories.All(directory => !directory.IsOffline),
                $"a directory is offline after a strike before operation {before}");
            Assert.Empty(manager.Cleaner.Uncleanable);
            check(manager);
            _time.AdvanceMs(60_000);
            manager.Tick(Instant.Now(_time));
            Assert.All(manager.Directories,
                directory => Assert.All(disk.FileSystem.ListDirectories(directory.Path), name => Assert.Equal("t-0", name)));
        }
    }

    private Task Upkeep(LogManager manager)
    {
        manager.Tick(Instant.Now(_time)); // the log has rolled: it is flushed
        return Task.CompletedTask;
    }

    private static async Task CompactAsync(LogManager manager) => await manager.Cleaner.CleanDirtiestAsync();

    private static void Delete(LogManager manager) => Assert.True(manager.Delete(s_partition));

    private static void Swap(LogManager manager)
    {
        manager.Move(s_partition, manager.Directories[1].Path);
        var move = manager.Mover.Moves[0];
        while (move.Log.CopyBatches(move.Copy, 1_000) > 0)
        {
        }

        Assert.True(manager.Finish(move));
    }

    private static void AssertGone(LogManager manager) => Assert.Null(manager.Find(s_partition));

    private void AssertSwapped(LogManager manager)
    {
        Assert.Equal(manager.Directories[1], manager.FindDirectory(s_partition));
        var log = manager.Find(s_partition)!;
        Assert.Equal(["a6", "b6"], log.ReadAll().Select(record => record.Value).TakeLast(2));
        log.Append(Keyed("a", 7));
        log.Flush();
        Assert.Equal("a7", log.ReadAll()[^1].Value);
    }

    private static void Fill(LogManager manager)
    {
        var log = manager.GetOrCreate(s_partition, new Uuid(1, 1), manager.Directories[0].Path);
        for (var i = 0; i < 7; i++)
        {
            log.Append(Keyed("a", i));
            log.Append(Keyed("b", i));
        }
    }

    private static byte[] Keyed(string key, int number) =>
        CompactedLog.Batch(new RecordBatchOptions(), 1_000 + number, (key, key == "new" ? key : $"{key}{number}"));

    private LogManager Open(TestDisk disk) => LogManager.Open(
        new LogManagerOptions
        {
            LogDirectories = [disk.At("one"), disk.At("two")],
            ConfigFor = _ => CompactedLog.Config with { SegmentBytes = 300, FileDeleteDelayMs = 60_000 },
            RecoveryParallelism = 1,
            InitialTaskDelayMs = 0,
        },
        disk.FileSystem,
        _time,
        NullLogger.Instance);

    /// <summary>Does something on a thread of its own in the midst of what another thread does.</summary>
    private sealed class Interloper
    {
        private readonly Thread _thread;
        private Exception? _failure;

        public Interloper(Action action) => _thread = new Thread(() => _failure = Xunit.Record.Exception(action)) { IsBackground = true };

        /// <summary>Whether it is the interloper that asks.</summary>
        public bool IsHere => Thread.CurrentThread == _thread;

        /// <summary>Begins, and returns once it is done, or waits for a lock of whoever calls this.</summary>
        public void Strike()
        {
            _thread.Start();
            SpinWait.SpinUntil(() => (_thread.ThreadState & (ThreadState.Stopped | ThreadState.WaitSleepJoin)) != 0);
        }

        /// <summary>Waits until it is done.</summary>
        public void Join()
        {
            Assert.True(_thread.Join(TimeSpan.FromSeconds(60)), "it waits for something that nobody holds");
            if (_failure is not null)
                throw new InvalidOperationException("The interloper failed.", _failure);
        }
    }
}
