using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;

namespace Ottla.UnitTests.Protocol.Batches;

public sealed class RecordBatchValidatorTests
{
    private static readonly Instant Now = new(TestBatches.Now + 100);
    private static readonly RecordValidationRules Rules = new() { Partition = new TopicPartition("orders", 3) };

    public static TheoryData<CompressionType> Codecs => [.. TestBatches.Codecs];

    [Theory]
    [MemberData(nameof(Codecs))]
    public void CVE_2023_34455_a_compressed_record_may_not_expand_beyond_its_bound_and_a_plain_one_may(CompressionType compression)
    {
        const int valueBytes = 100_000;
        byte[] Batch()
        {
            using var builder = new RecordBatchBuilder(new RecordBatchOptions { Compression = compression });
            builder.Append(TestBatches.Now, "small"u8.ToArray(), "value"u8.ToArray());
            builder.Append(TestBatches.Now, "large"u8.ToArray(), new byte[valueBytes]);
            return builder.Build();
        }

        RecordBatchValidator.Validate(Batch(), Rules with { MaxDecompressedMessageBytes = valueBytes + 100 }, Now).Dispose();
        var bounded = Rules with { MaxDecompressedMessageBytes = valueBytes };
        if (compression == CompressionType.None)
            RecordBatchValidator.Validate(Batch(), bounded, Now).Dispose();
        else
            AssertRefused(Batch(), bounded, ErrorCode.InvalidRecord);
    }

