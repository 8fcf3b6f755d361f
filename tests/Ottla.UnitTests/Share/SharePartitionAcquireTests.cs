using Ottla.Protocol;
using Ottla.StateMachines.Share;
using static Ottla.UnitTests.Share.SharePartitionTestBed;

namespace Ottla.UnitTests.Share;

/// <summary>What members get of a share partition. Most cases are ones that were recorded of Apache Kafka 4.4.0.</summary>
public sealed class SharePartitionAcquireTests
{
    private const string Tens = "0-9 10-19 20-29";

    [Theory]
    [InlineData(1, "0-9x1")]
    [InlineData(10, "0-9x1")]
    [InlineData(15, "0-19x1")]
    [InlineData(500, "0-29x1")]
    [InlineData(0, "")]
    [InlineData(-1, "")]
    public void Whole_batches_are_acquired_until_the_limit_is_reached(int recordsMax, string expected)
    {
        var bed = new SharePartitionTestBed();
        Assert.Equal(expected, bed.Acquire(Tens, recordsMax: recordsMax));
        Assert.Equal(expected.Length == 0 ? 0 : bed.Partition.EndOffset + 1, bed.Partition.NextFetchOffset);
    }

    [Fact]
    public void An_exact_limit_is_kept_within_batches() // KAFKA-19020
    {
        var bed = new SharePartitionTestBed();
        Assert.Equal("0-5x1", bed.Acquire(Tens, recordsMax: 6, mode: ShareAcquireMode.RecordLimit));
        Assert.Equal(6, bed.Partition.NextFetchOffset);
        Assert.Equal("6-9x1 10-15x1", bed.Acquire(Tens, Bob, recordsMax: 10, mode: ShareAcquireMode.RecordLimit));
        Assert.Equal("16-19x1 20-20x1", bed.Acquire("10-19 20-29", recordsMax: 5, mode: ShareAcquireMode.RecordLimit));
    }

    [Fact]
    public void A_large_acquisition_is_told_in_ranges_of_whole_batches() =>
        Assert.Equal("0-19x1 20-29x1", new SharePartitionTestBed().Acquire(Tens, batchSize: 12));

    [Fact]
    public void Nothing_is_acquired_twice() // KAFKA-19789
    {
        var bed = new SharePartitionTestBed();
        bed.Acquire(Tens);
        Assert.Equal("", bed.Acquire(Tens, Bob, fetchOffset: 0));
        Assert.Equal("30-39x1", bed.Acquire("20-29 30-39", Bob));
    }

    [Fact]
    public void Released_records_are_delivered_again_with_their_count()
    {
        var bed = new SharePartitionTestBed();
        bed.Acquire(Tens);
        bed.Acknowledge(3, 5, AcknowledgeType.Release);
        Assert.Equal(3, bed.Partition.NextFetchOffset);
        Assert.Equal("3-5x2", bed.Acquire("0-9", Bob));
        Assert.Equal(30, bed.Partition.NextFetchOffset);
    }

    [Fact]
    public void The_limit_of_locks_is_soft_by_one_batch_and_counts_from_start_to_end()
    {
        var bed = new SharePartitionTestBed(Defaults with { RecordLocksMax = 100 });
        Assert.Equal("0-119x1", bed.Acquire("0-39 40-79 80-119 120-159"));
        Assert.False(bed.Partition.CanAcquire);
        Assert.Equal("", bed.Acquire("120-159"));
        bed.Acknowledge(10, 119, AcknowledgeType.Accept);
        Assert.False(bed.Partition.CanAcquire); // the start offset has not moved
        bed.Acknowledge(5, 5, AcknowledgeType.Release);
        Assert.True(bed.Partition.CanAcquire);
        Assert.Equal("5-5x2", bed.Acquire("0-39 40-79 80-119 120-159"));
        bed.Acknowledge(0, 9, AcknowledgeType.Accept);
        Assert.Equal("120-159x1", bed.Acquire("120-159"));
    }

    [Fact]
    public void A_batch_above_the_limit_of_locks_is_acquired_whole() =>
        Assert.Equal("0-299x1", new SharePartitionTestBed(Defaults with { RecordLocksMax = 100 }).Acquire("0-299"));

    [Fact]
    public void The_more_often_records_were_delivered_the_fewer_come_at_once()
    {
        var bed = new SharePartitionTestBed();
        var seen = new List<string>();
        for (var i = 0; i < 5; i++)
        {
            seen.Add(bed.Acquire("0-15", fetchOffset: 0));
            bed.Release(Alice);
            bed.Settle();
        }

        Assert.Equal(["0-15x1", "0-15x2", "0-15x3", "0-7x4", "0-0x5"], seen);
        Assert.Equal(1, bed.Partition.StartOffset); // the first one is given up: it was delivered five times
        Assert.Equal("1-1x5", bed.Acquire("0-15"));
        Assert.Equal("2-2x5", bed.Acquire("0-15"));
    }

