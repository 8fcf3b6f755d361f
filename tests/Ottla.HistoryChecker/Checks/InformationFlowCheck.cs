using Ottla.HistoryChecker.History;

namespace Ottla.HistoryChecker.Checks;

/// <summary>Does information flow one way only, from committed transactions to those that poll what they sent?</summary>
/// <remarks>
/// An edge leads from the transaction that sent a value to every transaction that polled it (write-read edges). Kafka orders nothing by
/// writes alone. A circle is a part of the graph whose members reach each other (Tarjan), shown by its shortest way round.
/// </remarks>
internal sealed class InformationFlowCheck
{
    private readonly HistoryIndex _index;
    private readonly Dictionary<int, Dictionary<int, Edge>> _edges = [];

    private InformationFlowCheck(HistoryIndex index)
    {
        _index = index;
        foreach (var partition in index.Partitions)
        {
            foreach (var value in partition.Values)
                AddEdges(partition.Name, value);
        }
    }

    public static IEnumerable<Anomaly> Find(HistoryIndex index)
    {
        var graph = new InformationFlowCheck(index);
        return graph.FindCircularParts().Select(graph.Describe);
    }

    private void AddEdges(string partition, ValueHistory value)
    {
        var writers = _index.PossibleWriters(value).Select(writer => writer.Operation).Distinct().Take(2).ToList();
        if (writers is not [var writer] || !_index.Operations[writer].IsTransaction)
            return; // unless exactly one can have sent it, nothing is known
        foreach (var reader in value.Readers)
        {
            if (reader == writer || _index.Operations[reader] is not { IsTransaction: true, Outcome: not Outcome.Fail })
                continue;
            if (!_edges.TryGetValue(writer, out var readers))
                _edges.Add(writer, readers = []);
            readers.TryAdd(reader, new Edge(partition, value.Value));
        }
    }

    private Anomaly Describe(HashSet<int> part)
    {
        var circle = ShortestCircle(part);
        var flow = circle.Select((from, i) =>
        {
            var to = circle[(i + 1) % circle.Count];
            return $"#{to} polled {_edges[from][to].Value} from {_edges[from][to].Partition}, sent by #{from}";
        });
        return new Anomaly(AnomalyKind.CircularInformationFlow, string.Join("; ", flow), circle);
    }

    /// <summary>The shortest way from a member of a circular part back to itself.</summary>
    private List<int> ShortestCircle(HashSet<int> part)
    {
        var start = part.Min();
        var cameFrom = new Dictionary<int, int>();
        var queue = new Queue<int>([start]);
        while (queue.TryDequeue(out var from))
        {
            foreach (var to in _edges[from].Keys.Where(part.Contains))
            {
                if (to == start)
                {
                    var circle = new List<int> { from };
                    while (circle[^1] != start)
                        circle.Add(cameFrom[circle[^1]]);
                    circle.Reverse();
                    return circle;
                }

                if (cameFrom.TryAdd(to, from))
                    queue.Enqueue(to);
            }
        }

        throw new InvalidOperationException("a circular part has a circle through each of its members");
    }

    /// <summary>The strongly connected components of more than one transaction. Without recursion: a history's chains are long.</summary>
    private List<HashSet<int>> FindCircularParts()
    {
        var parts = new List<HashSet<int>>();
        var numbers = new Dictionary<int, int>();
        var lowest = new Dictionary<int, int>();
        var open = new Stack<int>();
        var isOpen = new HashSet<int>();
        var path = new Stack<(int Node, IEnumerator<int> Successors)>();
        foreach (var root in _edges.Keys)
        {
            if (numbers.ContainsKey(root))
                continue;
            Enter(root);
            while (path.TryPeek(out var top))
            {
                if (top.Successors.MoveNext())
                {
                    var next = top.Successors.Current;
                    if (!numbers.TryGetValue(next, out var number))
                        Enter(next);
                    else if (isOpen.Contains(next))
                        lowest[top.Node] = Math.Min(lowest[top.Node], number);
                }
                else
                {
                    path.Pop();
                    Leave(top.Node);
                }
            }
        }

        return parts;

        void Enter(int node)
        {
            numbers[node] = lowest[node] = numbers.Count;
            open.Push(node);
            isOpen.Add(node);
            IEnumerable<int> successors = _edges.TryGetValue(node, out var readers) ? readers.Keys : [];
            path.Push((node, successors.GetEnumerator()));
        }

        void Leave(int node)
        {
            if (path.TryPeek(out var parent))
                lowest[parent.Node] = Math.Min(lowest[parent.Node], lowest[node]);
            if (lowest[node] != numbers[node])
                return;
            var part = new HashSet<int>();
            do
                part.Add(open.Peek());
            while (isOpen.Remove(open.Peek()) && open.Pop() != node);
            if (part.Count > 1)
                parts.Add(part);
        }
    }

    /// <summary>Why information flows: a value, and where it was.</summary>
    private readonly record struct Edge(string Partition, long Value);
}
