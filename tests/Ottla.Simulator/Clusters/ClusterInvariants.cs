using System.Security.Cryptography;
using Ottla.Kernel;
using Ottla.Protocol.Metadata;
using Ottla.Simulator.Worlds;
using Ottla.StateMachines.Metadata;

namespace Ottla.Simulator.Clusters;

/// <summary>What must hold of the metadata on all nodes, looked at every few milliseconds of simulated time.</summary>
/// <param name="cluster">Whose nodes.</param>
/// <param name="minInSync"><c>min.insync.replicas</c> of all topics; null when it is not known.</param>
internal sealed class ClusterInvariants(SimCluster cluster, int? minInSync = null)
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);

    private readonly Dictionary<long, (string Hash, string Node)> _images = [];
    private readonly Dictionary<int, long> _brokerEpochs = [];
    private readonly Dictionary<Uuid, string> _topicIds = [];
    private readonly Dictionary<SimNode, MetadataImage> _checked = [];
    private readonly PartitionMetadataInvariants _partitions = new(minInSync);
    private long _newestOffset = -1;

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
            if (node.Serving is not { } serving)
                continue;
            var image = serving.Shared.Metadata.Current;
            if (image.Provenance.LastOffset < 0 || ReferenceEquals(_checked.GetValueOrDefault(node), image))
                continue;
            Check(node, image);
            _checked[node] = image;
        }
    }

    private void Check(SimNode node, MetadataImage image)
    {
        CheckIsTheSameEverywhere(node, image);
        if (image.Provenance.LastOffset >= _newestOffset)
        {
            _newestOffset = image.Provenance.LastOffset;
            CheckBrokerEpochs(node, image);
        }

        foreach (var topic in image.Topics.ById.Values)
        {
            // M6
            Demand(node, _topicIds.TryAdd(topic.Id, topic.Name)
                || _topicIds[topic.Id] == topic.Name, $"the topic id {topic.Id} to be of one topic");
        }

        if (_partitions.FindBroken(image) is { } broken)
            throw new SimulationException($"{node.Name}, offset {image.Provenance.LastOffset}: {broken}");
        // M7
        Demand(
            node, image.Provenance.LastOffset < node.Serving!.Shared.Raft.HighWatermark,
            $"no metadata to be published that is not committed");
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

    /// <summary>M2, on the newest image: those who lag behind may know older epochs.</summary>
    private void CheckBrokerEpochs(SimNode node, MetadataImage image)
    {
        foreach (var broker in image.Cluster.Brokers.Values)
        {
            Demand(
                node,
                broker.Epoch >= _brokerEpochs.GetValueOrDefault(broker.Id, -1),
                $"broker {broker.Id} to have no older epoch than before");
            _brokerEpochs[broker.Id] = broker.Epoch;
        }
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
