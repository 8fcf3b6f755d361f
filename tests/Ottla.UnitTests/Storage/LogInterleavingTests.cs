using Microsoft.Extensions.Time.Testing;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Storage.Files;
using Ottla.Storage.Log;
using Ottla.Storage.Upkeep;

namespace Ottla.UnitTests.Storage;

/// <summary>What fails, or happens, in the midst of a write or a flush.</summary>
public sealed class LogInterleavingTests : IDisposable
{
    private readonly FakeTimeProvider _time = new(DateTimeOffset.FromUnixTimeMilliseconds(1_000));
    private readonly InMemoryFileSystem _files = new();
    private readonly TestDisk _disk;
    private readonly List<Exception> _directoryFailures = [];

    public LogInterleavingTests() => _disk = TestDisk.Over(_files);

    public void Dispose() => _disk.Dispose();

    /// <summary>
    /// The records are in the file, and what they imply cannot be taken over: nothing may be written at their offsets again.
    /// </summary>
    [Fact]
    public void Whatever_fails_after_the_write_takes_the_log_offline()
    {
        var log = Open();
        log.Append(TestLog.Idempotent(7, 0, 0, transactional: true));
        var index = new byte[TransactionIndex.EntryBytes];
        index[1] = 9; // an unknown version
        _disk.Write(_disk.At("t-0", "00000000000000000000.txnindex"), index);
        var marker = ControlBatches.BuildEndTransactionMarker(ControlRecordType.Abort, 0, 7, 0, 1_000);
        Assert.Equal(
            ErrorCode.KafkaStorageError, Assert.Throws<LogException>(() => log.Append(marker, AppendOrigin.Coordinator)).ErrorCode);
        Assert.True(log.IsOffline);
        Assert.Empty(_directoryFailures); // the disk works: other logs go on
        Assert.Equal(ErrorCode.KafkaStorageError, Assert.Throws<LogException>(() => log.Append(TestLog.Batch("again"))).ErrorCode);
        log.Close();

        _files.Delete(_disk.At("t-0", "00000000000000000000.txnindex"));
        var next = Open();
        Assert.Equal(2, next.LogEndOffset); // the marker is there
        Assert.Equal(2, next.Append(TestLog.Batch("after")).FirstOffset);
        Assert.Equal(new AbortedTransaction(7, 0, 1, 2), Assert.Single(next.CollectAbortedTransactions(0, 2)));
    }

    [Fact]
    public void An_orderly_stop_does_not_take_such_a_log_for_whole()
    {
        var options = new LogManagerOptions { LogDirectories = [_disk.Root] };
        var manager = LogManager.Open(options, _files, _time, Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);
        var log = manager.GetOrCreate(TestLog.Partition, Uuid.NewRandom());
        log.Append(TestLog.Idempotent(7, 0, 0, transactional: true));
        var index = new byte[TransactionIndex.EntryBytes];
        index[1] = 9;
        _disk.Write(_disk.At("t-0", "00000000000000000000.txnindex"), index);
        var marker = ControlBatches.BuildEndTransactionMarker(ControlRecordType.Abort, 0, 7, 0, 1_000);
        Assert.Throws<LogException>(() => log.Append(marker, AppendOrigin.Coordinator));
        manager.Tick(Instant.Now(_time).AddMilliseconds(3_600_000)); // whoever looks after logs leaves it alone
        Assert.False(manager.Directories[0].IsOffline);
        manager.Close();
        Assert.False(CleanShutdownFile.Exists(_files, _disk.Root));
    }

    /// <summary>While the old records are flushed, others take their place: those are not flushed.</summary>
    [Fact]
    public void The_recovery_point_does_not_pass_a_truncation_that_came_during_the_flush()
    {
        var log = Open();
        for (var i = 0; i < 4; i++)
            log.Append(TestLog.Batch("old"));
        var isTruncated = false;
        _files.Fault = (operation, path) =>
        {
            if (operation == FileOperation.Flush && path.EndsWith(".log", StringComparison.Ordinal) && !isTruncated)
            {
                isTruncated = true;
                log.TruncateTo(2);
                for (var i = 0; i < 2; i++)
                    log.Append(TestLog.Batch("new"));
            }

            return null;
        };
        log.Flush();
        Assert.True(isTruncated);
        Assert.Equal((0, 4), (log.RecoveryPoint, log.LogEndOffset));
        var flushes = _files.FlushCount;
        log.Flush();
        Assert.Equal(4, log.RecoveryPoint);
        Assert.True(_files.FlushCount > flushes, "the new records are flushed");
    }

    private PartitionLog Open() =>
        TestLog.Open(_disk, LogConfig.Default, _time, new LogOpenOptions { OnFailure = (_, failure) => _directoryFailures.Add(failure) });
}
