using System.Text;
using Ottla.Protocol.Batches;

namespace Ottla.UnitTests.Protocol.Batches;

/// <summary>Messages of magic 0 and 1, which old logs have, are read as batches.</summary>
public sealed class OldMessageTests
{
    public static TheoryData<byte, CompressionType> Compressions => new()
    {
        { 0, CompressionType.Gzip }, { 0, CompressionType.Snappy }, { 0, CompressionType.Lz4 },
        { 1, CompressionType.Gzip }, { 1, CompressionType.Snappy }, { 1, CompressionType.Lz4 },
    };

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void AMessageIsABatchOfOneRecord(byte magic)
    {
        var bytes = OldMessages.Message(magic, 7, 1_000, "key", null);
        var view = new RecordBatchView(bytes);
        Assert.True(view.IsCrcValid);
        Assert.Equal((magic, 7L, 7L, 8L, bytes.Length), (view.Magic, view.BaseOffset, view.LastOffset, view.NextOffset, view.SizeInBytes));
        Assert.Equal((magic == 0 ? -1 : 1_000, 1, -1, false), (view.MaxTimestamp, view.RecordCount, view.PartitionLeaderEpoch,
            view.HasProducerId));
        Assert.Equal((false, false, (long?)null), (view.IsControl, view.IsTransactional, view.DeleteHorizonMs));
        Assert.Equal([(7, magic == 0 ? -1 : 1_000, "key", null)], Read(bytes));
        for (var position = RecordBatchLayout.MagicOffset + 1; position < bytes.Length; position++)
        {
            var damaged = (byte[])bytes.Clone();
            damaged[position] ^= 1;
            Assert.False(new RecordBatchView(damaged).IsCrcValid, $"byte {position}");
        }
    }

    [Theory]
    [MemberData(nameof(Compressions))]
    public void ACompressedMessageHasTheRecordsInIt(byte magic, CompressionType codec)
    {
        var bytes = OldMessages.Compressed(magic, 40, codec, isLogAppendTime: false, 1_002, (1_000, "a", "1"), (1_002, null, "2"),
            (1_001, "c", null));
        var view = new RecordBatchView(bytes);
        Assert.True(view.IsCrcValid);
        Assert.Equal((42L, codec, -1), (view.LastOffset, view.Compression, view.RecordCount));
        long At(long timestamp) => magic == 0 ? -1 : timestamp;
        Assert.Equal([(40, At(1_000), "a", "1"), (41, At(1_002), null, "2"), (42, At(1_001), "c", null)], Read(bytes));
    }

    [Fact]
    public void CompactedAwayOffsetsStayMissing() =>
        Assert.Equal([(40, 1, "a", "1"), (44, 2, "b", "2")], Read(OldMessages.CompressedAt(1, [40, 44], CompressionType.Gzip,
            isLogAppendTime: false, 2, (1, "a", "1"), (2, "b", "2"))));

    [Fact]
    public void TheAppendTimeOfTheLogCountsForAllRecords() =>
        Assert.Equal([(5, 9_000, "a", "1"), (6, 9_000, "b", "2")], Read(
            OldMessages.Compressed(1, 5, CompressionType.Snappy, isLogAppendTime: true, 9_000, (1, "a", "1"), (2, "b", "2"))));

    [Fact]
    public void WhatExpandsTooMuchOrIsMalformedIsRefused()
    {
        var bomb = OldMessages.Compressed(1, 0, CompressionType.Gzip, isLogAppendTime: false, 1, (1, "a", new string('x', 100_000)));
        Assert.Throws<CorruptRecordException>(() => Count(bomb, 50_000));
        Assert.Equal(1, Count(bomb, 200_000));
        var mixed = OldMessages.Compressed(1, 3, CompressionType.Gzip, isLogAppendTime: false, 1, (1, "a", "1"));
        mixed[RecordBatchLayout.MagicOffset] = 0;
        Assert.Throws<CorruptRecordException>(() => Count(mixed, 50_000));
        var cut = OldMessages.Message(1, 3, 1, "key", "value");
        Assert.Throws<CorruptRecordException>(() => Count(cut[..^1], 50_000));
        cut[29] = 100; // the key is longer than the message
        Assert.Throws<CorruptRecordException>(() => Count(cut, 50_000));
        Assert.Throws<CorruptRecordException>(() => new RecordBatchView(cut.AsSpan(0, 30)).SizeInBytes);
    }

    private static int Count(byte[] bytes, int expandedBytesMax)
    {
        using var reader = new RecordReader(bytes, expandedBytesMax);
        var count = 0;
        while (reader.TryReadOutline(out _))
            count++;
        return count;
    }

    private static List<(long Offset, long Timestamp, string? Key, string? Value)> Read(byte[] bytes)
    {
        var records = new List<(long, long, string?, string?)>();
        using var reader = new RecordReader(bytes);
        while (reader.TryRead(out var record))
        {
            var key = record.HasKey ? Encoding.UTF8.GetString(record.Key) : null;
            records.Add((record.Offset, record.Timestamp, key, record.HasValue ? Encoding.UTF8.GetString(record.Value) : null));
        }

        return records;
    }
}
