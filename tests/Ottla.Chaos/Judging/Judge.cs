using System.Globalization;
using Ottla.Chaos.Clients;
using Ottla.Chaos.Machines;
using Ottla.HistoryChecker;
using Ottla.HistoryChecker.History;

namespace Ottla.Chaos.Judging;

/// <summary>Says what a run shows that must not be. Everything has ended by then.</summary>
internal static class Judge
{
    /// <summary>
    /// Checks all that was sent and read together, then what each group alone has read, since a record that one group misses another may
    /// have; then commits, replicas, clients and nodes.
    /// </summary>
    /// <param name="workload">What the clients did.</param>
    /// <param name="cluster">The stopped nodes.</param>
    /// <param name="partitions">How many the topic has.</param>
    /// <param name="file">Where the history is kept.</param>
    public static List<string> Find(Workload workload, ChaosCluster cluster, int partitions, string file)
    {
        var sends = RunHistory.OfWriters(workload.Writers);
        var reads = workload.Readers
            .Select((reader, i) => (reader.Audience, Operation: RunHistory.OfReader(reader, workload.Writers.Count + i + 1, partitions)))
            .ToList();
        List<Operation> all = [.. sends, .. reads.Select(read => read.Operation)];
        using (var output = new StreamWriter(file))
            HistoryFile.Write(output, all);
        var anomalies = new List<string>();
        Check("all clients", all);
        foreach (var audience in reads.GroupBy(read => read.Audience))
            Check(audience.Key, [.. sends, .. audience.Select(read => read.Operation)]);
        anomalies.AddRange(CommitCheck.Find(workload.Readers));
        anomalies.AddRange(ReplicaComparison.Find(cluster.Machines, partitions));
        anomalies.AddRange(workload.Failures);
        anomalies.AddRange(cluster.Machines.Where(machine => machine.UnexpectedEnds > 0).Select(machine => string.Create(
            CultureInfo.InvariantCulture, $"{machine} has ended by itself, or not when it should, {machine.UnexpectedEnds} times")));
        return anomalies;

        void Check(string whose, List<Operation> history)
        {
            var report = HistoryAnalysis.Check(history);
            if (!report.IsClean)
                anomalies.Add($"history of {whose}: {report}");
        }
    }
}
