using System.Buffers.Binary;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.StateMachines.Transactions;
using Ottla.Storage.Files;
using Ottla.Storage.Log;

namespace Ottla.Simulator.Bugs;

/// <summary>The bugs that the workload of transactions has to find.</summary>
internal static class BrokerBugs
{
    private const int SnapshotCrcOffset = 2;
    private const int SnapshotCountOffset = 6;

    /// <summary>All of them.</summary>
    public static IReadOnlyList<BrokerBug> All { get; } =
    [
        new("the last stable offset is ignored by committed reads") { Wire = new IgnoredLastStableOffset() },
        new("committed reads are not told of aborted transactions") { Wire = new ForgottenAborts() },
        new("the epoch is not bumped at the end of a transaction") { Wire = new UnbumpedEpoch() },
        new("aborted transactions are not added to the transaction index") { Disk = faults => faults.RewritesWrite = ForgetAborts },
        new("producer snapshots are empty, so that a restart forgets who sent what") { Disk = faults =>
            faults.RewritesWrite = ForgetProducers },
        new("offsets of aborted transactions count after a restart") { Disk = faults =>
            WrittenBatches.CommitAborts(faults, TopicNames.ConsumerOffsets) },
        new("a coordinator that recovers aborts what was committed")
        {
            Disk = faults => WrittenBatches.ChangeTransactions(faults, TopicNames.TransactionState, static value =>
            {
                var isCommit = value.TransactionStatus == (sbyte)TransactionState.PrepareCommit;
                if (isCommit)
                    value.TransactionStatus = (sbyte)TransactionState.PrepareAbort;
                return isCommit;
            }),
        },
        new("a coordinator that recovers completes a transaction before all partitions have their marker")
        {
            Disk = faults => WrittenBatches.ChangeTransactions(faults, TopicNames.TransactionState, static value =>
            {
                var partitions = ((TransactionState)value.TransactionStatus).IsCompleting()
                    ? value.TransactionPartitions?.FirstOrDefault(topic => topic.PartitionIds.Length > 1)?.PartitionIds : null;
                if (partitions is not null)
                    partitions[^1] = partitions[0];
                return partitions is not null;
            }),
        },
        new("what is acknowledged is not flushed, and the power is lost") { Disk = faults => faults.IgnoresFlush = IsFlushOfRecords },
    ];

    private static bool IsFlushOfRecords(FileOperation operation, string path) =>
        operation == FileOperation.Flush && path.EndsWith(LogFileNames.LogSuffix, StringComparison.Ordinal)
        && !path.Contains(TopicNames.ClusterMetadata, StringComparison.Ordinal);

    private static byte[]? ForgetAborts(string path, byte[] written) =>
        path.EndsWith(LogFileNames.TransactionIndexSuffix, StringComparison.Ordinal) ? [] : null;

    private static byte[]? ForgetProducers(string path, byte[] written)
    {
        if (!path.EndsWith(LogFileNames.ProducerSnapshotSuffix, StringComparison.Ordinal))
            return null;
        var empty = written[..(SnapshotCountOffset + sizeof(int))];
        empty.AsSpan(SnapshotCountOffset).Clear();
        BinaryPrimitives.WriteUInt32BigEndian(empty.AsSpan(SnapshotCrcOffset), Crc32C.Compute(empty.AsSpan(SnapshotCountOffset)));
        return empty;
    }
}
