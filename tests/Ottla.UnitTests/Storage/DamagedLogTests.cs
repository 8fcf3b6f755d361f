using Microsoft.Extensions.Time.Testing;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Storage.Log;
using Ottla.Storage.Upkeep;

namespace Ottla.UnitTests.Storage;

/// <summary>Damage costs no more records than it must, is named, and keeps no other log from being served.</summary>
public sealed class DamagedLogTests
{
    private static readonly LogConfig Small =
        new() { SegmentBytes = 1_000, IndexIntervalBytes = 200, SegmentIndexBytes = 4_096, RetentionMs = -1 };
    private static readonly TopicPartition Other = new("other", 0);

    private readonly FakeTimeProvider _time = new(DateTimeOffset.FromUnixTimeMilliseconds(1_000));
    private readonly WarningLogger _logger = new();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void GapsBetweenSegmentsDropNothingUnlessTheLogNeverHasGaps(bool mayHaveGaps)
    {
        using var disk = TestDisk.Create(real: false);
        var log = Open(disk);
        Fill(log, 40);
        var expected = log.ReadAll();
        var files = Files(disk, ".log");
        _ = LogFileNames.TryParseOffset(files[1], out var from);
        _ = LogFileNames.TryParseOffset(files[2], out var to);
        using var crashed = disk.Crash();
        crashed.FileSystem.Delete(crashed.At("t-0", files[1]));
        var recovered = Open(crashed, new LogOpenOptions { MayHaveGaps = mayHaveGaps });
        Assert.Equal(expected.Where(record => record.Offset < from || (mayHaveGaps && record.Offset >= to)), recovered.ReadAll());
        Assert.Equal(mayHaveGaps ? 40 : from, recovered.LogEndOffset);
        Assert.Equal(mayHaveGaps ? from : null, recovered.UnflushedGap);
    }

    /// <summary>A follower cannot keep a gap that a power loss left: its leader has what is missing.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void AFollowersTruncationEndsAGap(bool isEmptied)
    {
        using var disk = TestDisk.Create(real: false);
        var log = Open(disk);
        Fill(log, 40);
        var files = Files(disk, ".log");
        _ = LogFileNames.TryParseOffset(files[1], out var from);
        using var crashed = disk.Crash();
        if (isEmptied)
            crashed.Write(crashed.At("t-0", files[1]), []);
        else
            crashed.FileSystem.Delete(crashed.At("t-0", files[1]));
        var recovered = Open(crashed, new LogOpenOptions());
        Assert.Equal(from, recovered.UnflushedGap);
        recovered.BeginFollowing(leaderEpoch: 1);
        Assert.Equal(FollowerTruncation.Truncated, recovered.TruncateAsFollower(from, leaderEpoch: 1));
        Assert.Null(recovered.UnflushedGap);
        Assert.Equal(from, recovered.LogEndOffset);
        Assert.Equal(from, recovered.ReadAll().Count);
    }

