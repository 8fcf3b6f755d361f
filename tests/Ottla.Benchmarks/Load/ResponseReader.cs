using System.Buffers.Binary;
using Ottla.Protocol;

namespace Ottla.Benchmarks.Load;

/// <summary>
/// Reads the two responses that are measured straight off their bytes, in the versions of <see cref="RequestFrame"/>, for one topic and one
/// partition.
/// </summary>
internal static class ResponseReader
{
    /// <summary>Checks a Produce response.</summary>
    /// <exception cref="BenchException">The produce failed.</exception>
    public static void CheckProduce(ReadOnlySpan<byte> response)
    {
        var position = sizeof(int) + sizeof(int); // correlation id, topics
        position += sizeof(short) + BinaryPrimitives.ReadInt16BigEndian(response[position..]); // topic
        position += sizeof(int) + sizeof(int); // partitions, index
        ThrowIfError("Produce", BinaryPrimitives.ReadInt16BigEndian(response[position..]));
    }

    /// <summary>The record batches of a Fetch response.</summary>
    /// <exception cref="BenchException">The fetch failed.</exception>
    public static ReadOnlySpan<byte> FetchedRecords(ReadOnlySpan<byte> response)
    {
        var position = sizeof(int) + sizeof(int); // correlation id, throttle time
        ThrowIfError("Fetch", BinaryPrimitives.ReadInt16BigEndian(response[position..]));
        position += sizeof(short) + sizeof(int); // session id
        if (BinaryPrimitives.ReadInt32BigEndian(response[position..]) == 0)
            return [];
        position += sizeof(int);
        position += sizeof(short) + BinaryPrimitives.ReadInt16BigEndian(response[position..]); // topic
        position += sizeof(int) + sizeof(int); // partitions, index
        ThrowIfError("Fetch", BinaryPrimitives.ReadInt16BigEndian(response[position..]));
        position += sizeof(short) + (3 * sizeof(long)); // high watermark, last stable offset, log start offset
        var abortedTransactions = BinaryPrimitives.ReadInt32BigEndian(response[position..]);
        position += sizeof(int) + (Math.Max(abortedTransactions, 0) * 2 * sizeof(long));
        position += sizeof(int); // preferred read replica
        var length = BinaryPrimitives.ReadInt32BigEndian(response[position..]);
        return length <= 0 ? [] : response.Slice(position + sizeof(int), length);
    }

    private static void ThrowIfError(string api, short error)
    {
        if (error != (short)ErrorCode.None)
            throw new BenchException($"{api} was answered with {(ErrorCode)error}.");
    }
}
