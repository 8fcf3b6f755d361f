using System.Buffers;
using Ottla.Kernel;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Batches.Compression;
using Ottla.Protocol.Wire;

namespace Ottla.UnitTests.Protocol.Batches;

/// <summary>Broken and hostile batches: nothing but the documented exceptions, and no memory for what is only claimed.</summary>
public sealed class RecordBatchFuzzTests
{
    private const int AllocatedBytesMax = 512 * 1024;
    private static readonly RecordValidationRules Rules = new() { TimestampAfterMaxMs = long.MaxValue };

    public static TheoryData<CompressionType> Codecs => [.. TestBatches.Codecs];

    [Theory]
    [MemberData(nameof(Codecs))]
    public void Mutated_batches_are_read_or_refused(CompressionType compression)
    {
        for (var seed = 1UL; seed <= 3000; seed++)
        {
            var prng = new Prng(seed);
            var batch = TestBatches.Build(new RecordBatchOptions { Compression = compression }, 1 + prng.NextInt(20), seed % 7);
            Mutate(batch, prng);
            RecordBatchEditor.UpdateCrc(batch);
            CheckSafe(batch, $"{compression}, seed {seed}");
        }
    }

    [Fact]
    public void Random_and_truncated_bytes_are_refused()
    {
        for (var seed = 1UL; seed <= 3000; seed++)
        {
            var prng = new Prng(seed);
            var payload = new byte[prng.NextInt(200)];
            prng.NextBytes(payload);
            CheckSafe(payload, $"random, seed {seed}");
            foreach (var compression in TestBatches.Codecs)
                CheckSafe(TestBatches.Wrap(compression, 1 + prng.NextInt(5), payload), $"{compression} payload, seed {seed}");

            var whole = TestBatches.Build(new RecordBatchOptions { Compression = (CompressionType)prng.NextInt(5) }, 3, seed % 5);
            CheckSafe(whole[..prng.NextInt(whole.Length)], $"truncated, seed {seed}");
        }
    }

    [Fact]
    public void Lying_lengths_cost_no_memory()
    {
        byte[][] records =
        [
            TestBatches.RecordPrefix(int.MaxValue),
            TestBatches.RecordPrefix(200_000_000),
            TestBatches.RecordPrefix(20, int.MaxValue),
            TestBatches.RecordPrefix(20, -1, int.MaxValue),
            TestBatches.RecordPrefix(20, -1, -1, int.MaxValue),
            TestBatches.RecordPrefix(100_000_000, -1, -1, int.MaxValue),
            TestBatches.RecordPrefix(20, int.MinValue, int.MinValue, int.MinValue),
            TestBatches.RecordPrefix(-5),
        ];
        foreach (var record in records)
        {
            foreach (var compression in TestBatches.Codecs)
            {
                var batch = TestBatches.Wrap(compression, int.MaxValue, Compress(compression, [.. record, .. new byte[30]]));
                var before = GC.GetAllocatedBytesForCurrentThread();
                Assert.Throws<CorruptRecordException>(() => TestBatches.ReadAll(batch));
                Assert.Throws<CorruptRecordException>(() => TestBatches.ReadOutlines(batch));
                AssertSmall(GC.GetAllocatedBytesForCurrentThread() - before, $"{compression}, {Convert.ToHexString(record)}");
            }
        }
    }

    [Fact]
    public void A_snappy_block_that_claims_too_much_costs_no_memory()
    {
        var claim = new byte[Varint.SizeBytesMax32 + 20];
        Varint.WriteUnsigned(claim, uint.MaxValue);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Throws<CorruptRecordException>(() => TestBatches.ReadAll(TestBatches.Wrap(CompressionType.Snappy, 1, claim)));
        AssertSmall(GC.GetAllocatedBytesForCurrentThread() - before, "snappy claim");
    }

