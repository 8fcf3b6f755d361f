using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Ottla.Kernel;
using Ottla.Simulator.Disk;
using Ottla.Storage.Log;

namespace Ottla.UnitTests.Storage;

/// <summary>Power that is lost at moments that <see cref="Ottla.Simulator.Crash.CrashSimulation"/> found to matter.</summary>
public sealed class LogPowerLossTests
{
    private const int Seeds = 20;

    /// <summary>
    /// A segment that is named after the end of the last batch may begin before the recovery point: then nobody makes the indexes before it
    /// anew.
    /// </summary>
    [Fact]
    public void TheTimeIndexIsDurableWhenASegmentBeginsBeforeTheRecoveryPoint()
    {
        for (var seed = 1UL; seed <= Seeds; seed++)
        {
            var time = new FakeTimeProvider(DateTimeOffset.FromUnixTimeMilliseconds(1_000));
            var disk = new SimDisk(time, new Prng(seed));
            var log = Open(disk, time, recoveryPoint: 0);
            log.Append(TestLog.Batch("kept", count: 4, timestamp: 1_000));
            log.Append(TestLog.Batch("cut", count: 4, timestamp: 2_000));
            log.Flush();
            log.TruncateTo(6);
            log.Roll(Instant.Now(time));
            Assert.Equal((6, 6, 4), (log.LogEndOffset, log.RecoveryPoint, log.ActiveSegmentOffset));

            disk = disk.AfterPowerLoss();
            var recovered = Open(disk, time, log.RecoveryPoint);
            Assert.Equal(2, recovered.OffsetForTimestamp(1_002).Offset);
            Assert.Equal(3, recovered.OffsetOfMaxTimestamp().Offset);
        }
    }

    /// <summary>
    /// A disk may lose a write in the middle of a segment and keep a later one. What comes behind the hole is not served, and nothing that
    /// was derived from it is left: the log, its leader epochs and its producers end at the hole.
    /// </summary>
    [Fact]
    public void NothingBehindAHoleInASegmentIsServed()
    {
        const int batches = 12, flushed = 3, epochBegins = 6;
        var holes = 0;
        for (var seed = 1UL; seed <= Seeds; seed++)
        {
            var time = new FakeTimeProvider(DateTimeOffset.FromUnixTimeMilliseconds(1_000));
            var disk = new SimDisk(time, new Prng(seed));
            var log = Open(disk, time, recoveryPoint: 0);
            var ends = new List<long>(); // of the file, after each batch
            for (var i = 0; i < batches; i++)
            {
                log.Append(
                    TestLog.Idempotent(7, 0, sequence: i, text: $"{i}{new string('.', 1_500)}"), epoch: i < epochBegins ? 0 : 1);
                ends.Add(log.SizeInBytes);
                if (i + 1 == flushed)
                    log.Flush();
            }

            var written = SegmentOf(disk);
            disk = disk.AfterPowerLoss();
            var found = SegmentOf(disk);
            var isWhole = Enumerable.Range(0, batches).Select(IsWhole).ToList();
            var kept = isWhole.TakeWhile(whole => whole).Count();
            Assert.True(kept >= flushed);
            holes += isWhole.Skip(kept).Contains(true) ? 1 : 0;

            var recovered = Open(disk, time, log.RecoveryPoint);
            Assert.Equal(kept, recovered.LogEndOffset);
            Assert.Equal(Enumerable.Range(0, kept).Select(i => (long)i), recovered.ReadAll().Select(record => record.Offset));
            EpochEntry[] epochs = kept > epochBegins ? [new(0, 0), new(1, epochBegins)] : [new(0, 0)];
            Assert.Equal(epochs, recovered.LeaderEpochs);
            Assert.Equal(kept - 1, Assert.Single(recovered.ActiveProducers()).LastSequence);
            var next = recovered.Append(TestLog.Idempotent(7, 0, sequence: kept), epoch: 2);
            Assert.Equal(kept, next.FirstOffset);

            bool IsWhole(int i)
            {
                var (from, to) = (i == 0 ? 0 : (int)ends[i - 1], (int)ends[i]);
                return found.Length >= to && found.AsSpan(from..to).SequenceEqual(written.AsSpan(from..to));
            }
        }

        Assert.InRange(holes, 1, (int)Seeds);
    }

    private static byte[] SegmentOf(SimDisk disk) =>
        disk.ReadAllFiles().Single(file => file.Key.EndsWith(LogFileNames.LogSuffix, StringComparison.Ordinal)).Value;

    private static PartitionLog Open(SimDisk disk, TimeProvider time, long recoveryPoint) =>
        PartitionLog.Open(
            disk, "/logs/t-0", TestLog.Partition, LogConfig.Default, new LogOpenOptions { RecoveryPoint = recoveryPoint }, time,
            NullLogger.Instance);
}
