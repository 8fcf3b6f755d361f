using Ottla.Client.Admins;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Client;

public sealed partial class Admin
{
    /// <inheritdoc/>
    public async Task<AdminResults<TopicPartition>> AlterPartitionReassignmentsAsync(
        IReadOnlyDictionary<TopicPartition, IReadOnlyList<int>?> reassignments, bool allowReplicationFactorChange = true,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(reassignments);
        return Outcomes(await Items.RunAsync(
            new ItemCall<TopicPartition, Done, AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse>
            {
                IsRetriable = AdminErrors.OfController,
                Request = (_, asked, left) => new AlterPartitionReassignmentsRequest
                {
                    TimeoutMs = Milliseconds(left),
                    AllowReplicationFactorChange = allowReplicationFactorChange,
                    Topics = [.. asked.GroupBy(partition => partition.Topic)
                        .Select(topic => new AlterPartitionReassignmentsRequest.ReassignableTopic
                        {
                            Name = topic.Key,
                            Partitions = [.. topic.Select(partition => new AlterPartitionReassignmentsRequest.ReassignablePartition
                            {
                                PartitionIndex = partition.Partition,
                                Replicas = reassignments[partition]?.ToArray(),
                            })],
                        })],
                },
                Read = (answer, answers) =>
                {
                    if (answer.ErrorCode != 0)
                    {
                        answers.FailAll((ErrorCode)answer.ErrorCode, answer.ErrorMessage);
                        return;
                    }

                    foreach (var topic in answer.Responses)
                    {
                        foreach (var each in topic.Partitions)
                        {
                            answers.Take(
                                new TopicPartition(topic.Name, each.PartitionIndex), each.ErrorCode, each.ErrorMessage, () => default);
                        }
                    }
                },
            },
            reassignments.Keys, ToController<TopicPartition>(), cancellation));
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyDictionary<TopicPartition, PartitionReassignment>> ListPartitionReassignmentsAsync(
        IEnumerable<TopicPartition>? partitions = null, CancellationToken cancellation = default)
    {
        var answer = await Calls.ToControllerAsync<ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse>(
            _ => new ListPartitionReassignmentsRequest
            {
                TimeoutMs = RequestTimeoutMs,
                Topics = partitions?.GroupBy(partition => partition.Topic)
                    .Select(topic => new ListPartitionReassignmentsRequest.ListPartitionReassignmentsTopics
                    {
                        Name = topic.Key,
                        PartitionIndexes = [.. topic.Select(partition => partition.Partition)],
                    }).ToArray(),
            },
            answer => ErrorOf(answer.ErrorCode, answer.ErrorMessage), AdminErrors.ControllerRetry, cancellation);
        return answer.Topics.SelectMany(topic => topic.Partitions.Select(each => (
                Partition: new TopicPartition(topic.Name, each.PartitionIndex),
                Move: new PartitionReassignment(each.Replicas, each.AddingReplicas, each.RemovingReplicas))))
            .ToDictionary(each => each.Partition, each => each.Move);
    }

    /// <inheritdoc/>
    public async Task<AdminResults<TopicPartition>> ElectLeadersAsync(
        ElectionType type, IReadOnlyCollection<TopicPartition>? partitions = null, CancellationToken cancellation = default)
    {
        var answer = await Calls.ToControllerAsync<ElectLeadersRequest, ElectLeadersResponse>(
            _ => new ElectLeadersRequest
            {
                ElectionType = (sbyte)type,
                TimeoutMs = RequestTimeoutMs,
                TopicPartitions = partitions?.GroupBy(partition => partition.Topic)
                    .Select(topic => new ElectLeadersRequest.TopicPartitionsData
                    {
                        Topic = topic.Key,
                        Partitions = [.. topic.Select(partition => partition.Partition)],
                    }).ToArray(),
            },
            answer => ErrorOf(answer.ErrorCode), AdminErrors.ControllerRetry, cancellation);
        var results = new Dictionary<TopicPartition, AdminResult>();
        foreach (var topic in answer.ReplicaElectionResults)
        {
            foreach (var each in topic.PartitionResult)
                results[new TopicPartition(topic.Topic, each.PartitionId)] = new AdminResult((ErrorCode)each.ErrorCode, each.ErrorMessage);
        }

        foreach (var missing in (partitions ?? []).Where(partition => !results.ContainsKey(partition)))
            results[missing] = new AdminResult(ErrorCode.UnknownServerError, $"The answer does not name {missing}");
        return new AdminResults<TopicPartition>(results);
    }

    /// <inheritdoc/>
    public async Task<AdminResults<int, IReadOnlyDictionary<string, LogDirDescription>>> DescribeLogDirsAsync(
        IEnumerable<int> brokerIds, IReadOnlyCollection<TopicPartition>? partitions = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(brokerIds);
        return Results(await Items.RunAsync(
            new ItemCall<int, IReadOnlyDictionary<string, LogDirDescription>, DescribeLogDirsRequest, DescribeLogDirsResponse>
            {
                IsRetriable = AdminErrors.Never,
                Request = (_, _, _) => ToRequest(partitions),
                Read = (answer, answers) => answers.Take(answers.Asked[0], answer.ErrorCode, null, () => ToDirectories(answer)),
            },
            brokerIds, new NodeRoute<int>(_client, id => id, othersToController: false), cancellation));
    }

    /// <inheritdoc/>
    public async Task<AdminResults<PartitionReplica, ReplicaLogDir>> DescribeReplicaLogDirsAsync(
        IEnumerable<PartitionReplica> replicas, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(replicas);
        return Results(await Items.RunAsync(
            new ItemCall<PartitionReplica, ReplicaLogDir, DescribeLogDirsRequest, DescribeLogDirsResponse>
            {
                IsRetriable = AdminErrors.Never,
                Request = (_, asked, _) => ToRequest([.. asked.Select(replica => replica.Partition)]),
                Read = (answer, answers) =>
                {
                    var directories = ToDirectories(answer);
                    foreach (var replica in answers.Asked)
                        answers.Take(replica, answer.ErrorCode, null, () => Locate(replica.Partition, directories));
                },
            },
            replicas, new NodeRoute<PartitionReplica>(_client, replica => replica.BrokerId, othersToController: false), cancellation));
    }

    /// <inheritdoc/>
    public async Task<AdminResults<PartitionReplica>> AlterReplicaLogDirsAsync(
        IReadOnlyDictionary<PartitionReplica, string> directories, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(directories);
        return Outcomes(await Items.RunAsync(
            new ItemCall<PartitionReplica, Done, AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse>
            {
                IsRetriable = AdminErrors.Never,
                Request = (_, asked, _) => new AlterReplicaLogDirsRequest
                {
                    Dirs = [.. asked.GroupBy(replica => directories[replica])
                        .Select(directory => new AlterReplicaLogDirsRequest.AlterReplicaLogDir
                        {
                            Path = directory.Key,
                            Topics = [.. directory.GroupBy(replica => replica.Partition.Topic)
                                .Select(topic => new AlterReplicaLogDirsRequest.AlterReplicaLogDirTopic
                                {
                                    Name = topic.Key,
                                    Partitions = [.. topic.Select(replica => replica.Partition.Partition)],
                                })],
                        })],
                },
                Read = (answer, answers) =>
                {
                    var brokerId = answers.Asked[0].BrokerId;
                    foreach (var topic in answer.Results)
                    {
                        foreach (var each in topic.Partitions)
                        {
                            var partition = new TopicPartition(topic.TopicName, each.PartitionIndex);
                            answers.Take(new PartitionReplica(partition, brokerId), each.ErrorCode, null, () => default);
                        }
                    }
                },
            },
            directories.Keys, new NodeRoute<PartitionReplica>(_client, replica => replica.BrokerId, othersToController: false),
            cancellation));
    }

    private static DescribeLogDirsRequest ToRequest(IReadOnlyCollection<TopicPartition>? partitions) => new()
    {
        Topics = partitions?.GroupBy(partition => partition.Topic).Select(topic => new DescribeLogDirsRequest.DescribableLogDirTopic
        {
            Topic = topic.Key,
            Partitions = [.. topic.Select(partition => partition.Partition)],
        }).ToArray(),
    };

    private static Dictionary<string, LogDirDescription> ToDirectories(DescribeLogDirsResponse answer) => answer.Results.ToDictionary(
        directory => directory.LogDir,
        directory => new LogDirDescription(
            (ErrorCode)directory.ErrorCode, directory.TotalBytes >= 0 ? directory.TotalBytes : null,
            directory.UsableBytes >= 0 ? directory.UsableBytes : null, directory.IsCordoned,
            directory.Topics.SelectMany(topic => topic.Partitions.Select(each => (
                    Partition: new TopicPartition(topic.Name, each.PartitionIndex),
                    Replica: new LogDirReplica(each.PartitionSize, each.OffsetLag, each.IsFutureKey))))
                .ToDictionary(each => each.Partition, each => each.Replica)));

    private static ReplicaLogDir Locate(TopicPartition partition, Dictionary<string, LogDirDescription> directories)
    {
        var place = new ReplicaLogDir(null, -1, null, -1);
        foreach (var (path, directory) in directories)
        {
            if (!directory.Replicas.TryGetValue(partition, out var replica))
                continue;
            place = replica.IsFuture
                ? place with { FutureDirectory = path, FutureOffsetLag = replica.OffsetLag }
                : place with { Directory = path, OffsetLag = replica.OffsetLag };
        }

        return place;
    }
}
