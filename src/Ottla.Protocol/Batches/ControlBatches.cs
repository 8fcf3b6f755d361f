using System.Buffers.Binary;

namespace Ottla.Protocol.Batches;

/// <summary>Builds and reads control batches: transaction markers and the Raft log's own records.</summary>
public static class ControlBatches
{
    private const short KeyVersion = 0;
    private const int KeyBytes = 4;
    private const short EndTransactionValueVersion = 0;
    private const int EndTransactionValueBytes = 6;

    /// <summary>Builds the batch with the marker that ends a transaction in one partition.</summary>
    /// <param name="type"><see cref="ControlRecordType.Commit"/> or <see cref="ControlRecordType.Abort"/>.</param>
    /// <param name="coordinatorEpoch">The epoch of the transaction coordinator that decided the outcome.</param>
    /// <param name="producerId">The producer of the transaction.</param>
    /// <param name="producerEpoch">The producer epoch of the decision.</param>
    /// <param name="timestamp">Milliseconds since the epoch.</param>
    /// <param name="baseOffset">The marker's offset.</param>
    /// <param name="partitionLeaderEpoch">The epoch of the appending leader.</param>
    public static byte[] BuildEndTransactionMarker(
        ControlRecordType type,
        int coordinatorEpoch,
        long producerId,
        short producerEpoch,
        long timestamp,
        long baseOffset = 0,
        int partitionLeaderEpoch = RecordBatchLayout.NoPartitionLeaderEpoch)
    {
        if (type is not (ControlRecordType.Commit or ControlRecordType.Abort))
            throw new ArgumentOutOfRangeException(nameof(type), type, "a transaction ends with a commit or an abort");
        Span<byte> value = stackalloc byte[EndTransactionValueBytes];
        BinaryPrimitives.WriteInt16BigEndian(value, EndTransactionValueVersion);
        BinaryPrimitives.WriteInt32BigEndian(value[sizeof(short)..], coordinatorEpoch);
        var options = new RecordBatchOptions
        {
            BaseOffset = baseOffset,
            PartitionLeaderEpoch = partitionLeaderEpoch,
            ProducerId = producerId,
            ProducerEpoch = producerEpoch,
            IsTransactional = true,
            IsControl = true,
        };
        return Build(type, value, timestamp, options);
    }

    /// <summary>
    /// Builds a batch with one control record of the Raft log (leader change, snapshot header or footer, version, voters).
    /// </summary>
    /// <param name="type">The type of the record.</param>
    /// <param name="value">The encoded value: a message with its own version field.</param>
    /// <param name="timestamp">Milliseconds since the epoch.</param>
    /// <param name="baseOffset">The record's offset.</param>
    /// <param name="partitionLeaderEpoch">The Raft leader's epoch.</param>
    public static byte[] BuildRaftControl(
        ControlRecordType type, ReadOnlySpan<byte> value, long timestamp, long baseOffset, int partitionLeaderEpoch)
    {
        var options = new RecordBatchOptions { BaseOffset = baseOffset, PartitionLeaderEpoch = partitionLeaderEpoch, IsControl = true };
        return Build(type, value, timestamp, options);
    }

    /// <summary>The key of a control record.</summary>
    public static byte[] EncodeKey(ControlRecordType type)
    {
        var key = new byte[KeyBytes];
        WriteKey(key, type);
        return key;
    }

    /// <summary>
    /// Reads the type from a control record's key. Returns false when the key is too short or has a negative version. Newer versions are
    /// read like this one.
    /// </summary>
    public static bool TryReadType(ReadOnlySpan<byte> key, out ControlRecordType type)
    {
        type = default;
        if (key.Length < KeyBytes || BinaryPrimitives.ReadInt16BigEndian(key) < KeyVersion)
            return false;
        type = (ControlRecordType)BinaryPrimitives.ReadInt16BigEndian(key[sizeof(short)..]);
        return true;
    }

    /// <summary>
    /// Reads the coordinator's epoch from the value of an end-transaction marker. Returns false when it is too short or has a negative
    /// version.
    /// </summary>
    public static bool TryReadCoordinatorEpoch(ReadOnlySpan<byte> value, out int coordinatorEpoch)
    {
        coordinatorEpoch = 0;
        if (value.Length < EndTransactionValueBytes || BinaryPrimitives.ReadInt16BigEndian(value) < EndTransactionValueVersion)
            return false;
        coordinatorEpoch = BinaryPrimitives.ReadInt32BigEndian(value[sizeof(short)..]);
        return true;
    }

    private static byte[] Build(ControlRecordType type, ReadOnlySpan<byte> value, long timestamp, in RecordBatchOptions options)
    {
        Span<byte> key = stackalloc byte[KeyBytes];
        WriteKey(key, type);
        using var builder = new RecordBatchBuilder(options);
        builder.Append(timestamp, new NullableBytes(key), new NullableBytes(value));
        return builder.Build();
    }

    private static void WriteKey(Span<byte> key, ControlRecordType type)
    {
        BinaryPrimitives.WriteInt16BigEndian(key, KeyVersion);
        BinaryPrimitives.WriteInt16BigEndian(key[sizeof(short)..], (short)type);
    }
}
