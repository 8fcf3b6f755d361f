using Ottla.Cli.KafkaTools.Options;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Cli.KafkaTools.Placement;

/// <summary>Starts moves, as kafka-reassign-partitions --execute does.</summary>
internal sealed class AssignmentExecutor(TextWriter output, ToolClient client, ParsedOptions options)
{
    private static readonly TimeSpan RetryInterval = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan TimeoutDefault = TimeSpan.FromSeconds(10);

    /// <summary>Starts the moves of a file.</summary>
    public async Task RunAsync(string file)
    {
        var moves = ReassignmentJson.ReadMoves(file);
        Check(moves);
        var current = await client.CallAsync("listPartitionReassignments", admin => admin.ListPartitionReassignmentsAsync());
        if (current.Count > 0 && !options.Has("additional"))
        {
            throw new ToolException(
                "Cannot execute because there is an existing partition assignment.  Use --additional to override this and create a new "
                    + "partition assignment in addition to the existing one. The --additional flag can also be used to change the "
                        + "throttle by resubmitting the current reassignment.");
        }

        var brokers = (await client.CallAsync("listNodes", admin => admin.DescribeClusterAsync())).Brokers.Select(
            broker => broker.Id).ToHashSet();
        foreach (var id in moves.SelectMany(move => move.Replicas).Where(id => !brokers.Contains(id)))
            throw ReassignmentJson.Failed($"Unknown broker id {id}");
        var replicas = await CurrentReplicasAsync(moves);
        output.WriteLine(
            "Current partition replica "
                + $"assignment\n\n{ReassignmentJson.Write(replicas, await ReplicaLookup.DirectoriesAsync(client, replicas))}\n\n"
                + "Save this to use as the --reassignment-json-file option during rollback");
        await ThrottleAsync(moves, replicas, current);
        await StartAsync(moves);
        await MoveDirectoriesAsync(moves);
    }

    private static void Check(IReadOnlyList<MovedPartition> moves)
    {
        if (moves.Count == 0)
            throw ReassignmentJson.Failed("Partition reassignment list cannot be empty");
        if (moves.Any(move => move.Replicas.Count == 0))
            throw ReassignmentJson.Failed("Partition replica list cannot be empty");
        var twice = moves.GroupBy(move => move.Partition).Where(group => group.Count() > 1).Select(group => group.Key).ToList();
        if (twice.Count > 0)
            throw ReassignmentJson.Failed($"Partition reassignment contains duplicate topic partitions: {string.Join(',', twice)}");
        var wrong = moves.Select(move => (move.Partition, Twice: move.Replicas.GroupBy(id => id).Where(group => group.Count() > 1).Select(
            group => group.Key).ToList())).Where(each => each.Twice.Count > 0).ToList();
        if (wrong.Count > 0)
        {
            throw ReassignmentJson.Failed(
                "Partition replica lists may not contain duplicate entries: "
                    + string.Join(". ", wrong.Select(
                        each => $"{each.Partition} contains multiple entries for {string.Join(',', each.Twice)}")));
        }
    }

    private async Task<Dictionary<TopicPartition, IReadOnlyList<int>>> CurrentReplicasAsync(IReadOnlyList<MovedPartition> moves)
    {
        var all = await ReplicaLookup.ReplicasAsync(client, moves.Select(move => move.Partition.Topic));
        var missing = moves.Select(move => move.Partition).Where(partition => !all.ContainsKey(partition)).ToList();
        return missing.Count == 0 ? moves.ToDictionary(move => move.Partition, move => all[move.Partition])
            : throw JavaException.Kafka(
                "UnknownTopicOrPartitionException", $"Unable to find partition: {string.Join(", ", missing)}").OfFuture();
    }

