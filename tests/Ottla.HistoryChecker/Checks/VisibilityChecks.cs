using Ottla.HistoryChecker.History;

namespace Ottla.HistoryChecker.Checks;

/// <summary>Do consumers see what is committed, all of it, and nothing else?</summary>
internal static class VisibilityChecks
{
    public static IEnumerable<Anomaly> Find(HistoryIndex index, AnalysisOptions options)
    {
        foreach (var partition in index.Partitions)
        {
            foreach (var value in partition.Values)
            {
                if (!value.IsRead || value.Writers.Count == 0)
                    continue;
                // What fails without a transaction was never written: nobody may see it, however carelessly they read.
                if (!index.PossibleWriters(value).Any()
                    && (options.IsReadCommitted || !value.Writers.Exists(writer => index.Operations[writer.Operation].IsTransaction)))
                {
                    yield return new Anomaly(
                        AnomalyKind.AbortedRead, $"{value.Value} was polled from {partition.Name}, but what sent it failed",
                        [value.Writers[0].Operation, value.Readers[0]]);
                }

                if (options.IsReadCommitted && FindReaderOfItself(index, value) is { } self)
                    yield return new Anomaly(
                        AnomalyKind.PrecommittedRead, $"a transaction polled {value.Value} from {partition.Name}, which it sent itself",
                        [self]);
            }
        }

        if (!options.IsReadCommitted)
            yield break;
        for (var i = 0; i < index.Operations.Count; i++)
        {
            if (index.Operations[i].IsTransaction && FindTorn(index, i, options) is { } torn)
                yield return torn;
        }
    }

    /// <summary>A transaction that polled a value which nobody but itself can have sent.</summary>
    private static int? FindReaderOfItself(HistoryIndex index, ValueHistory value)
    {
        foreach (var reader in value.Readers)
        {
            if (!index.Operations[reader].IsTransaction || !value.Writers.Exists(writer => writer.Operation == reader))
                continue;
            if (index.PossibleWriters(value).All(writer => writer.Operation == reader))
                return reader;
        }

        return null;
    }

    private static Anomaly? FindTorn(HistoryIndex index, int operation, AnalysisOptions options)
    {
        (Send Send, ValueHistory Value)? seen = null, missing = null;
        foreach (var send in index.Operations[operation].Steps.OfType<Send>())
        {
            var partition = index.Find(send.Partition)!;
            var value = partition[send.Value];
            if (value.Writers.Count > 1)
                continue; // it may be another's that was seen
            // A send that was not even acknowledged belongs to the transaction only if that was committed.
            var belongs = send.Offset is not null || index.Operations[operation].Outcome == Outcome.Ok;
            if (value.IsRead)
                seen ??= (send, value);
            else if (belongs && (options.IsReadToTheEnd || send.Offset < partition.HighestPolledOffset))
                missing ??= (send, value);
        }

        return seen is var (there, thereValue) && missing is var (gone, _)
            ? new Anomaly(
                AnomalyKind.TornTransaction,
                $"of one transaction {there.Value} was polled from {there.Partition}, but {gone.Value} was never polled from "
                    + $"{gone.Partition}",
                [operation, thereValue.Readers[0]])
            : null;
    }
}
