using System.Buffers.Binary;
using Ottla.Protocol.Batches;

namespace Ottla.Benchmarks.Load;

/// <summary>What whole batches a fetch brought; a batch that was cut off at the end does not count.</summary>
internal readonly record struct FetchedBatches(int Batches, long Records, long NextOffset)
{
    /// <summary>Walks over the headers.</summary>
    /// <param name="records">The record bytes of a Fetch response.</param>
    /// <param name="offset">The offset that was asked for; batches from before it, which a broker may send in front, bring nothing.</param>
    public static FetchedBatches Walk(ReadOnlySpan<byte> records, long offset)
    {
        var batches = 0;
        var count = 0L;
        while (records.Length >= RecordBatchLayout.HeaderSizeBytes)
        {
            var length = RecordBatchLayout.LogOverheadBytes
                + BinaryPrimitives.ReadInt32BigEndian(records[RecordBatchLayout.LengthOffset..]);
            if (length < RecordBatchLayout.HeaderSizeBytes)
                throw new BenchException($"A batch announces {length} bytes.");
            if (length > records.Length)
                break;
            var next = BinaryPrimitives.ReadInt64BigEndian(records)
                + BinaryPrimitives.ReadInt32BigEndian(records[RecordBatchLayout.LastOffsetDeltaOffset..]) + 1;
            if (next > offset)
            {
                batches++;
                count += BinaryPrimitives.ReadInt32BigEndian(records[RecordBatchLayout.RecordCountOffset..]);
                offset = next;
            }

            records = records[length..];
        }

        return new FetchedBatches(batches, count, offset);
    }
}
