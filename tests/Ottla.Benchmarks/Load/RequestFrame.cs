using System.Buffers.Binary;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;

namespace Ottla.Benchmarks.Load;

/// <summary>
/// Requests as bytes with their length in front, built before anything is measured. Versions without topic ids and compact lengths, so that
/// fields can be patched in place.
/// </summary>
internal static class RequestFrame
{
    public const int LengthBytes = sizeof(int);
    public const short ProduceVersion = 8;
    public const short FetchVersion = 11;

    private const short HeaderVersion = 1;
    private const short FlexibleHeaderVersion = 2;
    private const string ClientId = "bench";
    private const int CorrelationIdOffset = LengthBytes + (2 * sizeof(short));
    private const int ProduceTimeoutMs = 30_000;

    /// <summary>A request of any API.</summary>
    public static byte[] Encode<TRequest>(TRequest request, short version, int correlationId)
        where TRequest : IRequestMessage<TRequest>
    {
        var headerVersion = version >= TRequest.LowestFlexibleVersion ? FlexibleHeaderVersion : HeaderVersion;
        var header =
            new RequestHeader
            {
                RequestApiKey = (short)TRequest.ApiKey,
                RequestApiVersion = version,
                CorrelationId = correlationId,
                ClientId = ClientId
            };
        byte[] frame = [.. new byte[LengthBytes], .. WireBuffer.Encode(header, headerVersion), .. WireBuffer.Encode(request, version)];
        BinaryPrimitives.WriteInt32BigEndian(frame, frame.Length - LengthBytes);
        return frame;
    }

    /// <summary>Produces <paramref name="batch"/> to a partition.</summary>
    public static byte[] Produce(string topic, int partition, short acks, byte[] batch) => Encode(
        new ProduceRequest
        {
            Acks = acks,
            TimeoutMs = ProduceTimeoutMs,
            TopicData = [new() { Name = topic, PartitionData = [new() { Index = partition, Records = new Records(batch) }] }],
        },
        ProduceVersion,
        correlationId: 0);

    /// <summary>Fetches from a partition, outside of any session, as soon as there is a byte.</summary>
    public static byte[] Fetch(string topic, int partition, int maxBytes, int maxWaitMs, long offset) => Encode(
        new FetchRequest
        {
            MaxWaitMs = maxWaitMs,
            MinBytes = 1,
            MaxBytes = maxBytes,
            Topics = [new() { Topic = topic,
                Partitions = [new() { Partition = partition, FetchOffset = offset, PartitionMaxBytes = maxBytes }] }],
        },
        FetchVersion,
        correlationId: 0);

    /// <summary>
    /// Where the fetch offset is in the frame that <see cref="Fetch"/> makes: the only bytes in which two such frames differ.
    /// </summary>
    public static int FetchOffsetPosition(string topic, int partition, int maxBytes, int maxWaitMs)
    {
        const long marker = 0x5A5A_5A5A_5A5A_5A5A;
        var frame = Fetch(topic, partition, maxBytes, maxWaitMs, marker);
        Span<byte> sought = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64BigEndian(sought, marker);
        return frame.AsSpan().IndexOf(sought);
    }

    public static void SetCorrelationId(Span<byte> frame, int correlationId) =>
        BinaryPrimitives.WriteInt32BigEndian(frame[CorrelationIdOffset..], correlationId);

    /// <summary>An uncompressed batch of about <paramref name="batchBytes"/>, and never more unless one record takes it.</summary>
    public static byte[] Batch(int batchBytes, int recordBytes, long timestampMs, out int records)
    {
        const int recordOverheadBytes = 16;
        using var builder = new RecordBatchBuilder(new RecordBatchOptions());
        var value = new byte[recordBytes];
        var letters = 1u;
        do
        {
            for (var i = 0; i < value.Length; i++)
            {
                letters = (letters * 1_664_525) + 1_013_904_223;
                value[i] = (byte)('a' + ((letters >> 24) % 26));
            }

            builder.Append(timestampMs, NullableBytes.Null, value);
        }
        while (builder.UncompressedSizeInBytes + recordBytes + recordOverheadBytes < batchBytes);
        records = builder.RecordCount;
        return builder.Build();
    }
}
