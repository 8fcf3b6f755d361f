using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Storage.Files;
using Ottla.Storage.Log;
using Ottla.Storage.Upkeep;

namespace Ottla.UnitTests.Storage;

/// <summary>Log directories as a whole: locks, checkpoints, deletion, upkeep, failure.</summary>
public sealed class LogManagerTests
{
    private static readonly Uuid TopicId = new(3, 4);
    private static readonly TopicPartition A = new("a", 0);
    private static readonly TopicPartition B = new("b-with-dash", 1);
    private readonly FakeTimeProvider _time = new(DateTimeOffset.FromUnixTimeMilliseconds(1_000));

    [Theory]
    [MemberData(nameof(TestDisk.Kinds), MemberType = typeof(TestDisk))]
    public void ClosedInOrderOpensWithoutRecovery(bool real)
    {
        using var disk = TestDisk.Create(real);
        var manager = Open(disk);
        Assert.Throws<LogDirectoryInUseException>(() => Open(disk));
        manager.Directories[0].Format(new MetaProperties { ClusterId = "c", NodeId = 5, DirectoryId = TopicId });
        for (var i = 0; i < 10; i++)
            manager.GetOrCreate(A, TopicId).Append(TestLog.Batch($"a{i}"));
        manager.GetOrCreate(B, TopicId).Append(TestLog.Batch("b"));
        manager.Find(A)!.AdvanceLogStartOffset(4);
        manager.Close(brokerEpoch: 77);
        Assert.Equal("{\"version\":0,\"brokerEpoch\":77}", Encoding.UTF8.GetString(disk.Read(disk.At(CleanShutdownFile.Name))));
        Assert.Equal("0\n1\na 0 4\n", Encoding.UTF8.GetString(disk.Read(disk.At(OffsetCheckpointFile.LogStartOffset))));

        using var again = Open(disk);
        Assert.Equal(77, again.PreviousBrokerEpoch);
        Assert.Equal(new MetaProperties { ClusterId = "c", NodeId = 5, DirectoryId = TopicId }, again.Directories[0].Properties);
        Assert.Equal((4, 10, 10), (again.Find(A)!.LogStartOffset, again.Find(A)!.LogEndOffset, again.Find(A)!.HighWatermark));
        Assert.Single(again.Find(B)!.ReadAll());
        Assert.Equal(TopicId, again.Find(B)!.TopicId);
    }

    /// <summary>A node that was a broker and is a controller alone now, and a broker again later.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void LogsThatAreNotOpenedStayAsTheyAre(bool wasStoppedInOrder)
    {
        using var disk = TestDisk.Create(real: false);
        var broker = Open(disk);
        for (var i = 0; i < 10; i++)
            broker.GetOrCreate(A, TopicId).Append(TestLog.Batch($"a{i}"));
        broker.Find(A)!.AdvanceLogStartOffset(4);
        if (wasStoppedInOrder)
            broker.Close(brokerEpoch: 77);
        else
            broker.Dispose();

        var controller = LogManager.Open(
            new LogManagerOptions { LogDirectories = [disk.Root], OpensLogs = false }, disk.FileSystem, _time, NullLogger.Instance);
        Assert.Empty(controller.Logs);
        Assert.Throws<LogDirectoryInUseException>(() => Open(disk));
        controller.Close();

        using var again = Open(disk);
        Assert.Equal((wasStoppedInOrder, wasStoppedInOrder ? 77 : -1), (again.Directories[0].HadCleanShutdown, again.PreviousBrokerEpoch));
        Assert.Equal((wasStoppedInOrder ? 4 : 0, 10), (again.Find(A)!.LogStartOffset, again.Find(A)!.LogEndOffset));
    }

