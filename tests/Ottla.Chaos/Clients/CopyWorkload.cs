namespace Ottla.Chaos.Clients;

/// <summary>
/// The transactions of a run: a writer numbers records of one topic, copiers of a group each library copy them to a topic of theirs exactly
/// once, and a reader of committed records reads each of the copies. Lives as long as the run; used by its task only.
/// </summary>
internal sealed class CopyWorkload
{
    public const string From = "numbers";

    /// <summary>How many partitions the topics have.</summary>
    public const int Partitions = 4;

    private const long FirstValue = 1;

    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan CopyLimit = TimeSpan.FromSeconds(180);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    private readonly ClientSetting _setting;
    private readonly RunLog _log;
    private readonly ClientProgram _program;
    private readonly List<Copier> _copiers = [];

    public CopyWorkload(ClientSetting setting, ClientProgram program)
    {
        _setting = setting with { Topic = From, Partitions = Partitions };
        _log = setting.Log;
        _program = program;
    }

    /// <summary>The topics of a run in which these libraries copy.</summary>
    public static IEnumerable<string> TopicsOf(IEnumerable<ClientProgram> copiers) => [From, .. copiers.Select(ToTopic)];

    public Writer Writer { get; private set; } = null!;

    /// <summary>All copiers there ever were.</summary>
    public IReadOnlyList<Copier> Copiers => _copiers;

    /// <summary>The copies' readers, by the topic.</summary>
    public Dictionary<string, Reader> Readers { get; } = [];

    public List<string> Failures { get; } = [];

    /// <summary>The topic that the copiers of a library fill.</summary>
    public static string ToTopic(ClientProgram copier) => $"copies-of-{copier.Library}";

    /// <summary>Starts everything.</summary>
    public void Start(IReadOnlyList<ClientProgram> copiers, int recordsPerSecond)
    {
        Writer = Writer.Start(_program, "numbers-writer", _setting, FirstValue, new WriterLoad(recordsPerSecond, 0));
        Readers[From] = Reader.Start(_program, "numbers-reader", _setting, Reader.NoGroup);
        foreach (var copier in copiers)
        {
            var to = ToTopic(copier);
            Readers[to] = Reader.Start(_program, $"{to}-reader", _setting with { Topic = to }, Reader.NoGroup);
            for (var i = 1; i <= CopiersOf(copier); i++)
                StartCopier(copier, $"{copier.Library}-{i}");
        }
    }

    /// <summary>Starts the next copier for each that has ended.</summary>
    public void Watch()
    {
        foreach (var copier in Current().Where(copier => !copier.IsRunning))
            StartCopier(copier.Program, copier.Id);
    }

    /// <summary>SIGKILL for a copier of those that work.</summary>
    public Task KillCopierAsync(int number) => Current()[number % Current().Count].KillAsync();

    /// <summary>Ends the writer, lets the copiers copy everything, the readers read it, and ends them.</summary>
    public async Task FinishAsync()
    {
        if (await Writer.StopAsync(StopLimit) is not 0)
            Failures.Add($"{Writer} did not end well: {Writer.Fatal}");
        var deadline = _log.Now + CopyLimit;
        foreach (var (topic, reader) in Readers)
        {
            while (reader.Count < Writer.Acknowledged && _log.Now < deadline)
            {
                Watch();
                await Task.Delay(Pause);
            }

            if (reader.Count < Writer.Acknowledged)
                Failures.Add($"of {topic}, {reader.Count} records can be read, {Writer.Acknowledged} were acknowledged in {From}");
        }

        foreach (var copier in Current().Where(copier => copier.IsRunning))
            await copier.StopAsync(StopLimit);
        foreach (var copier in _copiers)
            copier.Conclude();
        foreach (var reader in Readers.Values)
        {
            if (await reader.StopAsync(StopLimit) is not 0)
                Failures.Add($"{reader} did not end well");
        }
    }

    /// <summary>
    /// kafkajs commits offsets without the generation of its group, so that nobody can tell a member from one that was before: it copies
    /// alone.
    /// </summary>
    private static int CopiersOf(ClientProgram program) => program.Library == "kafkajs" ? 1 : 2;

    private List<Copier> Current() => [.. _copiers.GroupBy(copier => copier.Id).Select(copiers => copiers.Last())];

    private void StartCopier(ClientProgram program, string id) => _copiers.Add(Copier.Start(
        program, $"copier-{_copiers.Count + 1}-{id}", _setting, $"copiers-of-{program.Library}", ToTopic(program), id));
}
