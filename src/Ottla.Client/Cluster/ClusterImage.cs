using System.Collections.Frozen;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Requests;

namespace Ottla.Client.Cluster;

/// <summary>A node of the cluster.</summary>
/// <param name="Address">Its id and where it listens.</param>
/// <param name="Rack">Its rack; null when it has none.</param>
internal sealed record ClusterNode(NodeAddress Address, string? Rack);

/// <summary>A partition as the metadata shows it.</summary>
/// <param name="Index">Its index.</param>
/// <param name="LeaderId">The leader's id; negative while there is none.</param>
/// <param name="LeaderEpoch">The epoch of the leader; -1 when the cluster does not say (before Metadata 7).</param>
/// <param name="Replicas">The ids of the nodes with a replica, the preferred leader first.</param>
/// <param name="InSyncReplicas">Those that are in sync.</param>
/// <param name="OfflineReplicas">Those whose node or disk has failed.</param>
/// <param name="Error">The error of the partition.</param>
internal sealed record PartitionImage(
    int Index, int LeaderId, int LeaderEpoch, int[] Replicas, int[] InSyncReplicas, int[] OfflineReplicas, ErrorCode Error);

/// <summary>A topic as the metadata shows it.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Id">Its id; <see cref="Uuid.Zero"/> when the cluster does not say (before Metadata 10).</param>
/// <param name="IsInternal">Whether it belongs to the cluster itself.</param>
/// <param name="Partitions">The partitions by index, without gaps; empty when there is an error.</param>
/// <param name="Error">Why the topic cannot be used now: it does not exist, is not allowed, or has no leader yet.</param>
internal sealed record TopicImage(string Name, Uuid Id, bool IsInternal, PartitionImage[] Partitions, ErrorCode Error);

/// <summary>What a client knows of its cluster at one moment. Immutable.</summary>
internal sealed class ClusterImage
{
    private readonly FrozenDictionary<Uuid, TopicImage> _topicsById;

    private ClusterImage(
        long version, string? clusterId, int controllerId, FrozenDictionary<int, ClusterNode> nodes,
        FrozenDictionary<string, TopicImage> topics)
    {
        Version = version;
        ClusterId = clusterId;
        ControllerId = controllerId;
        Nodes = nodes;
        Topics = topics;
        _topicsById = topics.Values.Where(topic => topic.Id != Uuid.Zero).ToFrozenDictionary(topic => topic.Id);
    }

    /// <summary>Nothing is known yet.</summary>
    public static ClusterImage Empty { get; } = new(
        0, null, -1, FrozenDictionary<int, ClusterNode>.Empty, FrozenDictionary<string, TopicImage>.Empty);

    /// <summary>Counts the images of a client; each change makes one with the next number.</summary>
    public long Version { get; }

    /// <summary>The cluster's id; null before the first answer.</summary>
    public string? ClusterId { get; }

    /// <summary>The node that controller calls go to; negative when unknown.</summary>
    public int ControllerId { get; }

    /// <summary>The brokers by id.</summary>
    public FrozenDictionary<int, ClusterNode> Nodes { get; }

    /// <summary>The topics that were asked for, also those with an error.</summary>
    public FrozenDictionary<string, TopicImage> Topics { get; }

    /// <summary>A topic by name; null when it was not asked for, or not answered yet.</summary>
    public TopicImage? Topic(string name) => Topics.GetValueOrDefault(name);

    /// <summary>A topic by id.</summary>
    public TopicImage? Topic(Uuid id) => _topicsById.GetValueOrDefault(id);

    /// <summary>A partition; null when it is not known.</summary>
    public PartitionImage? Partition(TopicPartition partition) =>
        Topic(partition.Topic) is { } topic && (uint)partition.Partition < (uint)topic.Partitions.Length
            ? topic.Partitions[partition.Partition]
            : null;

    /// <summary>A partition's leader; null while it has none, or is not known.</summary>
    public NodeAddress? LeaderOf(TopicPartition partition) =>
        Partition(partition) is { } known && Nodes.TryGetValue(known.LeaderId, out var node) ? node.Address : null;

    /// <summary>Where a node listens; null when it is not part of the cluster.</summary>
    public NodeAddress? AddressOf(int nodeId) => Nodes.GetValueOrDefault(nodeId)?.Address;

    /// <summary>The rack of a node; null when it has none, or is not part of the cluster.</summary>
    public string? RackOf(int nodeId) => Nodes.GetValueOrDefault(nodeId)?.Rack;