    [Fact]
    public void CrashKeepsWhatWasWrittenAndTheLastCheckpoints()
    {
        using var disk = TestDisk.Create(real: false);
        using var manager = Open(disk);
        var log = manager.GetOrCreate(A, TopicId);
        for (var i = 0; i < 10; i++)
            log.Append(TestLog.Batch($"a{i}"));
        log.AdvanceLogStartOffset(3);
        _time.AdvanceMs(61_000);
        manager.Tick(Instant.Now(_time));
        log.Append(TestLog.Batch("later"));
        using var crashed = disk.Crash();
        using var again = Open(crashed);
        Assert.False(again.Directories[0].HadCleanShutdown);
        Assert.Equal(-1, again.PreviousBrokerEpoch);
        Assert.Equal((3, 11, 10), (again.Find(A)!.LogStartOffset, again.Find(A)!.LogEndOffset, again.Find(A)!.HighWatermark));
    }

    [Fact]
    public void DeletedLogsGoLaterAndStrayOnesStay()
    {
        using var disk = TestDisk.Create(real: false);
        using var manager = Open(disk);
        var log = manager.GetOrCreate(A, TopicId);
        log.Append(TestLog.Batch("a"));
        var slice = log.Read(0, 1000, true, long.MaxValue).Slice!;
        Assert.True(manager.Delete(A));
        Assert.False(manager.Delete(A));
        Assert.Null(manager.Find(A));
        Assert.Matches("^a-0\\.[0-9a-f]{32}-delete$", Assert.Single(disk.FileSystem.ListDirectories(disk.Root)));
        Assert.Equal(ErrorCode.KafkaStorageError, Assert.Throws<LogException>(() => log.Append(TestLog.Batch("b"))).ErrorCode);
        manager.GetOrCreate(A, new Uuid(9, 9)).Append(TestLog.Batch("new"));
        _time.AdvanceMs(60_000);
        manager.Tick(Instant.Now(_time));
        Assert.Equal(["a-0"], disk.FileSystem.ListDirectories(disk.Root));
        slice.Read(0, new byte[slice.Length]);
        slice.Dispose();
        Assert.True(manager.MarkStray(A));
        Assert.Matches("^a-0\\.[0-9a-f]{32}-stray$", Assert.Single(disk.FileSystem.ListDirectories(disk.Root)));
        Assert.False(manager.Directories[0].IsOffline);
    }

    [Fact]
    public void HalfDeletedDirectoriesOfTheLastProcessAreRemoved()
    {
        using var disk = TestDisk.Create(real: false);
        disk.FileSystem.CreateDirectory(disk.At($"a-0.{new string('0', 32)}-delete"));
        disk.FileSystem.CreateDirectory(disk.At("__cluster_metadata-0"));
        using var manager = Open(disk);
        Assert.Empty(manager.Logs);
        _time.AdvanceMs(60_000);
        manager.Tick(Instant.Now(_time));
        Assert.Equal(["__cluster_metadata-0"], disk.FileSystem.ListDirectories(disk.Root));
    }

    [Fact]
    public void UpkeepFlushesRetainsAndUnlinks()
    {
        using var disk = TestDisk.Create(real: false);
        var config = LogConfig.Default with { SegmentBytes = 200, RetentionMs = 100_000, FlushMs = 5_000 };
        using var manager = Open(disk, config, options => options with { InitialTaskDelayMs = 2_000, TimedFlushCheckIntervalMs = 1_000 });
        var log = manager.GetOrCreate(A, TopicId);
        for (var i = 0; i < 4; i++)
            log.Append(TestLog.Batch("padded to be about a hundred", timestamp: 1_000 + i));
        Assert.Equal(0, log.RecoveryPoint);
        _time.AdvanceMs(1_000);
        manager.Tick(Instant.Now(_time));
        Assert.InRange(log.RecoveryPoint, 1, 3);
        _time.AdvanceMs(5_000);
        manager.Tick(Instant.Now(_time));
        Assert.Equal(4, log.RecoveryPoint);
        _time.AdvanceMs(300_000);
        manager.Tick(Instant.Now(_time));
        Assert.Equal((4, 1), (log.LogStartOffset, log.SegmentCount));
        Assert.Contains(disk.FileSystem.ListFiles(log.Directory), name => name.EndsWith(".deleted", StringComparison.Ordinal));
        _time.AdvanceMs(60_000);
        manager.Tick(Instant.Now(_time));
        Assert.DoesNotContain(disk.FileSystem.ListFiles(log.Directory), name => name.EndsWith(".deleted", StringComparison.Ordinal));
    }

