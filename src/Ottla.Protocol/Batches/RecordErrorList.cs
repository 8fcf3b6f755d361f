using Ottla.Kernel;

namespace Ottla.Protocol.Batches;

/// <summary>Collects the errors of a batch's records. It allocates only from the first error on. Lives for one batch.</summary>
internal struct RecordErrorList
{
    /// <summary>
    /// The most errors to list, because a batch of small records could otherwise cause a response far larger than itself.
    /// </summary>
    public const int ErrorsMax = 1000;

    private const int ErrorsShown = 3;

    private List<RecordError>? _errors;
    private bool _hasInvalidTimestamp;
    private int _missingKeyCount;

    /// <summary>Whether the list is full, so that the check can stop.</summary>
    public readonly bool IsFull => _errors is { Count: >= ErrorsMax };

    public readonly bool IsEmpty => _errors is null;

    /// <summary>Checks one record in Kafka's order: first the key, then the timestamp.</summary>
    public void Check(in RecordOutline record, int index, TimestampType batchTimestampType, in RecordValidationRules rules, Instant now)
    {
        if (!rules.Compacted || record.HasKey)
        {
            CheckTimestamp(record, index, batchTimestampType, rules, now.UnixMilliseconds);
            return;
        }

        _missingKeyCount++;
        Add(index, $"Compacted topic cannot accept message without key in topic partition {rules.Partition}");
    }

    /// <exception cref="RecordValidationException">There were errors.</exception>
    public readonly void ThrowIfAny()
    {
        if (_errors is null)
            return;
        var fault = _missingKeyCount > 0 ? RecordFault.MissingKey : RecordFault.Other;
        if (_hasInvalidTimestamp)
            throw new RecordValidationException(
                ErrorCode.InvalidTimestamp, "One or more records have been rejected due to invalid timestamp", _errors)
            { Fault = fault, FaultCount = _missingKeyCount };
        var shown =
            string.Join(", ", _errors.Take(ErrorsShown).Select(e => $"RecordError(batchIndex={e.BatchIndex}, message='{e.Message}')"));
        throw new RecordValidationException(
            ErrorCode.InvalidRecord,
            $"One or more records have been rejected due to {_errors.Count} record errors in total, and only showing the first three "
            + $"errors at most: [{shown}]",
            _errors)
        { Fault = fault, FaultCount = _missingKeyCount };
    }

    private void CheckTimestamp(
        in RecordOutline record, int index, TimestampType batchTimestampType, in RecordValidationRules rules, long now)
    {
        if (rules.TimestampType == TimestampType.CreateTime && record.Timestamp != RecordBatchLayout.NoTimestamp)
        {
            var age = unchecked(now - record.Timestamp);
            if (age <= rules.TimestampBeforeMaxMs && unchecked(-age) <= rules.TimestampAfterMaxMs)
                return;
            var earliest = new Instant(now).AddMilliseconds(-rules.TimestampBeforeMaxMs);
            var latest = new Instant(now).AddMilliseconds(rules.TimestampAfterMaxMs);
            Add(
                index,
                $"Timestamp {record.Timestamp} of message with offset {record.Offset} is out of range. The timestamp should be within "
                + $"[{earliest.UnixMilliseconds}, {latest.UnixMilliseconds}]");
            _hasInvalidTimestamp = true;
        }
        else if (batchTimestampType == TimestampType.LogAppendTime)
        {
            Add(index,
                $"Invalid timestamp type in message with offset {record.Offset}. Producer should not set timestamp type to LogAppendTime.");
            _hasInvalidTimestamp = true;
        }
    }

    private void Add(int index, string message) => (_errors ??= []).Add(new RecordError(index, message));
}
