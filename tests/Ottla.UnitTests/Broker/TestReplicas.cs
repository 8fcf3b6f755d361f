using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Broker.Replicas;
using Ottla.Configuration;
using Ottla.StateMachines.Metadata;

namespace Ottla.UnitTests.Broker;

/// <summary>Makes what replicas need, for tests that have no node around them.</summary>
internal static class TestReplicas
{
    /// <summary>What the replicas of a broker share. Nobody is asked for changes of ISRs.</summary>
    public static ReplicaSurroundings Surroundings(
        int nodeId, TimeProvider time, IIsrChanges? isrChanges = null, ClusterImage? cluster = null, Func<BrokerConfig>? config = null,
        ILogger? logger = null)
    {
        var defaults = BrokerConfig.LoadDevMode();
        return new ReplicaSurroundings
        {
            NodeId = nodeId,
            Config = config ?? (() => defaults),
            BrokerEpoch = () => 100 + nodeId,
            IsrChanges = isrChanges ?? new UnaskedController(),
            Time = time,
            Logger = logger ?? NullLogger.Instance,
            Cluster = cluster ?? ClusterImage.Empty,
        };
    }

    /// <summary>The partition of a replica as the metadata would have it after a change.</summary>
    public static PartitionRegistration After(
        PartitionReplica replica, int[]? replicas = null, int[]? isr = null, int? leader = null, int? leaderEpoch = null)
    {
        var known = replica.Leadership;
        ImmutableArray<int> all = replicas is null ? [.. known.Replicas] : [.. replicas];
        return new PartitionRegistration
        {
            Replicas = all,
            Directories = [.. all.Select(_ => DirectoryIds.Unassigned)],
            Isr = isr is null ? [.. known.InSyncReplicas] : [.. isr],
            Leader = leader ?? known.LeaderId,
            LeaderEpoch = leaderEpoch ?? known.LeaderEpoch,
            PartitionEpoch = known.PartitionEpoch + 1,
        };
    }

    private sealed class UnaskedController : IIsrChanges
    {
        public void Request(PartitionReplica replica)
        {
            // The test asks the replica what it proposes.
        }
    }
}
