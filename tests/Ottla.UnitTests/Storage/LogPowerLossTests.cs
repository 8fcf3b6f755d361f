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

    private static PartitionLog Open(SimDisk disk, TimeProvider time, long recoveryPoint) =>
        PartitionLog.Open(
            disk, "/logs/t-0", TestLog.Partition, LogConfig.Default, new LogOpenOptions { RecoveryPoint = recoveryPoint }, time,
            NullLogger.Instance);
}
