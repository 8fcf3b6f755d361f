using System.Buffers.Binary;
using Ottla.Benchmarks;
using Ottla.Benchmarks.Load;
using Ottla.Benchmarks.Scenarios;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;

namespace Ottla.UnitTests.Benchmarks;

public sealed class LoadTests
{
    [Theory]
    [InlineData(262_144, 1000)]
    [InlineData(65_536, 1000)]
    [InlineData(1000, 100)]
    public void A_batch_nearly_fills_its_size(int batchBytes, int recordBytes)
    {
        var batch = RequestFrame.Batch(batchBytes, recordBytes, timestampMs: 1000, out var records);

        Assert.InRange(batch.Length, batchBytes - recordBytes - 16, batchBytes - 1);
        Assert.Equal(records, BinaryPrimitives.ReadInt32BigEndian(batch.AsSpan(RecordBatchLayout.RecordCountOffset)));
        Assert.Equal(
            BinaryPrimitives.ReadUInt32BigEndian(batch.AsSpan(RecordBatchLayout.CrcOffset)),
            Crc32C.Compute(batch.AsSpan(RecordBatchLayout.AttributesOffset)));
    }

    [Fact]
    public void A_produce_frame_is_the_request_with_its_length_in_front()
    {
        var batch = RequestFrame.Batch(1000, 100, timestampMs: 1000, out _);
        var frame = RequestFrame.Produce("t", partition: 3, acks: -1, batch);
        RequestFrame.SetCorrelationId(frame, 42);

        Assert.Equal(frame.Length - RequestFrame.LengthBytes, BinaryPrimitives.ReadInt32BigEndian(frame));
        var reader = new WireReader(frame.AsMemory(RequestFrame.LengthBytes));
        var header = RequestHeader.Read(ref reader, 1);
        var request = ProduceRequest.Read(ref reader, header.RequestApiVersion);
        Assert.Equal((short)ApiKey.Produce, header.RequestApiKey);
        Assert.Equal(42, header.CorrelationId);
        Assert.Equal(3, request.TopicData[0].PartitionData[0].Index);
        Assert.Equal(batch, request.TopicData[0].PartitionData[0].Records.Memory.ToArray());
        Assert.Equal(0, reader.Remaining);
    }

    [Fact]
    public void The_fetch_offset_is_where_it_is_patched()
    {
        var frame = RequestFrame.Fetch("topic", partition: 1, maxBytes: 65_536, maxWaitMs: 500, offset: 0);
        BinaryPrimitives.WriteInt64BigEndian(frame.AsSpan(RequestFrame.FetchOffsetPosition("topic", 1, 65_536, 500)), 123_456_789_012);

        Assert.Equal(RequestFrame.Fetch("topic", partition: 1, maxBytes: 65_536, maxWaitMs: 500, offset: 123_456_789_012), frame);
    }

    [Fact]
    public void A_flexible_version_has_the_tags_of_its_header()
    {
        var plain = RequestFrame.Encode(new MetadataRequest { Topics = [] }, version: 8, correlationId: 1);
        var flexible = RequestFrame.Encode(new MetadataRequest { Topics = [] }, version: 9, correlationId: 1);
        var headerBytes = RequestFrame.LengthBytes + (2 * sizeof(short)) + sizeof(int) + sizeof(short) + "bench".Length;
        Assert.Equal(plain[8..headerBytes], flexible[8..headerBytes]);
        Assert.Equal(0, flexible[headerBytes]); // no tags
        Assert.Equal(1, flexible[headerBytes + 1]); // no topics, in a compact array
    }

