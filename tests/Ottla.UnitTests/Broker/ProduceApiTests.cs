using System.Text;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Broker;

public sealed class ProduceApiTests
{
    [Fact]
    public async Task Every_version_appends()
    {
        var (node, client, id) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        var expected = 0L;
        foreach (var version in TestConnection.VersionsOf<ProduceResponse>())
        {
            foreach (var acks in new short[] { 1, -1 })
            {
                var response = await client.CallAsync<ProduceRequest, ProduceResponse>(Produce("t", id, Batch(2), version, acks), version);
                var topic = Assert.Single(response.Responses);
                Assert.Equal(version < FirstVersionWithTopicIds ? "t" : "", topic.Name);
                Assert.Equal(version < FirstVersionWithTopicIds ? Uuid.Zero : id, topic.TopicId);
                var partition = Assert.Single(topic.PartitionResponses);
                AssertError(ErrorCode.None, partition.ErrorCode);
                Assert.Equal(expected, partition.BaseOffset);
                Assert.Equal(-1, partition.LogAppendTimeMs);
                Assert.Equal(version >= 5 ? 0 : -1, partition.LogStartOffset);
                expected += 2;
            }
        }
    }

    [Fact]
    public async Task Every_version_reports_bad_records()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        var id = await client.CreateTopicAsync("compacted", 1, ("cleanup.policy", "compact"));
        foreach (var version in TestConnection.VersionsOf<ProduceResponse>())
        {
            var response = await client.CallAsync<ProduceRequest, ProduceResponse>(
                Produce("compacted", id, WithoutKey(), version), version);
            var partition = response.Responses[0].PartitionResponses[0];
            AssertError(ErrorCode.InvalidRecord, partition.ErrorCode);
            Assert.Equal(-1, partition.BaseOffset);
            if (version < 8)
                continue;
            Assert.Equal([1], partition.RecordErrors.Select(error => error.BatchIndex));
            Assert.NotNull(partition.ErrorMessage);
        }
    }

    [Theory]
    [InlineData(2)]
    [InlineData(-2)]
    [InlineData(short.MaxValue)]
    public async Task Other_acks_are_refused(short acks)
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        AssertError(ErrorCode.InvalidRequiredAcks, (await client.ProduceAsync("t", Batch(), acks)).ErrorCode);
        Assert.Equal(0, (await client.ProduceAsync("t", Batch())).BaseOffset);
    }

    [Fact]
    public async Task Records_that_are_wrong_are_refused()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await client.CreateTopicAsync("small", 1, ("max.message.bytes", "200"));
        await client.CreateTopicAsync("present", 1, ("message.timestamp.after.max.ms", "1000"));

        var badCrc = Batch();
        badCrc[^1] ^= 1;
        AssertError(ErrorCode.CorruptMessage, (await client.ProduceAsync("t", badCrc)).ErrorCode);

        var wrongCount = Batch(3);
        wrongCount[RecordBatchLayout.RecordCountOffset + 3] = 2;
        RecordBatchEditor.UpdateCrc(wrongCount);
        AssertError(ErrorCode.InvalidRecord, (await client.ProduceAsync("t", wrongCount)).ErrorCode);

        AssertError(ErrorCode.InvalidRecord, (await client.ProduceAsync("t", [.. Batch(), .. Batch()])).ErrorCode);
        AssertError(ErrorCode.MessageTooLarge, (await client.ProduceAsync("small", Batch(valueBytes: 200))).ErrorCode);
        AssertError(ErrorCode.None, (await client.ProduceAsync("small", Batch())).ErrorCode);
        var future = await client.ProduceAsync("present", Batch(timestampMs: node.Clock.NowMs + 1001));
        AssertError(ErrorCode.InvalidTimestamp, future.ErrorCode);
        Assert.Equal([0], future.RecordErrors.Select(error => error.BatchIndex));
        AssertError(ErrorCode.None, (await client.ProduceAsync("present", Batch(timestampMs: node.Clock.NowMs + 1000))).ErrorCode);
        Assert.Equal(0, (await client.ProduceAsync("t", Batch())).BaseOffset);
    }

    [Fact]
    public async Task Zstd_needs_version_7()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        var zstd = Batch(options: new RecordBatchOptions { Compression = CompressionType.Zstd });
        AssertError(ErrorCode.UnsupportedCompressionType, (await client.ProduceAsync("t", zstd, version: 6)).ErrorCode);
        AssertError(ErrorCode.None, (await client.ProduceAsync("t", zstd, version: 7)).ErrorCode);
    }

    [Fact]
    public async Task Sequences_of_idempotent_producers()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        Assert.Equal(0, (await Send(0, 0, 2)).BaseOffset);
        Assert.Equal(2, (await Send(0, 2, 1)).BaseOffset);
        var duplicate = await Send(0, 0, 2);
        AssertError(ErrorCode.None, duplicate.ErrorCode);
        Assert.Equal(0, duplicate.BaseOffset);
        AssertError(ErrorCode.OutOfOrderSequenceNumber, (await Send(0, 9, 1)).ErrorCode);
        Assert.Equal(3, (await Send(1, 0, 1)).BaseOffset);
        AssertError(ErrorCode.InvalidProducerEpoch, (await Send(0, 3, 1)).ErrorCode);

        Task<ProduceResponse.PartitionProduceResponse> Send(short epoch, int sequence, int count) =>
            client.ProduceAsync(
                "t", Batch(count, new RecordBatchOptions { ProducerId = 7, ProducerEpoch = epoch, BaseSequence = sequence }));
    }

    [Fact]
    public async Task Transactional_batches_without_a_transactional_id_are_refused()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        var batch = Batch(options: new RecordBatchOptions { ProducerId = 7, ProducerEpoch = 0, BaseSequence = 0, IsTransactional = true });
        AssertError(ErrorCode.TransactionalIdAuthorizationFailed, (await client.ProduceAsync("t", batch)).ErrorCode);

        // The request fails as a whole, whatever else is in it.
        var mixed = Produce("t", Uuid.Zero, Batch(), 9);
        mixed.TopicData = [.. mixed.TopicData, .. Produce("none", Uuid.Zero, batch, 9).TopicData];
        var response = await client.CallAsync<ProduceRequest, ProduceResponse>(mixed, 9);
        Assert.Equal(["t", "none"], response.Responses.Select(topic => topic.Name));
        Assert.All(response.Responses,
            topic => AssertError(ErrorCode.TransactionalIdAuthorizationFailed, topic.PartitionResponses[0].ErrorCode));
        Assert.Equal(0, (await client.FetchAsync("t", 0)).HighWatermark);
    }

    [Fact]
    public async Task Unknown_topics_and_partitions()
    {
        var (node, client, id) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        AssertError(ErrorCode.UnknownTopicOrPartition, (await client.ProduceAsync("nowhere", Batch())).ErrorCode);
        AssertError(ErrorCode.UnknownTopicOrPartition, (await client.ProduceAsync("t", Batch(), partition: 1)).ErrorCode);
        AssertError(ErrorCode.UnknownTopicOrPartition, (await client.ProduceAsync("t", Batch(), partition: -1)).ErrorCode);
        AssertError(ErrorCode.UnknownTopicId, await ById(Uuid.NewRandom(), 0));
        AssertError(ErrorCode.UnknownTopicOrPartition, await ById(id, 1));

        async Task<short> ById(Uuid topicId, int partition) =>
            (await client.CallAsync<ProduceRequest, ProduceResponse>(Produce("", topicId, Batch(), 13, partition: partition), 13))
            .Responses[0].PartitionResponses[0].ErrorCode;
    }

    [Fact]
    public async Task Too_few_in_sync_replicas_refuse_acks_all_only()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await client.CreateTopicAsync("two", 1, ("min.insync.replicas", "2"));
        var replica = node.Replica("two");
        replica.Update(TestReplicas.After(replica, replicas: [replica.Leadership.LeaderId, 77]));
        AssertError(ErrorCode.NotEnoughReplicas, (await client.ProduceAsync("two", Batch(), acks: -1)).ErrorCode);
        Assert.Equal(0, (await client.ProduceAsync("two", Batch(), acks: 1)).BaseOffset);
        Assert.Equal(0, replica.Log.HighWatermark); // what too few hold is not shown
    }

    [Fact]
    public async Task No_more_in_sync_replicas_are_needed_than_there_are_replicas()
    {
        await using var node = await TestNode.StartAsync(
            [.. TransactionCalls.FewPartitions, ("min.insync.replicas", "3"), ("transaction.state.log.min.isr", "2")]);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t", 1, ("min.insync.replicas", "2"));
        AssertError(ErrorCode.None, (await client.ProduceAsync("t", Batch(), acks: -1)).ErrorCode);
        Assert.Equal(1, (await client.ProduceAsync("t", Batch(), acks: 1)).BaseOffset);
        Assert.Equal([0L, 1L], BaseOffsets((await client.FetchAsync("t", 0)).Records));

        var producer = await client.BeginAsync();
        AssertError(ErrorCode.None, (await client.ProduceInTransactionAsync(producer, 0)).ErrorCode);
        AssertError(ErrorCode.None, (await client.EndAsync(producer, commit: true)).ErrorCode);
        await client.AwaitStateAsync("CompleteCommit");
    }

    /// <summary>As in Kafka: where the log itself refused, but for a few errors; not where it was never asked.</summary>
    [Fact]
    public async Task A_refusal_says_where_the_log_starts()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        await client.CreateTopicAsync("small", 1, ("max.message.bytes", "200"));
        await client.CreateTopicAsync("compacted", 1, ("cleanup.policy", "compact"));
        for (var i = 0; i < 2; i++)
            await client.ProduceAsync("t", Batch());
        node.Replica("t").Log.AdvanceLogStartOffset(1, leaderEpoch: 0);

        await RefusedAsync(ErrorCode.InvalidTimestamp, 1, Batch(timestampMs: StartMs + 86_400_000));
        await RefusedAsync(ErrorCode.InvalidRecord, 1, Batch(options: new RecordBatchOptions { IsControl = true }));
        await RefusedAsync(ErrorCode.InvalidRecord, 1, Changed(7, 5)); // its base offset
        await RefusedAsync(ErrorCode.InvalidRecord, 0, BatchWithoutKey(), "compacted");
        await RefusedAsync(ErrorCode.CorruptMessage, -1, Changed(Batch().Length - 1, 1));
        await RefusedAsync(ErrorCode.MessageTooLarge, -1, Batch(valueBytes: 500), "small");
        await RefusedAsync(ErrorCode.InvalidRecord, -1, []);
        await RefusedAsync(ErrorCode.InvalidRecord, -1, [.. Batch(), .. Batch()]);
        await RefusedAsync(ErrorCode.UnknownTopicOrPartition, -1, Batch(), partition: 9);
        AssertError(ErrorCode.None, (await client.ProduceAsync("t", Numbered(epoch: 1, 0))).ErrorCode);
        await RefusedAsync(ErrorCode.OutOfOrderSequenceNumber, 1, Numbered(epoch: 1, 9));
        await RefusedAsync(ErrorCode.InvalidProducerEpoch, 1, Numbered(epoch: 0, 1));
        var replica = node.Replica("t");
        replica.Update(TestReplicas.After(replica, replicas: [replica.Leadership.LeaderId, 77], isr: []));
        await RefusedAsync(ErrorCode.NotEnoughReplicas, 1, Batch(), acks: -1);

        async Task RefusedAsync(ErrorCode error, long logStartOffset, byte[] records, string topic = "t", int partition = 0, short acks = 1)
        {
            var answer = await client.ProduceAsync(topic, records, acks, version: 9, partition);
            AssertError(error, answer.ErrorCode);
            Assert.Equal((error, logStartOffset), (error, answer.LogStartOffset));
        }

        static byte[] Numbered(short epoch, int sequence) =>
            Batch(1, new RecordBatchOptions { ProducerId = 4711, ProducerEpoch = epoch, BaseSequence = sequence });

        static byte[] Changed(int at, byte by)
        {
            var batch = Batch();
            batch[at] ^= by;
            return batch;
        }

        static byte[] BatchWithoutKey()
        {
            using var builder = new RecordBatchBuilder(new RecordBatchOptions());
            builder.Append(StartMs, default, new byte[1]);
            return builder.Build();
        }
    }

    [Fact]
    public async Task The_append_time_is_told_where_it_counts()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await client.CreateTopicAsync("stamped", 1, ("message.timestamp.type", "LogAppendTime"));
        node.Clock.AdvanceMs(5000);
        Assert.Equal(node.Clock.NowMs, (await client.ProduceAsync("stamped", Batch())).LogAppendTimeMs);
    }

    [Fact]
    public async Task A_bad_partition_does_not_keep_the_others_from_being_appended()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await client.CreateTopicAsync("u", 2);
        var request = Produce("u", Uuid.Zero, Batch(), 9);
        var bad = Batch();
        bad[^1] ^= 1;
        request.TopicData[0].PartitionData =
        [
            new ProduceRequest.PartitionProduceData { Index = 0, Records = new(bad) },
            new ProduceRequest.PartitionProduceData { Index = 1, Records = new(Batch()) },
        ];
        var response = await client.CallAsync<ProduceRequest, ProduceResponse>(request, 9);
        Assert.Equal(
            [(0, (short)ErrorCode.CorruptMessage), (1, (short)0)],
            response.Responses[0].PartitionResponses.Select(each => (each.Index, each.ErrorCode)));
    }

    [Fact]
    public async Task No_records_at_all_are_refused_and_the_connection_goes_on()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        var request = Produce("t", Uuid.Zero, [], 9);
        Assert.NotEqual(
            0, (await client.CallAsync<ProduceRequest, ProduceResponse>(request, 9)).Responses[0].PartitionResponses[0].ErrorCode);
        request.TopicData[0].PartitionData[0].Records = default; // null
        Assert.NotEqual(
            0, (await client.CallAsync<ProduceRequest, ProduceResponse>(request, 9)).Responses[0].PartitionResponses[0].ErrorCode);
        await client.AssertAliveAsync();
    }

    private static byte[] WithoutKey()
    {
        using var builder = new RecordBatchBuilder(new RecordBatchOptions());
        builder.Append(StartMs, Encoding.UTF8.GetBytes("key"), new byte[1]);
        builder.Append(StartMs, NullableBytes.Null, new byte[1]);
        return builder.Build();
    }
}
