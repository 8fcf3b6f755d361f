namespace Ottla.StateMachines.Share;

/// <summary>How exactly a member wants its limit of records to be kept (KIP-1206). The values are those of ShareFetch.</summary>
public enum ShareAcquireMode : sbyte
{
    /// <summary>Whole batches, until the limit is reached.</summary>
    BatchOptimized = 0,

    /// <summary>No record more than the limit.</summary>
    RecordLimit = 1,
}

/// <summary>A member asks for records of a share partition.</summary>
/// <param name="MemberId">The member.</param>
/// <param name="Mode">How exactly <paramref name="RecordsMax"/> is meant.</param>
/// <param name="RecordsMax">How many records it takes; nothing is acquired below 1.</param>
/// <param name="BatchSize">From how many records on what is acquired is told in several ranges.</param>
/// <param name="FetchOffset">Where the log was read from.</param>
public readonly record struct AcquireRequest(string MemberId, ShareAcquireMode Mode, int RecordsMax, int BatchSize, long FetchOffset);

/// <summary>A record batch that was read from the log.</summary>
/// <param name="BaseOffset">Its first offset.</param>
/// <param name="LastOffset">Its last offset.</param>
/// <param name="IsAborted">Whether a reader of committed records skips it: its transaction was aborted.</param>
public readonly record struct FetchedBatch(long BaseOffset, long LastOffset, bool IsAborted = false);

/// <summary>Offsets that a member holds now.</summary>
/// <param name="FirstOffset">The first offset.</param>
/// <param name="LastOffset">The last offset.</param>
/// <param name="DeliveryCount">How often they were delivered, this time included.</param>
public readonly record struct AcquiredRange(long FirstOffset, long LastOffset, short DeliveryCount);

/// <summary>What a member says of a record. The values are those of ShareAcknowledge.</summary>
public enum AcknowledgeType : sbyte
{
    /// <summary>There is no record at this offset, or none for applications.</summary>
    Gap = 0,

    /// <summary>It is processed.</summary>
    Accept = 1,

    /// <summary>Somebody else may have it, or the member again.</summary>
    Release = 2,

    /// <summary>It can not be processed.</summary>
    Reject = 3,

    /// <summary>The member needs more time (KIP-1222).</summary>
    Renew = 4,
}

/// <summary>Acknowledgements of consecutive offsets.</summary>
/// <param name="FirstOffset">The first offset.</param>
/// <param name="LastOffset">The last offset.</param>
/// <param name="Types">One type for all offsets, or one for each.</param>
public readonly record struct AcknowledgementBatch(long FirstOffset, long LastOffset, IReadOnlyList<sbyte> Types)
{
    /// <summary>What is said of an offset.</summary>
    internal AcknowledgeType TypeOf(long offset) =>
        (AcknowledgeType)(Types.Count == 1 ? Types[0] : Types[(int)(offset - FirstOffset)]);
}
