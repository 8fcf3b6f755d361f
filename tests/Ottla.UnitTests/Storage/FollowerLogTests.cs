using Microsoft.Extensions.Time.Testing;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Storage.Log;

namespace Ottla.UnitTests.Storage;

/// <summary>What the fetcher of a follower does to its log: in order, too late, and across a restart.</summary>
public sealed class FollowerLogTests : IDisposable
{
    private static readonly LogConfig Config = new();

    private readonly FakeTimeProvider _time = new(DateTimeOffset.UnixEpoch.AddSeconds(1000));
    private TestDisk _disk = TestDisk.Create(real: false);
    private PartitionLog _log;

    public FollowerLogTests()
    {
        _log = TestLog.Open(_disk, Config, _time);
        _log.BeginFollowing(leaderEpoch: 3);
    }

    private Instant Now => Instant.Now(_time);

    public void Dispose() => _disk.Dispose();

    [Fact]
    public void Records_high_watermark_and_log_start_are_taken_over_in_one_step()
    {
        Assert.True(Take(Stored(0, 3, 4), out var progress, highWatermark: 10, logStart: 2));
        Assert.Equal(new FollowerLogPosition(4, 3, 2), progress.Position);
        Assert.True(progress is { IsFollowing: true, HasAppended: true, HasMovedHighWatermark: true, HasMovedLogStart: true });
        Assert.Equal((4L, 2L), (_log.HighWatermark, _log.LogStartOffset));

        Assert.True(Take([], out progress, highWatermark: 3, logStart: 1)); // neither goes back
        Assert.True(progress is { HasAppended: false, HasMovedHighWatermark: false, HasMovedLogStart: false });
        Assert.Equal((4L, 2L), (_log.HighWatermark, _log.LogStartOffset));
    }

    [Fact]
    public void The_log_start_does_not_pass_the_high_watermark()
    {
        Assert.True(Take(Stored(0, 3, 4), out _, highWatermark: 2, logStart: 3));
        Assert.Equal((2L, 2L), (_log.HighWatermark, _log.LogStartOffset));
    }

    [Fact]
    public void What_comes_in_another_epoch_role_or_place_changes_nothing() // P2, P4
    {
        Assert.True(Take(Stored(0, 3, 4), out _, highWatermark: 4));
        Assert.False(Take(Stored(4, 2, 1), out var progress, epoch: 2));
        Assert.False(progress.IsFollowing);
        Assert.False(Take(Stored(2, 3, 1), out progress, fetchOffset: 2));
        Assert.True(progress.IsFollowing);
        Assert.Equal(4, progress.Position.EndOffset);
        Assert.Equal(FollowerTruncation.Moved, _log.TruncateAsFollower(1, 3, expectedEnd: 3));
        Assert.Equal(FollowerTruncation.TooLate, _log.TruncateAsFollower(1, 2, expectedEnd: 4));
        Assert.False(_log.TryTruncateFullyAsFollower(0, 2));

        _log.BeginLeading(leaderEpoch: 4);
        Assert.False(Take(Stored(4, 3, 1), out progress));
        Assert.False(progress.IsFollowing);
        Assert.Equal(FollowerTruncation.TooLate, _log.TruncateAsFollower(1, 3));
        Assert.Equal((4L, 4L), (_log.LogEndOffset, _log.HighWatermark));
    }

    [Fact]
    public void The_end_of_a_log_without_records_takes_its_epoch_along() // P10
    {
        Assert.True(Take(Stored(0, 3, 4), out _, highWatermark: 4));
        _log.BeginLeading(leaderEpoch: 5); // an election without a record
        _log.BeginFollowing(leaderEpoch: 6);
        Assert.Equal(5, _log.LatestEpoch);
        Assert.Equal(FollowerTruncation.NothingToDrop, _log.TruncateAsFollower(4, 6, expectedEnd: 4));
        Assert.Equal(3, _log.LatestEpoch);
        Assert.Equal(new EpochEndOffset(-1, -1), _log.EndOffsetForEpoch(4)); // undefined stays undefined
    }

    [Fact]
    public void Epoch_0_is_an_epoch() // P10
    {
        _log.BeginFollowing(leaderEpoch: 0);
        Assert.True(Take(Stored(0, 0, 4), out var progress, epoch: 0));
        Assert.Equal(0, progress.Position.LatestEpoch);
        Reopen();
        Assert.Equal(0, _log.LatestEpoch);
    }

