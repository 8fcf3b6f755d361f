using Ottla.Client.Consumers.Fetching;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Client.Consumer;

/// <summary>Fetch sessions of a consumer, and the records of one answer.</summary>
public sealed class FetchTests
{
    private static readonly Uuid s_topic = new(1, 1);
    private static readonly Uuid s_other = new(2, 2);

    [Fact]
    public void A_session_names_everything_once_and_then_what_changes()
    {
        var session = new FetchSession();
        var first = session.Build([At(0, 10), At(1, 20)], usesTopicIds: true);
        Assert.Equal((0, 0, "0@10 1@20"), (first.SessionId, first.SessionEpoch, Told(first)));
        session.OnAnswer(7);
        var second = session.Build([At(0, 10), At(1, 21)], usesTopicIds: true);
        Assert.Equal((7, 1, "1@21"), (second.SessionId, second.SessionEpoch, Told(second)));
        session.OnAnswer(7);
        var third = session.Build([At(1, 21), At(2, 5)], usesTopicIds: true);
        Assert.Equal((7, 2, "2@5", "0"), (third.SessionId, third.SessionEpoch, Told(third), Forgotten(third)));
        session.OnAnswer(7);
        Assert.Equal(new TopicPartition("t", 2), session.Find(s_topic, "", 2));
        Assert.Equal(new TopicPartition("t", 2), session.Find(Uuid.Zero, "t", 2));
        Assert.Null(session.Find(s_topic, "", 0));
        Assert.Null(session.Find(s_other, "", 2));
    }

    [Fact]
    public void A_topic_that_was_created_anew_is_forgotten_and_named_again()
    {
        var session = new FetchSession();
        session.Build([At(0, 10)], usesTopicIds: true);
        session.OnAnswer(7);
        var next = session.Build([At(0, 10, s_other)], usesTopicIds: true);
        Assert.Equal(("0@10", "0"), (Told(next), Forgotten(next)));
    }

    [Theory]
    [InlineData(ErrorCode.FetchSessionIdNotFound, 0)]
    [InlineData(ErrorCode.InvalidFetchSessionEpoch, 7)]
    [InlineData(ErrorCode.FetchSessionTopicIdError, 7)]
    public void An_error_begins_a_new_session_and_ends_the_old_one(ErrorCode error, int sessionId)
    {
        var session = new FetchSession();
        session.Build([At(0, 10)], usesTopicIds: true);
        session.OnAnswer(7);
        session.Build([At(0, 11)], usesTopicIds: true);
        session.OnRefused(error);
        var next = session.Build([At(0, 11)], usesTopicIds: true);
        Assert.Equal((sessionId, 0, "0@11"), (next.SessionId, next.SessionEpoch, Told(next)));
    }

    [Fact]
    public void A_node_without_room_for_a_session_is_told_everything_each_time()
    {
        var session = new FetchSession();
        session.Build([At(0, 10)], usesTopicIds: true);
        session.OnAnswer(0);
        var next = session.Build([At(0, 10)], usesTopicIds: true);
        Assert.Equal((0, 0, "0@10"), (next.SessionId, next.SessionEpoch, Told(next)));
    }

    [Fact]
    public void Names_instead_of_ids_begin_a_new_session()
    {
        var session = new FetchSession();
        session.Build([At(0, 10)], usesTopicIds: true);
        session.OnAnswer(7);
        Assert.Equal((7, 0), (session.Build([At(0, 10)], usesTopicIds: false).SessionId, 0));
        Assert.True(session.IsFull);
    }

    [Fact]
    public void Records_of_several_batches_are_read_and_a_batch_that_is_cut_off_is_left()
    {
        byte[] bytes = [.. Batch(3, new RecordBatchOptions { BaseOffset = 5 }), .. Batch(2, new RecordBatchOptions { BaseOffset = 10 })];
        using var records = Open([.. bytes, .. Batch(4)[..70]], 6);
        Assert.Equal(12, records.NextOffset);
        Assert.Equal(bytes.Length, records.SizeBytes);
        Assert.Equal([6, 7, 10, 11], Offsets(records, 6));
    }

    [Fact]
    public void Reading_a_record_allocates_nothing()
    {
        using var records = Open(Batch(1000, valueBytes: 100), 0);
        Assert.True(records.TryRead(0));
        var before = GC.GetAllocatedBytesForCurrentThread();
        var read = 1;
        while (records.TryRead(0))
            read++;
        Assert.Equal((1000, 0), (read, GC.GetAllocatedBytesForCurrentThread() - before));
    }

