using System.Text;
using Ottla.Kernel;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Wire;

namespace Ottla.UnitTests.Protocol.Batches;

/// <summary>Batches to test with.</summary>
internal static class TestBatches
{
    public const long Now = 1_767_225_600_000;

    public static readonly CompressionType[] Codecs = [
        CompressionType.None, CompressionType.Gzip, CompressionType.Snappy, CompressionType.Lz4, CompressionType.Zstd];

    /// <summary>A batch of records with keys, values and now and then headers, nulls and large values.</summary>
    public static byte[] Build(RecordBatchOptions options, int recordCount, ulong seed = 1)
    {
        var prng = new Prng(seed);
        using var builder = new RecordBatchBuilder(options);
        for (var i = 0; i < recordCount; i++)
        {
            var value = new byte[prng.NextInt(prng.NextChance(5) ? 50_000 : 100)];
            if (prng.NextChance(50))
                prng.NextBytes(value);
            RecordHeader[] headers = prng.NextChance(20) ? [new RecordHeader("header", [1, 2, 3]), new RecordHeader("none", null)] : [];
            builder.Append(Now + i, Encoding.UTF8.GetBytes($"key-{i}"), prng.NextChance(10) ? null : value, headers);
        }

        return builder.Build();
    }

    /// <summary>A batch around a payload that may be anything.</summary>
    public static byte[] Wrap(CompressionType compression, int recordCount, ReadOnlySpan<byte> payload)
    {
        var batch = new byte[RecordBatchLayout.HeaderSizeBytes + payload.Length];
        payload.CopyTo(batch.AsSpan(RecordBatchLayout.HeaderSizeBytes));
        RecordBatchHeader.Write(batch, new RecordBatchOptions { Compression = compression }, recordCount - 1, Now, Now, recordCount);
        return batch;
    }

    /// <summary>A record's start: its claimed size, no attributes, no deltas.</summary>
    public static byte[] RecordPrefix(int bodySize, params int[] fields)
    {
        var bytes = new byte[Varint.SizeBytesMax32 * (fields.Length + 2)];
        var length = Varint.Write(bytes, bodySize);
        length += 3; // attributes, timestamp delta, offset delta
        foreach (var field in fields)
            length += Varint.Write(bytes.AsSpan(length), field);
        return bytes[..length];
    }

    public static int ReadOutlines(ReadOnlyMemory<byte> batch)
    {
        var count = 0;
        using var reader = new RecordReader(batch);
        while (reader.TryReadOutline(out _))
            count++;
        return count;
    }

    public static int ReadAll(ReadOnlyMemory<byte> batch)
    {
        var count = 0;
        using var reader = new RecordReader(batch);
        while (reader.TryRead(out var record))
        {
            foreach (var header in record.Headers)
                Assert.True(header.Key.Length >= 0);
            count++;
        }

        return count;
    }
}