    [Fact]
    public void Records_that_compaction_has_removed_are_done_with()
    {
        var bed = new SharePartitionTestBed();
        bed.Acquire(Tens);
        bed.Acknowledge(0, 19, AcknowledgeType.Release);
        Assert.Equal("10-19x2", bed.Acquire("10-19 20-29", Bob, fetchOffset: 0));
        bed.Acknowledge(10, 19, AcknowledgeType.Accept, Bob);
        Assert.Equal(20, bed.Partition.StartOffset);
    }

    [Fact]
    public void Holes_of_compaction_are_acquired_within_one_acquisition_and_skipped_between_two()
    {
        var bed = new SharePartitionTestBed();
        Assert.Equal("5-29x1", bed.Acquire("5-9 20-29"));
        Assert.Equal(5, bed.Partition.StartOffset);
        Assert.Equal("40-49x1", bed.Acquire("40-49"));
        Assert.Equal(ErrorCode.None, bed.Acknowledge(5, 29, AcknowledgeType.Accept));
        Assert.Equal(40, bed.Partition.StartOffset);
    }

    [Fact]
    public void Aborted_batches_are_done_with_as_they_are_acquired_and_markers_are_not()
    {
        var bed = new SharePartitionTestBed();
        Assert.Equal("0-5x1 9-14x1", bed.Acquire("0-4 5-5 !6-8 9-9 10-13 14-14"));
        Assert.Equal(3, bed.Partition.DeliveryCompleteCount);
        bed.Acknowledge(0, 5, AcknowledgeType.Accept);
        Assert.Equal(9, bed.Partition.StartOffset);
        Assert.Equal("", new SharePartitionTestBed().Acquire("!0-9"));
    }

    [Fact]
    public void What_nobody_has_acknowledged_between_persisted_batches_is_delivered_as_new() // KAFKA-19808
    {
        var state = new ShareState
        {
            StateEpoch = 1,
            StartOffset = 0,
            Batches = [new(10, 19, DeliveryState.Acknowledged, 1), new(30, 34, DeliveryState.Available, 2)],
        };
        var bed = new SharePartitionTestBed(state: state);
        Assert.Equal(0, bed.Partition.NextFetchOffset);
        Assert.Equal("0-3x1", bed.Acquire("0-3 4-14 15-40", recordsMax: 2));
        Assert.Equal("4-9x1 20-29x1 30-34x3 35-40x1", bed.Acquire("4-14 15-40"));
        Assert.Equal(ErrorCode.None, bed.Acknowledge(0, 9, AcknowledgeType.Accept));
        Assert.Equal(20, bed.Partition.StartOffset);
    }

    [Fact]
    public void A_persisted_state_is_taken_over_without_its_holders()
    {
        var state = new ShareState
        {
            StartOffset = 5,
            Batches =
            [
                new(2, 6, DeliveryState.Acknowledged, 1), new(7, 8, DeliveryState.Acquired, 2), new(9, 12, DeliveryState.Archived, 5),
            ],
        };
        var bed = new SharePartitionTestBed(state: state);
        Assert.Equal((7, 12, 4), (bed.Partition.StartOffset, bed.Partition.EndOffset, bed.Partition.DeliveryCompleteCount));
        Assert.Equal("7-8x3 13-20x1", bed.Acquire("0-20"));
        Assert.Throws<InvalidDataException>(() => new SharePartitionTestBed(
            state: new ShareState { Batches = [new(0, 0, (DeliveryState)9, 1)] }));
    }

    [Fact]
    public void A_state_without_a_start_offset_begins_where_the_group_says()
    {
        var bed = new SharePartitionTestBed(startOffset: 42);
        Assert.Equal((42, 42, 42), (bed.Partition.StartOffset, bed.Partition.EndOffset, bed.Partition.NextFetchOffset));
        Assert.Equal("42-49x1", bed.Acquire("40-49"));
    }

    [Fact]
    public void Aborted_transactions_are_found_by_producer_up_to_their_markers() => Assert.Equal(
        [
            new FetchedBatch(0, 4), new FetchedBatch(5, 6, true), new FetchedBatch(7, 8), new FetchedBatch(9, 9), new FetchedBatch(10, 11),
            new FetchedBatch(12, 12),
        ],
        AbortedBatches.Mark(
            [
                new(0, 4, -1, false, false), new(5, 6, 1, true, false), new(7, 8, 2, true, false), new(9, 9, 1, true, true),
                new(10, 11, 1, true, false), new(12, 12, 1, false, false),
            ],
            [(1, 5)]));
}
