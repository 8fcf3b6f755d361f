using Ottla.HistoryChecker.History;

namespace Ottla.HistoryChecker.Checks;

/// <summary>Does each consumer get the records of a partition in order, and all of them?</summary>
/// <remarks>
/// Between operations only while the consumer chose its partitions itself; within one operation always. An aborted transaction's polls may
/// be repeated, from anywhere before; after an operation of unknown outcome nobody knows where its consumer stands.
/// </remarks>
internal sealed class PollOrderCheck
{
    private readonly HistoryIndex _index;
    private readonly List<Anomaly> _anomalies = [];
    private readonly Dictionary<long, Consumer> _consumers = [];

    /// <summary>Where the operation under way got to, by partition.</summary>
    private readonly Dictionary<string, Position> _within = [];

    private PollOrderCheck(HistoryIndex index) => _index = index;

    public static IReadOnlyList<Anomaly> Find(HistoryIndex index)
    {
        var check = new PollOrderCheck(index);
        for (var i = 0; i < index.Operations.Count; i++)
            check.Follow(i, index.Operations[i]);
        return check._anomalies;
    }

    private void Follow(int number, Operation operation)
    {
        if (!_consumers.TryGetValue(operation.Process, out var consumer))
            _consumers.Add(operation.Process, consumer = new Consumer());
        _within.Clear();
        foreach (var step in operation.Steps)
        {
            switch (step)
            {
                case Assign assign:
                    _within.Clear();
                    Reassign(number, consumer, assign);
                    break;
                case Subscribe:
                    _within.Clear();
                    consumer.IsAssigned = false;
                    consumer.Positions.Clear();
                    break;
                case Rebalance rebalance:
                    foreach (var partition in rebalance.Partitions)
                        _within.Remove(partition);
                    break;
                case Poll poll:
                    foreach (var record in poll.Records)
                        Follow(number, consumer, record);
                    break;
            }
        }

        if (operation.Outcome == Outcome.Info)
            consumer.Positions.Clear();
        else if (consumer.IsAssigned)
        {
            foreach (var (partition, position) in _within)
                consumer.Positions[partition] = position with { MayGoBack = operation.Outcome == Outcome.Fail };
        }
    }

    private void Reassign(int number, Consumer consumer, Assign assign)
    {
        var kept = new Dictionary<string, Position>();
        foreach (var (partition, start) in assign.Partitions)
        {
            if (start is { } offset)
                kept[partition] = new Position((_index.Find(partition)?.PlaceOf(offset) ?? 0) - 1, number, MayGoBack: false);
            else if (consumer.Positions.TryGetValue(partition, out var position))
                kept[partition] = position;
        }

        consumer.IsAssigned = true;
        consumer.Positions = kept;
    }

    private void Follow(int number, Consumer consumer, PolledRecord record)
    {
        var partition = _index.Find(record.Partition)!;
        var place = partition.PlaceOf(record.Offset);
        if (_within.TryGetValue(record.Partition, out var last))
            Compare(AnomalyKind.InternalPollSkip, AnomalyKind.InternalNonmonotonicPoll);
        else if (consumer.Positions.TryGetValue(record.Partition, out last))
            Compare(AnomalyKind.PollSkip, AnomalyKind.NonmonotonicPoll);
        _within[record.Partition] = new Position(place, number, MayGoBack: false);

        void Compare(AnomalyKind skip, AnomalyKind goingBack)
        {
            if (place > last.Place + 1)
            {
                var skipped = place - last.Place - 1;
                Report(skip,
                    $"{record.Partition} was polled at {record.Offset}, leaving out {skipped} committed "
                        + $"{(skipped == 1 ? "record" : "records")} from {partition.OffsetAt(last.Place + 1)} on");
            }
            else if (place <= last.Place && !last.MayGoBack)
            {
                Report(goingBack, $"{record.Partition} was polled at {record.Offset} after {partition.OffsetAt(last.Place)}");
            }
        }

        void Report(AnomalyKind kind, string description) =>
            _anomalies.Add(new Anomaly(kind, description, last.Operation == number ? [number] : [last.Operation, number]));
    }

    /// <summary>The last record that was polled of a partition.</summary>
    /// <param name="Place">Its place among the committed records; -1 before the first.</param>
    /// <param name="Operation">What polled it, or set out from behind it.</param>
    /// <param name="MayGoBack">Whether it was polled in vain: a consumer then goes on from here or from any place before.</param>
    private readonly record struct Position(int Place, int Operation, bool MayGoBack);

    private sealed class Consumer
    {
        public bool IsAssigned { get; set; }

        public Dictionary<string, Position> Positions { get; set; } = [];
    }
}
