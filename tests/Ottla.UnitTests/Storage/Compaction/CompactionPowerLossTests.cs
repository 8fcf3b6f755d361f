using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Ottla.Kernel;
using Ottla.Protocol.Batches;
using Ottla.Simulator.Disk;
using Ottla.Storage.Files;
using Ottla.Storage.Log;
using Ottla.Storage.Upkeep;

namespace Ottla.UnitTests.Storage.Compaction;

/// <summary>Power that is lost after a compaction; <see cref="Ottla.Simulator.Crash.CrashSimulation"/> loses it anywhere.</summary>
public sealed class CompactionPowerLossTests
{
    private const int Seeds = 20;

    private static readonly LogConfig Config = CompactedLog.Config with { SegmentBytes = 150 }; // no two segments are put together

    /// <summary>What replaces a record must be as durable as the record was, before that goes.</summary>
    [Fact]
    public async Task NothingIsDroppedForTheSakeOfWhatIsNotFlushed()
    {
        for (var seed = 1UL; seed <= Seeds; seed++)
        {
            var time = new FakeTimeProvider();
            var disk = new SimDisk(time, new Prng(seed));
            var manager = Open(disk, time);
            var log = manager.GetOrCreate(TestLog.Partition, new Uuid(7, 7));
            Append(log, time, CompactedLog.Batch(new RecordBatchOptions(), NowMs(time), ("k", "old")));
            log.Roll(Instant.Now(time));
            Append(log, time, CompactedLog.Batch(
                new RecordBatchOptions { ProducerId = 3, ProducerEpoch = 0, BaseSequence = 0, IsTransactional = true }, NowMs(time),
                ("k", "new")));
            log.Roll(Instant.Now(time));
            log.Flush();
            Append(log, time, ControlBatches.BuildEndTransactionMarker(ControlRecordType.Commit, 0, 3, 0, NowMs(time)),
                AppendOrigin.Coordinator);
            log.AdvanceHighWatermark(log.LogEndOffset);
            Assert.True(await manager.Cleaner.CleanDirtiestAsync());
            Assert.DoesNotContain((0L, "k", "old"), CompactedLog.Records(log));

            disk = disk.AfterPowerLoss();
            using var next = Open(disk, time);
            var recovered = next.Find(TestLog.Partition)!;
            recovered.AdvanceHighWatermark(recovered.LogEndOffset);
            Assert.Contains((1L, "k", "new"), CompactedLog.Records(recovered));
            Assert.True(recovered.LastStableOffset > 1, $"seed {seed}: the old value is gone, and the new is not committed any more");
        }
    }

    /// <summary>
    /// The first compaction of a log makes gaps between its segments: they must not be taken for lost batches when the machine dies before
    /// the compaction is done.
    /// </summary>
    [Fact]
    public async Task GapsOfTheFirstCompactionAreKnownWhenItDoesNotComeToItsEnd()
    {
        var wasReplaced = false;
        for (var operations = 0; ; operations++)
        {
            var time = new FakeTimeProvider();
            var disk = new SimDisk(time, new Prng((ulong)operations + 1));
            var manager = Open(disk, time);
            var log = manager.GetOrCreate(TestLog.Partition, new Uuid(7, 7));
            foreach (var (key, value) in ((string, string)[])[("a", "old"), ("b", "kept"), ("a", "new")])
            {
                Append(log, time, CompactedLog.Batch(new RecordBatchOptions(), NowMs(time), (key, value)));
                log.Roll(Instant.Now(time));
            }

            log.Flush();
            disk.Faults.OperationsUntilDeath = operations;
            try
            {
                await manager.Cleaner.CleanDirtiestAsync();
            }
            catch (PowerLossException)
            {
            }

            var hasDied = disk.IsDead;
            disk.Faults.OperationsUntilDeath = null;
            disk = disk.AfterPowerLoss();
            using var next = Open(disk, time);
            var records = CompactedLog.Records(next.Find(TestLog.Partition)!);
            wasReplaced |= hasDied && records.Count == 2;
            Assert.True(
                records.Contains((1L, "b", "kept"))
                && records.Contains((2L, "a", "new")), $"died after {operations} operations: {string.Join(", ", records)}");
            if (!hasDied)
                break;
        }

        Assert.True(wasReplaced, "it died after the segments were replaced, too");
    }

    /// <summary>Nor may there be gaps when there is no room to write down that there may be.</summary>
    [Fact]
    public async Task NothingIsReplacedBeforeItIsWrittenDownThatThereMayBeGaps()
    {
        var time = new FakeTimeProvider();
        var disk = new SimDisk(time, new Prng(1));
        using var manager = Open(disk, time);
        var log = manager.GetOrCreate(TestLog.Partition, new Uuid(7, 7));
        foreach (var value in (string[])["old", "new"])
        {
            Append(log, time, CompactedLog.Batch(new RecordBatchOptions(), NowMs(time), ("k", value)));
            log.Roll(Instant.Now(time));
        }

        disk.Faults.Fault = (_, path) =>
            path.Contains(OffsetCheckpointFile.Cleaner, StringComparison.Ordinal) ? new DiskFullException(path) : null;
        for (var attempt = 0; attempt < 2; attempt++)
        {
            Assert.False(await manager.Cleaner.CleanDirtiestAsync());
            Assert.Equal(2, CompactedLog.Records(log).Count);
        }

        disk.Faults.Fault = null;
        Assert.True(await manager.Cleaner.CleanDirtiestAsync());
        Assert.Equal((1L, "k", "new"), Assert.Single(CompactedLog.Records(log)));
    }

    private static long NowMs(TimeProvider time) => Instant.Now(time).UnixMilliseconds;

    private static void Append(PartitionLog log, TimeProvider time, byte[] batch, AppendOrigin origin = AppendOrigin.Client) =>
        log.Append(batch, origin, nowMs: NowMs(time));

    private static LogManager Open(SimDisk disk, TimeProvider time) => LogManager.Open(
        new LogManagerOptions { LogDirectories = ["/logs"], RecoveryParallelism = 1, ConfigFor = _ => Config },
        disk,
        time,
        NullLogger.Instance);
}
