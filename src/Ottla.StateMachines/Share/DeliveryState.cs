namespace Ottla.StateMachines.Share;

/// <summary>What has become of a record in a share group. The values are those of Kafka's messages and records.</summary>
public enum DeliveryState : sbyte
{
    /// <summary>It may be delivered.</summary>
    Available = 0,

    /// <summary>A member holds it. Only the leader of the partition knows that: it is never written.</summary>
    Acquired = 1,

    /// <summary>A member has accepted it. Final.</summary>
    Acknowledged = 2,

    /// <summary>It is given up, and is still to be copied to the dead letter topic.</summary>
    Archiving = 3,

    /// <summary>It is given up, or there is nothing to deliver. Final.</summary>
    Archived = 4,
}

/// <summary>Questions to a <see cref="DeliveryState"/>.</summary>
public static class DeliveryStates
{
    /// <summary>Whether the record is done with: the start offset may move past it.</summary>
    public static bool IsFinal(this DeliveryState state) => state is DeliveryState.Acknowledged or DeliveryState.Archived;
}
