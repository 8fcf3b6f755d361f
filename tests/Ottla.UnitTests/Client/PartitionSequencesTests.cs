using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Client;
using Ottla.Client.Cluster;
using Ottla.Client.Producing;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Protocol;
using Ottla.UnitTests.Broker;

namespace Ottla.UnitTests.Client;

/// <summary>What a producer sends next to a partition, and with which sequence.</summary>
public sealed class PartitionSequencesTests
{
    private static readonly ProducerIdAndEpoch Producer = new(7, 0);

    private readonly PartitionSequences _sequences = new(inFlightMax: 5, isSequenced: true);
    private readonly PartitionQueue _queue;

    public PartitionSequencesTests()
    {
        var context = new ProducerContext(
            new ProducerOptions(), new MemoryLimit(long.MaxValue), new BufferPool(), new TestClock(), NullLogger.Instance);
        var image = new TopicImage("t", Uuid.Zero, false, [new PartitionImage(0, 1, 0, [], [], [], ErrorCode.None)], ErrorCode.None);
        _queue = new TopicQueues(context, image, () => 0).Queues[0];
    }

    [Fact]
    public void Sequences_count_records()
    {
        Assert.Equal((0, 3, 4), (Send(3).Sequence, Send(1).Sequence, Send(2).Sequence));
        Assert.Equal(3, _sequences.InFlightCount);
    }

    [Fact]
    public void No_more_than_five_are_under_way_and_the_first_one_alone()
    {
        var first = Send();
        Assert.False(_sequences.MaySendNew); // a leader that knows nothing of the producer would take the second one without the first
        _sequences.Succeed(first);
        for (var i = 0; i < 5; i++)
        {
            Assert.True(_sequences.MaySendNew);
            Send();
        }

        Assert.False(_sequences.MaySendNew);
    }

    [Fact]
    public void What_failed_is_sent_again_in_order_one_at_a_time_before_anything_new()
    {
        var (first, second, third) = (Send(), Send(), Send());
        _sequences.Requeue(first);
        Assert.False(_sequences.MaySendNew);
        Assert.Same(first, _sequences.NextRetry());
        _sequences.Resend(first);
        Assert.Null(_sequences.NextRetry());
        _sequences.Requeue(second);
        _sequences.Requeue(third);
        Assert.Null(_sequences.NextRetry()); // the first one is under way again
        _sequences.Succeed(first);
        Assert.Same(second, _sequences.NextRetry());
        _sequences.Resend(second);
        _sequences.Succeed(second);
        _sequences.Resend(_sequences.NextRetry()!);
        Assert.True(_sequences.MaySendNew); // the last one is under way: what follows it is in order
        Assert.Equal((0, 1, 2), (first.Sequence, second.Sequence, third.Sequence));
        Assert.Equal(3, Send().Sequence);
    }

    [Fact]
    public void What_a_leader_refused_leaves_a_gap_that_the_next_epoch_closes()
    {
        var (first, second) = (Send(2), Send(3));
        _sequences.Fail(first, wasRefused: true);
        Assert.True(_sequences.NeedsRenewal);
        Assert.Null(_sequences.NextRetry());
        Assert.False(_sequences.MaySendNew);
        _sequences.Requeue(second); // its sequence was out of order
        _sequences.Renew(Producer with { Epoch = 1 });
        Assert.Same(second, _sequences.NextRetry());
        Assert.Equal((Producer with { Epoch = 1 }, 0), (second.Producer, second.Sequence));
        _sequences.Resend(second);
        Assert.False(_sequences.MaySendNew); // the leader has to take the new epoch first
        _sequences.Succeed(second);
        Assert.Equal(3, Send().Sequence);
    }

    [Fact]
    public void What_may_have_been_written_leaves_the_sequences_as_they_are_until_the_leader_misses_it()
    {
        var (first, second) = (Send(), Send());
        _sequences.Fail(first, wasRefused: false);
        Assert.False(_sequences.NeedsRenewal);
        Assert.True(_sequences.IsNext(second));
        _sequences.Succeed(second); // so the first one was written
        Assert.Equal(2, Send().Sequence);
    }

    [Fact]
    public void The_last_one_that_may_have_been_written_is_followed_by_another_epoch()
    {
        _sequences.Fail(Send(), wasRefused: false);
        Assert.True(_sequences.NeedsRenewal);
        _sequences.Renew(Producer with { Epoch = 1 });
        Assert.Equal((0, (short)1), (Send().Sequence, _sequences.Producer!.Value.Epoch));
    }

    [Fact]
    public void Parts_take_the_sequences_of_the_whole()
    {
        var (whole, next) = (Send(5), Send(1));
        var parts = new[] { Batch(2), Batch(3) };
        _sequences.Split(whole, parts);
        Assert.Equal((0, 2, 5), (parts[0].Sequence, parts[1].Sequence, next.Sequence));
        Assert.Same(parts[0], _sequences.NextRetry());
        _sequences.Requeue(next);
        _sequences.Resend(parts[0]);
        _sequences.Succeed(parts[0]);
        Assert.Same(parts[1], _sequences.NextRetry());
    }

    [Fact]
    public void Without_sequences_one_batch_is_under_way_at_a_time()
    {
        var plain = new PartitionSequences(5, isSequenced: false);
        var first = Batch(1);
        plain.Send(first, null);
        Assert.Equal((false, -1), (plain.MaySendNew, first.Sequence));
        plain.Requeue(first);
        Assert.Same(first, plain.NextRetry());
        plain.Fail(first, wasRefused: true);
        Assert.Equal((true, false), (plain.MaySendNew, plain.NeedsRenewal));
    }

    [Fact]
    public void Another_producer_id_is_taken_over_when_nothing_is_under_way()
    {
        _sequences.Succeed(Send(4));
        Assert.True(_sequences.IsOther(new ProducerIdAndEpoch(8, 0)));
        Assert.True(_sequences.IsOther(Producer with { Epoch = 1 }));
        Assert.False(_sequences.IsOther(Producer));
        var batch = Batch(1);
        _sequences.Send(batch, new ProducerIdAndEpoch(8, 0));
        Assert.Equal((new ProducerIdAndEpoch(8, 0), 0), (batch.Producer, batch.Sequence));
    }

    private ProducerBatch Send(int records = 1)
    {
        var batch = Batch(records);
        _sequences.Send(batch, Producer);
        return batch;
    }

    private ProducerBatch Batch(int records)
    {
        var batch = new ProducerBatch(_queue, new Instant(1));
        for (var i = 0; i < records; i++)
        {
            var takenBytes = 0L;
            var bytes = batch.SizeOf(1, default, default, default, out var bodyBytes);
            Assert.Equal(0, batch.Reserve(bytes, ref takenBytes));
            batch.Append(bytes, bodyBytes, 1, default, default, default, new RecordCallback());
        }

        return batch;
    }
}
