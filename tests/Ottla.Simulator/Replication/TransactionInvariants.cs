using System.Buffers.Binary;
using Ottla.Kernel;
using Ottla.Protocol.Batches;

namespace Ottla.Simulator.Replication;

/// <summary>
/// What must hold of the transactions in all committed histories together, by <c>transaction.version</c> 2: C3 of the simulator's
/// invariants. Pure; looks once, at the end of a run.
/// </summary>
/// <remarks>
/// Each transaction has a producer epoch of its own, and its markers have the next one. So the markers of one producer id and epoch end one
/// transaction: all commit it, or all abort it.
/// </remarks>
internal static class TransactionInvariants
{
    private const int MarkerTypeOffset = sizeof(short);

    /// <summary>Looks at all partitions.</summary>
    /// <returns>What is wrong; null when nothing is.</returns>
    public static string? FindBroken(IEnumerable<(TopicPartition Partition, IReadOnlyList<StoredBatch> Batches)> histories)
    {
        var outcomes = new Dictionary<(long ProducerId, short Epoch), (ControlRecordType Type, TopicPartition Partition)>();
        foreach (var (partition, batches) in histories)
        {
            var open = new Dictionary<long, StoredBatch>();
            foreach (var batch in batches)
            {
                if (!batch.IsTransactional)
                    continue;
                if (!batch.IsControl)
                {
                    open.TryAdd(batch.ProducerId, batch);
                    continue;
                }

                var type = TypeOf(batch);
                var transaction = (batch.ProducerId, batch.ProducerEpoch);
                if (!outcomes.TryAdd(transaction, (type, partition)) && outcomes[transaction].Type != type)
                    return $"{partition} has {batch} as {type}, and {outcomes[transaction].Partition} the opposite";
                if (open.Remove(batch.ProducerId, out var begun) && begun.ProducerEpoch > batch.ProducerEpoch)
                    return $"{partition} has {batch}, which ends the later transaction of {begun}";
            }

            if (open.Count > 0)
                return $"a transaction of {partition} is open for ever: {open.Values.First()}";
        }

        return null;
    }

    private static ControlRecordType TypeOf(StoredBatch marker)
    {
        using var reader = new RecordReader(marker.Bytes);
        return reader.TryRead(out var record)
            ? (ControlRecordType)BinaryPrimitives.ReadInt16BigEndian(record.Key[MarkerTypeOffset..])
            : throw new SimulationException($"{marker} is an empty marker");
    }
}