    /// <summary>A record that claims headers by the billion is refused for what it is, and costs no memory.</summary>
    [Fact]
    public void More_headers_than_there_are_bytes_are_refused_without_making_room_for_them()
    {
        var batch = TestBatches.Build(new RecordBatchOptions(), 1);
        byte[] claim = [0xFE, 0xFF, 0xFF, 0xFF, 0x0F]; // int.MaxValue as a zigzag varint
        var body = batch[62..^1]; // without the record's length, and its count of headers, which is zero
        byte[] forged = [.. batch[..61], (byte)((body.Length + claim.Length) * 2), .. body, .. claim];
        System.Buffers.Binary.BinaryPrimitives.WriteInt32BigEndian(forged.AsSpan(8), forged.Length - 12);
        RecordBatchEditor.UpdateCrc(forged);
        AssertRefused(forged, Rules, ErrorCode.InvalidRecord);
        var before = GC.GetAllocatedBytesForCurrentThread();
        AssertRefused(forged, Rules, ErrorCode.InvalidRecord);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 64 * 1024);
    }

    [Theory]
    [MemberData(nameof(Codecs))]
    public void Valid_batches_stay_in_place_and_untouched(CompressionType compression)
    {
        var batch = TestBatches.Build(
            new RecordBatchOptions { Compression = compression, ProducerId = 1, ProducerEpoch = 0, BaseSequence = 5 }, 20);
        var before = batch.ToArray();
        using var validated = RecordBatchValidator.Validate(batch, Rules, Now);
        Assert.Equal(before, validated.Bytes.ToArray());
        Assert.False(validated.IsRewritten);
        Assert.True(validated.Bytes.Span.Overlaps(batch));
        Assert.Equal(
            (1, 20L, TestBatches.Now + 19, compression),
            (validated.BatchCount, validated.RecordCount, validated.MaxTimestamp, validated.CompressionUsed));
    }

    [Theory]
    [InlineData(CompressionType.None)]
    [InlineData(CompressionType.Snappy)]
    [InlineData(CompressionType.Lz4)]
    [InlineData(CompressionType.Zstd)]
    public void Nothing_is_allocated_when_a_batch_stays_in_place(CompressionType compression)
    {
        var batch = TestBatches.Build(new RecordBatchOptions { Compression = compression }, 50);
        for (var i = 0; i < 5; i++)
            RecordBatchValidator.Validate(batch, Rules, Now).Dispose();
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 20; i++)
            RecordBatchValidator.Validate(batch, Rules, Now).Dispose();

        // Pools are shared with tests that run beside this one, so a context or buffer may have to be made anew now and then.
        var perBatch = (GC.GetAllocatedBytesForCurrentThread() - before) / 20;
        Assert.True(perBatch < batch.Length / 4, $"{perBatch} bytes per batch of {batch.Length}");
    }

    [Fact]
    public void Every_codec_is_recompressed_to_every_other_with_its_header_kept()
    {
        foreach (var source in TestBatches.Codecs)
        {
            foreach (var target in TestBatches.Codecs)
            {
                var options =
                    new RecordBatchOptions
                    {
                        Compression = source,
                        ProducerId = 77,
                        ProducerEpoch = 4,
                        BaseSequence = 12,
                        IsTransactional = true
                    };
                var batch = TestBatches.Build(options, 40);
                using var validated = RecordBatchValidator.Validate(batch, Rules with { TargetCompression = target }, Now);
                var view = new RecordBatchView(validated.Bytes.Span);
                Assert.Equal(source != target, validated.IsRewritten);
                Assert.True(view.IsCrcValid);
                Assert.Equal(
                    (target, 77L, (short)4, 12, true, 40),
                    (view.Compression, view.ProducerId, view.ProducerEpoch, view.BaseSequence, view.IsTransactional, view.RecordCount));
                AssertSameRecords(TestBatches.Build(options, 40), validated.Bytes);
            }
        }
    }

    [Fact]
    public void Append_time_replaces_type_and_max_timestamp_in_place()
    {
        foreach (var compression in TestBatches.Codecs)
        {
            var batch = TestBatches.Build(new RecordBatchOptions { Compression = compression }, 5);
            using var validated = RecordBatchValidator.Validate(batch, Rules with { TimestampType = TimestampType.LogAppendTime }, Now);
            var view = new RecordBatchView(validated.Bytes.Span);
            Assert.False(validated.IsRewritten);
            Assert.True(view.IsCrcValid);
            Assert.Equal(
                (TimestampType.LogAppendTime, Now.UnixMilliseconds, Now.UnixMilliseconds),
                (view.TimestampType, view.MaxTimestamp, validated.MaxTimestamp));
        }
    }

    [Fact]
    public void A_wrong_max_timestamp_is_set_right()
    {
        var batch = TestBatches.Build(new RecordBatchOptions(), 5);
        RecordBatchEditor.SetMaxTimestampAndType(batch, TimestampType.LogAppendTime, 12);
        RecordBatchEditor.SetMaxTimestampAndType(batch, TimestampType.CreateTime, 12);
        using var validated = RecordBatchValidator.Validate(batch, Rules, Now);
        Assert.Equal(TestBatches.Now + 4, validated.MaxTimestamp);
        Assert.True(new RecordBatchView(validated.Bytes.Span).IsCrcValid);
    }

    [Theory]
    [InlineData(CompressionType.None)]
    [InlineData(CompressionType.Gzip)]
    public void Wrong_offset_deltas_are_set_right(CompressionType compression)
    {
        using var builder = new RecordBatchBuilder(new RecordBatchOptions { Compression = compression, LastOffsetDelta = 1 });
        builder.AppendWithOffset(3, TestBatches.Now, null, new byte[] { 1 });
        builder.AppendWithOffset(8, TestBatches.Now, null, new byte[] { 2 });
        using var validated = RecordBatchValidator.Validate(builder.Build(), Rules, Now);
        Assert.True(validated.IsRewritten);
        using var reader = new RecordReader(validated.Bytes);
        for (var i = 0; i < 2; i++)
        {
            Assert.True(reader.TryRead(out var record));
            Assert.Equal(i, record.Offset);
            Assert.Equal(i + 1, record.Value[0]);
        }
    }

    [Fact]
    public void An_incomplete_batch_after_the_first_is_cut_off()
    {
        var batch = TestBatches.Build(new RecordBatchOptions(), 2);
        using var validated = RecordBatchValidator.Validate((byte[])[.. batch, .. batch[..40]], Rules, Now);
        Assert.Equal(batch.Length, validated.Bytes.Length);
    }

    [Fact]
    public void Replicated_batches_may_be_many_at_any_offset_and_are_not_touched()
    {
        var first = TestBatches.Build(new RecordBatchOptions { BaseOffset = 5 }, 2);
        var second = TestBatches.Build(new RecordBatchOptions { BaseOffset = 9, Compression = CompressionType.Zstd, IsControl = true }, 3);
        byte[] both = [.. first, .. second];
        var rules =
            Rules with
            {
                Origin = AppendOrigin.Replication,
                Compacted = true,
                MaxMessageBytes = 1,
                TargetCompression = CompressionType.Gzip
            };
        using var validated = RecordBatchValidator.Validate(both.ToArray(), rules, Now);
        Assert.Equal((2, 5L), (validated.BatchCount, validated.RecordCount));
        Assert.Equal(both, validated.Bytes.ToArray());

        both[^1] ^= 1;
        AssertRefused(both, rules, ErrorCode.CorruptMessage);
    }

    [Fact]
    public void Clients_may_not_send_what_kafka_refuses()
    {
        var valid = TestBatches.Build(new RecordBatchOptions(), 3);
        AssertRefused([], Rules, ErrorCode.InvalidRecord);
        AssertRefused(valid[..^1], Rules, ErrorCode.InvalidRecord);
        AssertRefused([.. valid, .. valid], Rules, ErrorCode.InvalidRecord);
        AssertRefused(Patched(valid, b => b[^1] ^= 1, renewCrc: false), Rules, ErrorCode.CorruptMessage);
        AssertRefused(Patched(valid, b => b[16] = 1, renewCrc: false), Rules, ErrorCode.InvalidRecord);
        AssertRefused(
            Patched(valid, b => b[16] = 1, renewCrc: false), Rules with { Origin = AppendOrigin.Coordinator },
            ErrorCode.UnsupportedForMessageFormat);
        AssertRefused(Patched(valid, b => b[16] = 3, renewCrc: false), Rules, ErrorCode.CorruptMessage);
        AssertRefused(Patched(valid, b => b[11] = 13, renewCrc: false), Rules, ErrorCode.CorruptMessage);
        AssertRefused(Patched(valid, b => b[8] = 0xFF, renewCrc: false), Rules, ErrorCode.CorruptMessage);
        AssertRefused(Patched(valid, b => b[7] = 1), Rules, ErrorCode.InvalidRecord); // base offset
        AssertRefused(Patched(valid, b => b[22] |= 0x20), Rules, ErrorCode.InvalidRecord); // control
        AssertRefused(Patched(valid, b => b[22] |= 7), Rules, ErrorCode.UnknownServerError); // an unknown codec
        AssertRefused(Patched(valid, b => b[26] = 3), Rules, ErrorCode.InvalidRecord); // last offset delta
        AssertRefused(Patched(valid, b => b[23] = 0x80), Rules, ErrorCode.InvalidRecord);
        AssertRefused(Patched(valid, b => b[60] = 2), Rules, ErrorCode.InvalidRecord); // record count
        AssertRefused(Patched(valid, b => (b[26], b[60]) = (1, 2)), Rules, ErrorCode.InvalidRecord); // one record too many
        AssertRefused(Patched(valid, b => (b[26], b[60]) = (3, 4)), Rules, ErrorCode.InvalidRecord); // one too few
        AssertRefused(Patched(valid, b => b.AsSpan(43, 8).Clear()), Rules, ErrorCode.InvalidRecord); // producer without sequence
        AssertRefused(valid, Rules with { MaxMessageBytes = valid.Length - 1 }, ErrorCode.MessageTooLarge);
        var zstd = TestBatches.Build(new RecordBatchOptions { Compression = CompressionType.Zstd }, 3);
        AssertRefused(zstd, Rules with { ZstdAllowed = false }, ErrorCode.UnsupportedCompressionType);
        foreach (var codec in new[] { CompressionType.Gzip, CompressionType.Snappy, CompressionType.Lz4, CompressionType.Zstd })
        {
            var compressed = TestBatches.Build(new RecordBatchOptions { Compression = codec }, 3);
            AssertRefused(Patched(compressed, b => b.AsSpan(61).Fill(0xFF)), Rules, ErrorCode.UnknownServerError); // cannot be decompressed
        }
    }

    [Theory]
    [MemberData(nameof(Codecs))]
    public void Compacted_topics_name_every_record_without_a_key(CompressionType compression)
    {
        using var builder = new RecordBatchBuilder(new RecordBatchOptions { Compression = compression });
        for (var i = 0; i < 6; i++)
            builder.Append(TestBatches.Now, i % 2 == 0 ? new byte[] { 1 } : null, new byte[] { 1 });
        var batch = builder.Build();
        RecordBatchValidator.Validate(batch.ToArray(), Rules, Now).Dispose();

        var e = AssertRefused(batch, Rules with { Compacted = true }, ErrorCode.InvalidRecord);
        Assert.Equal([1, 3, 5], e.RecordErrors.Select(r => r.BatchIndex));
        Assert.All(e.RecordErrors,
            r => Assert.Equal("Compacted topic cannot accept message without key in topic partition orders-3", r.Message));
    }

    [Fact]
    public void Timestamps_must_lie_in_the_window()
    {
        var rules = Rules with { TimestampBeforeMaxMs = 1000, TimestampAfterMaxMs = 500 };
        long[] times = [
            Now.UnixMilliseconds - 1000, Now.UnixMilliseconds - 1001, Now.UnixMilliseconds + 500, Now.UnixMilliseconds + 501, -1];
        using var builder = new RecordBatchBuilder(new RecordBatchOptions());
        foreach (var time in times)
            builder.Append(time, null, new byte[] { 1 });
        var e = AssertRefused(builder.Build(), rules, ErrorCode.InvalidTimestamp);
        Assert.Equal([1, 3], e.RecordErrors.Select(r => r.BatchIndex));

        // Append time does not care what the producer's clock said, but the producer may not claim the type.
        RecordBatchValidator.Validate(builder.Build(), rules with { TimestampType = TimestampType.LogAppendTime }, Now).Dispose();
        builder.Reset(new RecordBatchOptions { TimestampType = TimestampType.LogAppendTime, LogAppendTimeMs = Now.UnixMilliseconds });
        builder.Append(Now.UnixMilliseconds, null, new byte[] { 1 });
        AssertRefused(builder.Build(), rules with { TimestampType = TimestampType.LogAppendTime }, ErrorCode.InvalidTimestamp);
    }

    [Fact]
    public void Coordinators_may_write_markers()
    {
        var marker = ControlBatches.BuildEndTransactionMarker(ControlRecordType.Commit, 3, 1, 0, TestBatches.Now);
        AssertRefused(marker.ToArray(), Rules, ErrorCode.InvalidRecord);
        using var validated = RecordBatchValidator.Validate(
            marker.ToArray(), Rules with { Origin = AppendOrigin.Coordinator, TargetCompression = CompressionType.Gzip }, Now);
        Assert.Equal(marker, validated.Bytes.ToArray());
    }

    [Fact]
    public void Compressed_records_are_trusted_when_told_to()
    {
        var zeroes = TestBatches.Wrap(CompressionType.Gzip, 3, new byte[20]);
        AssertRefused(zeroes.ToArray(), Rules, ErrorCode.UnknownServerError);
        using var validated = RecordBatchValidator.Validate(zeroes, Rules with { VerifyCompressedRecords = false }, Now);
        Assert.Equal(3, validated.RecordCount);
    }

    [Fact]
    public void Recompression_is_held_to_the_size_limit()
    {
        using var builder = new RecordBatchBuilder(new RecordBatchOptions { Compression = CompressionType.Zstd });
        builder.Append(TestBatches.Now, null, new byte[50_000]);
        AssertRefused(
            builder.Build(), Rules with { MaxMessageBytes = 10_000, TargetCompression = CompressionType.None }, ErrorCode.MessageTooLarge);
    }

    private static RecordValidationException AssertRefused(byte[] records, RecordValidationRules rules, ErrorCode expected)
    {
        var e = Assert.Throws<RecordValidationException>(() => RecordBatchValidator.Validate(records, rules, Now));
        Assert.True(expected == e.ErrorCode, $"{e.ErrorCode} ({e.Message}) instead of {expected}");
        return e;
    }

    private static byte[] Patched(byte[] batch, Action<byte[]> patch, bool renewCrc = true)
    {
        var copy = batch.ToArray();
        patch(copy);
        if (renewCrc)
            RecordBatchEditor.UpdateCrc(copy);
        return copy;
    }

    private static void AssertSameRecords(ReadOnlyMemory<byte> expectedBatch, ReadOnlyMemory<byte> actualBatch)
    {
        using var expected = new RecordReader(expectedBatch);
        using var actual = new RecordReader(actualBatch);
        while (expected.TryRead(out var e))
        {
            Assert.True(actual.TryRead(out var a));
            Assert.Equal(
                (e.Offset, e.Timestamp, e.Sequence, e.HasKey, e.HasValue, e.HeaderCount),
                (a.Offset, a.Timestamp, a.Sequence, a.HasKey, a.HasValue, a.HeaderCount));
            Assert.True(e.Key.SequenceEqual(a.Key) && e.Value.SequenceEqual(a.Value) && e.RawHeaders.SequenceEqual(a.RawHeaders));
        }

        Assert.False(actual.TryRead(out _));
    }
}
