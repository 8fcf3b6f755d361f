namespace Ottla.StateMachines.Share;

/// <summary>A run of offsets whose records share a state and a delivery count: what is persisted.</summary>
/// <param name="FirstOffset">The first offset.</param>
/// <param name="LastOffset">The last offset.</param>
/// <param name="State">What has become of the records.</param>
/// <param name="DeliveryCount">How often they were delivered.</param>
public readonly record struct DeliveryBatch(long FirstOffset, long LastOffset, DeliveryState State, short DeliveryCount)
{
    /// <summary>
    /// Lays changes over what is known, and returns what follows: in order, without overlaps, neighbours that are alike as one.
    /// </summary>
    /// <remarks>
    /// Where batches overlap the higher delivery count counts, then the higher state, as in Kafka: a write that comes late or twice can
    /// not undo a later one.
    /// </remarks>
    /// <param name="known">What is known.</param>
    /// <param name="changes">What is to be laid over it.</param>
    /// <param name="startOffset">Offsets below it are left out; -1 leaves out none.</param>
    public static List<DeliveryBatch> Combine(
        IReadOnlyList<DeliveryBatch> known, IReadOnlyList<DeliveryBatch> changes, long startOffset)
    {
        var edges = new List<Edge>(2 * (known.Count + changes.Count));
        AddEdges(known, startOffset, edges);
        AddEdges(changes, startOffset, edges);
        edges.Sort();

        var active = new SortedDictionary<(short Count, DeliveryState State), int>();
        var combined = new List<DeliveryBatch>();
        var from = 0L;
        for (var i = 0; i < edges.Count;)
        {
            var offset = edges[i].Offset;
            if (active.Count > 0 && offset > from)
                Append(combined, from, offset - 1, Highest(active));
            for (; i < edges.Count && edges[i].Offset == offset; i++)
            {
                var value = (edges[i].Count, edges[i].State);
                var count = active.GetValueOrDefault(value) + (edges[i].IsBegin ? 1 : -1);
                if (count == 0)
                    active.Remove(value);
                else
                    active[value] = count;
            }

            from = offset;
        }

        return combined;
    }

    private static (short Count, DeliveryState State) Highest(SortedDictionary<(short Count, DeliveryState State), int> active)
    {
        var highest = (short.MinValue, DeliveryState.Available);
        foreach (var (value, _) in active)
            highest = value; // they come in order
        return highest;
    }

    private static void AddEdges(IReadOnlyList<DeliveryBatch> batches, long startOffset, List<Edge> edges)
    {
        foreach (var batch in batches)
        {
            var first = startOffset == -1 ? batch.FirstOffset : Math.Max(batch.FirstOffset, startOffset);
            if (first > batch.LastOffset)
                continue;
            edges.Add(new Edge(first, true, batch.DeliveryCount, batch.State));
            edges.Add(new Edge(batch.LastOffset + 1, false, batch.DeliveryCount, batch.State));
        }
    }

    private static void Append(List<DeliveryBatch> batches, long first, long last, (short Count, DeliveryState State) value)
    {
        if (batches.Count > 0 && batches[^1] is var tail && tail.LastOffset + 1 == first && tail.State == value.State
            && tail.DeliveryCount == value.Count)
            batches[^1] = tail with { LastOffset = last };
        else
            batches.Add(new DeliveryBatch(first, last, value.State, value.Count));
    }

    /// <summary>Where a batch begins, or the offset after its last one.</summary>
    private readonly record struct Edge(long Offset, bool IsBegin, short Count, DeliveryState State) : IComparable<Edge>
    {
        public int CompareTo(Edge other) => Offset.CompareTo(other.Offset);
    }
}
