using Ottla.Protocol.Batches.Compression;

namespace Ottla.Protocol.Batches;

/// <summary>The checks of batches that do not read records: frames, checksums and header fields. Stateless.</summary>
internal static class RecordFrameCheck
{
    /// <summary>Finds the complete batches at the start of <paramref name="records"/>.</summary>
    /// <returns>Their number and their bytes.</returns>
    /// <exception cref="RecordValidationException">
    /// There is no batch, there are more than the origin may send, or one is invalid.
    /// </exception>
    public static (int BatchCount, int SizeInBytes) CheckFrames(ReadOnlySpan<byte> records, in RecordValidationRules rules)
    {
        var position = 0;
        var batchCount = 0;
        while (TryMeasure(records[position..], rules, out var size))
        {
            if (batchCount > 0 && rules.Origin == AppendOrigin.Client)
                throw WrongRequest(
                    $"Produce requests with version {rules.ProduceVersion} are only allowed to contain exactly one record batch per "
                    + "partition");
            position += size;
            batchCount++;
        }

        if (batchCount == 0)
            throw WrongRequest($"Produce requests with version {rules.ProduceVersion} must have at least one record batch per partition");
        return (batchCount, position);
    }

    /// <summary>Checks the header and the checksum of one batch in Kafka's order.</summary>
    public static void CheckHeader(RecordBatchView batch, in RecordValidationRules rules)
    {
        var isFromClient = rules.Origin == AppendOrigin.Client;
        if (isFromClient && batch.Compression == CompressionType.Zstd && !rules.ZstdAllowed)
            throw new RecordValidationException(
                ErrorCode.UnsupportedCompressionType, $"Produce requests with version {rules.ProduceVersion} are not allowed to use "
                    + "ZStandard compression")
            { IsOfRequest = true };
        if (isFromClient && batch.BaseOffset != 0)
            throw Invalid(
                $"The baseOffset of the record batch in the append to {rules.Partition} should be 0, but it is {batch.BaseOffset}");
        if (rules.Origin != AppendOrigin.Replication)
            CheckSize(batch.SizeInBytes, rules);
        if (!batch.IsCrcValid)
            throw new RecordValidationException(
                ErrorCode.CorruptMessage, $"Record is corrupt (stored crc = {batch.Crc}) in topic partition {rules.Partition}.")
            { Fault = RecordFault.Checksum };
        if (!CompressionCodecs.IsKnown(batch.Compression))
            throw new RecordValidationException(ErrorCode.UnknownServerError, $"Unknown compression type id: {(int)batch.Compression}");
        if (isFromClient)
            CheckClientHeader(batch, rules);
    }

    /// <summary>Checks a batch's size against <c>max.message.bytes</c>.</summary>
    public static void CheckSize(int sizeInBytes, in RecordValidationRules rules)
    {
        if (sizeInBytes > rules.MaxMessageBytes)
        {
            throw new RecordValidationException(
                ErrorCode.MessageTooLarge,
                $"The record batch size in the append to {rules.Partition} is {sizeInBytes} bytes which exceeds the maximum configured "
                + $"value of {rules.MaxMessageBytes}.");
        }
    }

    private static bool TryMeasure(ReadOnlySpan<byte> records, in RecordValidationRules rules, out int sizeInBytes)
    {
        if (!RecordBatchView.TryReadSize(records, out sizeInBytes, out var magic))
        {
            if (records.Length < RecordBatchLayout.SizeAndMagicBytes)
                return false;
            throw Corrupt($"Invalid record batch size in topic partition {rules.Partition}");
        }

        if (magic > RecordBatchLayout.CurrentMagic)
            throw new RecordValidationException(ErrorCode.CorruptMessage, $"Invalid magic found in record: {(sbyte)magic}")
            { Fault = RecordFault.MagicNumber };
        if (sizeInBytes > records.Length)
            return false;
        if (magic < RecordBatchLayout.CurrentMagic)
            throw WrongMagic(magic, rules);
        if (sizeInBytes < RecordBatchLayout.HeaderSizeBytes)
            throw Corrupt(
                $"Record batch is corrupt (the size {sizeInBytes} is smaller than the minimum allowed overhead "
                + $"{RecordBatchLayout.HeaderSizeBytes})");
        return true;
    }

    private static void CheckClientHeader(RecordBatchView batch, in RecordValidationRules rules)
    {
        var countFromOffsets = (long)batch.LastOffsetDelta + 1;
        if (countFromOffsets <= 0)
            throw Invalid(
                $"Batch has an invalid offset range: [{batch.BaseOffset}, {batch.LastOffset}] in topic partition {rules.Partition}");
        if (batch.RecordCount <= 0)
            throw Invalid($"Invalid reported count for record batch: {batch.RecordCount} in topic partition {rules.Partition}");
        if (countFromOffsets != batch.RecordCount)
            throw Invalid(
                $"Inconsistent batch offset range [{batch.BaseOffset}, {batch.LastOffset}] and count of records {batch.RecordCount} in "
                + $"topic partition {rules.Partition}");
        if (batch.IsControl)
            throw Invalid($"Clients are not allowed to write control records in topic partition {rules.Partition}");
        if (batch.HasProducerId && batch.BaseSequence < 0)
            throw Invalid(
                $"Invalid sequence number {batch.BaseSequence} in record batch with producerId {batch.ProducerId} in topic partition "
                + $"{rules.Partition}");
    }

    private static RecordValidationException WrongMagic(byte magic, in RecordValidationRules rules) =>
        rules.Origin == AppendOrigin.Client
            ? WrongRequest(
                $"Produce requests with version {rules.ProduceVersion} are only allowed to contain record batches with magic version 2",
                RecordFault.MagicNumber)
            : new RecordValidationException(ErrorCode.UnsupportedForMessageFormat,
                $"Record batch with magic {magic} in topic partition {rules.Partition}; only magic 2 can be appended")
            { Fault = RecordFault.MagicNumber };

    private static RecordValidationException Invalid(string message) =>
        new(ErrorCode.InvalidRecord, message) { Fault = RecordFault.OffsetOrSequence };

    private static RecordValidationException WrongRequest(string message, RecordFault fault = RecordFault.Other) =>
        new(ErrorCode.InvalidRecord, message) { IsOfRequest = true, Fault = fault };

    private static RecordValidationException Corrupt(string message) => new(ErrorCode.CorruptMessage, message);
}
