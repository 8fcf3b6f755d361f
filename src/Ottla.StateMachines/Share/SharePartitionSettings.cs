namespace Ottla.StateMachines.Share;

/// <summary>What a group's configuration says to its share partitions. Immutable; replaced when the configuration changes.</summary>
/// <param name="DeliveryCountLimit"><c>share.delivery.count.limit</c>: How often a record is delivered before it is given up.</param>
/// <param name="RecordLocksMax">
/// <c>share.partition.max.record.locks</c>: From how many offsets between start and end on nothing new is acquired.
/// </param>
/// <param name="LockDurationMs"><c>share.record.lock.duration.ms</c>: How long a member holds what it has acquired.</param>
/// <param name="IsRenewEnabled"><c>share.renew.acknowledge.enable</c>: Whether a member may hold it longer.</param>
/// <param name="HasDeadLetterTopic">Whether records that are given up are copied to a dead letter topic first.</param>
public sealed record SharePartitionSettings(
    int DeliveryCountLimit, int RecordLocksMax, int LockDurationMs, bool IsRenewEnabled, bool HasDeadLetterTopic)
{
    private const int ThrottleCountMin = 2;

    /// <summary>
    /// The delivery count from which on less is delivered at once, so that one bad record does not use up the deliveries of its neighbours.
    /// </summary>
    internal int ThrottleCount => Math.Max(ThrottleCountMin, (DeliveryCountLimit + 1) / 2);

    /// <summary>Whether a record's last delivery is made for it alone.</summary>
    internal bool IsLastDeliveryAlone => DeliveryCountLimit > ThrottleCountMin;
}
