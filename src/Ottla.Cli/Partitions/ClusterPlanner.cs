using System.Collections.Immutable;
using System.Globalization;
using Ottla.Cli.KafkaTools;
using Ottla.Kernel;
using Ottla.StateMachines.Balancing;

namespace Ottla.Cli.Partitions;

/// <summary>What a plan is wanted for.</summary>
/// <param name="Added">Brokers that were added: only they take replicas. Empty: all do.</param>
/// <param name="Removed">Brokers that are to be removed.</param>
/// <param name="Topics">The topics that may move; empty for all.</param>
/// <param name="Tolerance">How far from the average a broker may be: 0.1 is a tenth.</param>
internal sealed record PlanOptions(
    ImmutableHashSet<int> Added, ImmutableHashSet<int> Removed, ImmutableHashSet<string> Topics, double Tolerance);

/// <summary>Looks at a cluster and has the balancer make a plan for it. Used by one command.</summary>
internal sealed class ClusterPlanner(ClusterReader reader)
{
    /// <summary>Of the free room on a broker's disks, a tenth stays free.</summary>
    private const double RoomShare = 0.9;

    private readonly List<string> _notes = [];

    /// <summary>What the user should know of the cluster beside the plan.</summary>
    public IReadOnlyList<string> Notes => _notes;

    /// <summary>Makes a plan.</summary>
    /// <exception cref="ToolException">The cluster does not answer, or has no such broker or topic.</exception>
    public async Task<ReassignmentPlan> PlanAsync(PlanOptions options)
    {
        var brokers = await reader.BrokersAsync();
        var ongoing = await reader.OngoingAsync();
        var partitions = await reader.PartitionsAsync();
        Check(options, brokers, partitions);
        var disks = new Dictionary<int, BrokerDisks>();
        foreach (var broker in brokers.Where(broker => !broker.IsFenced))
            disks[broker.Id] = await reader.DisksAsync(broker);
        Note(options, brokers, partitions, ongoing, disks);
        return Balancer.Plan(new BalancedCluster
        {
            Brokers =
            [
                .. brokers.Select(broker => ToBalanced(broker, options, disks.GetValueOrDefault(broker.Id))),
                .. options.Removed.Except(brokers.Select(broker => broker.Id))
                    .Select(id => new BalancedBroker(id, null, BrokerDuty.Leaving)),
            ],
            Partitions =
            [
                .. partitions.Select(partition => ToBalanced(partition, options, ongoing.GetValueOrDefault(partition.Id), disks)),
            ],
            NewBrokers = options.Added,
            Tolerance = options.Tolerance,
        });
    }

    private static BalancedBroker ToBalanced(BrokerState broker, PlanOptions options, BrokerDisks? disks)
    {
        var duty = options.Removed.Contains(broker.Id) ? BrokerDuty.Leaving
            : disks is { TakesReplicas: true } ? BrokerDuty.Serving
            : BrokerDuty.Keeping;
        var room = disks is null or { FreeBytes: long.MaxValue } ? long.MaxValue : (long)(disks.FreeBytes * RoomShare);
        return new BalancedBroker(broker.Id, broker.Rack, duty, room);
    }

    private static BalancedPartition ToBalanced(
        PartitionState partition, PlanOptions options, OngoingReassignment? ongoing, Dictionary<int, BrokerDisks> disks)
    {
        // The leader's size is what a new replica will have; without a leader, the largest.
        var bytes = disks.TryGetValue(partition.Leader, out var leader) && leader.Sizes.TryGetValue(partition.Id, out var size)
            ? size
            : partition.Replicas.Max(id => disks.GetValueOrDefault(id)?.Sizes.GetValueOrDefault(partition.Id) ?? 0);
        var isFixed = ongoing is not null || (!options.Topics.IsEmpty && !options.Topics.Contains(partition.Id.Topic));
        return new BalancedPartition(partition.Id, ongoing?.Target ?? partition.Replicas, partition.Leader, bytes, isFixed);
    }

    private static void Check(PlanOptions options, IReadOnlyList<BrokerState> brokers, IReadOnlyList<PartitionState> partitions)
    {
        foreach (var id in options.Added)
        {
            if (brokers.FirstOrDefault(broker => broker.Id == id) is not { } broker)
                throw new ToolException($"Broker {id} is not in the cluster. Start it first; {Known(brokers)} are there.");
            if (broker.IsFenced)
                throw new ToolException($"Broker {id} is fenced: it does not answer the controller, and can take no replicas.");
        }

        foreach (var id in options.Removed)
        {
            if (brokers.All(broker => broker.Id != id) && !partitions.Any(partition => partition.Replicas.Contains(id)))
                throw new ToolException($"Broker {id} is not in the cluster, and no partition names it; {Known(brokers)} are there.");
        }

        if (options.Topics.FirstOrDefault(topic => partitions.All(partition => partition.Id.Topic != topic)) is { } unknown)
            throw new ToolException($"There is no topic {unknown}.");
    }

    private void Note(
        PlanOptions options, IReadOnlyList<BrokerState> brokers, IReadOnlyList<PartitionState> partitions,
        IReadOnlyDictionary<TopicPartition, OngoingReassignment> ongoing, Dictionary<int, BrokerDisks> disks)
    {
        foreach (var broker in brokers.Where(broker => !options.Removed.Contains(broker.Id)))
        {
            if (broker.IsFenced)
            {
                _notes.Add(
                    $"Broker {broker.Id} is fenced: its replicas stay, and it gets none. --remove-broker {broker.Id} moves them away.");
            }
            else if (!disks[broker.Id].TakesReplicas)
            {
                _notes.Add($"Broker {broker.Id} takes no new replicas: its log directories are cordoned or offline.");
            }
        }

        var unknown = partitions.SelectMany(partition => partition.Replicas).Distinct()
            .Except(brokers.Select(broker => broker.Id)).Except(options.Removed).Order();
        foreach (var id in unknown)
            _notes.Add($"Broker {id} is not registered, but has replicas by the metadata. --remove-broker {id} moves them away.");
        var rackless = brokers.Where(broker => broker.Rack is null).ToList();
        if (rackless.Count > 0 && rackless.Count < brokers.Count)
            _notes.Add($"Some brokers have no rack ({Ids(rackless)}): they count as one rack. Set broker.rack.");
        if (ongoing.Count > 0)
        {
            _notes.Add(string.Create(
                CultureInfo.InvariantCulture,
                $"{ongoing.Count} partitions are being moved already: they count as where they go, and the plan leaves them alone."));
        }
    }

    private static string Known(IReadOnlyList<BrokerState> brokers) => $"the brokers {Ids(brokers)}";

    private static string Ids(IEnumerable<BrokerState> brokers) => string.Join(", ", brokers.Select(broker => broker.Id));
}
