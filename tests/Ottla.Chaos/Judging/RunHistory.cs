using System.Globalization;
using Ottla.Chaos.Clients;
using Ottla.HistoryChecker.History;

namespace Ottla.Chaos.Judging;

/// <summary>What the clients did, in the form that the checker of histories takes.</summary>
internal static class RunHistory
{
    /// <summary>What was sent to a topic, each writer a process of its own.</summary>
    public static List<Operation> OfWriters(string topic, IReadOnlyList<Writer> writers) =>
    [
        .. writers.SelectMany((writer, i) => writer.AllSent.Select(sent => new Operation
        {
            Process = i + 1,
            Outcome = sent.Outcome,
            Steps = [new Send(NameOf(topic, sent.Partition), sent.Value, sent.Offset)],
        })),
    ];

    /// <summary>
    /// Copies of one library: what was written, read and copied, and what the readers of both topics read. Each copier is a process.
    /// </summary>
    public static List<Operation> OfCopies(CopyWorkload copies, string library, string to)
    {
        var history = OfWriters(CopyWorkload.From, [copies.Writer]);
        var process = 1;
        foreach (var copier in copies.Copiers.Where(copier => copier.Program.Library == library))
        {
            process++;
            history.Add(new Operation
            {
                Process = process,
                Outcome = Outcome.Ok,
                Steps = [new Subscribe([CopyWorkload.From])],
                Note = copier.Name,
            });
            history.AddRange(copier.Transactions.Select(transaction => new Operation
            {
                Process = process,
                Outcome = transaction.Outcome,
                IsTransaction = true,
                Steps =
                [
                    new Poll([.. transaction.Records.Select(
                        record => new PolledRecord(NameOf(CopyWorkload.From, record.Partition), record.Offset, record.Value))]),
                    .. transaction.Records.Select(record => new Send(NameOf(to, record.Partition), record.Value)),
                ],
            }));
        }

        history.Add(OfReader(CopyWorkload.From, copies.Readers[CopyWorkload.From], ++process, CopyWorkload.Partitions));
        history.Add(OfReader(to, copies.Readers[to], ++process, CopyWorkload.Partitions));
        return history;
    }

    /// <summary>
    /// What a reader read of its topic, as one operation: within it nothing may be left out and nothing read again, except where a group
    /// gave it a partition anew.
    /// </summary>
    public static Operation OfReader(string topic, Reader reader, int process, int partitions)
    {
        var steps = new List<Step>
        {
            reader.IsMember
                ? new Subscribe([topic])
                : new Assign([.. Enumerable.Range(0, partitions).Select(partition => new AssignedPartition(NameOf(topic, partition), 0))]),
        };
        var records = new List<PolledRecord>();
        foreach (var each in reader.Events)
        {
            if (each.Kind == ReaderEventKind.Poll)
            {
                records.Add(new PolledRecord(NameOf(topic, each.Partition), each.Offset, each.Value));
            }
            else if (each.Kind == ReaderEventKind.Assign)
            {
                Flush();
                steps.Add(new Rebalance([NameOf(topic, each.Partition)]));
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

    private static string NameOf(string topic, int partition) => string.Create(CultureInfo.InvariantCulture, $"{topic}-{partition}");
}
