using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Cli.KafkaTools.Placement;

/// <summary>Says how far moves are, cancels them, and takes throttles away, as kafka-reassign-partitions does.</summary>
internal sealed class AssignmentVerifier(TextWriter output, ToolClient client)
{
    private static readonly string[] BrokerThrottles =
        ["leader.replication.throttled.rate", "follower.replication.throttled.rate", "replica.alter.log.dirs.io.max.bytes.per.second"];

    private static readonly string[] TopicThrottles =
        ["leader.replication.throttled.replicas", "follower.replication.throttled.replicas"];

    /// <summary><c>--list</c>.</summary>
    public async Task ListAsync()
    {
        var current = await CurrentAsync();
        output.WriteLine(current.Count == 0 ? "No partition reassignments found." : "Current partition reassignments:");
        foreach (var (partition, move) in Sorted(current))
        {
            output.WriteLine(
                $"{partition}: replicas: {string.Join(',', move.Replicas)}.{List(" adding: ", move.AddingReplicas)}"
                    + List(" removing: ", move.RemovingReplicas));
        }

        static string List(string name, IReadOnlyList<int> ids) => ids.Count == 0 ? "" : $"{name}{string.Join(',', ids)}.";
    }

    /// <summary><c>--verify</c>.</summary>
    public async Task VerifyAsync(IReadOnlyList<MovedPartition> moves, bool keepsThrottles)
    {
        var current = await CurrentAsync();
        var topics = moves.Where(move => !current.ContainsKey(move.Partition)).Select(move => move.Partition.Topic).Distinct().ToList();
        var described = topics.Count == 0 ? null : await client.CallAsync("describeTopics", admin => admin.DescribeTopicsAsync(topics));
        output.WriteLine("Status of partition reassignment:");
        foreach (var move in moves.OrderBy(move => move.Partition.Topic, StringComparer.Ordinal).ThenBy(move => move.Partition.Partition))
            output.WriteLine(StatusOf(move, current.ContainsKey(move.Partition), described));
        var directories = await DirectoryMovesAsync(moves);
        output.WriteLine(string.Join('\n', directories.Select(each => each.Text)));
        if (current.Count == 0 && directories.All(each => each.IsDone) && !keepsThrottles)
            await ClearThrottlesAsync(moves);
    }

    /// <summary><c>--cancel</c>.</summary>
    public async Task CancelAsync(IReadOnlyList<MovedPartition> moves, bool keepsThrottles)
    {
        var wanted = moves.Select(move => move.Partition).ToList();
        var active = Sorted(await client.CallAsync(
            "listPartitionReassignments", admin => admin.ListPartitionReassignmentsAsync(wanted))).Where(
                each => each.Value.AddingReplicas.Count + each.Value.RemovingReplicas.Count > 0).Select(each => each.Key).ToList();
        if (active.Count == 0)
        {
            output.WriteLine("None of the specified partition reassignments are active.");
        }
        else
        {
            var results = await client.CallAsync("alterPartitionReassignments", admin => admin.AlterPartitionReassignmentsAsync(
                active.ToDictionary(partition => partition, _ => (IReadOnlyList<int>?)null)));
            var failed = active.Where(partition => !results[partition].IsSuccess).ToList();
            if (failed.Count > 0)
            {
                throw new ToolException(
                    $"Error cancelling partition reassignment{(failed.Count == 1 ? "" : "s")} for:\n"
                        + string.Join('\n', failed.Select(
                            partition => $"{partition}: {JavaErrors.Of(results[partition], "alterPartitionReassignments").Message}")));
            }

            output.WriteLine(
                $"Successfully cancelled partition reassignment{(active.Count == 1 ? "" : "s")} for: {string.Join(',', active)}");
        }

        var moving = (await DirectoryMovesAsync(moves)).Where(each => each.CurrentDirectory is not null).ToDictionary(
            each => each.Replica, each => each.CurrentDirectory!);
        if (moving.Count == 0)
        {
            output.Write("None of the specified partition moves are active.");
        }
        else
        {
            foreach (var result in (await client.CallAsync(
                "alterReplicaLogDirs", admin => admin.AlterReplicaLogDirsAsync(moving))).Values)
                result.ThrowIfFailed("alterReplicaLogDirs");
        }

        if (!keepsThrottles)
            await ClearThrottlesAsync(moves);
    }

