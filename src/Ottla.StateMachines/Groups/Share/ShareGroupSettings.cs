using Ottla.Configuration;
using Ottla.StateMachines.Metadata;

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

    private int Value(string name, int ofBroker) => GroupConfigValue.Bounded(
        image, groupId, $"share.{name}", ofBroker,
        config.Get($"group.share.min.{name}").AsInt, config.Get($"group.share.max.{name}").AsInt);
}
