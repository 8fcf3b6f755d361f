using System.Globalization;
using Ottla.Benchmarks.Churn;
using Ottla.Benchmarks.Clients;
using Ottla.Benchmarks.Compaction;
using Ottla.Benchmarks.Metadata;
using Ottla.Benchmarks.Scenarios;
using Ottla.Benchmarks.Security;

namespace Ottla.Benchmarks;

/// <summary>A broker that runs already.</summary>
internal sealed record RunningBroker(string Host, int Port, int ProcessId);

/// <summary>What to measure, as the command line says.</summary>
internal sealed record BenchOptions
{
    public const int DefaultRounds = 3;
    public const int RoundsMax = 100;

    public static string Usage { get; } =
        $"""
        usage: bench run [OPTIONS]     measure the broker beside the floor
               bench show [FILE...]    print stored results, all when none is named
               {CompactionBench.Usage}
               {MetadataBench.Usage}
               {AuthorizationBench.Usage}
               {TlsBench.Usage}
               {HostileBench.Usage}
               bench coordinators [OPTIONS]    heartbeats of many groups, offset commits beside the floor's appends, transactions
               bench neighbours [OPTIONS]      ordinary clients beside one that asks for expensive things
               bench metrics [OPTIONS]         what a scrape costs at 10,000 partitions, and what counting costs producers
               bench restart [OPTIONS]         start on 10,000 partitions, after a stop and after a kill
               {ChurnBench.Usage}
               {ClientBench.Usage}
               bench group-storm [OPTIONS]     200 members come and go for two minutes, under each group protocol; checks who owns what
               bench floor PORT DIR    be the floor (`run` starts it by itself)

          --only NAME,...             these scenarios: {string.Join(", ", ScenarioCatalog.Names)}
          --rounds N                  rounds to take the median of (default {DefaultRounds})
          --quick                     a smoke test: one round of small volumes, nothing stored
          --no-floor                  the broker alone
          --no-store                  do not store the result
          --executable PATH           the broker to start (default artifacts/bin/ottla)
          --broker HOST:PORT:PID      measure this running broker instead
          --compare HOST:PORT:PID     the same loads on this other running Kafka broker, in turn, and the ratios to it
          --no-check                  do not compare with the last stored result of this machine
          --counters FILE             the running broker's OTTLA_COUNTERS_FILE
          --set KEY=VALUE             one more config for the broker that is started
          --directory DIR             where data goes while it runs (default the temporary directory)
        """;

    public IReadOnlyList<string> Only { get; init; } = ScenarioCatalog.Names;

    public int Rounds { get; init; } = DefaultRounds;

    public bool IsQuick { get; init; }

    public bool HasFloor { get; init; } = true;

    public bool IsStored { get; init; } = true;

    public string Executable { get; init; } = Repository.Executable;

    public RunningBroker? Broker { get; init; }

    /// <summary>Another broker to compare with.</summary>
    public RunningBroker? Compared { get; init; }

    /// <summary>Whether a regression against the last stored result fails the run.</summary>
    public bool IsChecked { get; init; } = true;

    public string? CountersFile { get; init; }

    public IReadOnlyList<string> Settings { get; init; } = [];

    public string Directory { get; init; } = Path.GetTempPath();

    /// <summary>Reads the arguments of <c>bench run</c>.</summary>
    /// <returns>Null when help is asked for.</returns>
    /// <exception cref="BenchException">An argument makes no sense.</exception>
    public static BenchOptions? Parse(IReadOnlyList<string> arguments)
    {
        var options = new BenchOptions();
        for (var i = 0; i < arguments.Count; i++)
        {
            var name = arguments[i];
            switch (name)
            {
                case "--help" or "-h":
                    return null;
                case "--quick":
                    options = options with { IsQuick = true, IsStored = false, IsChecked = false, Rounds = 1 };
                    break;
                case "--no-floor":
                    options = options with { HasFloor = false };
                    break;
                case "--no-check":
                    options = options with { IsChecked = false };
                    break;
                case "--no-store":
                    options = options with { IsStored = false };
                    break;
                default:
                    if (++i == arguments.Count)
                        throw new BenchException($"{name} is unknown or has no value; --help lists what there is.");
                    options = options.With(name, arguments[i]);
                    break;
            }
        }

        return options;
    }

    private BenchOptions With(string name, string value) => name switch
    {
        "--only" => this with { Only = ParseNames(value) },
        "--rounds" => this with { Rounds = ParseRounds(value) },
        "--executable" => this with { Executable = Path.GetFullPath(value) },
        "--broker" => this with { Broker = ParseBroker(name, value) },
        "--compare" => this with { Compared = ParseBroker(name, value) },
        "--counters" => this with { CountersFile = Path.GetFullPath(value) },
        "--set" => this with { Settings = [.. Settings, value] },
        "--directory" => this with { Directory = Path.GetFullPath(value) },
        _ => throw new BenchException($"{name} is unknown; --help lists what there is."),
    };

    private static string[] ParseNames(string value)
    {
        var names = value.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var unknown = names.Except(ScenarioCatalog.Names).ToArray();
        if (names.Length == 0 || unknown.Length > 0)
            throw new BenchException($"--only {value}: there are {string.Join(", ", ScenarioCatalog.Names)}.");
        return names;
    }

    private static int ParseRounds(string value) =>
        int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var rounds) && rounds is > 0 and <= RoundsMax
            ? rounds
            : throw new BenchException($"--rounds {value}: a number from 1 to {RoundsMax} is expected.");

    private static RunningBroker ParseBroker(string name, string value)
    {
        var parts = value.Split(':');
        return parts.Length == 3
            && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out var port)
            && int.TryParse(parts[2], NumberStyles.None, CultureInfo.InvariantCulture, out var processId)
            ? new RunningBroker(parts[0], port, processId)
            : throw new BenchException($"{name} {value}: HOST:PORT:PID is expected.");
    }
}
