using System.Globalization;
using System.Text;
using Ottla.HistoryChecker;
using Ottla.HistoryChecker.History;
using Ottla.SystemTests.Clients;

namespace Ottla.SystemTests.Tests;

/// <summary>
/// What copiers between two topics read and sent, as their processes told it, in the form that the checker of histories takes.
/// </summary>
internal sealed class CopyHistory(string from, string to)
{
    private readonly List<Operation> _operations = [];
    private long _lastProcess;

    /// <summary>Records that the first topic got, and acknowledged.</summary>
    public void AddProduced(IEnumerable<TestRecord> records)
    {
        var process = ++_lastProcess;
        foreach (var partition in records.GroupBy(record => record.Partition))
            Add(process, Outcome.Ok,
                [.. partition.Select(record => new Send(NameOf(from, partition.Key), ValueOf(Encoding.ASCII.GetString(record.Value!))))]);
    }

    /// <summary>A process from its start to its end.</summary>
    public void AddProcess(IReadOnlyList<GroupEvent> events)
    {
        var process = ++_lastProcess;
        Add(process, Outcome.Ok, [new Subscribe([from])]);
        GroupEvent? transaction = null;
        foreach (var told in events)
        {
            switch (told.Event)
            {
                case GroupEvent.Transaction:
                    AddTransaction(process, transaction, Outcome.Info);
                    transaction = told;
                    break;
                case GroupEvent.Committed:
                    AddTransaction(process, transaction, Outcome.Ok);
                    transaction = null;
                    break;
                case GroupEvent.Aborted:
                    AddTransaction(process, transaction, Outcome.Fail);
                    transaction = null;
                    break;
            }
        }

        AddTransaction(process, transaction, Outcome.Info);
    }

    /// <summary>One that read a topic from its beginning to its end.</summary>
    public void AddReader(string topic, IReadOnlyList<(int Partition, long Offset, string Value)> records)
    {
        var process = ++_lastProcess;
        Add(process, Outcome.Ok, [
            new Assign([
                .. records.Select(record => record.Partition).Distinct()
                .Select(partition => new AssignedPartition(NameOf(topic, partition), 0))])]);
        Add(process, Outcome.Ok, [
            new Poll([.. records.Select(
                record => new PolledRecord(NameOf(topic, record.Partition), record.Offset, ValueOf(record.Value)))])]);
    }

    /// <summary>Looks for anomalies.</summary>
    public CheckReport Check() => HistoryAnalysis.Check(_operations);

    private void AddTransaction(long process, GroupEvent? told, Outcome outcome)
    {
        if (told is null)
            return;
        var read = new Poll([.. told.Records.Select(record => new PolledRecord(NameOf(from, (int)record[0]), record[1], record[2]))]);
        Add(process, outcome, [read, .. told.Records.Select(record => new Send(NameOf(to, (int)record[0]), record[2]))],
            isTransaction: true);
    }

    private void Add(long process, Outcome outcome, IReadOnlyList<Step> steps, bool isTransaction = false) =>
        _operations.Add(new Operation { Process = process, Outcome = outcome, IsTransaction = isTransaction, Steps = steps });

    private static string NameOf(string topic, int partition) => string.Create(CultureInfo.InvariantCulture, $"{topic}-{partition}");

    private static long ValueOf(string text) => long.Parse(text, CultureInfo.InvariantCulture);
}
