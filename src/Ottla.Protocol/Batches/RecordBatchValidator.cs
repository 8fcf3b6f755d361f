using Ottla.Kernel;

namespace Ottla.Protocol.Batches;

/// <summary>
/// Checks records before they are appended, and converts them as the topic requires. Stateless; it allocates nothing when records stay in
/// place.
/// </summary>
/// <remarks>
/// It does not assign offsets. The log does that by patching headers, so this code runs outside the log's lock. Compressed batches are
/// expanded piece by piece for the checks; only a rewrite holds all records, at most <see cref="RewrittenBytesMax"/>.
/// </remarks>
public static class RecordBatchValidator
{
    /// <summary>
    /// The most bytes to which a batch may expand for recompression: the size of an uncompressed request (the default of
    /// <c>socket.request.max.bytes</c>). A larger batch is rejected as too large.
    /// </summary>
    public const int RewrittenBytesMax = 100 * 1024 * 1024;

    /// <summary>Checks <paramref name="records"/> and patches or rewrites them as <paramref name="rules"/> require.</summary>
    /// <param name="records">One or more batches. Like in Kafka, an incomplete batch after the first is dropped.</param>
    /// <param name="rules">The rules to check.</param>
    /// <param name="now">The append time, with which create times are compared.</param>
    /// <exception cref="RecordValidationException">The records are invalid.</exception>
    public static ValidatedRecords Validate(Memory<byte> records, in RecordValidationRules rules, Instant now)
    {
        try
        {
            var (batchCount, sizeInBytes) = RecordFrameCheck.CheckFrames(records.Span, rules);
            return ValidateBatches(records[..sizeInBytes], batchCount, rules, now);
        }
        catch (CorruptRecordException e)
        {
            throw new RecordValidationException(e.ErrorCode, $"{e.Message} in topic partition {rules.Partition}", null, e);
        }
    }

    private static ValidatedRecords ValidateBatches(Memory<byte> records, int batchCount, in RecordValidationRules rules, Instant now)
    {
        var recordCount = 0L;
        var maxTimestamp = RecordBatchLayout.NoTimestamp;
        for (var position = 0; position < records.Length;)
        {
            var batch = records.Slice(position, new RecordBatchView(records.Span[position..]).SizeInBytes);
            position += batch.Length;
            RecordFrameCheck.CheckHeader(new RecordBatchView(batch.Span), rules);
            if (rules.Origin is AppendOrigin.Client or AppendOrigin.Coordinator && ValidateRecords(batch, rules, now) is { } rewritten)
                return batchCount == 1 ? Rewritten(rewritten) : throw RefuseRewrite(rewritten, batchCount, rules);

            // Read after the checks, which may have set the max timestamp.
            var view = new RecordBatchView(batch.Span);
            recordCount += view.RecordCount;
            maxTimestamp = Math.Max(maxTimestamp, view.MaxTimestamp);
        }

        return new ValidatedRecords(records, batchCount, recordCount, maxTimestamp, new RecordBatchView(records.Span).Compression, null);
    }

    /// <summary>Checks every record and sets the timestamps that the topic requires.</summary>
    /// <returns>The batch that replaces this one; null when it stays.</returns>
    private static PooledBufferWriter? ValidateRecords(Memory<byte> batch, in RecordValidationRules rules, Instant now)
    {
        var view = new RecordBatchView(batch.Span);

        // Control records stay uncompressed.
        var isControlPlain = view.IsControl && view.Compression == CompressionType.None;
        var mustRecompress = rules.TargetCompression is { } target && target != view.Compression && !isControlPlain;
        var maxTimestamp = view.MaxTimestamp;
        if (view.Compression == CompressionType.None || rules.VerifyCompressedRecords || mustRecompress)
        {
            var scan = Scan(batch, view.TimestampType, mustRecompress, rules, now);
            maxTimestamp = scan.MaxTimestamp;
            if (mustRecompress || !scan.HasConsecutiveOffsets)
                return Rewrite(batch, rules, now);
        }

        if (rules.TimestampType == TimestampType.LogAppendTime)
            maxTimestamp = now.UnixMilliseconds;
        RecordBatchEditor.SetMaxTimestampAndType(batch.Span, rules.TimestampType, maxTimestamp);
        return null;
    }

