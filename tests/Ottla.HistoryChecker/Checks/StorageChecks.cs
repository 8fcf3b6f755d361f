using Ottla.HistoryChecker.History;

namespace Ottla.HistoryChecker.Checks;

/// <summary>Is what was acknowledged there, once, and nothing else?</summary>
internal static class StorageChecks
{
    public static IEnumerable<Anomaly> Find(HistoryIndex index, AnalysisOptions options)
    {
        foreach (var partition in index.Partitions)
        {
            foreach (var (offset, values) in partition.InconsistentOffsets)
            {
                yield return new Anomaly(
                    AnomalyKind.InconsistentOffsets,
                    $"{partition.Name} has {string.Join(" and ", values)} at offset {offset}",
                    [.. values.SelectMany(value => Evidence(partition[value])).Distinct().Order()]);
            }

            foreach (var value in partition.Values)
            {
                if (value.Offsets.Count > 1)
                {
                    yield return new Anomaly(
                        AnomalyKind.Duplicate, $"{partition.Name} has {value.Value} at the offsets {string.Join(", ", value.Offsets)}",
                        [.. Evidence(value)]);
                }

                if (!value.IsRead && FindMissing(index, partition, value, options) is { } missing)
                    yield return missing;
                if (value.Writers.Count == 0)
                    yield return new Anomaly(
                        AnomalyKind.PhantomRead, $"{value.Value} was polled from {partition.Name}, where nobody sent it",
                        [value.Readers[0]]);
            }
        }
    }

    private static Anomaly? FindMissing(HistoryIndex index, PartitionHistory partition, ValueHistory value, AnalysisOptions options)
    {
        foreach (var writer in value.Writers)
        {
            if (index.Operations[writer.Operation].Outcome != Outcome.Ok)
                continue;
            var what = $"{value.Value} was acknowledged by {partition.Name}{(writer.Offset is { } at ? $" at {at}" : "")}";
            if (writer.Offset < partition.HighestPolledOffset)
                return new Anomaly(
                    AnomalyKind.LostWrite, $"{what}, polls got to {partition.HighestPolledOffset}, and never got it", [writer.Operation]);
            if (options.IsReadToTheEnd)
                return new Anomaly(AnomalyKind.Unseen, $"{what}, and nobody ever polled it", [writer.Operation]);
        }

        return null;
    }

    private static IEnumerable<int> Evidence(ValueHistory value) =>
        value.Writers.Select(writer => writer.Operation).Concat(value.Readers).Distinct();
}
