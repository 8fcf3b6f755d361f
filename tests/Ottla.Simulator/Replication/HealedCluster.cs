using Ottla.Protocol;
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
                if (replica.Live is not { } live || live.HighWatermark != live.End || live.LastStable != live.End)
                    return $"not all of {partition.Partition} is committed: {string.Join("; ", partition.Replicas)}";
                if (FindDifference(partition.Replicas[0], replica) is { } difference)
                    return $"the replicas of {partition.Partition} are not the same, {difference}: {string.Join("; ", partition.Replicas)}";
            }
        }

        return null;
    }

    private static string? FindDifference(ReplicaView one, ReplicaView other)
    {
        var common = one.Batches.Zip(other.Batches).TakeWhile(pair => ReferenceEquals(pair.First, pair.Second)).Count();
        return common == one.Batches.Count && common == other.Batches.Count ? null
            : $"node {one.NodeId} has {Text(one)} where node {other.NodeId} has {Text(other)}";

        string Text(ReplicaView replica) => common < replica.Batches.Count ? $"{replica.Batches[common]}" : "nothing";
    }

    /// <summary>
    /// E3: nothing is under way. No leader asks for another ISR, no broker is being shut down, every replica has a directory, every
    /// coordinator has loaded its log.
    /// </summary>
    /// <returns>What is not so; null when all is well.</returns>
    public static string? FindPending(SimCluster cluster, ClusterView? view)
    {
        foreach (var partition in view?.Partitions ?? [])
        {
            if (partition.Replicas.FirstOrDefault(replica => replica.Live?.Proposal is not null) is { } asking)
                return $"the leader of {partition.Partition} waits for the controller: {asking}";
            var registration = partition.Registration;
            for (var i = 0; i < registration.Replicas.Length; i++)
            {
                if (partition.Brokers.Broker(registration.Replicas[i])?.LogDirs.Contains(registration.Directories[i]) != true)
                    return $"{partition.Partition} has no directory on broker {registration.Replicas[i]}: {registration.Directories[i]}";
            }

            if (TopicNames.IsInternal(partition.Partition.Topic) && FindUnready(cluster, partition) is { } unready)
                return unready;
        }

        return view?.Image.Cluster.Brokers.Values.FirstOrDefault(broker => broker.InControlledShutdown) is { } leaving
            ? $"broker {leaving.Id} is being shut down" : null;
    }

    private static string? FindUnready(SimCluster cluster, PartitionView partition)
    {
        var (topic, index) = (partition.Partition.Topic, partition.Partition.Partition);
        var coordinators = cluster.Nodes[partition.Registration.Leader].Serving?.Coordinators ?? [];
        return coordinators.Any(each => each.Topic == topic && each.Partition == index
                && each.LeaderEpoch <= partition.Registration.LeaderEpoch && each.IsLoaded)
            ? null : $"{partition.Partition} has no coordinator that is ready on its leader {partition.Registration.Leader}";
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
