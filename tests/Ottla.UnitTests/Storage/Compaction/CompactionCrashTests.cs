using Ottla.Protocol.Batches;
using Ottla.Storage.Files;
using Ottla.Storage.Log;

namespace Ottla.UnitTests.Storage.Compaction;

/// <summary>
/// A process that dies before each single file operation of a compaction: the next start finds the old segments or the new, and nothing
/// else.
/// </summary>
public sealed class CompactionCrashTests
{
    [Theory]
    [InlineData(10_000)]
    [InlineData(700)]
    public async Task DeathAtEveryFileOperationLosesNothing(int segmentBytes)
    {
        var config = CompactedLog.Config with { SegmentBytes = segmentBytes };
        var operations = await RunAsync(config, int.MaxValue);
        Assert.True(operations.Count > 40, $"{operations.Count} operations");
        for (var survivors = 0; survivors < operations.Count; survivors++)
        {
            var run = await RunAsync(config, survivors);
            // The next start dies as well, somewhere; the one after it does not.
            DieWhileOpening(run.Crashed!, config, survivors % 23 + 1);
            using var disk = run.Crashed!.Crash();
            using var log = new CompactedLog(disk, config);
            var records = log.Records();
            Assert.True(records.All(run.Written.Contains), $"died after {survivors} operations: there is what was never written");
            Assert.True(run.Last.All(records.Contains), $"died after {survivors} operations: the last record of a key is lost");
            Assert.Equal(records.Select(record => record.Offset).Order().Distinct(), records.Select(record => record.Offset));
            foreach (var suffix in (string[])["cleaned", "swap", "deleted"])
                Assert.Empty(log.Files(suffix));
            Assert.Equal(run.LogEnd, log.Log.LogEndOffset);
            Assert.Equal(run.LogEnd, log.Append(Producer(run.ProducerSequence), ("after", "1")).FirstOffset);
            await log.CompactAsync();
            Assert.Equal(
                run.Last.Where(record => record.Key != "deleted").Append((run.LogEnd, "after", "1")).Order(),
                log.Records().Where(record => record.Key != "deleted").Order());
        }
    }

    private static async Task<CrashRun> RunAsync(LogConfig config, int survivors)
    {
        using var log = new CompactedLog(config: config);
        var sequence = 0;
        for (var i = 0; i < 30; i++)
            sequence = log.Append(Producer(sequence), ($"k{i % 7}", $"{i}"), ("deleted", i % 4 == 0 ? null : "x")) is var result
            ? sequence + 2 : 0;
        log.Append(new RecordBatchOptions { ProducerId = 3, ProducerEpoch = 0, BaseSequence = 0, IsTransactional = true },
            ("k1", "aborted"));
        log.End(3, commit: false);
        log.Append(("k2", "last"));
        log.Roll();
        log.Log.Flush();
        log.Manager.WriteCheckpoints();
        var written = log.Records();
        var last = written.Where(record => record.Value != "aborted").GroupBy(record => record.Key).Select(group => group.Last()).ToList();
        var count = 0;
        var fileSystem = (InMemoryFileSystem)log.Disk.FileSystem;
        fileSystem.Fault = (_, _) => ++count > survivors ? new IOException("dead") : null;
        await log.Manager.Cleaner.CleanDirtiestAsync();
        fileSystem.Fault = null;
        return new CrashRun(count, written, last, log.Log.LogEndOffset, sequence, survivors == int.MaxValue ? null : log.Disk.Crash());
    }

    private static void DieWhileOpening(TestDisk disk, LogConfig config, int survivors)
    {
        var count = 0;
        var fileSystem = (InMemoryFileSystem)disk.FileSystem;
        fileSystem.Fault = (_, path) => path.Contains("t-0", StringComparison.Ordinal)
            && ++count > survivors ? new IOException("dead") : null;
        _ = Xunit.Record.Exception(() => new CompactedLog(disk, config).Dispose());
        fileSystem.Fault = null;
    }

    private static RecordBatchOptions Producer(int sequence) => new() { ProducerId = 7, ProducerEpoch = 0, BaseSequence = sequence };

    private sealed record CrashRun(
        int Count,
        IReadOnlyList<(long Offset, string? Key, string? Value)> Written,
        IReadOnlyList<(long Offset, string? Key, string? Value)> Last,
        long LogEnd,
        int ProducerSequence,
        TestDisk? Crashed);
}