    [Fact]
    public void Bytes_without_a_whole_batch_cannot_be_read()
    {
        Assert.Throws<CorruptRecordException>(() => Open(Batch(3)[..80], 0));
        Assert.Throws<CorruptRecordException>(() => Open(new byte[100], 0));
        using var none = Open([], 4);
        Assert.Equal((4, 0), (none.NextOffset, Offsets(none, 4).Count));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_damaged_batch_is_found_and_found_again_if_checksums_are_compared(bool checks)
    {
        var damaged = Batch(1, new RecordBatchOptions { BaseOffset = 1 });
        damaged[^1] ^= 1; // in the header count of the record, which has none
        using var records = new FetchedRecords((byte[])[.. Batch(), .. damaged], 0, null, checks);
        Assert.True(records.TryRead(0));
        for (var i = 0; i < 2; i++)
            Assert.Throws<CorruptRecordException>(() => records.TryRead(1));
    }

    [Fact]
    public void Every_flipped_bit_of_a_batch_is_found()
    {
        var batch = Batch(2);
        for (var bit = RecordBatchLayout.CrcOffset * 8; bit < batch.Length * 8; bit++)
        {
            var damaged = (byte[])batch.Clone();
            damaged[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.Throws<CorruptRecordException>(() => Open(damaged, 0).TryRead(0));
        }
    }

    [Fact]
    public void Aborted_transactions_are_left_out_and_others_of_the_same_producer_are_not()
    {
        byte[] bytes =
        [
            .. Transactional(0, producer: 1), .. Transactional(1, producer: 2), .. Marker(2, producer: 1, ControlRecordType.Abort),
            .. Transactional(3, producer: 1), .. Marker(4, producer: 2, ControlRecordType.Commit),
            .. Marker(5, producer: 1, ControlRecordType.Commit), .. Batch(1, new RecordBatchOptions { BaseOffset = 6 }),
        ];
        using var committed = new FetchedRecords(
            bytes, 0, [new FetchResponse.AbortedTransaction { ProducerId = 1, FirstOffset = 0 }], checksCrcs: true);
        Assert.Equal([1, 3, 6], Offsets(committed, 0));
        using var all = Open(bytes, 0);
        Assert.Equal([0, 1, 3, 6], Offsets(all, 0));
    }

    [Fact]
    public void A_marker_ends_an_aborted_transaction_of_which_compaction_left_nothing_else()
    {
        byte[] bytes = [.. Marker(2, producer: 1, ControlRecordType.Abort), .. Transactional(3, producer: 1)];
        using var committed = new FetchedRecords(
            bytes, 1, [new FetchResponse.AbortedTransaction { ProducerId = 1, FirstOffset = 0 }], checksCrcs: true);
        Assert.Equal([3], Offsets(committed, 1));
    }

    private static FetchedRecords Open(byte[] bytes, long offset) => new(bytes, offset, null, checksCrcs: true);

    private static List<long> Offsets(FetchedRecords records, long position)
    {
        var offsets = new List<long>();
        while (records.TryRead(position))
            offsets.Add(records.Current.Offset);
        return offsets;
    }

    private static byte[] Transactional(long offset, long producer) => Batch(1, new RecordBatchOptions
    {
        BaseOffset = offset,
        ProducerId = producer,
        ProducerEpoch = 0,
        BaseSequence = 0,
        IsTransactional = true,
    });

    private static byte[] Marker(long offset, long producer, ControlRecordType type) =>
        ControlBatches.BuildEndTransactionMarker(type, 0, producer, 0, StartMs, offset);

    private static (TopicPartition, FetchPosition) At(int partition, long offset, Uuid? id = null) =>
        (new TopicPartition("t", partition), new FetchPosition(id ?? s_topic, offset, 3, 1000));

    private static string Told(FetchRequest request) => string.Join(
        ' ', request.Topics.SelectMany(topic => topic.Partitions).Select(each => $"{each.Partition}@{each.FetchOffset}"));

    private static string Forgotten(FetchRequest request) =>
        string.Join(' ', request.ForgottenTopicsData.SelectMany(topic => topic.Partitions));
}