    [Fact]
    public void A_failed_produce_is_noticed()
    {
        ResponseReader.CheckProduce(ProduceResponse(ErrorCode.None));
        var failure = Assert.Throws<BenchException>(() => ResponseReader.CheckProduce(ProduceResponse(ErrorCode.NotLeaderOrFollower)));
        Assert.Contains("NotLeaderOrFollower", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Fetched_records_are_found_in_the_response()
    {
        var records = new byte[] { 1, 2, 3, 4, 5 };

        Assert.Equal(records, ResponseReader.FetchedRecords(FetchResponse(records, ErrorCode.None)).ToArray());
        Assert.Equal([], ResponseReader.FetchedRecords(FetchResponse([], ErrorCode.None)).ToArray());
        Assert.Throws<BenchException>(() => { _ = ResponseReader.FetchedRecords(FetchResponse([], ErrorCode.OffsetOutOfRange)); });
    }

    [Fact]
    public void Whole_batches_are_counted_and_cut_ones_are_not()
    {
        var batch = RequestFrame.Batch(1000, 100, timestampMs: 1000, out var records);
        byte[] second = [.. batch];
        BinaryPrimitives.WriteInt64BigEndian(second, records);
        byte[] both = [.. batch, .. second];

        Assert.Equal(new FetchedBatches(2, 2 * records, 2 * records), FetchedBatches.Walk(both, offset: 0));
        Assert.Equal(new FetchedBatches(1, records, records), FetchedBatches.Walk(both.AsSpan(0, both.Length - 1), offset: 0));
        Assert.Equal(new FetchedBatches(1, records, 2 * records), FetchedBatches.Walk(both, offset: records));
        Assert.Equal(new FetchedBatches(0, 0, 7), FetchedBatches.Walk([], offset: 7));
    }

    [Fact]
    public void A_batch_shorter_than_its_header_is_refused()
    {
        var batch = RequestFrame.Batch(1000, 100, timestampMs: 1000, out _);
        BinaryPrimitives.WriteInt32BigEndian(batch.AsSpan(RecordBatchLayout.LengthOffset), 10);

        Assert.Throws<BenchException>(() => FetchedBatches.Walk(batch, offset: 0));
    }

    [Fact]
    public void Every_scenario_can_be_made_small()
    {
        foreach (var scenario in ScenarioCatalog.Select(ScenarioCatalog.Names.ToArray(), isQuick: true))
            Assert.NotEqual(ScenarioCatalog.All.Single(full => full.Name == scenario.Name), scenario);
    }

    [Fact]
    public void Options_are_read_from_the_command_line()
    {
        var options = BenchOptions.Parse(
            ["--only", "e2e-1000,idle", "--rounds", "5", "--broker", "host:9092:77", "--no-floor", "--no-store"])!;

        Assert.Equal(["e2e-1000", "idle"], options.Only);
        Assert.Equal(5, options.Rounds);
        Assert.Equal(new RunningBroker("host", 9092, 77), options.Broker);
        Assert.False(options.HasFloor);
        Assert.False(options.IsStored);
        Assert.Null(BenchOptions.Parse(["--help"]));
    }

    [Theory]
    [InlineData("--only", "no-such-scenario")]
    [InlineData("--rounds", "0")]
    [InlineData("--broker", "host:9092")]
    [InlineData("--rounds")]
    [InlineData("--what", "ever")]
    public void Nonsense_is_refused(params string[] arguments) => Assert.Throws<BenchException>(() => BenchOptions.Parse(arguments));

    private static byte[] ProduceResponse(ErrorCode error) =>
        Response(new ProduceResponse
        {
            Responses = [
            new() { Name = "topic", PartitionResponses = [new() { Index = 1, ErrorCode = (short)error }] }]
        }, RequestFrame.ProduceVersion);

    private static byte[] FetchResponse(byte[] records, ErrorCode error) => Response(
        new FetchResponse
        {
            Responses = [
            new() { Topic = "topic", Partitions = [
                new() { ErrorCode = (short)error, AbortedTransactions = [new() { ProducerId = 1 }], Records = new Records(records) }] }]
        },
        RequestFrame.FetchVersion);

    private static byte[] Response(IMessage response, short version) => [0, 0, 0, 0, .. WireBuffer.Encode(response, version)];
}