    private static string StatusOf(MovedPartition move, bool isActive, AdminResults<string, TopicDescription>? described)
    {
        if (isActive)
            return $"Reassignment of partition {move.Partition} is still in progress.";
        var topic = described![move.Partition.Topic];
        if (!topic.IsSuccess && topic.Error != ErrorCode.UnknownTopicOrPartition)
            throw JavaErrors.Of(topic, "describeTopics").OfFuture();
        var replicas = topic.IsSuccess && move.Partition.Partition < topic.Value.Partitions.Count
            ? topic.Value.Partitions[move.Partition.Partition].Replicas : [];
        return replicas.SequenceEqual(move.Replicas) ? $"Reassignment of partition {move.Partition} is completed."
            : $"There is no active reassignment of partition {move.Partition}, but replica set is {string.Join(',', replicas)} rather than "
                + $"{string.Join(',', move.Replicas)}.";
    }

    /// <summary>The moves between directories: how far they are, and from where those are moved that are under way.</summary>
    private async Task<IReadOnlyList<(PartitionReplica Replica, string Text, bool IsDone, string? CurrentDirectory)>> DirectoryMovesAsync(
        IEnumerable<MovedPartition> moves)
    {
        var wanted = moves.SelectMany(move => move.Replicas.Zip(move.LogDirs, (id, directory) => (
            Replica: new PartitionReplica(move.Partition, id), Directory: directory))).Where(
                each => each.Directory != ReassignmentJson.AnyLogDir).OrderBy(each => each.Replica.BrokerId).ToList();
        if (wanted.Count == 0)
            return [];
        var found = await client.CallAsync(
            "describeReplicaLogDirs", admin => admin.DescribeReplicaLogDirsAsync(wanted.Select(each => each.Replica)));
        return [.. wanted.Select(each =>
        {
            var (replica, target) = each;
            found[replica].ThrowIfFailed("describeReplicaLogDirs");
            var place = found[replica].Value;
            var (partition, broker) = (replica.Partition, replica.BrokerId);
            if (place.Directory is null)
            {
                return (replica,
                    $"Partition {partition} is not found in any live log dir on broker {broker}. There is likely an offline log directory "
                        + "on the broker.",
                    false, null);
            }

            if (place.FutureDirectory is null)
            {
                return place.Directory == target
                    ? (replica, $"Reassignment of replica {partition}-{broker} completed successfully.", true, null)
                    : (replica,
                        $"Partition {partition} on broker {broker} is not being moved from log dir {place.Directory} to {target}.", true,
                        (string?)null);
            }

            return (replica,
                place.FutureDirectory == target ? $"Reassignment of replica {partition}-{broker} is still in progress."
                    : $"Partition {partition} on broker {broker} is being moved to log dir {place.FutureDirectory} instead of {target}.",
                false, place.Directory);
        })];
    }

    private async Task ClearThrottlesAsync(IReadOnlyList<MovedPartition> moves)
    {
        var brokers = (await client.CallAsync("listNodes", admin => admin.DescribeClusterAsync())).Brokers.Select(broker => broker.Id)
            .Concat(moves.SelectMany(move => move.Replicas)).Distinct().Order().ToList();
        output.WriteLine($"Clearing broker-level throttles on broker{(brokers.Count == 1 ? "" : "s")} {string.Join(',', brokers)}");
        await ClearAsync(brokers.Select(id => ConfigResource.Broker(id)), BrokerThrottles);
        var topics = JavaHashOrder.Of(moves.Select(move => move.Partition.Topic)).ToList();
        output.WriteLine($"Clearing topic-level throttles on topic{(topics.Count == 1 ? "" : "s")} {string.Join(',', topics)}");
        await ClearAsync(topics.Select(ConfigResource.Topic), TopicThrottles);
    }

    private async Task ClearAsync(IEnumerable<ConfigResource> resources, string[] names)
    {
        var changes = resources.ToDictionary(
            resource => resource, IReadOnlyList<ConfigChange> (_) => [.. names.Select(ConfigChange.Delete)]);
        if (changes.Count == 0)
            return;
        foreach (var result in (await client.CallAsync(
            "incrementalAlterConfigs", admin => admin.IncrementalAlterConfigsAsync(changes))).Values)
        {
            if (!result.IsSuccess)
                throw JavaErrors.Of(result, "incrementalAlterConfigs").OfFuture();
        }
    }

    private Task<IReadOnlyDictionary<TopicPartition, PartitionReassignment>> CurrentAsync() =>
        client.CallAsync("listPartitionReassignments", admin => admin.ListPartitionReassignmentsAsync());

    private static IEnumerable<KeyValuePair<TopicPartition, PartitionReassignment>> Sorted(
        IReadOnlyDictionary<TopicPartition, PartitionReassignment> moves) =>
        moves.OrderBy(each => each.Key.Topic, StringComparer.Ordinal).ThenBy(each => each.Key.Partition);
}
