using Ottla.Simulator.Clusters;
using Ottla.Simulator.Worlds;
using Ottla.StateMachines.Metadata;

namespace Ottla.Simulator.Replication;

/// <summary>
/// Says which sudden deaths the cluster must survive without loss, as Kafka promises it: one host's power at a time, and none while nobody
/// else in sync has what is committed.
/// </summary>
/// <remarks>
/// A host that loses power loses what was not flushed. The controller learns of that when the broker registers again, with a shutdown that
/// was not clean: until then it may still count on it. So until then nobody else who has the records may go. Deaths of processes alone lose
/// nothing, and all may die together.
/// </remarks>
internal sealed class LossGate(Func<SimCluster> cluster) : IDeathGate
{
    private readonly Dictionary<int, Death> _deaths = [];
    private readonly HashSet<int> _everLostPower = [];

    /// <summary>Called with a node that is about to be gone, however that comes: what only it knows goes with it.</summary>
    public Action<SimNode>? OnEnding { get; set; }

    /// <summary>The newest metadata that any node ever published.</summary>
    public MetadataImage? Image { get; private set; }

    /// <summary>Whether a node may lack what was committed on it, and the controller does not know.</summary>
    public bool HasLostRecords(int node) => _deaths.TryGetValue(node, out var death) && death.LostPower;

    /// <summary>Takes note of the newest metadata.</summary>
    public void LookAtMetadata()
    {
        if (cluster().NewestImage is not { } image || image.Provenance.LastOffset <= (Image?.Provenance.LastOffset ?? -1))
            return;
        Image = image;
        foreach (var (node, death) in _deaths.ToList())
        {
            if (image.Cluster.Broker(node) is { } broker && broker.Epoch > death.BrokerEpoch)
                _deaths.Remove(node);
        }
    }

    /// <inheritdoc/>
    public bool MayDie(SimNode node)
    {
        LookAtMetadata();
        return IsNotLastBeforeALossyLeader(node)
            && (_deaths.Values.All(death => !death.LostPower) || (!HasUnpublishedMetadata() && OthersHaveAll(node)));
    }

    /// <inheritdoc/>
    public bool MayLosePower(SimNode node)
    {
        LookAtMetadata();
        return _deaths.All(death => death.Key == node.Id || !death.Value.LostPower)
            && cluster().Nodes.Values.All(other => other == node || !other.IsDiskInTrouble) && OthersHaveAll(node);
    }

    /// <inheritdoc/>
    public void OnDeath(SimNode node, bool losesPower)
    {
        OnEnd(node);
        var lostBefore = HasLostRecords(node.Id);
        if (losesPower)
            _everLostPower.Add(node.Id);
        _deaths[node.Id] = new Death(losesPower || lostBefore, Image?.Cluster.Broker(node.Id)?.Epoch ?? -1);
    }

    /// <inheritdoc/>
    public void OnEnd(SimNode node)
    {
        LookAtMetadata();
        OnEnding?.Invoke(node);
    }

    /// <summary>
    /// Whether no partition without a leader has a node as the only one to elect, with a last known leader that has ever lost power.
    /// </summary>
    private bool IsNotLastBeforeALossyLeader(SimNode node) =>
        Image is not { } image || image.Topics.ById.Values.SelectMany(topic => topic.Partitions).All(partition =>
            partition.Leader >= 0
            || !partition.LastKnownElr.Any(_everLostPower.Contains)
            || !partition.Isr.Concat(partition.EligibleLeaderReplicas).Contains(node.Id)
            || partition.Isr.Concat(partition.EligibleLeaderReplicas).Any(member => member != node.Id && IsSafe(member)));

    /// <summary>Whether for all that a node may be needed for, somebody else is in sync or eligible who has not died since.</summary>
    private bool OthersHaveAll(SimNode node)
    {
        if (Image is not { } image)
            return true;
        foreach (var topic in image.Topics.ById.Values)
        {
            for (var i = 0; i < topic.Partitions.Length; i++)
            {
                var registration = topic.Partitions[i];
                if (!registration.Replicas.Contains(node.Id))
                    continue;
                if (IsBehindLeader(topic.Name, i, registration))
                    return false;
                var members = registration.Isr.Concat(registration.EligibleLeaderReplicas).ToList();
                if (registration.Leader != node.Id && !members.Contains(node.Id) && !registration.LastKnownElr.Contains(node.Id))
                    continue;
                if (!members.Exists(member => member != node.Id && IsSafe(member)))
                    return false;
            }
        }

        return true;
    }

    /// <summary>
    /// Whether a node has metadata that nobody has published. It may be committed yet, and say that who seems to be in sync is not.
    /// </summary>
    private bool HasUnpublishedMetadata() => cluster().Nodes.Values.Any(
        each => each.Serving is { } node && node.Shared.Raft.EndOffset > (Image?.Provenance.LastOffset ?? -1) + 1);

    private bool IsSafe(int member) => !_deaths.ContainsKey(member) && cluster().Nodes[member].IsRunning;

    /// <summary>Whether a leader knows of a change of the partition that nobody has published yet.</summary>
    private bool IsBehindLeader(string topic, int partition, PartitionRegistration registration) =>
        cluster().Brokers.Any(broker => broker.Serving?.Topics.Find(topic)?.Find(partition)?.Leadership is { IsLeaderHere: true } leadership
            && leadership.PartitionEpoch > registration.PartitionEpoch);

    /// <summary>A death that the controller does not know of.</summary>
    /// <param name="LostPower">Whether the power of the host was lost with it, then or in an earlier death.</param>
    /// <param name="BrokerEpoch">The epoch that the node was registered with.</param>
    private readonly record struct Death(bool LostPower, long BrokerEpoch);
}
