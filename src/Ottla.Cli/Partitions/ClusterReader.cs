using System.Collections.Immutable;
using Ottla.Cli.KafkaTools;
using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Cli.Partitions;

/// <summary>A broker as the cluster tells of it.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Rack">Its rack, if it has one.</param>
/// <param name="IsFenced">Whether it has fallen silent.</param>
internal sealed record BrokerState(int Id, string? Rack, bool IsFenced);

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
/// <param name="admin">The cluster.</param>
/// <param name="time">The clock of what is not waited for longer.</param>
internal sealed class ClusterReader(IAdmin admin, TimeProvider time)
{
    private const int NoLeader = -1;

    /// <summary>All registered brokers, fenced ones too, by id.</summary>
    public async Task<IReadOnlyList<BrokerState>> BrokersAsync() =>
    [
        .. (await admin.DescribeClusterAsync(includeFencedBrokers: true)).Brokers.OrderBy(broker => broker.Id)
            .Select(broker => new BrokerState(broker.Id, broker.Rack, broker.IsFenced)),
    ];

    /// <summary>Partitions, by topic and number.</summary>
    /// <param name="topics">The topics; null for all. Those that are not there are left out.</param>
    public async Task<IReadOnlyList<PartitionState>> PartitionsAsync(IEnumerable<string>? topics = null)
    {
        var names = topics ?? (await admin.ListTopicsAsync(includeInternal: true)).Select(topic => topic.Name);
        var described = await admin.DescribeTopicsAsync(names.Distinct(StringComparer.Ordinal));
        return
        [
            .. described.Values.Where(topic => topic.Error != ErrorCode.UnknownTopicOrPartition).Select(topic => topic.Value)
                .OrderBy(topic => topic.Name, StringComparer.Ordinal)
                .SelectMany(topic => topic.Partitions.OrderBy(partition => partition.Index).Select(partition => new PartitionState(
                    new TopicPartition(topic.Name, partition.Index), partition.LeaderId ?? NoLeader, [.. partition.Replicas]))),
        ];
    }

    /// <summary>The reassignments that are under way.</summary>
    public async Task<IReadOnlyDictionary<TopicPartition, OngoingReassignment>> OngoingAsync() =>
        (await admin.ListPartitionReassignmentsAsync()).ToDictionary(each => each.Key, each => new OngoingReassignment(
            [.. each.Value.Replicas], [.. each.Value.AddingReplicas], [.. each.Value.RemovingReplicas]));

    /// <summary>A broker's disks.</summary>
    /// <param name="broker">The broker, which is asked itself.</param>
    /// <param name="partitions">The partitions whose sizes are wanted; null for all.</param>
    /// <param name="patience">How long it may take; null for as long as any call.</param>
    /// <exception cref="ToolException">The broker does not answer in that time.</exception>
    public async Task<BrokerDisks> DisksAsync(
        BrokerState broker, IReadOnlyCollection<TopicPartition>? partitions = null, TimeSpan? patience = null)
    {
        using var deadline = new CancellationTokenSource(patience ?? Timeout.InfiniteTimeSpan, time);
        try
        {
            var directories = (await admin.DescribeLogDirsAsync([broker.Id], partitions, deadline.Token))[broker.Id].Value.Values;
            return DisksOf([.. directories.Where(directory => directory.Error == ErrorCode.None)]);
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested)
        {
            throw new ToolException($"Broker {broker.Id} did not answer in {patience!.Value.TotalSeconds} s.");
        }
    }

    private static BrokerDisks DisksOf(IReadOnlyList<LogDirDescription> online)
    {
        var open = online.Where(directory => !directory.IsCordoned).ToList();
        var sizes = new Dictionary<TopicPartition, long>();
        foreach (var (partition, replica) in online.SelectMany(directory => directory.Replicas).Where(each => !each.Value.IsFuture))
            sizes[partition] = replica.SizeBytes;

        // Directories of one volume tell of the same room, which is there once.
        var free = open.Any(directory => directory.UsableBytes is null)
            ? long.MaxValue
            : open.DistinctBy(directory => (directory.TotalBytes, directory.UsableBytes >> 20))
                .Sum(directory => directory.UsableBytes!.Value);
        return new BrokerDisks(free, open.Count > 0, sizes);
    }
}
