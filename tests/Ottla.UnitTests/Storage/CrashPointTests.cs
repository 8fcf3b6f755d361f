using Microsoft.Extensions.Time.Testing;
using Ottla.Kernel;
using Ottla.Storage.Files;
using Ottla.Storage.Log;

namespace Ottla.UnitTests.Storage;

/// <summary>A process that dies before each single file operation of a history: whatever was answered is still there.</summary>
public sealed class CrashPointTests
{
    private static readonly LogConfig Config =
        new() { SegmentBytes = 400, IndexIntervalBytes = 100, SegmentIndexBytes = 4_096, RetentionMs = -1, FileDeleteDelayMs = 0 };

    private readonly FakeTimeProvider _time = new(DateTimeOffset.FromUnixTimeMilliseconds(1_000));

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void WhatWasAnsweredSurvivesDeathAtEveryFileOperation(bool truncates)
    {
        var operations = CountOperations(truncates);
        Assert.True(operations > 100, $"{operations} operations");
        for (var survivors = 1; survivors <= operations; survivors++)
        {
            var disk = TestDisk.Create(real: false);
            var history = new History();
            KillAfter(disk, survivors);
            Assert.ThrowsAny<Exception>(() => history.Run(disk, _time, truncates));
            using var crashed = disk.Crash();
            var log = TestLog.Open(
                crashed, Config, _time,
                new LogOpenOptions { HighWatermark = history.HighWatermark, RecoveryPoint = history.RecoveryPoint });
            var records = log.ReadAll();
            var offsets = records.Select(record => record.Offset).ToList();
            Assert.Equal(Enumerable.Range(0, offsets.Count).Select(i => log.LogStartOffset + i), offsets);
            // Operations under way when it died may have happened or not.
            Assert.InRange(log.LogStartOffset, 0, Math.Max(history.Start, history.AttemptedStart));
            Assert.True(
                log.LogEndOffset >= Math.Min(history.End, history.AttemptedEnd),
                $"died after {survivors}: ends at {log.LogEndOffset}, {history.End} was answered");
            Assert.All(records, record => Assert.StartsWith($"v{record.Offset}-", record.Value, StringComparison.Ordinal));
            Assert.Equal(log.LogEndOffset, log.Append(TestLog.Batch("after")).FirstOffset);
            log.Close();
            var again = TestLog.Open(
                crashed, Config, _time, new LogOpenOptions { HadCleanShutdown = true, LogStartOffset = log.LogStartOffset });
            Assert.Equal(offsets.Count + 1, again.ReadAll().Count);
            Assert.Equal(log.ActiveProducers(), again.ActiveProducers());
        }
    }

    private int CountOperations(bool truncates)
    {
        var disk = TestDisk.Create(real: false);
        var count = 0;
        ((InMemoryFileSystem)disk.FileSystem).Fault = (_, _) =>
        {
            count++;
            return null;
        };
        new History().Run(disk, _time, truncates);
        return count - 1;
    }

    private static void KillAfter(TestDisk disk, int survivors)
    {
        var count = 0;
        ((InMemoryFileSystem)disk.FileSystem).Fault = (_, _) => ++count > survivors ? new IOException("dead") : null;
    }

    private sealed class History
    {
        public long Start { get; private set; }

        public long AttemptedStart { get; private set; }

        public long End { get; private set; }

        public long AttemptedEnd { get; private set; } = long.MaxValue;

        public long HighWatermark { get; private set; }

        public long RecoveryPoint { get; private set; }

        public void Run(TestDisk disk, TimeProvider time, bool truncates)
        {
            var log = TestLog.Open(disk, Config, time);
            for (var i = 0; i < 24; i++)
            {
                log.Append(TestLog.Idempotent(7, 0, i, text: $"v{i}-{new string('.', 20)}"), epoch: i / 10);
                (End, HighWatermark) = (log.LogEndOffset, log.HighWatermark);
            }

            log.Flush();
            RecoveryPoint = log.RecoveryPoint;
            AttemptedStart = 13;
            log.AdvanceLogStartOffset(13);
            log.DeleteOldSegments(new Instant(1_000));
            log.UnlinkDeletedSegments(new Instant(long.MaxValue));
            Start = 13;
            if (truncates)
            {
                AttemptedEnd = 19;
                log.TruncateTo(19);
                End = 19;
                RecoveryPoint = Math.Min(RecoveryPoint, log.RecoveryPoint);
                for (var i = 19; i < 30; i++)
                {
                    log.Append(TestLog.Idempotent(7, 0, i, text: $"v{i}-{new string(',', 20)}"), epoch: 5);
                    AttemptedEnd = End = log.LogEndOffset;
                }
            }

            log.Close();
        }
    }
}
