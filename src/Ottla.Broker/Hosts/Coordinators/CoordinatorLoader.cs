using System.Buffers;
using Microsoft.Extensions.Logging;
using Ottla.Broker.Replicas;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.StateMachines.Coordinators;

namespace Ottla.Broker.Hosts.Coordinators;

/// <summary>Reads a coordinator's log from its start to its end into an empty machine. Made for one load.</summary>
/// <param name="replica">The replica whose log is read.</param>
/// <param name="serde">Reads the records.</param>
/// <param name="mayGoOn">Whether the load should continue: this node still leads the partition.</param>
/// <param name="logger">For records of unknown types.</param>
internal sealed partial class CoordinatorLoader(PartitionReplica replica, CoordinatorRecordSerde serde, Func<bool> mayGoOn, ILogger logger)
{
    /// <summary>Loads. Goes on elsewhere after each read: the log may be long.</summary>
    /// <returns>The end of the log, where the next record goes; null when the load was abandoned.</returns>
    /// <exception cref="CorruptRecordException">A batch is damaged.</exception>
    /// <exception cref="ProtocolException">A record is malformed.</exception>
    /// <exception cref="Ottla.Storage.Log.LogException">The log cannot be read.</exception>
    public async Task<long?> LoadAsync<TCommand>(ICoordinatorMachine<TCommand> machine, int bufferBytes)
    {
        var log = replica.Log;
        var offset = log.LogStartOffset;
        while (offset < log.LogEndOffset)
        {
            await Task.Yield();
            if (!mayGoOn())
                return null;
            var end = log.LogEndOffset;
            if (log.Read(offset, bufferBytes, minOneBatch: true, end).Slice is not { } slice)
                return end; // compaction has removed everything up to the end
            using (slice)
                offset = Replay(slice, machine);
        }

        return mayGoOn() ? offset : null;
    }

    private long Replay<TCommand>(IFileSlice slice, ICoordinatorMachine<TCommand> machine)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(slice.Length);
        try
        {
            var bytes = buffer.AsMemory(0, slice.Length);
            slice.Read(0, bytes.Span);
            long nextOffset;
            do
            {
                var batch = new RecordBatchView(bytes.Span);
                if (!batch.IsCrcValid)
                    throw new CorruptRecordException(
                        ErrorCode.CorruptMessage,
                        $"The batch at offset {batch.BaseOffset} of {replica.Partition} does not match its checksum.");
                nextOffset = batch.NextOffset;
                var size = batch.SizeInBytes;
                Replay(bytes[..size], machine);
                bytes = bytes[size..];
            }
            while (bytes.Length > 0);
            return nextOffset;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private void Replay<TCommand>(ReadOnlyMemory<byte> bytes, ICoordinatorMachine<TCommand> machine)
    {
        var batch = new RecordBatchView(bytes.Span);
        var producer = new ProducerIdAndEpoch(batch.ProducerId, batch.ProducerEpoch);
        var transaction = batch.IsTransactional ? producer : ProducerIdAndEpoch.None;
        using var reader = new RecordReader(bytes);
        while (reader.TryRead(out var record))
        {
            if (!batch.IsControl)
                Replay(record, transaction, machine);
            else if (ControlBatches.TryReadType(record.Key, out var type) && type is ControlRecordType.Commit or ControlRecordType.Abort)
                machine.ApplyMarker(producer, type == ControlRecordType.Commit);
        }
    }

    private void Replay<TCommand>(in Record record, ProducerIdAndEpoch transaction, ICoordinatorMachine<TCommand> machine)
    {
        try
        {
            machine.Apply(record.Offset, serde.Decode(record), transaction);
        }
        catch (UnknownRecordTypeException e)
        {
            LogUnknownType(replica.Partition, record.Offset, e.Message); // as Kafka does: left over from an upgrade that was reverted
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Skipped a record of {Partition} at offset {Offset} while loading: {Reason}")]
    private partial void LogUnknownType(TopicPartition partition, long offset, string reason);
}
