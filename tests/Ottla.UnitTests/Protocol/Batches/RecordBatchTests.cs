using CsCheck;
using Ottla.Protocol;
using Ottla.Protocol.Batches;

namespace Ottla.UnitTests.Protocol.Batches;

public sealed class RecordBatchTests
{
    private static readonly Gen<byte[]?> NullableBytesGen = Gen.Frequency(
        (1, Gen.Const(() => (byte[]?)null)), (6, Gen.Byte.Array[0, 60].Select(b => (byte[]?)b)),
        (1, Gen.Byte.Array[20_000, 40_000].Select(b => (byte[]?)b)));

    private static readonly Gen<(byte[]? Key, byte[]? Value, (string Key, byte[]? Value)[] Headers, long Timestamp)> RecordGen =
        Gen.Select(NullableBytesGen, NullableBytesGen, Gen.Select(Gen.String[0, 10], NullableBytesGen).Array[0, 3],
            Gen.Long[-1, long.MaxValue]);

    [Fact]
    public void What_is_built_is_read_back_with_every_codec()
    {
        Gen.Select(Gen.Enum<CompressionType>(), RecordGen.Array[1, 12], Gen.Long[0, long.MaxValue - 100], Gen.Int[0, int.MaxValue]).Sample(
            (compression, records, baseOffset, sequence) => CheckRoundTrip(compression, records, baseOffset, sequence),
            seed: "0001KOIcNaa2",
            iter: 500,
            threads: 1);
    }

    [Fact]
    public void Header_fields_are_where_kafka_puts_them()
    {
        var batch = TestBatches.Build(
            new RecordBatchOptions
            {
                BaseOffset = 0x0102030405060708,
                PartitionLeaderEpoch = 0x11121314,
                ProducerId = 0x2122232425262728,
                ProducerEpoch = 0x3132,
                BaseSequence = int.MaxValue - 1,
                IsTransactional = true,
            },
            recordCount: 3);
        var view = new RecordBatchView(batch);

        Assert.Equal(batch.Length, view.SizeInBytes);
        Assert.True(view.IsCrcValid);
        Assert.Equal(0x0102030405060708, view.BaseOffset);
        Assert.Equal(0x010203040506070A, view.LastOffset);
        Assert.Equal(view.LastOffset + 1, view.NextOffset);
        Assert.Equal(0x11121314, view.PartitionLeaderEpoch);
        Assert.Equal(2, view.Magic);
        Assert.Equal(0x10, view.Attributes);
        Assert.Equal(2, view.LastOffsetDelta);
        Assert.Equal(TestBatches.Now, view.BaseTimestamp);
        Assert.Equal(TestBatches.Now + 2, view.MaxTimestamp);
        Assert.Equal(0x2122232425262728, view.ProducerId);
        Assert.Equal(0x3132, view.ProducerEpoch);
        Assert.Equal(int.MaxValue - 1, view.BaseSequence);
        Assert.Equal(0, view.LastSequence); // wrapped
        Assert.Equal(3, view.RecordCount);
        Assert.Null(view.DeleteHorizonMs);
        Assert.Equal("0102030405060708", Convert.ToHexString(batch.AsSpan(0, 8)));
        Assert.Equal("1112131402", Convert.ToHexString(batch.AsSpan(12, 5)));
        Assert.Equal("212223242526272831327FFFFFFE00000003", Convert.ToHexString(batch.AsSpan(43, 18)));
    }

