using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;

namespace Ottla.Simulator.Interleaving;

/// <summary>What a fetch of one partition brought.</summary>
/// <param name="Error">Kafka's error.</param>
/// <param name="Batches">The whole batches.</param>
/// <param name="Aborted">The aborted transactions that it names: producer and first offset.</param>
internal sealed record FetchedRecords(
    ErrorCode Error, IReadOnlyList<ReadOnlyMemory<byte>> Batches, IReadOnlyList<(long ProducerId, long FirstOffset)> Aborted)
{
    /// <summary>Reads and gives back what the response holds.</summary>
    public static FetchedRecords Of(FetchResponse.PartitionData partition)
    {
        var batches = new List<ReadOnlyMemory<byte>>();
        if (partition.Records.Slice is { } slice)
        {
            using (slice)
            {
                var bytes = new byte[slice.Length];
                slice.Read(0, bytes);
                for (ReadOnlyMemory<byte> rest = bytes; RecordBatchView.TryReadSize(rest.Span, out var size, out _)
                    && size <= rest.Length; rest = rest[size..])
                    batches.Add(rest[..size]);
            }
        }

        return new FetchedRecords(
            (ErrorCode)partition.ErrorCode,
            batches,
            [.. (partition.AbortedTransactions ?? []).Select(aborted => (aborted.ProducerId, aborted.FirstOffset))]);
    }
}
