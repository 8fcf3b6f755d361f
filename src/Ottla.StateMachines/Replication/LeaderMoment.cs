using Ottla.Kernel;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Replication;

/// <summary>What surrounds the leader of a partition when it decides: its log, its configs, the brokers and the time.</summary>
/// <param name="EndOffset">The end of its log.</param>
/// <param name="HighWatermark">Its high watermark.</param>
/// <param name="MinInSyncReplicas"><c>min.insync.replicas</c> of the topic.</param>
/// <param name="LagMaxMs"><c>replica.lag.time.max.ms</c>.</param>
/// <param name="BrokerEpoch">The epoch of this broker's registration.</param>
/// <param name="Cluster">The brokers, as the metadata has them.</param>
/// <param name="Now">The time.</param>
public readonly record struct LeaderMoment(
    long EndOffset, long HighWatermark, int MinInSyncReplicas, long LagMaxMs, long BrokerEpoch, ClusterImage Cluster, Instant Now);
