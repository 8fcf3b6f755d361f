using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Ottla.Kernel;
using Ottla.Protocol.Batches;
using Ottla.Simulator.Disk;
using Ottla.Storage.Log;
using Ottla.Storage.Upkeep;

namespace Ottla.UnitTests.Storage;

/// <summary>
/// One flipped bit in a file that says again what the batches say takes nothing out of use. What else may be damaged:
/// <see cref="Ottla.Simulator.Crash.CrashDamage"/>.
/// </summary>
public sealed class DamagedFilesTests
{
    private static readonly LogConfig Config =
        LogConfig.Default with { Compact = true, IndexIntervalBytes = 0, MinCleanableDirtyRatio = 0.01 };

    private readonly FakeTimeProvider _time = new(DateTimeOffset.FromUnixTimeMilliseconds(1_000));

    [Theory]
    [InlineData("recovery-point-offset-checkpoint", true)]
    [InlineData("recovery-point-offset-checkpoint", false)]
    [InlineData("log-start-offset-checkpoint", true)]
    [InlineData("replication-offset-checkpoint", true)]
    [InlineData("replication-offset-checkpoint", false)]
    [InlineData("cleaner-offset-checkpoint", true)]
    [InlineData("cleaner-offset-checkpoint", false)]
    [InlineData("t-0/leader-epoch-checkpoint", true)]
    [InlineData("t-0/leader-epoch-checkpoint", false)]
    [InlineData("t-0/00000000000000000000.index", true)]
    [InlineData("t-0/00000000000000000000.timeindex", true)]
    [InlineData("t-0/00000000000000000000.txnindex", true)]
    [InlineData("t-0/00000000000000000000.txnindex", false)]
    [InlineData("t-0/00000000000000000006.snapshot", true)]
    [InlineData("t-0/00000000000000000008.snapshot", true)]
    public async Task WhatTheBatchesSayIsTakenFromThem(string name, bool endsInOrder)
    {
        var disk = new SimDisk(_time, new Prng(1));
        var manager = Open(disk);
        var log = manager.GetOrCreate(TestLog.Partition, new Uuid(7, 7));
        Fill(log);
        Assert.True(await manager.Cleaner.CleanDirtiestAsync());
        manager.WriteCheckpoints();
        var (records, epochs, aborted, producers) = Facts(log);
        Assert.Equal((3, 1), (epochs.Count, aborted.Count));
        if (endsInOrder)
            manager.Close();

        var path = $"/logs/{name}";
        disk = disk.AfterProcessDeath();
        if (!disk.FileExists(path))
            Assert.Fail($"there is no {name} among {string.Join(", ", disk.ReadAllFiles().Keys)}");
        disk.FlipBit(path, 0, 7);

        using var next = Open(disk);
        Assert.All(next.Directories, directory => Assert.False(directory.IsOffline));
        var found = next.Find(TestLog.Partition)!;
        Assert.Equal(1_006, found.OffsetOfMaxTimestamp().TimestampMs);
        Assert.Equal(6, found.OffsetForTimestamp(1_006).Offset);
        found.AdvanceHighWatermark(found.LogEndOffset);
        var facts = Facts(found);
        Assert.Equal(records, facts.Records);
        Assert.Equal(epochs, facts.Epochs);
        Assert.Equal(aborted, facts.Aborted);
        Assert.Equal(producers, facts.Producers);
    }

    /// <summary>An index that is being made anew when the power is lost is made anew once more: half of one would be believed.</summary>
    [Theory]
    [InlineData("00000000000000000000.timeindex", false)]
    [InlineData("00000000000000000000.timeindex", true)]
    [InlineData("00000000000000000000.txnindex", false)]
    [InlineData("00000000000000000000.index", false)]
    [InlineData("00000000000000000000.index", true)]
    public void RepairsSurvivePowerLoss(string name, bool isMissing)
    {
        var hasDied = true;
        for (var operations = 0; hasDied; operations++)
        {
            var disk = new SimDisk(_time, new Prng((ulong)operations + 1));
            var manager = Open(disk);
            var log = manager.GetOrCreate(TestLog.Partition, new Uuid(7, 7));
            Fill(log);
            log.Flush();
            var expected = log.CollectAbortedTransactions(0, log.LogEndOffset);
            manager.Close();

            disk = disk.AfterPowerLoss();
            if (isMissing)
                disk.Delete($"/logs/t-0/{name}");
            else
                disk.FlipBit($"/logs/t-0/{name}", 0, 7);
            disk.Faults.OperationsUntilDeath = operations;
            try
            {
                CheckFirstSegment(disk, expected);
            }
            catch (PowerLossException)
            {
            }

            hasDied = disk.IsDead;
            disk.Faults.OperationsUntilDeath = null;
            disk = disk.AfterPowerLoss();
            CheckFirstSegment(disk, expected);
        }
    }

