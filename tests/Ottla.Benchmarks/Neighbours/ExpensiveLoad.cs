using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using Ottla.Benchmarks.Load;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Batches.Compression;
using Ottla.Protocol.Messages;

namespace Ottla.Benchmarks.Neighbours;

/// <summary>Something expensive that one client asks for again and again.</summary>
/// <param name="Name">What it is.</param>
/// <param name="PauseMs">How long the client waits after an answer, in milliseconds.</param>
/// <param name="Frame">The request to a topic, with correlation id 0; null for none at all.</param>
internal sealed record ExpensiveLoad(string Name, int PauseMs, Func<string, byte[]?> Frame)
{
    /// <summary>How many clients ask at once.</summary>
    public int Clients { get; init; } = 1;

    /// <summary>Whether it is a Produce request, whose error is told.</summary>
    public bool IsProduce { get; init; }

    private const int TinyRecords = 100_000_000;
    private const int TinyRecordsPerFrame = 1_000_000;
    private const int OrdinaryBatchBytes = 950_000;
    private const int ThirteenASecondMs = 77;
    private const int Names = 20_000;
    private const sbyte TopicResource = 2;

    /// <summary>What is measured.</summary>
    public static IReadOnlyList<ExpensiveLoad> All { get; } =
    [
        new("nobody", 0, static _ => null),
        new(
            "zstd batches of 950 KB, 13/s", ThirteenASecondMs,
            static topic => RequestFrame.Produce(topic, 0, acks: 1, OrdinaryBatch(CompressionType.Zstd))) { IsProduce = true },
        new(
            "gzip batches of 950 KB, 13/s", ThirteenASecondMs,
            static topic => RequestFrame.Produce(topic, 0, acks: 1, OrdinaryBatch(CompressionType.Gzip))) { IsProduce = true },
        new("configs of a topic, 20,000 times", 0, static topic => RequestFrame.Encode(
            new DescribeConfigsRequest { Resources = [
                .. Enumerable.Repeat(
                    new DescribeConfigsRequest.DescribeConfigsResource { ResourceType = TopicResource, ResourceName = topic,
                        ConfigurationKeys = null }, Names)] },
            version: 1,
            correlationId: 0)),
        new("metadata of 20,000 unknown topics", 0, static _ => RequestFrame.Encode(
            new MetadataRequest { Topics = [
                .. Enumerable.Range(0, Names).Select(i => new MetadataRequest.MetadataRequestTopic { Name = $"unknown-{i}" })],
                    AllowAutoTopicCreation = false },
            version: 8,
            correlationId: 0)),
        new("100 million records in 73 KB", 0,
            static topic => RequestFrame.Produce(topic, 0, acks: 1, TinyRecordsBatch())) { IsProduce = true },
        new("the same by 16 clients", 0,
            static topic => RequestFrame.Produce(topic, 0, acks: 1, TinyRecordsBatch())) { Clients = 16, IsProduce = true },
    ];

    /// <summary>Records of text as logs have it, which compress to a tenth or less.</summary>
    private static byte[] OrdinaryBatch(CompressionType compression)
    {
        const int recordBytes = 1_000, words = 2_000, plainBytesStep = 250_000;
        var state = 1u;
        var dictionary = Enumerable.Range(0, words).Select(_ => Encoding.ASCII.GetBytes($"{Next():x8} ")).ToArray();
        for (var plainBytes = plainBytesStep; ; plainBytes += plainBytesStep)
        {
            using var builder = new RecordBatchBuilder(new RecordBatchOptions { Compression = compression });
            while (builder.UncompressedSizeInBytes < plainBytes)
            {
                var value = new byte[recordBytes];
                for (var at = 0; at + 9 <= recordBytes; at += 9)
                    dictionary[Next() % words].CopyTo(value, at);
                builder.Append(DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(), NullableBytes.Null, value);
            }

            var batch = builder.Build();
            if (batch.Length >= OrdinaryBatchBytes)
                return batch;
        }

        uint Next() => (state = (state * 1_664_525) + 1_013_904_223) >> 8;
    }

    /// <summary>Records of 7 bytes without key and value, a million in a frame of zstd, and the frame again and again.</summary>
    private static byte[] TinyRecordsBatch()
    {
        byte[] record = [12, 0, 0, 0, 1, 1, 0];
        var plain = new byte[TinyRecordsPerFrame * record.Length];
        for (var i = 0; i < plain.Length; i += record.Length)
            record.CopyTo(plain, i);
        var frame = new ArrayBufferWriter<byte>();
        var codec = CompressionCodecs.For(CompressionType.Zstd);
        codec.Compress(plain, codec.Levels.Default, frame);

        const int lengthOffset = 8, crcOffset = 17, attributesOffset = 21, countOffset = 57;
        var header = RecordBatchHeader.WriteEmptyBatch(new RecordBatchOptions(), TinyRecords - 1, maxTimestamp: 0);
        byte[] batch =
        [
            .. header, .. Enumerable.Repeat(frame.WrittenMemory.ToArray(), TinyRecords / TinyRecordsPerFrame).SelectMany(bytes => bytes),
        ];
        BinaryPrimitives.WriteInt32BigEndian(batch.AsSpan(lengthOffset), batch.Length - lengthOffset - sizeof(int));
        BinaryPrimitives.WriteInt16BigEndian(batch.AsSpan(attributesOffset), (short)CompressionType.Zstd);
        BinaryPrimitives.WriteInt32BigEndian(batch.AsSpan(countOffset), TinyRecords);
        BinaryPrimitives.WriteUInt32BigEndian(batch.AsSpan(crcOffset), Crc32C.Compute(batch.AsSpan(attributesOffset)));
        return batch;
    }
}
