using System.Globalization;
using Ottla.Chaos.Clients;
using Ottla.Chaos.Scenarios;
using Ottla.HistoryChecker;
using Ottla.HistoryChecker.History;

namespace Ottla.Chaos.Judging;

/// <summary>Says what a run shows that must not be. Everything has ended by then.</summary>
internal static class Judge
{
    /// <summary>
    /// Checks all that was sent and read together, then what each group alone has read, since a record that one group misses another may
    /// have; then copies, commits, replicas, clients and nodes.
    /// </summary>
    /// <param name="stage">What happened.</param>
    /// <param name="scenario">What was to happen.</param>
    /// <param name="folder">Where histories are kept.</param>
    public static List<string> Find(Stage stage, Scenario scenario, string folder)
    {
        var anomalies = new List<string>();
        Check(stage.Workload, scenario, Path.Combine(folder, "history.jsonl"), anomalies);
        if (stage.Copies is { } copies)
            Check(copies, folder, anomalies);
        anomalies.AddRange(CommitCheck.Find(stage.Workload.Readers.Where(reader => reader.IsMember)
            .Select(reader => (reader.Group, reader.Name, (IReadOnlyList<ReaderEvent>)reader.Events))));
        anomalies.AddRange(ReplicaComparison.Find(stage.Cluster.Machines, scenario.Topic.Partitions));
        anomalies.AddRange(stage.Workload.Failures);
        anomalies.AddRange(stage.Cluster.Machines.Where(machine => machine.UnexpectedEnds > 0).Select(machine => string.Create(
            CultureInfo.InvariantCulture, $"{machine} has ended by itself, or not when it should, {machine.UnexpectedEnds} times")));
        return anomalies;
    }

    private static void Check(Workload workload, Scenario scenario, string file, List<string> anomalies)
    {
        var sends = RunHistory.OfWriters(Workload.Topic, workload.Writers);
        var reads = workload.Readers
            .Select((reader, i) => (reader.Audience, Operation: RunHistory.OfReader(
                Workload.Topic, reader, workload.Writers.Count + i + 1, scenario.Topic.Partitions))).ToList();
        if (scenario.MayLose)
        {
            CheckLoss(sends, [.. reads.Select(read => read.Operation)], file, anomalies);
            return;
        }

        Check("all clients", [.. sends, .. reads.Select(read => read.Operation)], anomalies, file);
        foreach (var audience in reads.GroupBy(read => read.Audience))
            Check(audience.Key, [.. sends, .. audience.Select(read => read.Operation)], anomalies);
    }

    /// <summary>
    /// Where a log may be cut, an offset has another record later, and nothing is known of what was acknowledged. But what is there at the
    /// end, as the last reader sees it, was sent, is there once and in order; and it is less than what was read in all.
    /// </summary>
    private static void CheckLoss(List<Operation> sends, List<Operation> reads, string file, List<string> anomalies)
    {
        List<Operation> inDoubt = [.. sends.Select(send =>
            send with { Outcome = Outcome.Info, Steps = [.. send.Steps.Cast<Send>().Select(step => step with { Offset = null })] })];
        Check("the last reader", [.. inDoubt, reads[^1]], anomalies, file);
        var (atTheEnd, ever) = (ValuesOf([reads[^1]]), ValuesOf(reads));
        if (atTheEnd.Count >= ever.Count)
            anomalies.Add("nothing was lost: the scenario has not cut the log");
    }

    private static HashSet<(string, long)> ValuesOf(IEnumerable<Operation> reads) =>
    [
        .. reads.SelectMany(read => read.Steps).OfType<Poll>().SelectMany(poll => poll.Records)
            .Select(record => (record.Partition, record.Value)),
    ];

    private static void Check(CopyWorkload copies, string folder, List<string> anomalies)
    {
        foreach (var library in copies.Copiers.Select(copier => copier.Program).DistinctBy(program => program.Library))
        {
            var to = CopyWorkload.ToTopic(library);
            Check(to, RunHistory.OfCopies(copies, library.Library, to), anomalies, Path.Combine(folder, $"history-{to}.jsonl"));
        }

        anomalies.AddRange(copies.Failures);
    }

    private static void Check(string whose, List<Operation> history, List<string> anomalies, string? file = null)
    {
        if (file is not null)
        {
            using var output = new StreamWriter(file);
            HistoryFile.Write(output, history);
        }

        var report = HistoryAnalysis.Check(history);
        if (!report.IsClean)
            anomalies.Add($"history of {whose}: {report}");
    }
}
