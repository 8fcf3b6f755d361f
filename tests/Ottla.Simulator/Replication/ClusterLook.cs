using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Simulator.Clusters;
using Ottla.Simulator.Worlds;
using Ottla.StateMachines.Metadata;
using Ottla.Storage.Log;

namespace Ottla.Simulator.Replication;

/// <summary>Looks at all nodes of a cluster from outside: their published metadata, their replicas, and the files on their disks.</summary>
/// <remarks>Between two steps of the world nothing is half done. Lives as long as a run.</remarks>
internal sealed class ClusterLook(SimCluster cluster, LossGate gate, IReadOnlyList<string> directories, int minInSync)
{
    private readonly BatchBook _book = new();
    private readonly Dictionary<(int Node, TopicPartition Partition), ReplicaScan> _scans = [];

    /// <summary>Looks now.</summary>
    /// <returns>What there is; null before there is metadata.</returns>
    /// <exception cref="SimulationException">Two logs have different bytes for one batch.</exception>
    public ClusterView? Take()
    {
        gate.LookAtMetadata();
        if (gate.Image is not { } image)
            return null;
        var replicas = new Dictionary<TopicPartition, List<ReplicaView>>();
        foreach (var node in cluster.Brokers)
        {
            foreach (var directory in directories)
                Look(node, directory, image, replicas);
        }

        var partitions = new List<PartitionView>();
        foreach (var topic in image.Topics.ById.Values.OrderBy(topic => topic.Name, StringComparer.Ordinal))
        {
            for (var i = 0; i < topic.Partitions.Length; i++)
            {
                var partition = new TopicPartition(topic.Name, i);
                partitions.Add(new PartitionView(
                    partition, topic.Partitions[i], Math.Min(minInSync, topic.Partitions[i].Replicas.Length),
                    replicas.GetValueOrDefault(partition) ?? [], image.Cluster, gate.HasLostRecords));
            }
        }

        return new ClusterView(image, partitions);
    }

    /// <summary>
    /// The highest offset below which any node, at this moment, takes everything for committed and every transaction for ended.
    /// </summary>
    public long LastStableOf(TopicPartition partition) => cluster.Brokers
        .Max(node => node.Serving?.Topics.Find(partition.Topic)?.Find(partition.Partition)?.Log.LastStableOffset ?? 0);

    private void Look(SimNode node, string directory, MetadataImage image, Dictionary<TopicPartition, List<ReplicaView>> replicas)
    {
        foreach (var name in node.Disk.PeekNames(directory))
        {
            if (!LogFileNames.TryParseDirectory(name, out var partition) || partition.Topic == TopicNames.ClusterMetadata)
                continue;
            if (image.Topics.Partition(partition) is not { } registration || !registration.Replicas.Contains(node.Id))
                continue; // not created, or deleted or moved away, as far as is published
            if (!_scans.TryGetValue((node.Id, partition), out var scan))
                _scans.Add((node.Id, partition), scan = new ReplicaScan(node.Name, partition, _book));
            var changedFrom = scan.Update(node.Disk, Path.Combine(directory, name));
            var view = new ReplicaView(
                node.Id, scan.Batches, changedFrom, scan.Dropped, gate.HasLostRecords(node.Id), Live(node, partition, scan));
            if (!replicas.TryGetValue(partition, out var known))
                replicas.Add(partition, known = []);
            known.Add(view);
        }
    }

    private static LiveReplica? Live(SimNode node, TopicPartition partition, ReplicaScan scan)
    {
        if (node.Serving?.Topics.Find(partition.Topic)?.Find(partition.Partition) is not { Log.IsOffline: false } replica)
            return null;
        var (leadership, log) = (replica.Leadership, replica.Log);
        return new LiveReplica(
            node.Starts, leadership.IsLeaderHere, leadership.LeaderEpoch, leadership.PartitionEpoch, leadership.InSyncReplicas,
            replica.PendingProposal, replica.FetchedBy, log.LogStartOffset, log.LogEndOffset, log.HighWatermark,
            log.LastStableOffset, log.LeaderEpochs, scan.IsTorn, log.UnflushedGap);
    }
}