    [Theory]
    [InlineData(CompressionType.Gzip)]
    [InlineData(CompressionType.Lz4)]
    [InlineData(CompressionType.Zstd)]
    public void Bombs_cost_time_but_no_memory(CompressionType compression)
    {
        // One record with a value of 300 MB of zeroes, which is well formed.
        const int valueBytes = 300_000_000;
        var prefix = TestBatches.RecordPrefix(3 + Varint.SizeOf(-1) + Varint.SizeOf(valueBytes) + valueBytes + 1, -1, valueBytes);
        var bomb = TestBatches.Wrap(compression, 1, Compress(compression, [.. prefix, .. new byte[valueBytes + 1]]));
        Assert.True(bomb.Length < 2_000_000, $"{bomb.Length}");
        GC.Collect();

        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Equal(1, TestBatches.ReadOutlines(bomb));
        RecordBatchValidator.Validate(bomb, Rules with { MaxMessageBytes = int.MaxValue }, new Instant(TestBatches.Now)).Dispose();
        AssertSmall(GC.GetAllocatedBytesForCurrentThread() - before, "skipping");

        // Where the record would have to be held, it is refused before it is.
        var rewrite = Rules with { MaxMessageBytes = int.MaxValue, TargetCompression = CompressionType.None };
        Assert.Throws<RecordValidationException>(() => RecordBatchValidator.Validate(bomb, rewrite, new Instant(TestBatches.Now)));
        Assert.Throws<CorruptRecordException>(() => TestBatches.ReadAll(bomb));
        AssertSmall(GC.GetAllocatedBytesForCurrentThread() - before, "rewriting and reading");
    }

    [Fact]
    public void Many_faulty_records_make_a_bounded_answer()
    {
        var record = TestBatches.RecordPrefix(7 - 1, -1, -1, 0);
        var records = Enumerable.Repeat(record, 200_000).SelectMany(b => b).ToArray();
        var batch = TestBatches.Wrap(CompressionType.Zstd, 200_000, Compress(CompressionType.Zstd, records));
        var e = Assert.Throws<RecordValidationException>(
            () => RecordBatchValidator.Validate(batch, Rules with { Compacted = true }, new Instant(TestBatches.Now)));
        Assert.Equal(RecordErrorList.ErrorsMax, e.RecordErrors.Count);
    }

    private static void Mutate(byte[] batch, Prng prng)
    {
        for (var i = 1 + prng.NextInt(4); i > 0; i--)
        {
            // The length field stays: it is the frame that is cut elsewhere.
            var position = prng.NextChance(15)
                ? prng.NextInt(RecordBatchLayout.AttributesOffset, RecordBatchLayout.HeaderSizeBytes)
                : prng.NextInt(RecordBatchLayout.HeaderSizeBytes, batch.Length);
            batch[position] = prng.NextChance(30) ? (byte)0xFF : (byte)prng.NextUInt64();
        }
    }

    private static void CheckSafe(byte[] batch, string what)
    {
        // A copy without slack around it, so that reading past the end throws.
        try
        {
            var full = Attempt<CorruptRecordException>(() => TestBatches.ReadAll(batch));
            var skipped = Attempt<CorruptRecordException>(() => TestBatches.ReadOutlines(batch));
            Assert.Equal(full, skipped);
            Attempt<RecordValidationException>(() => Validate(batch, Rules));
            Attempt<RecordValidationException>(
                () => Validate(batch, Rules with { TargetCompression = CompressionType.Lz4, Compacted = true }));
        }
        catch (Exception e)
        {
            throw new InvalidOperationException(what, e);
        }
    }

    private static int Validate(byte[] batch, RecordValidationRules rules)
    {
        using var validated = RecordBatchValidator.Validate(batch.ToArray(), rules, new Instant(TestBatches.Now));
        return validated.BatchCount;
    }

    private static int? Attempt<TException>(Func<int> action)
        where TException : Exception
    {
        try
        {
            return action();
        }
        catch (TException)
        {
            return null;
        }
    }

    private static void AssertSmall(long allocatedBytes, string what) =>
        Assert.True(allocatedBytes < AllocatedBytesMax, $"{what}: {allocatedBytes} bytes allocated");

    private static byte[] Compress(CompressionType compression, byte[] input)
    {
        if (compression == CompressionType.None)
            return input;
        var codec = CompressionCodecs.For(compression);
        var output = new ArrayBufferWriter<byte>();
        codec.Compress(input, codec.Levels.Default, output);
        return output.WrittenSpan.ToArray();
    }
}
