using System.Text;
using Ottla.Protocol.Batches;
using Record = Ottla.Protocol.Batches.Record;

namespace Ottla.UnitTests.Protocol.Batches;

/// <summary>Logs that Kafka wrote, read batch by batch, against what Kafka's consumer read from them.</summary>
public sealed class GoldenLogTests
{
    public static TheoryData<string, CompressionType?> Partitions => new()
    {
        { "codec-none-0", CompressionType.None },
        { "codec-gzip-0", CompressionType.Gzip },
        { "codec-snappy-0", CompressionType.Snappy },
        { "codec-lz4-0", CompressionType.Lz4 },
        { "codec-zstd-0", CompressionType.Zstd },
        { "recompressed-0", null },
        { "logappend-0", null },
        { "logappend-1", null },
        { "compacted-0", null },
        { "txn-0", null },
        { "partitions-0", null },
        { "partitions-1", null },
        { "partitions-2", null },
        { "plain-0", null },
        { "trimmed-0", null },
    };

    [Theory]
    [MemberData(nameof(Partitions))]
    public void Records_are_what_the_consumer_read(string directory, CompressionType? codec)
    {
        var topic = directory[..directory.LastIndexOf('-')];
        var partition = int.Parse(directory[(topic.Length + 1)..]);
        var expected = GoldenData.Records()
            .Where(r => r.Topic == topic && r.Partition == partition && r.Isolation == "read_uncommitted")
            .ToList();
        var bounds = Assert.Single(
            GoldenData.Partitions(), p => p.Topic == topic && p.Partition == partition && p.Isolation == "read_uncommitted");
        Assert.Equal(bounds.Records, expected.Count);

        var actual = ReadLog(directory, topic, partition, codec).Where(r => r.Offset >= bounds.Low).ToList();

        Assert.Equal(expected.Count, actual.Count);
        for (var i = 0; i < expected.Count; i++)
            Assert.Equal(expected[i] with { Headers = [] }, actual[i] with { Headers = [] });
        for (var i = 0; i < expected.Count; i++)
            Assert.Equal(expected[i].Headers, actual[i].Headers);
    }

    [Fact]
    public void Outlines_have_the_same_sizes_and_times_in_every_log()
    {
        foreach (var batch in GoldenBatches.All())
        {
            using var full = new RecordReader(batch);
            using var outlines = new RecordReader(batch);
            while (full.TryRead(out var expected))
            {
                Assert.True(outlines.TryReadOutline(out var actual));
                Assert.Equal(expected.Offset, actual.Offset);
                Assert.Equal(expected.Timestamp, actual.Timestamp);
                Assert.Equal(expected.OffsetDelta, actual.OffsetDelta);
                Assert.Equal(expected.HasKey, actual.HasKey);
                Assert.Equal(expected.SizeInBytes, actual.SizeInBytes);
            }

            Assert.False(outlines.TryReadOutline(out _));
        }
    }

    [Fact]
    public void Uncompressed_batches_are_rebuilt_to_the_same_bytes()
    {
        var rebuilt = 0;
        foreach (var batch in GoldenBatches.All())
        {
            var view = new RecordBatchView(batch);
            if (view.Compression != CompressionType.None)
                continue;

            byte[] copy;
            if (view.RecordCount == 0)
            {
                copy = RecordBatchHeader.WriteEmptyBatch(RecordBatchOptions.Of(view), view.LastOffsetDelta, view.MaxTimestamp);
            }
            else
            {
                // The record timestamps of an append-time batch are not to be seen through its reader.
                if (view.TimestampType == TimestampType.LogAppendTime)
                    continue;
                using var builder = new RecordBatchBuilder(RecordBatchOptions.Of(view) with
                {
                    DeleteHorizonMs = view.DeleteHorizonMs,
                    LastOffsetDelta = view.LastOffsetDelta,
                });
                using var reader = new RecordReader(batch);
                while (reader.TryRead(out var record))
                    builder.AppendCopy(record.Offset, record);
                copy = builder.Build();
            }

            Assert.Equal(batch, copy);
            rebuilt++;
        }

        Assert.True(rebuilt > 100, $"only {rebuilt} batches were uncompressed");
    }

