using System.Globalization;
using Ottla.Chaos.Clients;
using Ottla.HistoryChecker.History;

namespace Ottla.Chaos.Judging;

/// <summary>What the clients did, in the form that the checker of histories takes.</summary>
internal static class RunHistory
{
    /// <summary>What was sent, each writer a process of its own.</summary>
    public static List<Operation> OfWriters(IReadOnlyList<Writer> writers) =>
    [
        .. writers.SelectMany((writer, i) => writer.AllSent.Select(sent => new Operation
        {
            Process = i + 1,
            Outcome = sent.Outcome,
            Steps = [new Send(NameOf(sent.Partition), sent.Value, sent.Offset)],
        })),
    ];

    /// <summary>
    /// What a reader read, as one operation: within it nothing may be left out and nothing read again, except where a group gave it a
    /// partition anew.
    /// </summary>
    public static Operation OfReader(Reader reader, int process, int partitions)
    {
        var steps = new List<Step>
        {
            reader.IsMember
                ? new Subscribe([Workload.Topic])
                : new Assign([.. Enumerable.Range(0, partitions).Select(partition => new AssignedPartition(NameOf(partition), 0))]),
        };
        var records = new List<PolledRecord>();
        foreach (var each in reader.Events)
        {
            if (each.Kind == ReaderEventKind.Poll)
            {
                records.Add(new PolledRecord(NameOf(each.Partition), each.Offset, each.Value));
            }
            else if (each.Kind == ReaderEventKind.Assign)
            {
                Flush();
                steps.Add(new Rebalance([NameOf(each.Partition)]));
            }
        }

        Flush();
        return new Operation { Process = process, Outcome = Outcome.Ok, Steps = steps, Note = reader.Name };

        void Flush()
        {
            if (records.Count == 0)
                return;
            steps.Add(new Poll([.. records]));
            records.Clear();
        }
    }

    private static string NameOf(int partition) => string.Create(CultureInfo.InvariantCulture, $"{Workload.Topic}-{partition}");
}