    [Theory]
    [InlineData("0\n1\n100 0\n")]
    [InlineData("0\n2\n0 0\n9 5\n")]
    [InlineData("0\n2\n0 0\n1 35\n")]
    [InlineData("0\n3\n0 0\n1 3\n2 4\n")]
    public void BatchesWinOverTheCheckpointOfLeaderEpochs(string checkpoint)
    {
        using var disk = TestDisk.Create(real: false);
        var log = Open(disk);
        Fill(log, 20, epoch: 0);
        Fill(log, 20, epoch: 1);
        var expected = log.ReadAll();
        log.Flush();
        using var crashed = disk.Crash();
        crashed.Write(crashed.At("t-0", LogFileNames.LeaderEpochCheckpoint), System.Text.Encoding.UTF8.GetBytes(checkpoint));
        var recovered = Open(crashed, new LogOpenOptions { RecoveryPoint = 30 });
        Assert.Equal(expected, recovered.ReadAll());
        Assert.Equal([new EpochEntry(0, 0), new EpochEntry(1, 20)], recovered.LeaderEpochs);
        Assert.Contains(
            _logger.Warnings, warning => warning.Contains("leader-epoch-checkpoint contradicts the batches", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(9)]
    [InlineData(2)]
    public void OneFlippedLeaderEpochCostsNothing(int flipped)
    {
        using var disk = TestDisk.Create(real: false);
        var log = Open(disk, config: LogConfig.Default);
        Fill(log, 20, epoch: 5);
        var expected = log.ReadAll();
        using var crashed = disk.Crash();
        var path = crashed.At("t-0", Files(crashed, ".log")[0]);
        var bytes = crashed.Read(path);
        var position = 0;
        for (var i = 0; i < 10; i++)
            position += new RecordBatchView(bytes.AsSpan(position)).SizeInBytes;
        RecordBatchEditor.SetPartitionLeaderEpoch(bytes.AsSpan(position), flipped);
        crashed.Write(path, bytes);
        var recovered = Open(crashed, config: LogConfig.Default);
        Assert.Equal(expected, recovered.ReadAll());
        Assert.Equal([new EpochEntry(5, 0)], recovered.LeaderEpochs);
    }

    /// <summary>As a torn write may leave it, too: the epoch becomes 0, which the log had before.</summary>
    [Theory]
    [InlineData(22, false)]
    [InlineData(39, false)]
    [InlineData(21, true)] // the checkpoint knows of the one batch before
    public void OneFlippedLeaderEpochBringsNoEarlierOneBack(int damaged, bool isFlushed)
    {
        using var disk = TestDisk.Create(real: false);
        var log = Open(disk, config: LogConfig.Default);
        Fill(log, 20, epoch: 0);
        Fill(log, 20, epoch: 5);
        var expected = log.ReadAll();
        if (isFlushed)
            log.Flush();
        using var crashed = disk.Crash();
        var path = crashed.At("t-0", Files(crashed, ".log")[0]);
        var bytes = crashed.Read(path);
        var position = 0;
        for (var i = 0; i < damaged; i++)
            position += new RecordBatchView(bytes.AsSpan(position)).SizeInBytes;
        RecordBatchEditor.SetPartitionLeaderEpoch(bytes.AsSpan(position), 0);
        crashed.Write(path, bytes);
        var recovered = Open(crashed, config: LogConfig.Default);
        Assert.Equal(expected, recovered.ReadAll());
        Assert.Equal([new EpochEntry(0, 0), new EpochEntry(5, 20)], recovered.LeaderEpochs);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void AMissingCheckpointOfLeaderEpochsIsMadeFromTheBatches(bool isClean)
    {
        using var disk = TestDisk.Create(real: false);
        var log = Open(disk);
        Fill(log, 20, epoch: 0);
        Fill(log, 20, epoch: 1);
        log.Close();
        disk.FileSystem.Delete(disk.At("t-0", LogFileNames.LeaderEpochCheckpoint));
        var options = new LogOpenOptions { RecoveryPoint = 40, HadCleanShutdown = isClean };
        Assert.Equal([new EpochEntry(0, 0), new EpochEntry(1, 20)], Open(disk, options).LeaderEpochs);
        Assert.True(disk.FileSystem.FileExists(disk.At("t-0", LogFileNames.LeaderEpochCheckpoint)));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(20)]
    [InlineData(60)]
    public void ACutLastSegmentAfterACleanStopIsRecoveredAndNamed(int missingBytes)
    {
        using var disk = TestDisk.Create(real: false);
        using (var manager = Manage(disk))
        {
            Fill(manager.GetOrCreate(TestLog.Partition, new Uuid(1, 1)), 40);
            Fill(manager.GetOrCreate(Other, new Uuid(2, 2)), 40);
            manager.Close();
        }

        var path = disk.At("t-0", Files(disk, ".log")[^1]);
        var bytes = disk.Read(path);
        disk.Write(path, bytes.AsSpan(0, bytes.Length - missingBytes));
        using var again = Manage(disk);
        Assert.False(again.Directories[0].IsOffline);
        Assert.Equal(40, again.Find(Other)!.LogEndOffset);
        var log = again.Find(TestLog.Partition)!;
        var end = log.LogEndOffset;
        Assert.InRange(end, 38, 39);
        Assert.Equal(end, log.ReadAll().Count);
        Assert.Contains(_logger.Warnings, warning => warning.StartsWith("Cut ", StringComparison.Ordinal)
            && warning.Contains(path, StringComparison.Ordinal) && warning.Contains($"from offset {end} on", StringComparison.Ordinal));
        Assert.Contains(_logger.Warnings, warning => warning.Contains($"ends at offset {end}, but its checkpoints record offset 40",
            StringComparison.Ordinal));
        Assert.Equal(end, log.Append(TestLog.Batch("next")).FirstOffset);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void AnEmptiedLogDoesNotStartInSilence(bool isGone)
    {
        using var disk = TestDisk.Create(real: false);
        using (var manager = Manage(disk))
        {
            Fill(manager.GetOrCreate(TestLog.Partition, new Uuid(1, 1)), 40);
            manager.Close();
        }

        foreach (var name in Files(disk, ".log"))
        {
            if (isGone)
                disk.FileSystem.Delete(disk.At("t-0", name));
            else
                disk.Write(disk.At("t-0", name), []);
        }

        using var again = Manage(disk);
        Assert.Contains(_logger.Warnings, warning => warning.Contains("but its checkpoints record offset 40",
            StringComparison.Ordinal) && warning.Contains(disk.At("t-0"), StringComparison.Ordinal));
    }

    [Fact]
    public void ALogWhoseDirectoryIsGoneIsNotMadeAnewInSilence()
    {
        using var disk = TestDisk.Create(real: false);
        using (var manager = Manage(disk))
        {
            Fill(manager.GetOrCreate(TestLog.Partition, new Uuid(1, 1)), 40);
            manager.Close();
        }

        disk.FileSystem.DeleteDirectory(disk.At("t-0"));
        using var again = Manage(disk);
        Assert.Empty(_logger.Warnings);
        again.GetOrCreate(Other, new Uuid(2, 2));
        Assert.Empty(_logger.Warnings);
        again.GetOrCreate(TestLog.Partition, new Uuid(1, 1));
        Assert.Contains($"{disk.At("t-0")} is missing", Assert.Single(_logger.Warnings), StringComparison.Ordinal);
        Assert.Contains("offset 40", _logger.Warnings[0], StringComparison.Ordinal);
    }

    [Fact]
    public void ALogThatCannotBeOpenedKeepsNoOtherFromBeingServed()
    {
        using var disk = TestDisk.Create(real: false);
        using (var manager = Manage(disk))
        {
            Fill(manager.GetOrCreate(TestLog.Partition, new Uuid(1, 1)), 5);
            Fill(manager.GetOrCreate(Other, new Uuid(2, 2)), 40);
            manager.WriteCheckpoints();
        }

        // A control batch with a right checksum that is no marker.
        var options =
            new RecordBatchOptions { BaseOffset = 5, ProducerId = 7, ProducerEpoch = 0, IsControl = true, IsTransactional = true };
        using var builder = new RecordBatchBuilder(options);
        builder.Append(1_000, new NullableBytes([1, 2, 3, 4]), new NullableBytes([]));
        var path = disk.At("t-0", Files(disk, ".log")[^1]);
        disk.Write(path, [.. disk.Read(path), .. builder.Build()]);

        using var again = Manage(disk);
        Assert.False(again.Directories[0].IsOffline);
        Assert.Equal(40, again.Find(Other)!.LogEndOffset);
        Assert.Null(again.Find(TestLog.Partition));
        Assert.Contains(_logger.Warnings, warning => warning.Contains($"The broker cannot open the log {disk.At("t-0")}",
            StringComparison.Ordinal));
        Assert.Equal(ErrorCode.KafkaStorageError, Assert.Throws<LogException>(() => again.GetOrCreate(TestLog.Partition, new Uuid(1, 1)))
            .ErrorCode);
        Assert.True(disk.FileSystem.FileExists(path));
        Assert.True(again.Delete(TestLog.Partition));
        Assert.Equal(0, again.GetOrCreate(TestLog.Partition, new Uuid(3, 3)).LogEndOffset);
    }

    [Fact]
    public void DamagedPartitionMetadataCostsNoRecords()
    {
        using var disk = TestDisk.Create(real: false);
        using (var manager = Manage(disk))
        {
            Fill(manager.GetOrCreate(TestLog.Partition, new Uuid(1, 1)), 5);
            manager.Close();
        }

        disk.Write(disk.At("t-0", LogFileNames.PartitionMetadata), "version: 0\ntopic"u8);
        using var again = Manage(disk);
        Assert.Null(again.Find(TestLog.Partition)!.TopicId);
        Assert.Contains("partition.metadata is malformed", Assert.Single(_logger.Warnings), StringComparison.Ordinal);
        Assert.Equal(5, again.GetOrCreate(TestLog.Partition, new Uuid(1, 1)).LogEndOffset);
        Assert.Equal(new Uuid(1, 1), PartitionMetadataFile.Read(disk.FileSystem, disk.At("t-0")));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void ADamagedOldSegmentNeitherStopsTheStartNorRetention(bool isClean)
    {
        using var disk = TestDisk.Create(real: false);
        using (var manager = Manage(disk))
        {
            Fill(manager.GetOrCreate(TestLog.Partition, new Uuid(1, 1)), 40);
            manager.Close();
        }

        var path = disk.At("t-0", Files(disk, ".log")[1]);
        var bytes = disk.Read(path);
        bytes[8] = 0x7f; // the size of its first batch
        disk.Write(path, bytes);
        disk.Write(disk.At("t-0", Files(disk, ".timeindex")[1]), []);
        if (!isClean)
            disk.FileSystem.Delete(disk.At(CleanShutdownFile.Name));
        using var again = Manage(disk);
        var log = again.Find(TestLog.Partition)!;
        Assert.Equal(40, log.LogEndOffset);
        log.AdvanceHighWatermark(40);
        log.Config = Small with { RetentionMs = 1, Delete = true };
        _time.AdvanceMs(1_000_000);
        again.Tick(Instant.Now(_time));
        Assert.False(again.Directories[0].IsOffline);
        Assert.True(log.LogStartOffset > 0, "the segments before it are deleted; when it was written counts for itself");
    }

    private static void Fill(PartitionLog log, int count, int epoch = 0)
    {
        for (var i = 0; i < count; i++)
            log.Append(TestLog.Batch($"r{i}", timestamp: 1_000 + i), epoch: epoch);
    }

    private static List<string> Files(TestDisk disk, string suffix) =>
        [.. disk.FileSystem.ListFiles(disk.At("t-0")).Where(name => name.EndsWith(suffix, StringComparison.Ordinal))];

    private PartitionLog Open(TestDisk disk, LogOpenOptions? options = null, LogConfig? config = null) =>
        PartitionLog.Open(disk.FileSystem, disk.At("t-0"), TestLog.Partition, config ?? Small, options ?? new LogOpenOptions(), _time,
            _logger);

    private LogManager Manage(TestDisk disk) =>
        LogManager.Open(new LogManagerOptions { LogDirectories = [disk.Root], ConfigFor = _ => Small, RecoveryParallelism = 1 },
            disk.FileSystem, _time, _logger);
}
