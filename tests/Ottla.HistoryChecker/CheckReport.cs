using System.Globalization;
using System.Text;
using Ottla.HistoryChecker.History;

namespace Ottla.HistoryChecker;

/// <summary>What a history shows.</summary>
public sealed class CheckReport
{
    private const int ShownPerKindMax = 5;
    private const int ShownOperationsMax = 6;
    private const int ShownOperationCharsMax = 400;

    private readonly IReadOnlyList<Operation> _history;

    internal CheckReport(IReadOnlyList<Operation> history, IReadOnlyList<Anomaly> anomalies)
    {
        _history = history;
        Anomalies = anomalies;
        foreach (var step in history.SelectMany(operation => operation.Steps))
        {
            SendCount += step is Send ? 1 : 0;
            PolledRecordCount += step is Poll poll ? poll.Records.Count : 0;
        }
    }

    /// <summary>All anomalies, by kind.</summary>
    public IReadOnlyList<Anomaly> Anomalies { get; }

    /// <summary>Whether there is none.</summary>
    public bool IsClean => Anomalies.Count == 0;

    /// <summary>How many records were sent, with whatever outcome.</summary>
    public int SendCount { get; }

    /// <summary>How many records were received, by all consumers together.</summary>
    public int PolledRecordCount { get; }

    /// <summary>The report as a text for people: the counts, and of each kind a few anomalies with their evidence.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{_history.Count} operations, {SendCount} records sent, {PolledRecordCount} polled: ");
        if (IsClean)
            return text.Append("no anomalies").ToString();
        var kinds = Anomalies.GroupBy(anomaly => anomaly.Kind).ToList();
        text.AppendJoin(", ", kinds.Select(kind => $"{kind.Key} {kind.Count()}")).AppendLine();
        foreach (var kind in kinds)
        {
            foreach (var anomaly in kind.Take(ShownPerKindMax))
                Append(text, anomaly);
            if (kind.Count() > ShownPerKindMax)
                text.AppendLine(CultureInfo.InvariantCulture, $"{kind.Key}: and {kind.Count() - ShownPerKindMax} more");
        }

        return text.ToString();
    }

    private void Append(StringBuilder text, Anomaly anomaly)
    {
        text.AppendLine(anomaly.ToString());
        foreach (var index in anomaly.Operations.Take(ShownOperationsMax))
        {
            var operation = _history[index].ToString();
            text.AppendLine(
                CultureInfo.InvariantCulture,
                $"    #{index} {(operation.Length > ShownOperationCharsMax ? $"{operation[..ShownOperationCharsMax]}..." : operation)}");
        }
    }
}