    private static RecordScan Scan(
        ReadOnlyMemory<byte> batch, TimestampType timestampType, bool mustRecompress, in RecordValidationRules rules, Instant now)
    {
        var scan = new RecordScan(RecordBatchLayout.NoTimestamp, 0, true);
        var errors = default(RecordErrorList);
        using var reader = new RecordReader(batch, outlineSizeBytesMax: rules.MaxDecompressedMessageBytes);
        for (var index = 0; !errors.IsFull && reader.TryReadOutline(out var record); index++)
        {
            errors.Check(record, index, timestampType, rules, now);
            scan = new RecordScan(
                Math.Max(scan.MaxTimestamp, record.Timestamp),
                scan.UncompressedBytes + record.SizeInBytes,
                scan.HasConsecutiveOffsets && record.OffsetDelta == index);
            if (scan.UncompressedBytes > RewrittenBytesMax && (mustRecompress || !scan.HasConsecutiveOffsets))
                throw TooLarge(scan.UncompressedBytes, rules); // whatever follows: small batches may expand to a hundred million records
        }

        errors.ThrowIfAny();
        return scan;
    }

    /// <summary>Builds the batch again with the topic's codec, and corrects the offsets that some clients get wrong.</summary>
    private static PooledBufferWriter Rewrite(ReadOnlyMemory<byte> batch, in RecordValidationRules rules, Instant now)
    {
        var view = new RecordBatchView(batch.Span);
        var options = RecordBatchOptions.Of(view) with
        {
            Compression = rules.TargetCompression ?? view.Compression,
            CompressionLevel = rules.TargetCompression is null ? null : rules.TargetCompressionLevel,
            TimestampType = rules.TimestampType,
            LogAppendTimeMs = now.UnixMilliseconds,
        };
        if (options.ProducerStateFault() is { } fault)
            throw new RecordValidationException(ErrorCode.InvalidRecord, $"{fault} in topic partition {rules.Partition}");
        using var builder = new RecordBatchBuilder(options);
        using (var reader = new RecordReader(batch, RewrittenBytesMax))
        {
            while (reader.TryRead(out var record))
                builder.AppendCopy(builder.NextOffset, record);
        }

        var output = new PooledBufferWriter(batch.Length);
        try
        {
            builder.BuildInto(output);
            RecordFrameCheck.CheckSize(output.WrittenCount, rules);
        }
        catch
        {
            output.Dispose();
            throw;
        }

        return output;
    }

    private static ValidatedRecords Rewritten(PooledBufferWriter batch)
    {
        var view = new RecordBatchView(batch.WrittenSpan);
        return new ValidatedRecords(batch.WrittenMemory, 1, view.RecordCount, view.MaxTimestamp, view.Compression, batch);
    }

    private static RecordValidationException RefuseRewrite(PooledBufferWriter rewritten, int batchCount, in RecordValidationRules rules)
    {
        rewritten.Dispose();
        return new RecordValidationException(
            ErrorCode.InvalidRecord, $"Cannot rewrite an append of {batchCount} batches in topic partition {rules.Partition}: only a "
                + "single batch can be recompressed or converted");
    }

    private static RecordValidationException TooLarge(long uncompressedBytes, in RecordValidationRules rules) => new(
        ErrorCode.MessageTooLarge,
        $"The records of a batch to be recompressed in the append to {rules.Partition} expand to {uncompressedBytes} bytes or more, which "
            + $"exceeds {RewrittenBytesMax}");

    private readonly record struct RecordScan(long MaxTimestamp, long UncompressedBytes, bool HasConsecutiveOffsets);
}
