using System.Runtime.CompilerServices;
using Ottla.Kernel;
using Ottla.Simulator.Clusters;
using Ottla.Simulator.Worlds;
using Ottla.Storage.Log;

namespace Ottla.Simulator.Replication;

/// <summary>What must hold of each node at every look: its fetchers, its coordinators, and what its shutdown leaves.</summary>
/// <remarks>The rows P6, P11 and C1 of the simulator's invariants. Lives as long as a run.</remarks>
/// <param name="cluster">Whose nodes.</param>
/// <param name="directories">The log directories of each.</param>
internal sealed class NodeInvariants(SimCluster cluster, IReadOnlyList<string> directories)
{
    /// <summary>Who was the coordinator of a partition in a leader epoch.</summary>
    private readonly Dictionary<(string Topic, int Partition, int Epoch), int> _coordinators = [];

    /// <summary>Looks at all nodes.</summary>
    /// <exception cref="SimulationException">Something does not hold.</exception>
    public void Check()
    {
        foreach (var node in cluster.Brokers)
        {
            CheckCleanShutdown(node);
            if (node.Serving is null)
                continue;
            CheckFetchers(node);
            CheckCoordinators(node);
        }
    }

    /// <summary>P6: a replica is fetched by one fetcher at most, by none when it leads, and in the epoch that it follows in.</summary>
    private static void CheckFetchers(SimNode node)
    {
        var fetched = new HashSet<TopicIdPartition>();
        foreach (var (replica, leaderId, leaderEpoch) in node.Serving!.Followed)
        {
            var leadership = replica.Leadership;
            Demand(node, fetched.Add(replica.Id), $"one fetcher at most to fetch {replica.Partition}");
            Demand(node, !leadership.IsLeaderHere, $"nobody to fetch {replica.Partition}, which is led here");
            Demand(
                node, leadership.LeaderEpoch == leaderEpoch && leadership.LeaderId == leaderId,
                $"{replica.Partition} to be fetched from {leadership.LeaderId} in epoch {leadership.LeaderEpoch}, "
                    + $"not from {leaderId} in {leaderEpoch}");
        }
    }

    /// <summary>
    /// C1: who serves as a coordinator has led the partition since the epoch for which it has loaded the log; nobody else ever does in
    /// that epoch.
    /// </summary>
    private void CheckCoordinators(SimNode node)
    {
        foreach (var (topic, partition, epoch, isLoaded) in node.Serving!.Coordinators)
        {
            if (!isLoaded)
                continue;
            var leadership = node.Serving.Topics.Find(topic)?.Find(partition)?.Leadership;
            Demand(
                node, leadership?.HasLedSince(epoch) == true,
                $"the coordinator of {topic}-{partition} since epoch {epoch} to have led it since, not {leadership}");
            var key = (topic, partition, epoch);
            Demand(
                node, _coordinators.TryAdd(key, node.Id) || _coordinators[key] == node.Id,
                $"only one coordinator of {topic}-{partition} in epoch {epoch}");
        }
    }

    /// <summary>
    /// P11: the file that says so exists only after a shutdown in order, in a directory whose logs are all on the platter; not while the
    /// node serves.
    /// </summary>
    private void CheckCleanShutdown(SimNode node)
    {
        foreach (var directory in directories)
        {
            if (node.Disk.PeekFile(Path.Combine(directory, CleanShutdownFile.Name)) is null)
                continue;
            Demand(
                node, node.Serving is null || node.IsStopping, $"{directory} not to be marked as shut down in order while the node serves");
            foreach (var name in node.Disk.PeekNames(directory))
            {
                if (!LogFileNames.TryParseDirectory(name, out _))
                    continue;
                foreach (var (file, content) in node.Disk.PeekFiles(Path.Combine(directory, name), LogFileNames.LogSuffix))
                    Demand(node, content.IsSynced, $"{name}/{file} to be flushed, as {directory} is marked as shut down in order");
            }
        }
    }

    private static void Demand(SimNode node, bool holds, [InterpolatedStringHandlerArgument(nameof(holds))] FailureText what)
    {
        if (!holds)
            throw new SimulationException($"{node.Name}: wanted {what.Take()}");
    }
}