    [Fact]
    public void LogsAreLookedAtForFlushesByTimeOnlyAsOftenAsConfigured()
    {
        using var disk = TestDisk.Create(real: false);
        using var manager = Open(
            disk, LogConfig.Default with { FlushMs = 1_000, RetentionMs = -1, SegmentMs = long.MaxValue }, options =>
            options with { TimedFlushCheckIntervalMs = long.MaxValue });
        Assert.Equal((1, 1), Append(manager, thenWaitSeconds: 31)); // log.initial.task.delay.ms has passed
        Assert.Equal((2, 1), Append(manager, thenWaitSeconds: 1_000_000)); // log.flush.scheduler.interval.ms is "for ever"

        using var another = TestDisk.Create(real: false);
        using var often = Open(
            another, LogConfig.Default with { FlushMs = 1_000 }, options =>
            options with { InitialTaskDelayMs = 0, TimedFlushCheckIntervalMs = 10_000 });
        Assert.Equal((1, 0), Append(often, thenWaitSeconds: 0)); // looked at, but too young
        Assert.Equal((2, 0), Append(often, thenWaitSeconds: 9));
        Assert.Equal((3, 3), Append(often, thenWaitSeconds: 1));

        using var third = TestDisk.Create(real: false);
        using var unconfigured = Open(third, LogConfig.Default with { FlushMs = 1_000 });
        Assert.Equal((1, 1), Append(unconfigured, thenWaitSeconds: 1));

        (long End, long RecoveryPoint) Append(LogManager logs, int thenWaitSeconds)
        {
            var log = logs.GetOrCreate(A, TopicId);
            var now = Instant.Now(_time).UnixMilliseconds;
            log.Append(TestLog.Batch("x", timestamp: now), nowMs: now);
            _time.AdvanceMs(thenWaitSeconds * 1_000L);
            logs.Tick(Instant.Now(_time));
            return (log.LogEndOffset, log.RecoveryPoint);
        }
    }

    [Fact]
    public void TimestampsInTheFutureAreWarnedOfAndKeepTheirSegment()
    {
        using var disk = TestDisk.Create(real: false);
        var logger = new WarningLogger();
        var options =
            new LogManagerOptions
            {
                LogDirectories = [disk.Root],
                ConfigFor = _ => LogConfig.Default with { RetentionMs = 1_000 },
                InitialTaskDelayMs = 0,
                RetentionCheckIntervalMs = 0
            };
        using var manager = LogManager.Open(options, disk.FileSystem, _time, logger);
        var log = manager.GetOrCreate(A, TopicId);
        log.Append(TestLog.Batch("x", timestamp: 50_000));
        manager.Tick(Instant.Now(_time));
        Assert.Equal(1, log.LogEndOffset - log.LogStartOffset);
        Assert.Contains("timestamps in the future", Assert.Single(logger.Warnings), StringComparison.Ordinal);
        _time.AdvanceMs(60_000);
        manager.Tick(Instant.Now(_time));
        Assert.Equal((1, 1), (log.LogStartOffset, logger.Warnings.Count));
    }

