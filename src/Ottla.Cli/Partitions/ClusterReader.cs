using System.Collections.Immutable;
using Ottla.Cli.Admin;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Requests;

namespace Ottla.Cli.Partitions;

/// <summary>A broker as the cluster tells of it.</summary>
/// <param name="Address">Its id, and where it listens.</param>
/// <param name="Rack">Its rack, if it has one.</param>
/// <param name="IsFenced">Whether it has fallen silent.</param>
internal sealed record BrokerState(NodeAddress Address, string? Rack, bool IsFenced)
{
    public int Id => Address.Id;
}

/// <summary>A partition as the cluster tells of it.</summary>
/// <param name="Id">Its topic and number.</param>
/// <param name="Leader">Its leader, or -1.</param>
/// <param name="Replicas">The brokers that have it, the preferred leader first; while it is moved, old and new ones.</param>
internal sealed record PartitionState(TopicPartition Id, int Leader, ImmutableArray<int> Replicas);

/// <summary>A reassignment that is under way.</summary>
/// <param name="Replicas">All brokers that have or get a replica.</param>
/// <param name="Adding">Those that get one.</param>
/// <param name="Removing">Those that lose theirs at the end.</param>
internal sealed record OngoingReassignment(ImmutableArray<int> Replicas, ImmutableArray<int> Adding, ImmutableArray<int> Removing)
{
    /// <summary>What the replicas are to be, in order.</summary>
    public ImmutableArray<int> Target => [.. Replicas.Except(Removing)];
}

/// <summary>The disks of a broker.</summary>
/// <param name="FreeBytes">The room for new replicas; <see cref="long.MaxValue"/> when the broker does not tell.</param>
/// <param name="TakesReplicas">Whether a log directory is there that takes new replicas: online, and not cordoned.</param>
/// <param name="Sizes">The sizes of its replicas.</param>
internal sealed record BrokerDisks(long FreeBytes, bool TakesReplicas, IReadOnlyDictionary<TopicPartition, long> Sizes);

/// <summary>Asks a cluster for what plans and moves are made of. Used by one command.</summary>
internal sealed class ClusterReader(AdminConnection connection)
{
    /// <summary>All registered brokers, fenced ones too, by id.</summary>
    public async Task<IReadOnlyList<BrokerState>> BrokersAsync()
    {
        var request = new DescribeClusterRequest { IncludeFencedBrokers = true };
        var answer = await connection.SendAsync<DescribeClusterRequest, DescribeClusterResponse>(
            _ => request, answer => ((ErrorCode)answer.ErrorCode, answer.ErrorMessage));
        return
        [
            .. answer.Brokers.OrderBy(broker => broker.BrokerId).Select(broker =>
                new BrokerState(new NodeAddress(broker.BrokerId, broker.Host, broker.Port), broker.Rack, broker.IsFenced)),
        ];
    }

    /// <summary>Partitions, by topic and number.</summary>
    /// <param name="topics">The topics; null for all. Those that are not there are left out.</param>
    public async Task<IReadOnlyList<PartitionState>> PartitionsAsync(IEnumerable<string>? topics = null)
    {
        var request = new MetadataRequest
        {
            Topics = topics?.Distinct(StringComparer.Ordinal)
                .Select(name => new MetadataRequest.MetadataRequestTopic { Name = name }).ToArray(),
            AllowAutoTopicCreation = false,
        };
        var answer = await connection.SendAsync<MetadataRequest, MetadataResponse>(_ => request, answer =>
            answer.ErrorCode != (short)ErrorCode.None ? ((ErrorCode)answer.ErrorCode, null) : Failure(answer.Topics));
        return
        [
            .. answer.Topics.Where(topic => topic.ErrorCode == (short)ErrorCode.None).OrderBy(topic => topic.Name, StringComparer.Ordinal)
                .SelectMany(topic => topic.Partitions.OrderBy(partition => partition.PartitionIndex).Select(partition => new PartitionState(
                    new TopicPartition(topic.Name!, partition.PartitionIndex), partition.LeaderId, [.. partition.ReplicaNodes]))),
        ];
    }

    /// <summary>The reassignments that are under way.</summary>
    public async Task<IReadOnlyDictionary<TopicPartition, OngoingReassignment>> OngoingAsync()
    {
        var answer = await connection.SendAsync<ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse>(
            timeout => new ListPartitionReassignmentsRequest { TimeoutMs = (int)timeout.TotalMilliseconds, Topics = null },
            answer => ((ErrorCode)answer.ErrorCode, answer.ErrorMessage));
        return answer.Topics.SelectMany(topic => topic.Partitions.Select(partition => (
                Id: new TopicPartition(topic.Name, partition.PartitionIndex),
                Reassignment: new OngoingReassignment(
                    [.. partition.Replicas], [.. partition.AddingReplicas], [.. partition.RemovingReplicas]))))
            .ToDictionary(each => each.Id, each => each.Reassignment);
    }

    /// <summary>A broker's disks.</summary>
    /// <param name="broker">The broker, which is asked itself.</param>
    /// <param name="partitions">The partitions whose sizes are wanted; null for all.</param>
    /// <param name="patience">How long it may take; null for as long as any call.</param>
    public async Task<BrokerDisks> DisksAsync(
        BrokerState broker, IReadOnlyCollection<TopicPartition>? partitions = null, TimeSpan? patience = null)
    {
        var request = new DescribeLogDirsRequest
        {
            Topics = partitions?.GroupBy(partition => partition.Topic).Select(topic => new DescribeLogDirsRequest.DescribableLogDirTopic
            {
                Topic = topic.Key,
                Partitions = [.. topic.Select(partition => partition.Partition)],
            }).ToArray(),
        };
        var answer = await connection.SendToAsync<DescribeLogDirsRequest, DescribeLogDirsResponse>(
            broker.Address, patience, _ => request, answer => ((ErrorCode)answer.ErrorCode, null));
        var online = answer.Results.Where(directory => directory.ErrorCode == (short)ErrorCode.None).ToList();
        var open = online.Where(directory => !directory.IsCordoned).ToList();
        var sizes = new Dictionary<TopicPartition, long>();
        foreach (var topic in online.SelectMany(directory => directory.Topics))
        {
            foreach (var partition in topic.Partitions.Where(partition => !partition.IsFutureKey))
                sizes[new TopicPartition(topic.Name, partition.PartitionIndex)] = partition.PartitionSize;
        }

        // Directories of one volume tell of the same room, which is there once.
        var free = open.Any(directory => directory.UsableBytes < 0)
            ? long.MaxValue
            : open.DistinctBy(directory => (directory.TotalBytes, directory.UsableBytes >> 20)).Sum(directory => directory.UsableBytes);
        return new BrokerDisks(free, open.Count > 0, sizes);
    }

    /// <summary>The error of a topic, unless it is only gone.</summary>
    private static (ErrorCode, string?) Failure(MetadataResponse.MetadataResponseTopic[] topics)
    {
        var failed = Array.Find(topics, topic =>
            (ErrorCode)topic.ErrorCode is not (ErrorCode.None or ErrorCode.UnknownTopicOrPartition or ErrorCode.UnknownTopicId));
        return failed is null ? (ErrorCode.None, null) : ((ErrorCode)failed.ErrorCode, $"topic {failed.Name}");
    }
}