    [Fact]
    public void Transaction_markers_are_rebuilt_to_the_same_bytes()
    {
        var markers = 0;
        foreach (var batch in GoldenBatches.Of("txn-0"))
        {
            var view = new RecordBatchView(batch);
            if (!view.IsControl)
                continue;
            using var reader = new RecordReader(batch);
            Assert.True(reader.TryRead(out var record));
            Assert.True(ControlBatches.TryReadType(record.Key, out var type));
            Assert.True(ControlBatches.TryReadCoordinatorEpoch(record.Value, out var coordinatorEpoch));

            var built = ControlBatches.BuildEndTransactionMarker(
                type, coordinatorEpoch, view.ProducerId, view.ProducerEpoch, record.Timestamp, view.BaseOffset, view.PartitionLeaderEpoch);
            Assert.Equal(batch, built);
            markers++;
        }

        Assert.True(markers > 1);
    }

    [Fact]
    public void Raft_control_batches_are_rebuilt_to_the_same_bytes()
    {
        var types = new HashSet<ControlRecordType>();
        foreach (var batch in GoldenBatches.Of("__cluster_metadata-0"))
        {
            var view = new RecordBatchView(batch);
            if (!view.IsControl)
                continue;
            using var builder = new RecordBatchBuilder(RecordBatchOptions.Of(view));
            using var reader = new RecordReader(batch);
            byte[] single = [];
            while (reader.TryRead(out var record))
            {
                Assert.True(ControlBatches.TryReadType(record.Key, out var type));
                types.Add(type);
                Assert.Equal(record.Key, ControlBatches.EncodeKey(type));
                builder.AppendCopy(record.Offset, record);
                single = ControlBatches.BuildRaftControl(type, record.Value, record.Timestamp, view.BaseOffset, view.PartitionLeaderEpoch);
            }

            Assert.Equal(batch, builder.Build());
            if (view.RecordCount == 1)
                Assert.Equal(batch, single);
        }

        Assert.Contains(ControlRecordType.LeaderChange, types);
        Assert.Contains(ControlRecordType.SnapshotHeader, types);
        Assert.Contains(ControlRecordType.SnapshotFooter, types);
    }

    private static List<GoldenRecord> ReadLog(string directory, string topic, int partition, CompressionType? codec)
    {
        var records = new List<GoldenRecord>();
        foreach (var batch in GoldenBatches.Of(directory))
        {
            var view = new RecordBatchView(batch);
            Assert.True(view.IsCrcValid);
            if (view.IsControl)
                continue;
            if (codec is not null)
                Assert.Equal(codec, view.Compression);
            var timestampType = (int)view.TimestampType + 1; // the consumer counts from "not available"
            using var reader = new RecordReader(batch);
            while (reader.TryRead(out var record))
                records.Add(ToGolden(record, topic, partition, timestampType));
        }

        return records;
    }

    private static GoldenRecord ToGolden(in Record record, string topic, int partition, int timestampType)
    {
        var headers = new List<(string, string?)>();
        foreach (var header in record.Headers)
            headers.Add((Encoding.UTF8.GetString(header.Key), header.HasValue ? Encoding.UTF8.GetString(header.Value) : null));
        Assert.Equal(record.HeaderCount, headers.Count);
        return new GoldenRecord(
            "read_uncommitted",
            topic,
            partition,
            record.Offset,
            timestampType,
            record.Timestamp,
            record.HasKey ? Encoding.UTF8.GetString(record.Key) : null,
            record.HasValue ? Encoding.UTF8.GetString(record.Value) : null,
            headers);
    }
}