    private async Task ThrottleAsync(
        IReadOnlyList<MovedPartition> moves, Dictionary<TopicPartition, IReadOnlyList<int>> replicas,
        IReadOnlyDictionary<TopicPartition, PartitionReassignment> current)
    {
        var rate = options.Long("throttle") ?? -1;
        var directoryRate = options.Long("replica-alter-log-dirs-throttle") ?? -1;
        if (rate < 0 && directoryRate < 0)
            return;
        output.WriteLine(
            "Warning: You must run --verify periodically, until the reassignment completes, to ensure the throttle is removed.");
        if (rate >= 0)
        {
            var all = moves.Select(move => (move.Partition, Sources: SourcesOf(move.Partition), Destinations: move.Replicas)).ToList();
            var changes = all.GroupBy(each => each.Partition.Topic).ToDictionary(
                topic => ConfigResource.Topic(topic.Key), IReadOnlyList<ConfigChange> (topic) =>
                [
                    new ConfigChange("leader.replication.throttled.replicas", List(topic.SelectMany(
                        each => each.Sources.Select(id => $"{each.Partition.Partition}:{id}")))),
                    new ConfigChange("follower.replication.throttled.replicas", List(topic.SelectMany(
                        each => each.Destinations.Except(each.Sources).Select(id => $"{each.Partition.Partition}:{id}")))),
                ]);
            foreach (var id in all.SelectMany(each => each.Sources.Concat(each.Destinations)).Distinct())
            {
                changes[ConfigResource.Broker(id)] =
                [
                    new ConfigChange("leader.replication.throttled.rate", $"{rate}"),
                    new ConfigChange("follower.replication.throttled.rate", $"{rate}"),
                ];
            }

            await AlterAsync(changes);
            output.WriteLine($"The inter-broker throttle limit was set to {rate} B/s");
        }

        if (directoryRate >= 0)
        {
            await AlterAsync(DirectoriesOf(moves).Keys.Select(replica => replica.BrokerId).Distinct().ToDictionary(
                id => ConfigResource.Broker(id), IReadOnlyList<ConfigChange> (_) =>
                    [new ConfigChange("replica.alter.log.dirs.io.max.bytes.per.second", $"{directoryRate}")]));
            output.WriteLine($"The replica-alter-dir throttle limit was set to {directoryRate} B/s");
        }

        IReadOnlyList<int> SourcesOf(TopicPartition partition) => current.TryGetValue(partition, out var move)
            ? [.. move.Replicas.Except(move.AddingReplicas)] : replicas[partition];

        static string List(IEnumerable<string> entries) => string.Join(',', entries.Order(StringComparer.Ordinal));
    }

    private async Task AlterAsync(Dictionary<ConfigResource, IReadOnlyList<ConfigChange>> changes)
    {
        if (changes.Count == 0)
            return;
        foreach (var result in (await client.CallAsync(
            "incrementalAlterConfigs", admin => admin.IncrementalAlterConfigsAsync(changes))).Values)
        {
            if (!result.IsSuccess)
                throw JavaErrors.Of(result, "incrementalAlterConfigs").OfFuture();
        }
    }

    private async Task StartAsync(IReadOnlyList<MovedPartition> moves)
    {
        var results = await client.CallAsync("alterPartitionReassignments", admin => admin.AlterPartitionReassignmentsAsync(
            moves.ToDictionary(move => move.Partition, move => (IReadOnlyList<int>?)move.Replicas),
            !options.Has("disallow-replication-factor-change")));
        var sorted = moves.Select(move => move.Partition).OrderBy(each => each.Topic, StringComparer.Ordinal).ThenBy(
            each => each.Partition).ToList();
        var failed = sorted.Where(partition => !results[partition].IsSuccess).ToList();
        if (failed.Count > 0)
        {
            throw new ToolException("Error reassigning partition(s):\n" + string.Join('\n', failed.Select(
                partition => $"{partition}: {JavaErrors.Of(results[partition], "alterPartitionReassignments").Message}")));
        }

        output.WriteLine($"Successfully started partition reassignment{(sorted.Count == 1 ? "" : "s")} for {string.Join(',', sorted)}");
    }

    /// <summary>Has replicas moved between directories; a replica that its broker has not yet is tried again.</summary>
    private async Task MoveDirectoriesAsync(IReadOnlyList<MovedPartition> moves)
    {
        var pending = DirectoriesOf(moves);
        var time = TimeProvider.System;
        var started = time.GetTimestamp();
        var timeout = options.Long("timeout") is { } ms ? TimeSpan.FromMilliseconds(ms) : TimeoutDefault;
        while (pending.Count > 0)
        {
            var results = await client.CallAsync("alterReplicaLogDirs", admin => admin.AlterReplicaLogDirsAsync(pending));
            foreach (var (replica, result) in results.OrderBy(each => each.Key.BrokerId))
            {
                if (result.IsSuccess)
                {
                    output.WriteLine(
                        $"Successfully started moving log directory to {pending[replica]} for replica {replica.Partition} with broker "
                            + $"{replica.BrokerId} ");
                    pending.Remove(replica);
                }
                else if (result.Error != ErrorCode.ReplicaNotAvailable)
                {
                    throw ReassignmentJson.Failed($"Failed to alter dir for {replica.Partition}-{replica.BrokerId}");
                }
            }

            if (pending.Count == 0)
                return;
            if (time.GetElapsedTime(started) >= timeout)
            {
                throw new ToolException(
                    $"Timed out before log directory move{(pending.Count == 1 ? "" : "s")} could be started for: "
                        + string.Join(',', pending.Keys.Select(replica => $"{replica.Partition}-{replica.BrokerId}")));
            }

            await Task.Delay(RetryInterval, time);
        }
    }

    private static Dictionary<PartitionReplica, string> DirectoriesOf(IEnumerable<MovedPartition> moves) => moves.SelectMany(
        move => move.Replicas.Zip(
            move.LogDirs, (id, directory) => (Replica: new PartitionReplica(move.Partition, id), Directory: directory)))
        .Where(each => each.Directory != ReassignmentJson.AnyLogDir).ToDictionary(each => each.Replica, each => each.Directory);
}