    [Fact]
    public void A_log_that_is_emptied_where_it_starts_keeps_its_file() // P8, P9
    {
        for (var i = 0; i < 3; i++)
        {
            Assert.True(_log.TryTruncateFullyAsFollower(7, 3));
            Assert.Equal((7L, 7L, 7L, -1), (_log.LogStartOffset, _log.HighWatermark, _log.LogEndOffset, _log.LatestEpoch));
        }

        Assert.True(Take(Stored(7, 3, 2), out _, highWatermark: 9, logStart: 7));
        _time.Advance(TimeSpan.FromMinutes(10));
        _log.UnlinkDeletedSegments(Now);
        Reopen();
        Assert.Equal([7L, 8], _log.ReadAll(7).Select(record => record.Offset));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void An_empty_log_that_starts_inside_of_the_leaders_first_batch_starts_with_that_batch(bool isClean) // P12
    {
        Assert.True(_log.TryTruncateFullyAsFollower(25, 3));
        Assert.True(Take(Stored(20, 3, 10), out var progress, highWatermark: 30, logStart: 25));
        Assert.Equal(new FollowerLogPosition(30, 3, 25), progress.Position);
        Assert.Equal((20L, 25L, 30L), (_log.FirstSegmentOffset, _log.LogStartOffset, _log.HighWatermark));
        Assert.True(Take(Stored(30, 3, 1), out _, highWatermark: 31, logStart: 25));
        Reopen(isClean);
        Assert.Equal(31, _log.LogEndOffset);
        Assert.Equal([25L, 26, 27, 28, 29, 30], _log.ReadAll(25).Select(record => record.Offset));
    }

    [Fact]
    public void A_batch_that_the_log_has_already_is_refused()
    {
        Assert.True(Take(Stored(0, 3, 10), out _));
        var failure = Assert.Throws<LogException>(() => Take(Stored(5, 3, 10), out _));
        Assert.Equal(ErrorCode.UnknownServerError, failure.ErrorCode);
        Assert.Equal(10, _log.LogEndOffset);
    }

    [Fact]
    public void A_log_that_was_cut_inside_of_a_batch_takes_the_whole_batch_again()
    {
        Assert.True(Take([.. Stored(0, 3, 10), .. Stored(10, 3, 10)], out _, highWatermark: 20));
        Assert.Equal(FollowerTruncation.Truncated, _log.TruncateAsFollower(15, 3, expectedEnd: 20));
        Assert.Equal(15, _log.LogEndOffset);
        Assert.True(Take(Stored(10, 3, 10), out var progress, highWatermark: 20));
        Assert.Equal(20, progress.Position.EndOffset);
        Reopen();
        Assert.Equal(Enumerable.Range(0, 20).Select(offset => (long)offset), _log.ReadAll().Select(record => record.Offset));
    }

    [Fact]
    public void Gaps_of_a_compacted_leader_are_taken_over()
    {
        Assert.True(Take([.. Stored(0, 3, 1), .. Stored(40, 3, 1)], out var progress, highWatermark: 41));
        Assert.Equal(41, progress.Position.EndOffset);
        Assert.True(Take(Stored(90, 3, 1), out _, highWatermark: 91));
        Assert.Equal([0L, 40, 90], _log.ReadAll().Select(record => record.Offset));
    }

    private static byte[] Stored(long baseOffset, int epoch, int count)
    {
        var batch = TestLog.Batch($"at {baseOffset}", count);
        RecordBatchEditor.SetBaseOffset(batch, baseOffset);
        RecordBatchEditor.SetPartitionLeaderEpoch(batch, epoch);
        return batch;
    }

    private bool Take(
        byte[] batches, out FetchedProgress progress, long highWatermark = 0, long logStart = 0, int epoch = 3, long? fetchOffset = null) =>
        _log.TryTakeFetched(
            new FetchedBatches(batches, epoch, fetchOffset ?? _log.LogEndOffset, highWatermark, logStart), Now, out progress);

    private void Reopen(bool isClean = true)
    {
        if (isClean)
            _log.Close();
        _disk = _disk.Crash();
        _log = TestLog.Open(_disk, Config, _time, new LogOpenOptions { HadCleanShutdown = isClean });
    }
}
