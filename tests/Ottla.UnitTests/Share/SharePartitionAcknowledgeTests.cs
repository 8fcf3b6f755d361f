using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Share;
using static Ottla.UnitTests.Share.SharePartitionTestBed;

namespace Ottla.UnitTests.Share;

/// <summary>What members say of their records, when locks expire, and what is written of it.</summary>
public sealed class SharePartitionAcknowledgeTests
{
    [Fact]
    public void An_acknowledgement_is_written_before_it_counts()
    {
        var bed = new SharePartitionTestBed();
        bed.Acquire("0-9");
        Assert.Equal(ErrorCode.None, bed.Begin(0, 3, AcknowledgeType.Accept));
        Assert.Empty(bed.Replies);
        Assert.Equal((0, 4, 7), (bed.Write!.StartOffset, bed.Write.DeliveryCompleteCount, bed.Write.StateEpoch));
        Assert.Equal([new DeliveryBatch(0, 3, DeliveryState.Acknowledged, 1)], bed.Write.Batches);
        Assert.Equal(0, bed.Partition.StartOffset);
        Assert.Equal(ErrorCode.InvalidRecordState, bed.Begin(3, 3, AcknowledgeType.Release)); // it is being written
        bed.EndWrite();
        Assert.Equal(ErrorCode.None, bed.Replies.Single().Error.Code);
        Assert.Equal(4, bed.Partition.StartOffset);
        Assert.True(bed.WasWoken);
    }

    [Fact]
    public void What_can_not_be_written_has_not_happened()
    {
        var bed = new SharePartitionTestBed();
        bed.Acquire("0-9");
        bed.Begin(0, 9, AcknowledgeType.Accept);
        bed.EndWrite(ErrorCode.CoordinatorNotAvailable);
        Assert.Equal(ErrorCode.CoordinatorNotAvailable, bed.Replies.Single().Error.Code);
        Assert.Equal("0-9:1x1", bed.State);
        Assert.Equal(ErrorCode.None, bed.Acknowledge(0, 9, AcknowledgeType.Accept));
    }

    [Fact]
    public void A_lock_that_expires_during_a_failing_write_is_taken_back_afterwards()
    {
        var bed = new SharePartitionTestBed();
        bed.Acquire("0-9");
        bed.Begin(0, 9, AcknowledgeType.Accept);
        bed.Advance(40_000);
        Assert.Equal("0-9:1x1", bed.State);
        bed.EndWrite(ErrorCode.CoordinatorNotAvailable);
        bed.Advance(SharePartition.WriteRetryMs);
        Assert.Equal("0-9:0x1", bed.State);
    }

    [Fact]
    public void One_write_is_under_way_at_a_time_and_the_next_has_all_that_came_meanwhile() // PR 23074
    {
        var bed = new SharePartitionTestBed();
        bed.Acquire("0-9");
        bed.Begin(0, 0, AcknowledgeType.Accept);
        var first = bed.Write!;
        bed.Begin(1, 1, AcknowledgeType.Accept);
        bed.Begin(5, 6, AcknowledgeType.Release);
        Assert.Same(first, bed.Write);
        bed.EndWrite();
        Assert.Equal((1, 1), (bed.Write!.StartOffset, bed.Write.DeliveryCompleteCount));
        Assert.Equal([new(1, 1, DeliveryState.Acknowledged, 1), new DeliveryBatch(5, 6, DeliveryState.Available, 1)], bed.Write.Batches);
        bed.EndWrite();
        Assert.Null(bed.Write);
        Assert.Equal([1L, 2L, 3L], bed.Replies.Select(reply => reply.Request));
    }

    [Theory]
    [InlineData(AcknowledgeType.Gap, "1-9:1x1", 1)]
    [InlineData(AcknowledgeType.Accept, "1-9:1x1", 1)]
    [InlineData(AcknowledgeType.Release, "0-0:0x1 1-9:1x1", 0)]
    [InlineData(AcknowledgeType.Reject, "1-9:1x1", 1)]
    public void Each_type_has_its_state(AcknowledgeType type, string expected, long startOffset)
    {
        var bed = new SharePartitionTestBed();
        bed.Acquire("0-9");
        Assert.Equal(ErrorCode.None, bed.Acknowledge(0, 0, type));
        Assert.Equal((expected, startOffset), (bed.State, bed.Partition.StartOffset));
    }

