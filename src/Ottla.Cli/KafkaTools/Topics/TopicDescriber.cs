using Ottla.Cli.KafkaTools.Options;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Cli.KafkaTools.Topics;

/// <summary>Prints topics as kafka-topics --describe does.</summary>
internal sealed class TopicDescriber(ParsedOptions options, ToolClient client, TextWriter output)
{
    private readonly bool _underReplicated = options.Has("under-replicated-partitions");
    private readonly bool _unavailable = options.Has("unavailable-partitions");
    private readonly bool _underMinIsr = options.Has("under-min-isr-partitions");
    private readonly bool _atMinIsr = options.Has("at-min-isr-partitions");
    private readonly bool _overrides = options.Has("topics-with-overrides");

    private bool ShowsAllPartitions => !_underReplicated && !_unavailable && !_underMinIsr && !_atMinIsr;

    /// <summary>Prints topics in this order.</summary>
    public async Task PrintAsync(IReadOnlyList<TopicDescription> topics)
    {
        var configs = await client.CallAsync(
            "describeConfigs", admin => admin.DescribeConfigsAsync(topics.Select(topic => ConfigResource.Topic(topic.Name))));
        var live = (await client.CallAsync("describeCluster", admin => admin.DescribeClusterAsync()))
            .Brokers.Select(broker => broker.Id).ToHashSet();
        var moves = await MovesAsync(topics);
        foreach (var topic in topics)
        {
            var entries = configs[ConfigResource.Topic(topic.Name)];
            entries.ThrowIfFailed("describeConfigs");
            var partitions = topic.Partitions.OrderBy(partition => partition.Index).ToList();
            if (ShowsAllPartitions)
                PrintTopic(topic, entries.Value, partitions, moves);
            if (_overrides)
                continue;
            var minIsr = int.Parse(entries.Value.First(entry => entry.Name == "min.insync.replicas").Value!);
            foreach (var partition in partitions)
            {
                var move = moves.GetValueOrDefault(new TopicPartition(topic.Name, partition.Index));
                if (ShowsAllPartitions || IsShown(partition, move, minIsr, live))
                    PrintPartition(topic.Name, partition, move);
            }
        }
    }

    private async Task<IReadOnlyDictionary<TopicPartition, PartitionReassignment>> MovesAsync(IEnumerable<TopicDescription> topics)
    {
        var partitions = topics.SelectMany(topic => topic.Partitions.Select(each => new TopicPartition(topic.Name, each.Index))).ToList();
        if (partitions.Count == 0)
            return new Dictionary<TopicPartition, PartitionReassignment>();
        try
        {
            return await client.Admin.ListPartitionReassignmentsAsync(partitions);
        }
        catch (KafkaException e) when (e.ErrorCode is ErrorCode.UnsupportedVersion or ErrorCode.ClusterAuthorizationFailed)
        {
            return new Dictionary<TopicPartition, PartitionReassignment>(); // topics are shown without their moves then, as by Kafka
        }
        catch (KafkaException e)
        {
            throw JavaErrors.Of(e, "listPartitionReassignments");
        }
    }

    private bool IsShown(PartitionDescription partition, PartitionReassignment? move, int minIsr, HashSet<int> live) =>
        (_underReplicated && ReplicationFactor(partition, move) > partition.InSyncReplicas.Count)
        || (_unavailable && (partition.LeaderId is not { } leader || !live.Contains(leader)))
        || (_underMinIsr && (partition.LeaderId is null || partition.InSyncReplicas.Count < minIsr))
        || (_atMinIsr && partition.InSyncReplicas.Count == minIsr);

    private static int ReplicationFactor(PartitionDescription partition, PartitionReassignment? move)
    {
        var isMoving = move is not null && partition.Replicas.Any(
            replica => move.AddingReplicas.Contains(replica) || move.RemovingReplicas.Contains(replica));
        return isMoving ? move!.Replicas.Count - move.AddingReplicas.Count : partition.Replicas.Count;
    }

    private void PrintTopic(
        TopicDescription topic, IReadOnlyList<ConfigEntry> entries, List<PartitionDescription> partitions,
        IReadOnlyDictionary<TopicPartition, PartitionReassignment> moves)
    {
        var own = entries.Where(entry => !entry.IsDefault).ToList();
        if (_overrides && own.Count == 0)
            return;
        var first = partitions[0];
        var factor = ReplicationFactor(first, moves.GetValueOrDefault(new TopicPartition(topic.Name, first.Index)));
        output.Write($"Topic: {topic.Name}");
        if (topic.Id != Uuid.Zero)
            output.Write($"\tTopicId: {topic.Id}");
        output.WriteLine(
            $"\tPartitionCount: {partitions.Count}\tReplicationFactor: {factor}\tConfigs: "
                + string.Join(',', JavaHashOrder.Of(entries.Select(entry => entry.Name)).Select(
                    name => own.Find(entry => entry.Name == name))
                    .OfType<ConfigEntry>().Select(entry => $"{entry.Name}={entry.Value}")));
    }

    private void PrintPartition(string topic, PartitionDescription partition, PartitionReassignment? move)
    {
        output.Write(
            $"\tTopic: {topic}\tPartition: {partition.Index}\tLeader: {partition.LeaderId?.ToString() ?? "none"}\tReplicas: "
                + $"{List(partition.Replicas)}\tIsr: {List(partition.InSyncReplicas)}");
        if (move is not null)
            output.Write($"\tAdding Replicas: {List(move.AddingReplicas)}\tRemoving Replicas: {List(move.RemovingReplicas)}");
        output.WriteLine($"\tElr: {List(partition.EligibleLeaderReplicas)}\tLastKnownElr: {List(partition.LastKnownEligibleReplicas)}");
    }

    private static string List(IReadOnlyList<int>? nodes) => nodes is null ? "N/A" : string.Join(',', nodes);
}
