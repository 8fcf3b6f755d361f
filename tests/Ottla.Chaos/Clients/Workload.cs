using System.Globalization;
using Ottla.Chaos.Machines;

namespace Ottla.Chaos.Clients;

/// <summary>
/// All clients of a run: of each library a writer, and of each kind of member a group of two readers; and one reader of all partitions
/// without a group. A client that gives up is replaced by a new one, and noted. Lives as long as the run; used by its task only.
/// </summary>
internal sealed class Workload
{
    public const string Topic = "orders";

    private const int MembersOfGroup = 2;
    private const long ValuesOfWriter = 1_000_000_000;

    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan CatchUpLimit = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    private readonly ClientSetting _setting;
    private readonly WriterLoad _load;
    private readonly RunLog _log;
    private readonly List<Writer> _writers = [];
    private readonly List<Reader> _readers = [];
    private readonly HashSet<ClientProcess> _noted = [];
    private ClientProgram? _programAlone;

    public Workload(ClientSetting setting, WriterLoad load)
    {
        _setting = setting;
        _load = load;
        _log = setting.Log;
    }

    /// <summary>All writers there ever were.</summary>
    public IReadOnlyList<Writer> Writers => _writers;

    /// <summary>All readers there ever were.</summary>
    public IReadOnlyList<Reader> Readers => _readers;

    /// <summary>What went wrong with the clients themselves.</summary>
    public List<string> Failures { get; } = [];

    /// <summary>How many records were acknowledged until now.</summary>
    public int Acknowledged => _writers.Sum(writer => writer.Acknowledged);

    /// <summary>Starts everything.</summary>
    /// <param name="programs">What to start.</param>
    /// <param name="writers">The libraries that write; null for all.</param>
    /// <param name="hasReaderAlone">Whether one reader without a group reads from now on.</param>
    public void Start(IReadOnlyList<ClientProgram> programs, IReadOnlyList<string>? writers, bool hasReaderAlone)
    {
        foreach (var program in programs)
        {
            for (var member = 1; member <= MembersOfGroup; member++)
                StartReader(program, $"group-of-{program.Name}");
        }

        _programAlone = programs.FirstOrDefault(program => program.Library != "kafkajs");
        if (hasReaderAlone)
            StartReaderAlone();
        foreach (var program in programs.DistinctBy(program => program.Library))
        {
            if (writers is null || writers.Contains(program.Library))
                StartWriter(program);
        }
    }

    /// <summary>Starts a reader of all partitions from their beginning.</summary>
    /// <returns>It; null when no client here can do that.</returns>
    public Reader? StartReaderAlone()
    {
        if (_programAlone is not { } program)
            return null;
        StartReader(program, Reader.NoGroup);
        return _readers[^1];
    }

    /// <summary>Replaces clients that have ended.</summary>
    public void Watch()
    {
        foreach (var writer in _writers.Where(writer => !writer.IsRunning).ToList())
        {
            if (Note(writer, writer.Fatal))
                StartWriter(writer.Program);
        }

        foreach (var reader in _readers.Where(reader => !reader.IsRunning).ToList())
        {
            if (Note(reader, reader.Errors.LastOrDefault().Text))
                StartReader(reader.Program, reader.Group);
        }
    }

    /// <summary>Waits until every writer has had something acknowledged, and every group and the reader without one have read.</summary>
    public async Task WaitUntilAllWorkAsync()
    {
        var deadline = _log.Now + CatchUpLimit;
        while (_writers.Any(writer => writer.Acknowledged == 0)
            || _readers.GroupBy(reader => reader.Audience).Any(group => !group.Any(HasRead)))
        {
            if (_log.Now > deadline)
                throw new UnhealthyException($"Not all clients work after {CatchUpLimit.TotalSeconds} s");
            await Task.Delay(Pause);
        }

        bool HasRead(Reader reader) => Enumerable.Range(0, _setting.Partitions).Any(partition => reader.HighestOf(partition) >= 0);
    }

    /// <summary>Ends the writers; each waits for what is under way.</summary>
    public async Task StopWritersAsync()
    {
        foreach (var (writer, code) in await StopAsync(_writers))
        {
            if (code is not 0)
                Failures.Add($"{writer} ended with {code?.ToString(CultureInfo.InvariantCulture) ?? "a kill"}: {writer.Fatal}");
        }
    }

    /// <summary>Lets the readers read to the end, and ends them.</summary>
    /// <param name="ends">The end of each partition.</param>
    public async Task FinishReadersAsync(IReadOnlyList<long> ends)
    {
        var deadline = _log.Now + CatchUpLimit;
        foreach (var group in _readers.GroupBy(reader => reader.Audience))
        {
            for (var partition = 0; partition < ends.Count; partition++)
            {
                long highest;
                while ((highest = group.Max(reader => reader.HighestOf(partition))) < ends[partition] - 1 && _log.Now < deadline)
                    await Task.Delay(Pause);
                if (highest < ends[partition] - 1)
                {
                    Failures.Add($"{group.Key} has read {Topic}-{partition} to {highest} only, its end is {ends[partition]}");
                }
            }
        }

        foreach (var (reader, code) in await StopAsync(_readers))
        {
            if (code is not 0)
                Failures.Add($"{reader} ended with {code?.ToString(CultureInfo.InvariantCulture) ?? "a kill"}");
        }
    }

    private static async Task<List<(TClient, int?)>> StopAsync<TClient>(IEnumerable<TClient> clients)
        where TClient : ClientProcess
    {
        var stopping = clients.Where(client => client.IsRunning).Select(client => (client, client.StopAsync(StopLimit))).ToList();
        var ended = new List<(TClient, int?)>();
        foreach (var (client, code) in stopping)
            ended.Add((client, await code));
        return ended;
    }

    private bool Note(ClientProcess client, string? why)
    {
        if (!_noted.Add(client))
            return false;
        var text = $"{client} gave up: {why ?? "see its errors"}";
        _log.Write($"ANOMALY: {text}");
        Failures.Add(text);
        return true;
    }

    private void StartWriter(ClientProgram program)
    {
        var number = _writers.Count + 1;
        _writers.Add(Writer.Start(program, $"writer-{number}-{program.Library}", _setting, number * ValuesOfWriter, _load));
    }

    private void StartReader(ClientProgram program, string group) => _readers.Add(Reader.Start(
        program, $"reader-{_readers.Count + 1}-{program.Name}{(group == Reader.NoGroup ? "-alone" : "")}", _setting, group));
}
