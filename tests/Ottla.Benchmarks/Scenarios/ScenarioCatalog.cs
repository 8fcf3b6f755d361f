namespace Ottla.Benchmarks.Scenarios;

/// <summary>The scenarios there are, in the order they run.</summary>
internal static class ScenarioCatalog
{
    private const int QuickDivisor = 50;

    /// <summary>Partitions of the topic that every load uses.</summary>
    public const int Partitions = 4;

    /// <summary>All scenarios at full volume.</summary>
    public static IReadOnlyList<Scenario> All { get; } =
    [
        new StartScenario("start", Starts: 5),
        new IdleScenario("idle", Seconds: 10),
        new ProduceScenario(
            "produce-256K-4conn", Connections: 4, InFlight: 5, BatchBytes: 262_144, RecordBytes: 1000, Acks: 1, Megabytes: 1500),
        new ProduceScenario(
            "produce-16K-1conn", Connections: 1, InFlight: 5, BatchBytes: 16_384, RecordBytes: 100, Acks: 1, Megabytes: 600),
        new ProduceScenario(
            "produce-16K-8conn", Connections: 8, InFlight: 5, BatchBytes: 16_384, RecordBytes: 100, Acks: 1, Megabytes: 800),
        new ProduceScenario(
            "produce-1K-8conn-acksall", Connections: 8, InFlight: 5, BatchBytes: 1000, RecordBytes: 100, Acks: -1, Megabytes: 60),
        new ProduceScenario(
            "produce-sync-1K-1conn", Connections: 1, InFlight: 1, BatchBytes: 1000, RecordBytes: 100, Acks: -1, Megabytes: 10),
        new FetchScenario("fetch-1M-1conn", Connections: 1, MaxBytes: 1_048_576, Megabytes: 1500),
        new FetchScenario("fetch-1M-4conn", Connections: 4, MaxBytes: 1_048_576, Megabytes: 2000),
        new FetchScenario("fetch-64K-4conn", Connections: 4, MaxBytes: 65_536, Megabytes: 800),
        new EndToEndScenario("e2e-1000", RatePerSecond: 1000, BatchBytes: 1000, RecordBytes: 100, Acks: -1, Requests: 5000),
        new ConnectionsScenario("connections-5000", Count: 5000, Seconds: 5),
        new LongPollsScenario("long-polls-5000", Count: 5000, Seconds: 5),
        new SessionScenario("session-2000", Count: 2000, Seconds: 5),
        new PartitionsScenario("partitions-10000", Count: 10_000, Seconds: 5),
    ];

    /// <summary>Their names.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. All.Select(scenario => scenario.Name)];

    /// <summary>The scenarios of those names, in catalog order.</summary>
    public static Scenario[] Select(IReadOnlyCollection<string> names, bool isQuick) =>
        [.. All.Where(scenario => names.Contains(scenario.Name)).Select(scenario => isQuick ? Shrink(scenario, QuickDivisor) : scenario)];

    /// <summary>The same load with a fraction of the volume.</summary>
    public static Scenario Shrink(Scenario scenario, int divisor) => scenario switch
    {
        ProduceScenario produce => produce with { Megabytes = Math.Max(1, produce.Megabytes / divisor) },
        FetchScenario fetch => fetch with { Megabytes = Math.Max(1, fetch.Megabytes / divisor) },
        EndToEndScenario endToEnd => endToEnd with { Requests = Math.Max(1, endToEnd.Requests / divisor) },
        IdleScenario idle => idle with { Seconds = Math.Max(0.5, idle.Seconds / divisor) },
        ConnectionsScenario many => many with { Count = many.Count / divisor, Seconds = 0.5 },
        LongPollsScenario many => many with { Count = many.Count / divisor, Seconds = 0.5 },
        SessionScenario many => many with { Count = many.Count / divisor, Seconds = 0.5 },
        PartitionsScenario many => many with { Count = many.Count / divisor, Seconds = 0.5 },
        StartScenario start => start with { Starts = 1 },
        _ => throw new BenchException($"No way to shrink {scenario.Name}."),
    };

    /// <summary>What a fetch reads is written first, by this load: a tenth more than is read, so that no reader meets the end.</summary>
    public static ProduceScenario PreloadFor(FetchScenario fetch) =>
        new("preload", Connections: 4, InFlight: 5, BatchBytes: 65_536, RecordBytes: 1000, Acks: 1,
            Megabytes: fetch.Megabytes + (fetch.Megabytes / 10) + 1);
}
