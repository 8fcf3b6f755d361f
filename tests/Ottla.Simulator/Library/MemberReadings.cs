using Ottla.Client;
using Ottla.HistoryChecker.History;
using Ottla.Kernel;

namespace Ottla.Simulator.Library;

/// <summary>What one member of a group reads: each partition, as long as it has it, is a process of the history.</summary>
/// <param name="history">The history.</param>
/// <param name="name">The member's name.</param>
public class MemberReadings(HistoryRecorder history, string name) : IRebalanceListener
{
    private readonly Dictionary<TopicPartition, long> _readers = [];

    /// <summary>The partitions that it has.</summary>
    public IReadOnlyCollection<TopicPartition> Partitions => _readers.Keys;

    /// <summary>Told of each record of a partition that it has; null if nobody wants to know.</summary>
    public Action<ConsumeResult<byte[], long>>? Taken { get; set; }

    /// <inheritdoc/>
    public virtual ValueTask OnAssignedAsync(IReadOnlyList<TopicPartition> partitions, CancellationToken cancellation)
    {
        foreach (var partition in partitions)
        {
            var number = history.NextProcess();
            if (!_readers.TryAdd(partition, number))
                throw new SimulationException($"{name} was given {partition}, and has it already");
            history.Add(new Operation
            {
                Process = number,
                Outcome = Outcome.Ok,
                Steps = [new Assign([new AssignedPartition(partition.ToString())])],
            });
        }

        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public virtual ValueTask OnRevokedAsync(IReadOnlyList<TopicPartition> partitions, CancellationToken cancellation) => Remove(partitions);

    /// <inheritdoc/>
    public virtual ValueTask OnLostAsync(IReadOnlyList<TopicPartition> partitions, CancellationToken cancellation) => Remove(partitions);

    /// <summary>A record came.</summary>
    /// <returns>
    /// False when it is of a partition that the member does not have any more: it was taken before the member was told, in the same call.
    /// </returns>
    public bool Take(in ConsumeResult<byte[], long> record)
    {
        if (!_readers.TryGetValue(record.TopicPartition, out var number))
            return false;
        history.Add(new Operation { Process = number, Outcome = Outcome.Ok, Steps = [LibraryReaders.ToPoll([record])] });
        Taken?.Invoke(record);
        return true;
    }

    private ValueTask Remove(IReadOnlyList<TopicPartition> partitions)
    {
        foreach (var partition in partitions)
        {
            if (!_readers.Remove(partition))
                throw new SimulationException($"{name} was to give {partition} up, and does not have it");
        }

        return ValueTask.CompletedTask;
    }
}
