namespace Ottla.Broker.Replicas;

/// <summary>What has changed in a replica.</summary>
[Flags]
public enum ReplicaChange
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>The log's end moved.</summary>
    Appended = 1,

    /// <summary>The high watermark moved.</summary>
    HighWatermark = 2,

    /// <summary>The log start offset moved.</summary>
    LogStart = 4,

    /// <summary>The leader or its epoch changed, or the replica is retired.</summary>
    Leadership = 8,
}

/// <summary>Is told what changes in a replica: the fetch session of a follower.</summary>
/// <remarks>
/// Called from any thread, outside of the locks of log and replica, also for changes that are known already. It must be quick, allocate
/// nothing, and not throw.
/// </remarks>
public interface IReplicaObserver
{
    /// <summary>The replica has changed.</summary>
    void OnChange(PartitionReplica replica, ReplicaChange change);
}