    [Fact]
    public void Offsets_and_epochs_are_outside_the_checksum_and_timestamps_inside()
    {
        var batch = TestBatches.Build(default(RecordBatchOptions) with { ProducerId = -1, ProducerEpoch = -1, BaseSequence = -1 }, 4);
        var crc = new RecordBatchView(batch).Crc;
        RecordBatchEditor.SetLastOffset(batch, 1003);
        RecordBatchEditor.SetPartitionLeaderEpoch(batch, 7);
        Assert.Equal(1000, new RecordBatchView(batch).BaseOffset);
        Assert.Equal(7, new RecordBatchView(batch).PartitionLeaderEpoch);
        Assert.True(new RecordBatchView(batch).IsCrcValid);
        Assert.Equal(crc, new RecordBatchView(batch).Crc);

        Assert.True(RecordBatchEditor.SetMaxTimestampAndType(batch, TimestampType.LogAppendTime, 99));
        Assert.False(RecordBatchEditor.SetMaxTimestampAndType(batch, TimestampType.LogAppendTime, 99));
        Assert.NotEqual(crc, new RecordBatchView(batch).Crc);
        Assert.True(new RecordBatchView(batch).IsCrcValid);
        using var reader = new RecordReader(batch);
        Assert.True(reader.TryRead(out var record));
        Assert.Equal(99, record.Timestamp);
    }

    [Fact]
    public void Sizes_that_no_batch_has_are_not_read()
    {
        var batch = TestBatches.Build(new RecordBatchOptions(), 1);
        Assert.True(RecordBatchView.TryReadSize(batch.AsSpan(0, 17), out var size, out var magic));
        Assert.Equal((batch.Length, 2), (size, magic));
        Assert.False(RecordBatchView.TryReadSize(batch.AsSpan(0, 16), out _, out _));
        foreach (var length in (int[])[-1, int.MinValue, 13, int.MaxValue, int.MaxValue - 11])
        {
            System.Buffers.Binary.BinaryPrimitives.WriteInt32BigEndian(batch.AsSpan(8), length);
            Assert.False(RecordBatchView.TryReadSize(batch, out _, out _));
            Assert.False(new RecordBatchView(batch).IsCrcValid);
        }
    }

    [Theory]
    [InlineData(int.MaxValue, 1, 0)]
    [InlineData(int.MaxValue - 5, 10, 4)]
    [InlineData(0, 3, 3)]
    public void Sequences_wrap_after_the_greatest(int sequence, int increment, int expected)
    {
        Assert.Equal(expected, RecordBatchLayout.IncrementSequence(sequence, increment));
        Assert.Equal(sequence, RecordBatchLayout.DecrementSequence(expected, increment));
    }

    [Fact]
    public void An_empty_batch_keeps_its_offsets_and_has_no_records()
    {
        var batch = RecordBatchHeader.WriteEmptyBatch(
            new RecordBatchOptions { BaseOffset = 50, ProducerId = 3, ProducerEpoch = 1, BaseSequence = 9 }, 9, 123);
        var view = new RecordBatchView(batch);
        Assert.True(view.IsCrcValid);
        Assert.Equal((61, 59L, 18, 0), (view.SizeInBytes, view.LastOffset, view.LastSequence, view.RecordCount));
        Assert.Equal(0, TestBatches.ReadAll(batch));
    }

    [Theory]
    [InlineData(CompressionType.None)]
    [InlineData(CompressionType.Zstd)]
    public void Left_over_and_missing_records_are_noticed(CompressionType compression)
    {
        var batch = TestBatches.Build(new RecordBatchOptions { Compression = compression }, 10);
        foreach (var count in (int[])[9, 11, -1, int.MaxValue])
        {
            System.Buffers.Binary.BinaryPrimitives.WriteInt32BigEndian(batch.AsSpan(RecordBatchLayout.RecordCountOffset), count);
            Assert.Equal(ErrorCode.InvalidRecord, Assert.Throws<CorruptRecordException>(() => TestBatches.ReadAll(batch)).ErrorCode);
            Assert.Equal(ErrorCode.InvalidRecord, Assert.Throws<CorruptRecordException>(() => TestBatches.ReadOutlines(batch)).ErrorCode);
        }
    }

