using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Cli.KafkaTools.Placement;

/// <summary>Looks up where replicas are, for kafka-reassign-partitions.</summary>
internal static class ReplicaLookup
{
    /// <summary>The brokers of all partitions of topics.</summary>
    /// <exception cref="JavaException">A topic is not there.</exception>
    public static async Task<Dictionary<TopicPartition, IReadOnlyList<int>>> ReplicasAsync(ToolClient client, IEnumerable<string> topics)
    {
        var replicas = new Dictionary<TopicPartition, IReadOnlyList<int>>();
        foreach (var (topic, described) in await client.CallAsync("describeTopics", admin => admin.DescribeTopicsAsync(topics.Distinct())))
        {
            if (described.Error == ErrorCode.UnknownTopicOrPartition)
                throw JavaException.Kafka("UnknownTopicOrPartitionException", $"Topic {topic} not found.").OfFuture();
            if (!described.IsSuccess)
                throw JavaErrors.Of(described, "describeTopics").OfFuture();
            foreach (var partition in described.Value.Partitions)
                replicas[new TopicPartition(topic, partition.Index)] = partition.Replicas;
        }

        return replicas;
    }

    /// <summary>The directories of replicas; those that are not to be had are missing.</summary>
    public static async Task<Func<PartitionReplica, string?>> DirectoriesAsync(
        ToolClient client, IReadOnlyDictionary<TopicPartition, IReadOnlyList<int>> replicas)
    {
        var all = replicas.SelectMany(each => each.Value.Select(id => new PartitionReplica(each.Key, id))).ToList();
        var found = await client.CallAsync("describeReplicaLogDirs", admin => admin.DescribeReplicaLogDirsAsync(all));
        return replica => found.TryGetValue(replica, out var result) && result.IsSuccess ? result.Value.Directory : null;
    }
}
