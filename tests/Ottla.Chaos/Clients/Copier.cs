using System.Text.Json;
using Ottla.HistoryChecker.History;

namespace Ottla.Chaos.Clients;

/// <summary>
/// A client that copies records from a topic to another in transactions, with the offsets of its group: the <c>transform</c> of the system
/// tests' drivers. It may end at any time with what it cannot go on from; another one with its transactional id goes on.
/// </summary>
internal sealed class Copier : ClientProcess
{
    private JsonElement? _underWay;

    private Copier(ClientProgram program, string name, string id, string folder, IReadOnlyList<string> arguments, RunLog log)
        : base(program, name, folder, arguments, log) => Id = id;

    /// <summary>Its transactional id.</summary>
    public string Id { get; }

    /// <summary>Its transactions: what each read, and what became of it.</summary>
    public List<(Outcome Outcome, IReadOnlyList<(int Partition, long Offset, long Value)> Records)> Transactions { get; } = [];

    public static Copier Start(ClientProgram program, string name, ClientSetting setting, string group, string toTopic, string id) =>
        new(program, name, id, setting.Folder, ["transform", setting.Bootstrap, group, setting.Topic, toTopic, id], setting.Log);

    /// <summary>The last transaction has no end that anybody knows of. Once, after the process's end.</summary>
    public void Conclude() => End(Outcome.Info);

    protected override void OnLine(string[] words, TimeSpan now)
    {
        if (words is not [var line] || !line.StartsWith("{\"event\":", StringComparison.Ordinal))
            return; // a client's own log
        var told = JsonElement.Parse(line);
        switch (told.GetProperty("event").GetString())
        {
            case "transaction":
                End(Outcome.Info);
                _underWay = told;
                break;
            case "committed":
                End(Outcome.Ok);
                break;
            case "aborted":
                End(Outcome.Fail);
                break;
        }
    }

    private void End(Outcome outcome)
    {
        if (_underWay is { } transaction)
        {
            Transactions.Add((outcome,
                [.. transaction.GetProperty("records").EnumerateArray().Select(record => (
                    record[0].GetInt32(), record[1].GetInt64(), record[2].GetInt64()))]));
        }

        _underWay = null;
    }
}