    [Fact]
    public void Delete_horizon_takes_the_base_timestamp()
    {
        using var builder = new RecordBatchBuilder(new RecordBatchOptions { DeleteHorizonMs = 5000, LastOffsetDelta = 9 });
        builder.AppendWithOffset(4, 7000, new byte[] { 1 }, null);
        var batch = builder.Build();
        var view = new RecordBatchView(batch);
        Assert.Equal((5000L, 5000L, 7000L, 9), (view.DeleteHorizonMs, view.BaseTimestamp, view.MaxTimestamp, view.LastOffsetDelta));
        using var reader = new RecordReader(batch);
        Assert.True(reader.TryRead(out var record));
        Assert.Equal((4L, 7000L, true, false), (record.Offset, record.Timestamp, record.HasKey, record.HasValue));
    }

    [Fact]
    public void Producer_state_that_makes_no_sense_is_refused()
    {
        Assert.Throws<ArgumentException>(() => new RecordBatchBuilder(new RecordBatchOptions { IsTransactional = true }));
        Assert.Throws<ArgumentException>(() => new RecordBatchBuilder(new RecordBatchOptions { ProducerId = 1 }));
        Assert.Throws<ArgumentException>(() => new RecordBatchBuilder(new RecordBatchOptions { ProducerId = 1, ProducerEpoch = 0 }));
        Assert.Throws<ArgumentOutOfRangeException>(
            () => ControlBatches.BuildEndTransactionMarker(ControlRecordType.KRaftVersion, 1, 1, 1, 1));
    }

    private static void CheckRoundTrip(
        CompressionType compression, (byte[]? Key, byte[]? Value, (string Key, byte[]? Value)[] Headers, long Timestamp)[] records,
        long baseOffset, int sequence)
    {
        using var builder = new RecordBatchBuilder(new RecordBatchOptions
        {
            Compression = compression,
            BaseOffset = baseOffset,
            ProducerId = 1,
            ProducerEpoch = 2,
            BaseSequence = sequence,
        });
        var expectedSize = RecordBatchLayout.HeaderSizeBytes;
        for (var i = 0; i < records.Length; i++)
        {
            var (key, value, headerPairs, timestamp) = records[i];
            RecordHeader[] headers = [.. headerPairs.Select(h => new RecordHeader(h.Key, h.Value))];
            builder.Append(timestamp, key, value, headers);
            expectedSize += RecordBatchBuilder.SizeOf(i, unchecked(timestamp - records[0].Timestamp), key, value, headers);
            Assert.Equal(expectedSize, builder.UncompressedSizeInBytes);
        }

        var batch = builder.Build();
        var view = new RecordBatchView(batch);
        Assert.True(view.IsCrcValid);
        Assert.Equal(compression, view.Compression);
        Assert.Equal(records.Max(r => r.Timestamp), view.MaxTimestamp);
        using var reader = new RecordReader(batch);
        for (var i = 0; i < records.Length; i++)
        {
            Assert.True(reader.TryRead(out var record));
            Assert.Equal(baseOffset + i, record.Offset);
            Assert.Equal(records[i].Timestamp, record.Timestamp);
            Assert.Equal(RecordBatchLayout.IncrementSequence(sequence, i), record.Sequence);
            AssertField(records[i].Key, record.Key, record.HasKey);
            AssertField(records[i].Value, record.Value, record.HasValue);
            Assert.Equal(records[i].Headers.Length, record.HeaderCount);
            var header = record.Headers;
            foreach (var (key, value) in records[i].Headers)
            {
                Assert.True(header.MoveNext());
                AssertField(System.Text.Encoding.UTF8.GetBytes(key), header.Current.Key, true);
                AssertField(value, header.Current.Value, header.Current.HasValue);
            }

            Assert.False(header.MoveNext());
        }

        Assert.False(reader.TryRead(out _));
    }

    private static void AssertField(byte[]? expected, ReadOnlySpan<byte> actual, bool hasValue)
    {
        Assert.Equal(expected is not null, hasValue);
        Assert.True(actual.SequenceEqual(expected));
    }
}
