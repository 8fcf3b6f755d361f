using Ottla.HistoryChecker.Checks;
using Ottla.HistoryChecker.History;

namespace Ottla.HistoryChecker;

/// <summary>What may be expected of a history.</summary>
public sealed record AnalysisOptions
{
    /// <summary>
    /// Whether consumers asked for <c>read_committed</c>. Else they may see what is aborted, and what is not committed yet.
    /// </summary>
    public bool IsReadCommitted { get; init; } = true;

    /// <summary>
    /// Whether, when all sends were over, somebody polled everything to its end. Else what nobody polled may still be there.
    /// </summary>
    public bool IsReadToTheEnd { get; init; } = true;
}

/// <summary>
/// The analysis of Jepsen's Kafka workload: from what clients sent, polled, committed and aborted, it finds what no broker like Kafka may
/// do.
/// </summary>
/// <remarks>
/// It needs no order between processes and no clocks, only what every process did, in its own order. Offsets that no committed record is
/// known to have (markers, aborted records) are gaps: to pass over them is no skip. It takes time and memory about in proportion to what
/// was sent and polled.
/// </remarks>
public static class HistoryAnalysis
{
    /// <summary>Finds every anomaly of a history.</summary>
    public static CheckReport Check(IReadOnlyList<Operation> history, AnalysisOptions? options = null)
    {
        options ??= new AnalysisOptions();
        var index = new HistoryIndex(history);
        var anomalies = new List<Anomaly>();
        anomalies.AddRange(StorageChecks.Find(index, options));
        anomalies.AddRange(PollOrderCheck.Find(index));
        anomalies.AddRange(SendOrderCheck.Find(index));
        anomalies.AddRange(VisibilityChecks.Find(index, options));
        if (options.IsReadCommitted)
            anomalies.AddRange(InformationFlowCheck.Find(index));
        return new CheckReport(history, [.. anomalies.OrderBy(anomaly => anomaly.Kind)]);
    }
}
