using Ottla.HistoryChecker;
using Ottla.HistoryChecker.History;

namespace Ottla.UnitTests.HistoryChecker;

/// <summary>Writing histories by hand, for the tests of this folder.</summary>
internal static class Histories
{
    public static Operation Ok(long process, params Step[] steps) => new() { Process = process, Outcome = Outcome.Ok, Steps = steps };

    public static Operation Fail(long process, params Step[] steps) => Ok(process, steps) with { Outcome = Outcome.Fail };

    public static Operation Info(long process, params Step[] steps) => Ok(process, steps) with { Outcome = Outcome.Info };

    public static Operation Committed(long process, params Step[] steps) => Ok(process, steps) with { IsTransaction = true };

    public static Operation Aborted(long process, params Step[] steps) => Fail(process, steps) with { IsTransaction = true };

    public static Operation InDoubt(long process, params Step[] steps) => Info(process, steps) with { IsTransaction = true };

    public static Step Send(string partition, long value, long? offset = null) => new Send(partition, value, offset);

    public static Step Poll(string partition, params (long Offset, long Value)[] records) =>
        new Poll([.. records.Select(record => new PolledRecord(partition, record.Offset, record.Value))]);

    public static Step Assign(params string[] partitions) =>
        new Assign([.. partitions.Select(partition => new AssignedPartition(partition))]);

    public static Step AssignFrom(string partition, long start) => new Assign([new AssignedPartition(partition, start)]);

    public static Step Subscribe(params string[] topics) => new Subscribe(topics);

    public static void AssertClean(params Operation[] history) => AssertClean(null, history);

    public static void AssertClean(AnalysisOptions? options, params Operation[] history)
    {
        var report = HistoryAnalysis.Check(history, options);
        Assert.True(report.IsClean, report.ToString());
    }

    /// <summary>The history shows exactly these anomalies.</summary>
    public static CheckReport AssertFinds(AnomalyKind[] kinds, params Operation[] history)
    {
        var report = HistoryAnalysis.Check(history);
        Assert.True(kinds.Order().SequenceEqual(report.Anomalies.Select(anomaly => anomaly.Kind)), report.ToString());
        return report;
    }

    /// <summary>The history shows exactly this anomaly, with this evidence.</summary>
    public static void AssertFinds(AnomalyKind kind, int[] evidence, params Operation[] history)
    {
        var anomaly = Assert.Single(AssertFinds([kind], history).Anomalies);
        Assert.Equal(evidence, anomaly.Operations);
    }
}
