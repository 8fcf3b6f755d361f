using Ottla.Kernel;

namespace Ottla.Client.Consumers.Assignors;

/// <summary>
/// The moves of one sticky assignment so far. Where a partition would go back over a way that another of its topic has come, that other one
/// goes back instead, and both stay where they were.
/// </summary>
internal sealed class StickyMoves
{
    private readonly Dictionary<TopicPartition, (string From, string To)> _moves = [];
    private readonly Dictionary<(string Topic, string From, string To), List<TopicPartition>> _byWay = [];

    /// <summary>The partition to move instead of another one.</summary>
    public TopicPartition Instead(TopicPartition partition, string from, string to)
    {
        if (_moves.TryGetValue(partition, out var earlier))
            from = earlier.From;
        return _byWay.TryGetValue((partition.Topic, to, from), out var back) ? JavaMapOrder.Of(back)[0] : partition;
    }

    /// <summary>Notes a move. Several moves of one partition count as one, from where it was first.</summary>
    public void Note(TopicPartition partition, string from, string to)
    {
        if (_moves.Remove(partition, out var earlier))
        {
            var way = (partition.Topic, earlier.From, earlier.To);
            _byWay[way].Remove(partition);
            if (_byWay[way].Count == 0)
                _byWay.Remove(way);
            from = earlier.From;
            if (from == to)
                return;
        }

        _moves[partition] = (from, to);
        if (!_byWay.TryGetValue((partition.Topic, from, to), out var moved))
            _byWay.Add((partition.Topic, from, to), moved = []);
        moved.Add(partition);
    }
}
