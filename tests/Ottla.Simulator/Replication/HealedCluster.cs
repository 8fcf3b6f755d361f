using Ottla.Simulator.Clusters;
using Ottla.Simulator.Worlds;

namespace Ottla.Simulator.Replication;

/// <summary>What must become true of a cluster once nothing goes wrong any more: the rows E of the simulator's invariants.</summary>
internal static class HealedCluster
{
    /// <summary>Waits for it, and says what is missing if it does not come.</summary>
    /// <exception cref="SimulationException">It takes too long.</exception>
    public static async Task AwaitAsync(SimProcess director, TimeSpan patience, Func<string?> findWhatIsMissing)
    {
        var deadline = director.Clock.GetUtcNow() + patience;
        while (findWhatIsMissing() is { } missing)
        {
            if (director.Clock.GetUtcNow() > deadline)
                throw new SimulationException($"{patience} after healing {missing}");
            await director.Delay(TimeSpan.FromMilliseconds(50));
        }
    }

    /// <summary>E1 and E2: a quorum that all follow, every broker unfenced, every partition led, every replica in sync.</summary>
    /// <returns>What is not so; null when all is well.</returns>
    public static string? FindWhatIsMissing(SimCluster cluster, ClusterView? view)
    {
        if (!cluster.IsWhole)
            return $"the cluster is not whole: {string.Join(", ", cluster.Nodes.Values.Select(Describe))}";
        if (view is null)
            return "there is no metadata";
        foreach (var partition in view.Partitions)
        {
            var (name, registration) = (partition.Partition, partition.Registration);
            if (registration.Leader < 0)
                return $"{name} has no leader";
            if (registration.Isr.Length < registration.Replicas.Length)
                return $"{name} has only {string.Join(',', registration.Isr)} in sync: {string.Join("; ", partition.Replicas)}";
            if (!registration.EligibleLeaderReplicas.IsEmpty)
                return $"{name} has the eligible leader replicas {string.Join(',', registration.EligibleLeaderReplicas)}";
            if (registration.IsReassigned)
                return $"{name} is being reassigned";
        }

        return null;
    }

    /// <summary>E2 and E5, once nobody writes any more: all replicas have the same, all of it is committed, and nothing is open.</summary>
    /// <returns>What is not so; null when all is well.</returns>
    public static string? FindDifference(ClusterView? view)
    {
        foreach (var partition in view?.Partitions ?? [])
        {
            foreach (var replica in partition.Replicas)
            {
                if (replica.Live is not { } live || live.HighWatermark != live.End
                    || live.LastStable != live.End
                    || !replica.Batches.SequenceEqual(partition.Replicas[0].Batches))
                    return $"the replicas of {partition.Partition} are not the same: {string.Join("; ", partition.Replicas)}";
            }
        }

        return null;
    }

    private static string Describe(SimNode node)
    {
        if (node.Serving is not { } serving)
            return $"{node.Name} {(node.IsRunning ? "is starting" : "does not run")}";
        var image = serving.Shared.Metadata.Current;
        var fenced = image.Cluster.Brokers.Values.Where(broker => broker.Fenced).Select(broker => broker.Id);
        return $"{node.Name} follows {serving.Shared.Raft.KnownLeader.LeaderId} and takes {string.Join(',', fenced)} for fenced";
    }
}
