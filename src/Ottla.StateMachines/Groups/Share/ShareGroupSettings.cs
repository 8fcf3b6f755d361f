using Ottla.Configuration;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Share;

namespace Ottla.StateMachines.Groups.Share;

/// <summary>
/// The current settings of one share group: its own configs, limited by the broker's bounds, or else the broker's configs.
/// </summary>
public readonly struct ShareGroupSettings(MetadataImage image, BrokerConfig config, string groupId)
{
    /// <summary><c>share.session.timeout.ms</c>: how long a member may go without a heartbeat.</summary>
    public int SessionTimeoutMs => Value("session.timeout.ms", config.GroupShareSessionTimeoutMs);

    /// <summary><c>share.heartbeat.interval.ms</c>: how often members send heartbeats.</summary>
    public int HeartbeatIntervalMs => Value("heartbeat.interval.ms", config.GroupShareHeartbeatIntervalMs);

    /// <summary><c>share.assignment.interval.ms</c>: the shortest time between two assignments.</summary>
    public int AssignmentIntervalMs => Value("assignment.interval.ms", config.GroupShareAssignmentIntervalMs);

    /// <summary><c>share.auto.offset.reset</c>: where the group begins in a partition without state.</summary>
    public ShareOffsetReset OffsetReset =>
        Text("share.auto.offset.reset") is { } text && ShareOffsetReset.TryParse(text) is { } reset ? reset : default;

    /// <summary><c>share.isolation.level</c>: whether records of open and aborted transactions are left out.</summary>
    public bool ReadsCommitted => Text("share.isolation.level") == "read_committed";

    /// <summary><c>share.record.lock.duration.ms</c>: how long a member holds what it has acquired.</summary>
    public int RecordLockDurationMs => Value("record.lock.duration.ms", config.GroupShareRecordLockDurationMs);

    /// <summary>What leaders of partitions go by.</summary>
    public SharePartitionSettings ForPartitions => new(
        Value("delivery.count.limit", config.GroupShareDeliveryCountLimit),
        Value("partition.max.record.locks", config.GroupSharePartitionMaxRecordLocks),
        RecordLockDurationMs,
        IsRenewEnabled: Text("share.renew.acknowledge.enable") is not { } enabled || bool.Parse(enabled),
        HasDeadLetterTopic: false);

    private string? Text(string name) => GroupConfigValue.Text(image, groupId, name);

    private int Value(string name, int ofBroker) => GroupConfigValue.Bounded(
        image, groupId, $"share.{name}", ofBroker,
        config.Get($"group.share.min.{name}").AsInt, config.Get($"group.share.max.{name}").AsInt);
}