    /// <summary>The image after an answer.</summary>
    /// <param name="answer">The answer. It replaces nodes and the topics that it names.</param>
    /// <param name="kept">The topics besides those of the answer that stay; the others are forgotten.</param>
    /// <remarks>
    /// A partition stays with its known leader when the answer names one of an older epoch: nodes learn of a change at different times.
    /// </remarks>
    public ClusterImage Apply(MetadataResponse answer, IReadOnlySet<string> kept)
    {
        var isSameCluster = ClusterId is null || answer.ClusterId is null || ClusterId == answer.ClusterId;
        var topics = new Dictionary<string, TopicImage>();
        foreach (var (name, topic) in Topics)
        {
            if (isSameCluster && kept.Contains(name))
                topics[name] = topic;
        }

        foreach (var topic in answer.Topics)
        {
            if (topic.Name is { } name)
                topics[name] = ToImage(topic, isSameCluster ? Topic(name) : null);
        }

        var nodes = answer.Brokers.ToFrozenDictionary(
            broker => broker.NodeId, broker => new ClusterNode(new NodeAddress(broker.NodeId, broker.Host, broker.Port), broker.Rack));
        return new ClusterImage(
            Version + 1, answer.ClusterId ?? ClusterId, answer.ControllerId, nodes, topics.ToFrozenDictionary());
    }

    /// <summary>The image after a node said who leads a partition (KIP-951).</summary>
    /// <param name="partition">The partition.</param>
    /// <param name="leaderId">Its leader.</param>
    /// <param name="leaderEpoch">The leader's epoch.</param>
    /// <param name="endpoint">Where the leader listens; null when it is known.</param>
    /// <returns>This image when that is not news, or the leader's address is not known.</returns>
    public ClusterImage WithLeader(TopicPartition partition, int leaderId, int leaderEpoch, ClusterNode? endpoint)
    {
        if (Topic(partition.Topic) is not { } topic || Partition(partition) is not { } known)
            return this;
        if (leaderId < 0 || leaderEpoch <= known.LeaderEpoch || (endpoint is null && !Nodes.ContainsKey(leaderId)))
            return this;
        var partitions = (PartitionImage[])topic.Partitions.Clone();
        partitions[partition.Partition] = known with { LeaderId = leaderId, LeaderEpoch = leaderEpoch, Error = ErrorCode.None };
        var topics = new Dictionary<string, TopicImage>(Topics) { [topic.Name] = topic with { Partitions = partitions } };
        var nodes = endpoint is null ? Nodes : new Dictionary<int, ClusterNode>(Nodes) { [leaderId] = endpoint }.ToFrozenDictionary();
        return new ClusterImage(Version + 1, ClusterId, ControllerId, nodes, topics.ToFrozenDictionary());
    }

    /// <summary>Whether the other image says the same of every topic and leader.</summary>
    public bool HasSameTopics(ClusterImage other)
    {
        if (Topics.Count != other.Topics.Count)
            return false;
        foreach (var (name, topic) in Topics)
        {
            if (other.Topic(name) is not { } theirs || topic.Id != theirs.Id || topic.Error != theirs.Error
                || !topic.Partitions.Select(LeaderAndError).SequenceEqual(theirs.Partitions.Select(LeaderAndError)))
                return false;
        }

        return true;

        static (int, int, ErrorCode) LeaderAndError(PartitionImage partition) =>
            (partition.LeaderId, partition.LeaderEpoch, partition.Error);
    }

    private static TopicImage ToImage(MetadataResponse.MetadataResponseTopic topic, TopicImage? known)
    {
        var partitions = new PartitionImage[topic.Partitions.Length];
        foreach (var partition in topic.Partitions)
        {
            if ((uint)partition.PartitionIndex >= (uint)partitions.Length)
                return new TopicImage(topic.Name!, topic.TopicId, topic.IsInternal, [], ErrorCode.UnknownServerError); // has gaps
            partitions[partition.PartitionIndex] = new PartitionImage(
                partition.PartitionIndex, partition.LeaderId, partition.LeaderEpoch, partition.ReplicaNodes, partition.IsrNodes,
                partition.OfflineReplicas, (ErrorCode)partition.ErrorCode);
        }

        if (partitions.Contains(null!))
            return new TopicImage(topic.Name!, topic.TopicId, topic.IsInternal, [], ErrorCode.UnknownServerError);
        if (known is not null && known.Id == topic.TopicId)
            KeepNewerLeaders(partitions, known.Partitions);
        return new TopicImage(topic.Name!, topic.TopicId, topic.IsInternal, partitions, (ErrorCode)topic.ErrorCode);
    }

    private static void KeepNewerLeaders(PartitionImage[] partitions, PartitionImage[] known)
    {
        for (var i = 0; i < Math.Min(partitions.Length, known.Length); i++)
        {
            if (partitions[i].LeaderEpoch >= 0 && partitions[i].LeaderEpoch < known[i].LeaderEpoch)
                partitions[i] = known[i];
        }
    }
}