    [Fact]
    public void Offsets_of_a_batch_may_have_types_of_their_own()
    {
        var bed = new SharePartitionTestBed();
        bed.Acquire("0-5");
        Assert.Equal(ErrorCode.None, bed.Begin(Alice, new AcknowledgementBatch(0, 5, [2, 1, 1, 3, 2, 0])));
        Assert.Equal(
            [
                new(0, 0, DeliveryState.Available, 1), new(1, 2, DeliveryState.Acknowledged, 1), new(3, 3, DeliveryState.Archived, 1),
                new(4, 4, DeliveryState.Available, 1), new DeliveryBatch(5, 5, DeliveryState.Archived, 1),
            ],
            bed.Write!.Batches);
        Assert.Equal(4, bed.Write.DeliveryCompleteCount);
        bed.Settle();
        Assert.Equal("0-0x2 4-4x2", bed.Acquire("0-5", Bob));
    }

    [Fact]
    public void All_is_taken_or_nothing()
    {
        var bed = new SharePartitionTestBed();
        bed.Acquire("0-9");
        (ErrorCode Error, AcknowledgementBatch[] Batches)[] refused =
        [
            (ErrorCode.InvalidRequest, [new(5, 4, [1])]),
            (ErrorCode.InvalidRequest, [new(5, 6, [])]),
            (ErrorCode.InvalidRequest, [new(0, 2, [1, 1])]),
            (ErrorCode.InvalidRequest, [new(0, 0, [5])]),
            (ErrorCode.InvalidRequest, [new(0, 0, [-1])]),
            (ErrorCode.InvalidRequest, [new(5, 6, [1]), new(0, 1, [1])]),
            (ErrorCode.InvalidRecordState, [new(0, 5, [1]), new(5, 6, [1])]),
            (ErrorCode.InvalidRequest, [new(0, 1, [1]), new(8, 10, [1])]), // beyond what is acquired
            (ErrorCode.InvalidRequest, [new(20, 20, [1])]),
        ];
        foreach (var (error, batches) in refused)
        {
            Assert.Equal(error, bed.Begin(Alice, batches));
            Assert.Null(bed.Write);
            Assert.Equal("0-9:1x1", bed.State);
        }
    }

    [Fact]
    public void A_renewal_is_not_taken_either_if_something_else_is_refused()
    {
        var bed = new SharePartitionTestBed();
        bed.Acquire("0-9");
        bed.Advance(20_000);
        Assert.Equal(ErrorCode.InvalidRequest, bed.Begin(Alice, new AcknowledgementBatch(0, 5, [4]), new AcknowledgementBatch(6, 12, [1])));
        bed.Advance(10_000);
        Assert.Equal("0-9:0x1", bed.State);
    }

    [Fact]
    public void Only_the_holder_may_acknowledge()
    {
        var bed = new SharePartitionTestBed();
        Assert.Equal(ErrorCode.InvalidRecordState, bed.Begin(0, 0, AcknowledgeType.Accept));
        bed.Acquire("0-9");
        Assert.Equal(ErrorCode.InvalidRecordState, bed.Begin(0, 0, AcknowledgeType.Accept, Bob));
        bed.Acknowledge(4, 4, AcknowledgeType.Accept);
        Assert.Equal(ErrorCode.InvalidRecordState, bed.Begin(3, 5, AcknowledgeType.Accept)); // 4 is done with
        bed.Advance(30_000);
        Assert.Equal(ErrorCode.InvalidRecordState, bed.Begin(0, 0, AcknowledgeType.Accept)); // too late
    }

    [Fact]
    public void An_expired_lock_is_over_also_before_its_timer_has_run()
    {
        var bed = new SharePartitionTestBed();
        bed.Acquire("0-9");
        bed.Now = bed.Now.AddMilliseconds(30_000);
        Assert.Equal(ErrorCode.InvalidRecordState, bed.Begin(0, 0, AcknowledgeType.Accept));
    }

