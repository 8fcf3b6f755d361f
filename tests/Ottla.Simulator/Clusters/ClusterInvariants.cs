using System.Security.Cryptography;
using Ottla.Kernel;
using Ottla.Protocol.Metadata;
using Ottla.Simulator.Worlds;
using Ottla.StateMachines.Metadata;

namespace Ottla.Simulator.Clusters;

/// <summary>What must hold of the metadata on all nodes, looked at every few milliseconds of simulated time.</summary>
internal sealed class ClusterInvariants(SimCluster cluster)
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);

    private readonly Dictionary<long, (string Hash, string Node)> _images = [];
    private readonly Dictionary<int, long> _brokerEpochs = [];
    private readonly Dictionary<Uuid, string> _topicIds = [];

    /// <summary>How many different images were compared.</summary>
    public int ImageCount => _images.Count;

    /// <summary>Looks at all nodes, again and again, until the run is over.</summary>
    public async Task WatchAsync(SimProcess director, Func<bool> isOver)
    {
        while (!isOver())
        {
            Check();
            await director.Delay(Interval);
        }
    }

    /// <summary>Looks at all nodes once.</summary>
    public void Check()
    {
        foreach (var node in cluster.Nodes.Values)
        {
            if (node.Serving is { } serving)
                Check(node, serving.Shared.Metadata.Current);
        }
    }

    private void Check(SimNode node, MetadataImage image)
    {
        if (image.Provenance.LastOffset < 0)
            return;
        CheckIsTheSameEverywhere(node, image);
        foreach (var broker in image.Cluster.Brokers.Values)
        {
            // M2
            Demand(node, broker.Epoch >= _brokerEpochs.GetValueOrDefault(broker.Id, -1)
                || !IsNewest(image), $"broker {broker.Id} to have no older epoch than before");
            if (IsNewest(image))
                _brokerEpochs[broker.Id] = Math.Max(broker.Epoch, _brokerEpochs.GetValueOrDefault(broker.Id, -1));
        }

        foreach (var topic in image.Topics.ById.Values)
        {
            // M6
            Demand(node, _topicIds.TryAdd(topic.Id, topic.Name)
                || _topicIds[topic.Id] == topic.Name, $"the topic id {topic.Id} to be of one topic");
            foreach (var partition in topic.Partitions)
                Check(node, image, topic.Name, partition);
        }
    }

    /// <summary>M1: equal offsets mean equal images, on every node, whatever it was told by log and what by snapshot.</summary>
    private void CheckIsTheSameEverywhere(SimNode node, MetadataImage image)
    {
        var hash = HashOf(image);
        if (!_images.TryAdd(image.Provenance.LastOffset, (hash, node.Name)))
        {
            var known = _images[image.Provenance.LastOffset];
            Demand(node, known.Hash == hash, $"the same metadata at {image.Provenance.LastOffset} as {known.Node} had");
        }
    }

    private bool IsNewest(MetadataImage image) => image.Provenance.LastOffset >= _images.Keys.Max();

    /// <summary>M3, M5.</summary>
    private static void Check(SimNode node, MetadataImage image, string topic, PartitionRegistration partition)
    {
        Demand(node, partition.Isr.All(partition.Replicas.Contains), $"the ISR of {topic} to be among its replicas");
        Demand(node, partition.Leader < 0 || partition.Isr.Contains(partition.Leader), $"the leader of {topic} to be in its ISR");
        Demand(node, partition.EligibleLeaderReplicas.All(replica => !partition.Isr.Contains(replica)),
            $"no eligible leader of {topic} to be in its ISR");
        Demand(
            node,
            partition.Leader < 0 || image.Cluster.Broker(partition.Leader) is { Fenced: false },
            $"the leader {partition.Leader} of {topic} to be a broker that is not fenced");
    }

    private static string HashOf(MetadataImage image)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        // The order in a dictionary follows from its history, and only the content counts.
        foreach (var record in image.ToRecords().Select(record => MetadataRecordSerde.Encode(record)).Order(ByteOrder.Instance))
            hash.AppendData(record);
        return Convert.ToHexString(hash.GetHashAndReset());
    }

    private static void Demand(SimNode node, bool holds, FormattableString what)
    {
        if (!holds)
            throw new SimulationException(FormattableString.Invariant($"{node.Name}: wanted {FormattableString.Invariant(what)}"));
    }

    private sealed class ByteOrder : IComparer<byte[]>
    {
        public static readonly ByteOrder Instance = new();

        public int Compare(byte[]? x, byte[]? y) => x.AsSpan().SequenceCompareTo(y);
    }
}