    [Fact]
    public void DirectoriesThatAreOnlyAlmostNamedAsALogAreLeftAlone()
    {
        using var disk = TestDisk.Create(real: false);
        using (var manager = Open(disk))
        {
            manager.GetOrCreate(A, TopicId).Append(TestLog.Batch("x"));
            manager.Close();
        }

        foreach (var name in (string[])["a-00", "a-+0", "a--", "-0", "a-2147483648", "lost+found"])
            disk.FileSystem.CreateDirectory(disk.At(name));
        using var again = Open(disk);
        Assert.Equal([A], again.Logs.Select(log => log.Partition));
        Assert.Single(again.Find(A)!.ReadAll());
        _time.AdvanceMs(1_000_000);
        again.Tick(Instant.Now(_time));
        Assert.Equal(
            ["-0", "a-+0", "a--", "a-0", "a-00", "a-2147483648", "lost+found"],
            disk.FileSystem.ListDirectories(disk.Root).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void FailingDirectoryLeavesTheOthersInUse()
    {
        using var disk = TestDisk.Create(real: false);
        var fileSystem = (InMemoryFileSystem)disk.FileSystem;
        var failed = new List<string>();
        var options = new LogManagerOptions
        {
            LogDirectories = [disk.At("one"), disk.At("two")],
            RecoveryParallelism = 1,
            OnDirectoryFailure = (directory, _) => failed.Add(directory.Path),
        };
        using var manager = LogManager.Open(options, fileSystem, _time, NullLogger.Instance);
        var one = manager.GetOrCreate(A, TopicId);
        var two = manager.GetOrCreate(B, TopicId);
        Assert.Equal([disk.At("one"), disk.At("two")], [manager.FindDirectory(A)!.Path, manager.FindDirectory(B)!.Path]);
        fileSystem.Fault = (_, path) => path.StartsWith(disk.At("one"), StringComparison.Ordinal) ? new IOException("broken") : null;
        Assert.Throws<LogException>(() => one.Append(TestLog.Batch("x")));
        two.Append(TestLog.Batch("x"));
        Assert.Equal([disk.At("one")], failed);
        Assert.Equal([true, false], manager.Directories.Select(directory => directory.IsOffline));
        Assert.Equal(
            disk.At("two"), manager.FindDirectory(new TopicPartition("c", 0)) is null
            ? Path.GetDirectoryName(manager.GetOrCreate(new TopicPartition("c", 0), TopicId).Directory) : null);
        manager.Close();
        Assert.False(fileSystem.FileExists(disk.At("one", CleanShutdownFile.Name)));
        Assert.True(fileSystem.FileExists(disk.At("two", CleanShutdownFile.Name)));
    }

    [Fact]
    public void DirectoriesAreOpenedBesideEachOtherEachWithItsOwnThreads()
    {
        const int logsEach = 10;
        using var disk = TestDisk.Create(real: false);
        var fileSystem = (InMemoryFileSystem)disk.FileSystem;
        var options = new LogManagerOptions { LogDirectories = [disk.At("one"), disk.At("two")], RecoveryParallelism = 1 };
        using (var manager = LogManager.Open(options, fileSystem, _time, NullLogger.Instance))
        {
            for (var i = 0; i < 2 * logsEach; i++)
                manager.GetOrCreate(new TopicPartition("t", i), TopicId).Append(TestLog.Batch("x"));
            manager.Close();
        }

        // Whoever comes first to a directory waits for whoever comes first to the other.
        using var bothAreAtWork = new Barrier(2);
        var threads = options.LogDirectories.ToDictionary(path => path, _ => new HashSet<int>());
        fileSystem.Fault = (operation, path) =>
        {
            if (operation != FileOperation.List
                || threads.Keys.FirstOrDefault(each => path.StartsWith(each + "/t-", StringComparison.Ordinal)) is not { } directory)
                return null;
            lock (threads[directory])
            {
                if (!threads[directory].Add(Environment.CurrentManagedThreadId) || threads[directory].Count > 1)
                    return null;
            }

            return bothAreAtWork.SignalAndWait(TimeSpan.FromSeconds(30)) ? null : new IOException("Nobody works on the other directory.");
        };
        using var again = LogManager.Open(options, fileSystem, _time, NullLogger.Instance);
        Assert.Equal(2 * logsEach, again.Logs.Count);
        Assert.All(threads.Values, each => Assert.Single(each));
        Assert.NotEqual(threads[disk.At("one")], threads[disk.At("two")]);
    }

    [Fact]
    public void TruncationIsCheckpointedAtOnce()
    {
        using var disk = TestDisk.Create(real: false);
        using var manager = Open(disk);
        var log = manager.GetOrCreate(A, TopicId);
        for (var i = 0; i < 10; i++)
            log.Append(TestLog.Batch("x"));
        log.Flush();
        manager.WriteCheckpoints();
        var file = new OffsetCheckpointFile(disk.FileSystem, disk.Root, OffsetCheckpointFile.RecoveryPoint);
        Assert.Equal(10, file.Read()[A]);
        Assert.Equal(FollowerTruncation.Truncated, manager.Truncate(log, 6, leaderEpoch: 0));
        Assert.Equal(6, file.Read()[A]);
        Assert.Equal(FollowerTruncation.NothingToDrop, manager.Truncate(log, 6, leaderEpoch: 0));
        Assert.True(manager.TryTruncateFullyAndStartAt(log, 3, leaderEpoch: 0));
        Assert.Equal(3, file.Read()[A]);
    }

    [Fact]
    public void JavaPropertiesAreRead()
    {
        using var disk = TestDisk.Create(real: false);
        disk.Write(disk.At(MetaProperties.Name),
            Encoding.Latin1.GetBytes("# comment\n!other\n\nversion = 0\r\nbroker.id:7\ncluster.id=a\\=b\\:c\n"));
        Assert.Equal(new MetaProperties { Version = 0, NodeId = 7, ClusterId = "a=b:c" }, MetaProperties.Read(disk.FileSystem, disk.Root));
        disk.Write(disk.At(MetaProperties.Name), "version=x"u8);
        Assert.Throws<InvalidDataException>(() => MetaProperties.Read(disk.FileSystem, disk.Root));
    }

    [Fact]
    public void MalformedCheckpointsAreRefused()
    {
        using var disk = TestDisk.Create(real: false);
        var file = new OffsetCheckpointFile(disk.FileSystem, disk.Root, OffsetCheckpointFile.RecoveryPoint);
        Assert.Empty(file.Read());
        disk.Write(disk.At(OffsetCheckpointFile.RecoveryPoint), []); // as Kafka leaves some
        Assert.Empty(file.Read());
        foreach (var text in (string[])["\n", "1\n0\n", "0\n2\na 0 1\n", "0\n1\na 0\n", "0\n1\na x 1\n", "0\n"])
        {
            disk.Write(disk.At(OffsetCheckpointFile.RecoveryPoint), Encoding.UTF8.GetBytes(text));
            Assert.Throws<InvalidDataException>(() => file.Read());
        }
    }

    /// <summary>.NET hashes strings differently in every process; what a simulation does must follow from the seed alone.</summary>
    [Fact]
    public void Logs_are_worked_on_in_an_order_that_follows_from_the_seed()
    {
        using var disk = TestDisk.Create(real: false);
        using var manager = Open(disk, change: options => options with { Seed = 1 });
        foreach (var name in (string[])["apples", "bread", "cheese", "dates", "eggs", "figs", "grapes", "honey"])
            manager.GetOrCreate(new TopicPartition(name, 0), TopicId);
        Assert.Equal("apples eggs grapes figs cheese honey dates bread", string.Join(' ', manager.Logs.Select(log => log.Partition.Topic)));
    }

    private LogManager Open(TestDisk disk, LogConfig? config = null, Func<LogManagerOptions, LogManagerOptions>? change = null)
    {
        var options =
            new LogManagerOptions { LogDirectories = [disk.Root], ConfigFor = _ => config ?? LogConfig.Default with { RetentionMs = -1 } };
        return LogManager.Open(change?.Invoke(options) ?? options, disk.FileSystem, _time, NullLogger.Instance);
    }
}
