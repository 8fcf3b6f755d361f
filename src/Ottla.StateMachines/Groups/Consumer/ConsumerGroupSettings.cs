namespace Ottla.StateMachines.Groups.Consumer;

/// <summary>
/// The current settings of one consumer group: its own configs, limited by the broker's bounds, or else the broker's configs.
/// </summary>
public readonly struct ConsumerGroupSettings(GroupContext context, string groupId)
{
    /// <summary><c>consumer.session.timeout.ms</c>: how long a member may go without a heartbeat.</summary>
    public int SessionTimeoutMs => Value(
        "consumer.session.timeout.ms",
        context.Config.GroupConsumerSessionTimeoutMs,
        context.Config.GroupConsumerMinSessionTimeoutMs,
        context.Config.GroupConsumerMaxSessionTimeoutMs);

    /// <summary><c>consumer.heartbeat.interval.ms</c>: how often members send heartbeats.</summary>
    public int HeartbeatIntervalMs => Value(
        "consumer.heartbeat.interval.ms",
        context.Config.GroupConsumerHeartbeatIntervalMs,
        context.Config.GroupConsumerMinHeartbeatIntervalMs,
        context.Config.GroupConsumerMaxHeartbeatIntervalMs);

    /// <summary><c>consumer.assignment.interval.ms</c>: the shortest time between two assignments.</summary>
    public int AssignmentIntervalMs => Value(
        "consumer.assignment.interval.ms",
        context.Config.GroupConsumerAssignmentIntervalMs,
        context.Config.Get("group.consumer.min.assignment.interval.ms").AsInt,
        context.Config.Get("group.consumer.max.assignment.interval.ms").AsInt);

    private int Value(string name, int ofBroker, int min, int max) =>
        GroupConfigValue.Bounded(context.Image, groupId, name, ofBroker, min, max);
}
