using Ottla.HistoryChecker.History;

namespace Ottla.HistoryChecker.Checks;

/// <summary>What a history says of a partition: its values, and the order that offsets put them in.</summary>
internal sealed class PartitionHistory(string name)
{
    private readonly Dictionary<long, ValueHistory> _values = [];
    private readonly List<Claim> _claims = [];
    private long[] _committedOffsets = [];

    public string Name { get; } = name;

    /// <summary>Every value that was sent or polled, in the order of their first mention.</summary>
    public IReadOnlyCollection<ValueHistory> Values => _values.Values;

    /// <summary>The highest offset that anybody polled; -1 when nobody polled anything.</summary>
    public long HighestPolledOffset { get; private set; } = -1;

    /// <summary>The offsets at which more than one value was seen, each with its values.</summary>
    public IReadOnlyList<(long Offset, IReadOnlyList<long> Values)> InconsistentOffsets { get; private set; } = [];

    public ValueHistory this[long value] => _values[value];

    public void AddSend(int operation, Outcome outcome, Send send)
    {
        ValueOrNew(send.Value).Writers.Add(new Writer(operation, send.Offset));
        // Where a failed transaction's records were is nobody's business: they are not there for anybody.
        if (send.Offset is { } offset && outcome != Outcome.Fail)
            _claims.Add(new Claim(offset, send.Value, IsCommitted: outcome == Outcome.Ok));
    }

    public void AddRead(int operation, PolledRecord record)
    {
        ValueOrNew(record.Value).AddReader(operation);
        _claims.Add(new Claim(record.Offset, record.Value, IsCommitted: true));
        HighestPolledOffset = Math.Max(HighestPolledOffset, record.Offset);
    }

    /// <summary>Puts everything in order, once it is complete.</summary>
    public void Arrange()
    {
        _claims.Sort();
        var committed = new List<long>();
        var inconsistent = new List<(long, IReadOnlyList<long>)>();
        for (var i = 0; i < _claims.Count;)
        {
            var offset = _claims[i].Offset;
            var values = new List<long>();
            for (; i < _claims.Count && _claims[i].Offset == offset; i++)
            {
                var (_, value, isCommitted) = _claims[i];
                if (values.Count == 0 || values[^1] != value)
                    values.Add(value);
                if (!isCommitted)
                    continue;
                if (committed.Count == 0 || committed[^1] != offset)
                    committed.Add(offset);
                if (_values[value].Offsets is var offsets && (offsets.Count == 0 || offsets[^1] != offset))
                    offsets.Add(offset);
            }

            if (values.Count > 1)
                inconsistent.Add((offset, values));
        }

        _committedOffsets = [.. committed];
        InconsistentOffsets = inconsistent;
        _claims.Clear();
    }

    /// <summary>
    /// How many records that are known to be committed lie before an offset: the place of the record at that offset among them.
    /// </summary>
    public int PlaceOf(long offset)
    {
        var found = Array.BinarySearch(_committedOffsets, offset);
        return found >= 0 ? found : ~found;
    }

    /// <summary>The offset of the record at a place.</summary>
    public long OffsetAt(int place) => _committedOffsets[place];

    private ValueHistory ValueOrNew(long value)
    {
        if (!_values.TryGetValue(value, out var history))
            _values.Add(value, history = new ValueHistory(value));
        return history;
    }

    /// <summary>Somebody says that a value is at an offset.</summary>
    private readonly record struct Claim(long Offset, long Value, bool IsCommitted) : IComparable<Claim>
    {
        public int CompareTo(Claim other) => (Offset, Value).CompareTo((other.Offset, other.Value));
    }
}

/// <summary>What a history says of a value in a partition.</summary>
internal sealed class ValueHistory(long value)
{
    public long Value { get; } = value;

    /// <summary>Who sent it: one, unless an application repeated what it was not sure of.</summary>
    public List<Writer> Writers { get; } = [];

    /// <summary>The operations that polled it, in the order of the history, each once.</summary>
    public List<int> Readers { get; } = [];

    /// <summary>Where it was seen, or acknowledged by what is committed; in order, each once.</summary>
    public List<long> Offsets { get; } = [];

    public bool IsRead => Readers.Count > 0;

    public void AddReader(int operation)
    {
        if (Readers.Count == 0 || Readers[^1] != operation)
            Readers.Add(operation);
    }
}

/// <summary>An operation that sent a value.</summary>
/// <param name="Operation">Its index in the history.</param>
/// <param name="Offset">The offset that was acknowledged, if any.</param>
internal readonly record struct Writer(int Operation, long? Offset);