    /// <summary>
    /// Who does not know any more which logs are compacted must not take gaps for lost batches, now or after the next start.
    /// </summary>
    [Fact]
    public async Task AllLogsMayHaveGapsWhenTheCheckpointOfTheCleanerIsLost()
    {
        var disk = new SimDisk(_time, new Prng(1));
        var manager = Open(disk);
        var log = manager.GetOrCreate(TestLog.Partition, new Uuid(7, 7));
        Fill(log);
        Assert.True(await manager.Cleaner.CleanDirtiestAsync());
        var records = Facts(log).Records;
        for (var start = 0; start < 3; start++)
        {
            disk = disk.AfterProcessDeath();
            if (start == 0)
                disk.FlipBit("/logs/cleaner-offset-checkpoint", 0, 7);
            disk.Delete("/logs/recovery-point-offset-checkpoint");
            var next = Open(disk);
            Assert.Equal(records, Facts(next.Find(TestLog.Partition)!).Records);
        }
    }

    /// <summary>Two segments: in the first an aborted transaction, and records that later ones replace; three epochs.</summary>
    private void Fill(PartitionLog log)
    {
        Append(log, Keyed(new RecordBatchOptions(), 1_000, "z"), 1);
        Append(log, Keyed(new RecordBatchOptions(), 1_001, "b"), 1);
        Append(log,
            Keyed(new RecordBatchOptions { ProducerId = 3, ProducerEpoch = 0, BaseSequence = 0, IsTransactional = true }, 1_002, "c"), 1);
        Append(log, ControlBatches.BuildEndTransactionMarker(ControlRecordType.Abort, 0, 3, 0, 1_003), 1, AppendOrigin.Coordinator);
        Append(log, Keyed(new RecordBatchOptions(), 1_004, "d"), 2);
        Append(log, Keyed(new RecordBatchOptions(), 1_005, "a"), 2);
        log.Roll(Instant.Now(_time));
        Append(log, Keyed(new RecordBatchOptions(), 1_006, "a"), 2);
        Append(log, Keyed(new RecordBatchOptions { ProducerId = 4, ProducerEpoch = 1, BaseSequence = 0 }, 1_005, "e"), 3);
        log.Flush();
    }

    private void CheckFirstSegment(SimDisk disk, IReadOnlyList<AbortedTransaction> aborted)
    {
        using var manager = Open(disk);
        var log = manager.Find(TestLog.Partition)!;
        Assert.Equal(5, log.OffsetForTimestamp(1_005).Offset);
        Assert.Equal(2, log.OffsetForTimestamp(1_002).Offset);
        Assert.Equal(aborted, log.CollectAbortedTransactions(0, log.LogEndOffset));
    }

    private static byte[] Keyed(RecordBatchOptions options, long timestamp, string key) =>
        Compaction.CompactedLog.Batch(options, timestamp, (key, "v"));

    private static void Append(PartitionLog log, byte[] batch, int epoch, AppendOrigin origin = AppendOrigin.Client) =>
        log.Append(batch, origin, epoch);

    private static (
        List<(long Offset, string? Key, string? Value)> Records,
        IReadOnlyList<EpochEntry> Epochs,
        IReadOnlyList<AbortedTransaction> Aborted,
        IReadOnlyList<object> Producers) Facts(PartitionLog log) =>
        (Compaction.CompactedLog.Records(log), log.LeaderEpochs, log.CollectAbortedTransactions(0, log.LogEndOffset),
            [.. log.ActiveProducers().OrderBy(producer => producer.ProducerId).Cast<object>()]);

    private LogManager Open(SimDisk disk) => LogManager.Open(
        new LogManagerOptions { LogDirectories = ["/logs"], RecoveryParallelism = 1, ConfigFor = _ => Config },
        disk,
        _time,
        NullLogger.Instance);
}
