using Ottla.HistoryChecker.History;

namespace Ottla.HistoryChecker.Checks;

/// <summary>A history, looked up by partition, value and offset. Made once per check; does not change afterwards.</summary>
internal sealed class HistoryIndex
{
    private readonly Dictionary<string, PartitionHistory> _partitions = [];

    public HistoryIndex(IReadOnlyList<Operation> operations)
    {
        Operations = operations;
        for (var i = 0; i < operations.Count; i++)
        {
            foreach (var step in operations[i].Steps)
            {
                if (step is Send send)
                    PartitionOrNew(send.Partition).AddSend(i, operations[i].Outcome, send);
                else if (step is Poll poll)
                    AddPoll(i, poll);
            }
        }

        foreach (var partition in _partitions.Values)
            partition.Arrange();
    }

    public IReadOnlyList<Operation> Operations { get; }

    /// <summary>Every partition that something was sent to or polled from.</summary>
    public IReadOnlyCollection<PartitionHistory> Partitions => _partitions.Values;

    /// <summary>The partition called <paramref name="name"/>; null when nothing is known of it.</summary>
    public PartitionHistory? Find(string name) => _partitions.GetValueOrDefault(name);

    /// <summary>The writers of a value that have not failed.</summary>
    public IEnumerable<Writer> PossibleWriters(ValueHistory value) =>
        value.Writers.Where(writer => Operations[writer.Operation].Outcome != Outcome.Fail);

    private void AddPoll(int operation, Poll poll)
    {
        PartitionHistory? partition = null;
        foreach (var record in poll.Records)
        {
            if (partition?.Name != record.Partition)
                partition = PartitionOrNew(record.Partition);
            partition.AddRead(operation, record);
        }
    }

    private PartitionHistory PartitionOrNew(string name)
    {
        if (!_partitions.TryGetValue(name, out var partition))
            _partitions.Add(name, partition = new PartitionHistory(name));
        return partition;
    }
}