    [Fact]
    public void Below_the_start_offset_everything_succeeds_and_nothing_happens()
    {
        var bed = new SharePartitionTestBed();
        bed.Acquire("0-9");
        bed.Acknowledge(0, 4, AcknowledgeType.Accept);
        Assert.Equal(ErrorCode.None, bed.Acknowledge(0, 3, AcknowledgeType.Release, Bob));
        Assert.Equal("5-9:1x1", bed.State);
        bed.Partition.MoveLogStart(8);
        Assert.Equal(ErrorCode.None, bed.Acknowledge(5, 9, AcknowledgeType.Accept));
        Assert.Equal(10, bed.Partition.StartOffset);
    }

    [Fact]
    public void The_log_start_takes_with_it_what_is_held_and_what_is_being_written()
    {
        var bed = new SharePartitionTestBed();
        bed.Acquire("0-9");
        bed.Begin(2, 3, AcknowledgeType.Accept);
        bed.Partition.MoveLogStart(20);
        Assert.Equal((20, 20, 0), (bed.Partition.StartOffset, bed.Partition.EndOffset, bed.Partition.DeliveryCompleteCount));
        Assert.Null(bed.Partition.NextDeadline);
        bed.EndWrite();
        Assert.Equal(ErrorCode.None, bed.Replies.Single().Error.Code);
        Assert.Equal("20-29x1", bed.Acquire("20-29"));
        bed.Partition.MoveLogStart(5);
        Assert.Equal(20, bed.Partition.StartOffset);
    }

    [Fact]
    public void An_expired_lock_gives_its_records_back_and_wakes_who_waits() // KAFKA-19116, 19258
    {
        var bed = new SharePartitionTestBed();
        bed.Acquire("0-9");
        Assert.Equal(new Instant(1_030_000), bed.Partition.NextDeadline);
        bed.Advance(29_999);
        Assert.Equal("0-9:1x1", bed.State);
        bed.Advance(1);
        Assert.Equal("0-9:0x1", bed.State);
        Assert.True(bed.WasWoken);
        Assert.Equal([new DeliveryBatch(0, 9, DeliveryState.Available, 1)], bed.Write!.Batches);
        Assert.Equal("0-9x2", bed.Acquire("0-9", Bob)); // also before that is written
        bed.Begin(0, 9, AcknowledgeType.Accept, Bob);
        bed.EndWrite(ErrorCode.CoordinatorNotAvailable);
        bed.EndWrite();
        Assert.Equal(10, bed.Partition.StartOffset);
    }

    [Fact]
    public void A_renewal_prolongs_the_lock_and_writes_nothing()
    {
        var bed = new SharePartitionTestBed();
        bed.Acquire("0-9");
        bed.Advance(20_000);
        Assert.Equal(ErrorCode.None, bed.Begin(Alice, new AcknowledgementBatch(0, 3, [4, 4, 1, 4])));
        Assert.Equal([new DeliveryBatch(2, 2, DeliveryState.Acknowledged, 1)], bed.Write!.Batches);
        bed.Settle();
        bed.Advance(10_000);
        Assert.Equal("0-1:1x1 2-2:2x1 3-3:1x1 4-9:0x1", bed.State);
        Assert.Equal(ErrorCode.None, bed.Begin(0, 1, AcknowledgeType.Renew));
        bed.Partition.Settings = Defaults with { IsRenewEnabled = false };
        Assert.Equal(ErrorCode.InvalidRecordState, bed.Begin(0, 1, AcknowledgeType.Renew));
    }

