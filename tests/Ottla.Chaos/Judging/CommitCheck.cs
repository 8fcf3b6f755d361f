using Ottla.Chaos.Clients;

namespace Ottla.Chaos.Judging;

/// <summary>
/// Does a group go on where it has committed? Whoever gets a partition may not begin before an offset whose commit had been answered by
/// then: that commit would be lost, and records read twice for no reason.
/// </summary>
internal static class CommitCheck
{
    /// <summary>Finds commits that were lost.</summary>
    /// <param name="readers">Every member of every group, with what it did.</param>
    public static IEnumerable<string> Find(IEnumerable<(string Group, string Name, IReadOnlyList<ReaderEvent> Events)> readers)
    {
        foreach (var group in readers.GroupBy(reader => reader.Group))
        {
            foreach (var partition in group.SelectMany(reader => reader.Events.Select(each => (reader.Name, Event: each)))
                .GroupBy(each => each.Event.Partition))
            {
                foreach (var found in FindIn(group.Key, partition.Key, [.. partition.OrderBy(each => each.Event.At)]))
                    yield return found;
            }
        }
    }

    private static IEnumerable<string> FindIn(string group, int partition, List<(string Reader, ReaderEvent Event)> events)
    {
        var committed = 0L;
        var due = new Dictionary<string, long>();
        foreach (var (reader, each) in events)
        {
            switch (each.Kind)
            {
                case ReaderEventKind.Commit:
                    committed = Math.Max(committed, each.Offset);
                    break;
                case ReaderEventKind.Assign:
                    due[reader] = committed;
                    break;
                case ReaderEventKind.Poll when due.Remove(reader, out var least) && each.Offset < least:
                    yield return $"{group} had committed {least} of {Workload.Topic}-{partition} before {reader} got it, which began at "
                        + $"{each.Offset} ({each.At.TotalSeconds:0.000} s)";
                    break;
            }
        }
    }
}
