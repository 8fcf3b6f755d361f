using System.Collections.Immutable;
using Ottla.Client;
using Ottla.Kernel;

namespace Ottla.Cli.Partitions;

/// <summary>Takes reassignments back that are under way, and removes their throttle. Used by one command.</summary>
internal sealed class PartitionCanceller(IAdmin admin, TextWriter output, TimeProvider time)
{
    private readonly ClusterReader _reader = new(admin, time);
    private readonly Reassigner _reassigner = new(admin);
    private readonly ReplicationThrottle _throttle = new(admin);

    /// <summary>Cancels those of a plan, or all.</summary>
    /// <param name="plan">The plan; null for all reassignments.</param>
    /// <param name="keepsThrottle">Whether throttles stay.</param>
    /// <returns>Whether nothing was refused.</returns>
    public async Task<bool> CancelAsync(PlanFile? plan, bool keepsThrottle)
    {
        var brokers = await _reader.BrokersAsync();
        var ongoing = await _reader.OngoingAsync();
        var origins = plan?.Entries.ToDictionary(entry => entry.Id, entry => entry.From);
        List<TopicPartition> wanted = [.. ongoing.Keys.Where(partition => origins is null || origins.ContainsKey(partition))
            .OrderBy(partition => partition.Topic, StringComparer.Ordinal).ThenBy(partition => partition.Partition)];
        var refused = await _reassigner.AlterAsync(wanted.Select(partition => (partition, (ImmutableArray<int>?)null)));
        List<TopicPartition> cancelled = [.. wanted.Where(partition => !refused.ContainsKey(partition))];
        if (wanted.Count == 0)
            output.WriteLine(plan is null ? "No partition is being moved." : "No partition of the plan is being moved.");
        else if (cancelled.Count > 0)
            output.WriteLine($"Cancelled: {Reassigner.Names(cancelled)}.");
        foreach (var (partition, problem) in refused)
            output.WriteLine($"{partition} cannot be taken back: {problem}.");
        if (origins is not null)
            await RestoreOrderAsync(cancelled, origins);
        if (!keepsThrottle)
            await ClearThrottleAsync(brokers, plan);
        return refused.Count == 0;
    }

    /// <summary>A cancellation leaves the replicas in another order, with another preferred leader: the plan knows the old one.</summary>
    private async Task RestoreOrderAsync(List<TopicPartition> cancelled, Dictionary<TopicPartition, ImmutableArray<int>?> origins)
    {
        var current = (await _reader.PartitionsAsync(cancelled.Select(partition => partition.Topic)))
            .ToDictionary(partition => partition.Id);
        List<(TopicPartition, ImmutableArray<int>?)> changed =
        [
            .. from partition in cancelled
               where current.ContainsKey(partition)
               let origin = origins[partition]
               where origin is not null
               let replicas = current[partition].Replicas
               where !replicas.SequenceEqual(origin.Value) && replicas.Order().SequenceEqual(origin.Value.Order())
               select (partition, origin),
        ];
        foreach (var (partition, problem) in await _reassigner.AlterAsync(changed))
            output.WriteLine($"The order of the replicas of {partition} cannot be brought back: {problem}.");
    }

    private async Task ClearThrottleAsync(IReadOnlyList<BrokerState> brokers, PlanFile? plan)
    {
        var others = (await _reader.OngoingAsync()).Keys.ToList();
        if (others.Count > 0)
        {
            output.WriteLine($"Throttles stay as they are, because partitions are still being moved: {Reassigner.Names(others)}.");
            return;
        }

        var topics = plan?.Entries.Select(entry => entry.Id.Topic)
            ?? (await _reader.PartitionsAsync()).Select(partition => partition.Id.Topic);
        var state = await _throttle.FindAsync(brokers, topics);
        if (state.IsNone)
            return;
        await _throttle.ClearAsync(state);
        output.WriteLine("The throttle is removed.");
    }
}