    [Fact]
    public void A_member_that_leaves_gives_back_what_it_holds_and_nothing_else()
    {
        var bed = new SharePartitionTestBed();
        bed.Acquire("0-9");
        bed.Acquire("10-19", Bob);
        bed.Begin(0, 0, AcknowledgeType.Accept);
        bed.Release(Alice);
        bed.Settle();
        Assert.Equal("1-9:0x1 10-19:1x1", bed.State);
        Assert.True(bed.WasWoken);
        bed.Release(Alice);
        Assert.Null(bed.Write); // nothing is held, nothing is written
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_record_is_given_up_after_its_last_delivery(bool expires)
    {
        var bed = new SharePartitionTestBed(Defaults with { DeliveryCountLimit = 2 });
        for (var i = 0; i < 2; i++)
        {
            bed.Acquire("0-0", fetchOffset: 0);
            if (expires)
                bed.Advance(30_000);
            else
                bed.Begin(0, 0, AcknowledgeType.Release);
            if (i == 1)
                Assert.Equal([new DeliveryBatch(0, 0, DeliveryState.Archived, 2)], bed.Write!.Batches);
            bed.Settle();
        }

        Assert.Equal(1, bed.Partition.StartOffset);
    }

    [Fact]
    public void Giving_up_is_tried_again_until_it_is_written()
    {
        var bed = new SharePartitionTestBed(Defaults with { DeliveryCountLimit = 1 });
        bed.Acquire("0-0");
        bed.Advance(30_000);
        bed.EndWrite(ErrorCode.CoordinatorNotAvailable);
        Assert.Null(bed.Write);
        bed.Advance(SharePartition.WriteRetryMs);
        bed.EndWrite();
        Assert.Equal(1, bed.Partition.StartOffset);
    }

    [Fact]
    public void Dead_letters_are_persisted_then_answered_then_written_then_done_with() // KIP-1191
    {
        var bed = new SharePartitionTestBed(Defaults with { HasDeadLetterTopic = true });
        bed.Acquire("0-9");
        bed.Begin(0, 3, AcknowledgeType.Reject);
        Assert.Equal([new DeliveryBatch(0, 3, DeliveryState.Archiving, 1)], bed.Write!.Batches);
        Assert.Equal(0, bed.Write.DeliveryCompleteCount);
        Assert.Empty(bed.DeadLetters);
        bed.EndWrite();
        Assert.Single(bed.Replies);
        Assert.Equal([new DeadLetters(0, 3, 1, DeadLetterReason.Rejected)], bed.DeadLetters);
        Assert.Equal(0, bed.Partition.StartOffset);
        bed.EndDeadLetters();
        Assert.Equal([new DeliveryBatch(0, 3, DeliveryState.Archived, 1)], bed.Write!.Batches);
        Assert.Equal(4, bed.Write.DeliveryCompleteCount);
        bed.EndWrite();
        Assert.Equal(4, bed.Partition.StartOffset);
    }

    [Fact]
    public void Dead_letters_that_were_under_way_are_resumed() // KAFKA-20672
    {
        var state = new ShareState
        {
            StartOffset = 0,
            Batches = [new(0, 3, DeliveryState.Archiving, 1), new(4, 4, DeliveryState.Archiving, 5), new(5, 9, DeliveryState.Available, 1)],
        };
        var bed = new SharePartitionTestBed(Defaults with { HasDeadLetterTopic = true }, state);
        Assert.Equal(
            [
                new DeadLetters(0, 3, 1, DeadLetterReason.Rejected), new DeadLetters(4, 4, 5, DeadLetterReason.DeliveryCountExceeded),
            ],
            bed.DeadLetters);
        Assert.Equal("5-9x2", bed.Acquire("0-9", fetchOffset: 0));
        bed.EndDeadLetters();
        bed.Settle();
        Assert.Equal(5, bed.Partition.StartOffset);
    }

    [Fact]
    public void The_count_is_right_whenever_offsets_were_altered_or_moved() // KAFKA-20034, PR 23112
    {
        var bed = new SharePartitionTestBed();
        bed.Acquire("0-9 10-19");
        bed.Acknowledge(2, 3, AcknowledgeType.Accept);
        bed.Acknowledge(12, 13, AcknowledgeType.Accept);
        Assert.Equal(4, bed.Partition.DeliveryCompleteCount);
        bed.Partition.MoveLogStart(5);
        Assert.Equal(2, bed.Partition.DeliveryCompleteCount);
        bed.Acknowledge(5, 11, AcknowledgeType.Reject);
        Assert.Equal((14, 0), (bed.Partition.StartOffset, bed.Partition.DeliveryCompleteCount));
    }
}
