using Ottla.Protocol.Batches;
using Ottla.Protocol.Batches.Compression;

namespace Ottla.UnitTests.Protocol.Batches;

/// <summary>The bound on what compressed data expands to, without expanding it.</summary>
public sealed class ExpandedSizeTests
{
    public static TheoryData<CompressionType> Codecs => [.. TestBatches.Codecs];

    [Theory]
    [MemberData(nameof(Codecs))]
    public void It_bounds_what_is_there_and_is_not_far_off(CompressionType codec)
    {
        foreach (var recordCount in new[] { 1, 10, 1_000, 20_000 })
        {
            var batch = TestBatches.Build(new RecordBatchOptions { Compression = codec }, recordCount);
            var plain = TestBatches.Build(new RecordBatchOptions(), recordCount).Length - RecordBatchLayout.HeaderSizeBytes;
            var bound = ExpandedSize.UpperBound(codec, batch.AsSpan(RecordBatchLayout.HeaderSizeBytes));
            Assert.InRange(bound, plain, (2 * plain) + (256 * 1024));
        }
    }

    [Theory]
    [MemberData(nameof(Codecs))]
    public void CVE_2023_34455_small_data_that_expands_to_much_is_seen(CompressionType codec)
    {
        const int valueBytes = 8 * 1024 * 1024;
        using var builder = new RecordBatchBuilder(new RecordBatchOptions { Compression = codec });
        builder.Append(0, default, new byte[valueBytes]);
        var batch = builder.Build();
        Assert.True(ExpandedSize.UpperBound(codec, batch.AsSpan(RecordBatchLayout.HeaderSizeBytes)) >= valueBytes);
        Assert.True(ValidationCost.EstimateMicroseconds(batch) > 1_000);
    }

    [Theory]
    [MemberData(nameof(Codecs))]
    public void Anything_can_be_measured(CompressionType codec)
    {
        var batch = TestBatches.Build(new RecordBatchOptions { Compression = codec }, 50);
        for (var length = 0; length <= batch.Length; length++)
        {
            Assert.True(ValidationCost.EstimateMicroseconds(batch.AsSpan(0, length)) > 0);
            Assert.True(ExpandedSize.UpperBound(codec, batch.AsSpan(0, length)) >= 0);
        }

        for (var i = RecordBatchLayout.HeaderSizeBytes; i < batch.Length; i++)
        {
            var damaged = batch.ToArray();
            damaged[i] ^= 0xFF;
            Assert.True(ExpandedSize.UpperBound(codec, damaged.AsSpan(RecordBatchLayout.HeaderSizeBytes)) >= 0);
        }
    }

    [Fact]
    public void Ordinary_batches_are_cheap()
    {
        foreach (var codec in TestBatches.Codecs)
            Assert.True(
                ValidationCost.EstimateMicroseconds(TestBatches.Build(new RecordBatchOptions { Compression = codec }, 100)) < 1_000,
                $"{codec}");
    }
}
