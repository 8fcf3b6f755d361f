using System.Globalization;

namespace Ottla.Chaos;

/// <summary>What a run is asked to do. Immutable.</summary>
internal sealed record ChaosOptions
{
    public const string Usage = """
        usage: ./dev chaos [OPTIONS]

          --seconds N          how long faults go on (180)
          --seed N             what follows from it: which faults, when, where (1)
          --every N            seconds from the start of a fault to the start of the next (15)
          --faults LIST        kinds to choose from; 'none' for none (all that the machine allows); see tests/Ottla.Chaos/README.md
          --scenario NAME      instead of random faults: one of the stories below
          --no-copies          without copies in transactions
          --clients LIST       librdkafka, kafka-python, kafkajs (all that are installed)
          --nodes N            nodes that are controller and broker (3)
          --replication N      replicas of each partition (3, at most the nodes)
          --partitions N       partitions of the topic (6)
          --rate N             records per second and writer (50)
          --config NAME=VALUE  a config of all nodes; may be repeated
          --executable PATH    the broker to run (the release executable, built first)
          --folder PATH        where everything is kept (artifacts/chaos/SEED-TIME)
          --keep-data          keep the nodes' disks of a run without anomalies too
        """;

    public int Seconds { get; private init; } = 180;

    public ulong Seed { get; private init; } = 1;

    public int EverySeconds { get; private init; } = 15;

    /// <summary>The kinds of faults to choose from; null for all.</summary>
    public IReadOnlyList<string>? Faults { get; private init; }

    /// <summary>The scenario to run; null for random faults.</summary>
    public string? Scenario { get; private init; }

    /// <summary>Whether records are copied in transactions too.</summary>
    public bool HasCopies { get; private init; } = true;

    /// <summary>The clients to use; null for all that are there.</summary>
    public IReadOnlyList<string>? Clients { get; private init; }

    public int Nodes { get; private init; } = 3;

    public int Replication { get; private init; } = 3;

    public int Partitions { get; private init; } = 6;

    public int RecordsPerSecond { get; private init; } = 50;

    public IReadOnlyDictionary<string, string> Configs { get; private init; } = new Dictionary<string, string>();

    public string? Executable { get; private init; }

    public string? Folder { get; private init; }

    public bool KeepsData { get; private init; }

    /// <summary>Reads a command line.</summary>
    /// <exception cref="UsageException">It cannot be read; the message says why.</exception>
    public static ChaosOptions Parse(IReadOnlyList<string> words)
    {
        var options = new ChaosOptions();
        var configs = new Dictionary<string, string>();
        for (var i = 0; i < words.Count; i++)
        {
            var name = words[i];
            if (name is "--keep-data" or "--no-copies")
            {
                options = options with
                {
                    KeepsData = options.KeepsData || name == "--keep-data",
                    HasCopies = options.HasCopies && name != "--no-copies",
                };
                continue;
            }

            var value = ++i < words.Count ? words[i] : throw new UsageException($"{name} wants a value");
            options = name switch
            {
                "--seconds" => options with { Seconds = Number(name, value) },
                "--seed" => options with { Seed = (ulong)Number(name, value) },
                "--every" => options with { EverySeconds = Number(name, value) },
                "--faults" => options with { Faults = value == "none" ? [] : value.Split(',') },
                "--scenario" => options with { Scenario = value },
                "--clients" => options with { Clients = value.Split(',') },
                "--nodes" => options with { Nodes = Number(name, value) },
                "--replication" => options with { Replication = Number(name, value) },
                "--partitions" => options with { Partitions = Number(name, value) },
                "--rate" => options with { RecordsPerSecond = Number(name, value) },
                "--executable" => options with { Executable = Path.GetFullPath(value) },
                "--folder" => options with { Folder = Path.GetFullPath(value) },
                "--config" => WithConfig(options, value),
                _ => throw new UsageException($"unknown option {name}"),
            };
        }

        return options with { Configs = configs, Replication = Math.Min(options.Replication, options.Nodes) };

        ChaosOptions WithConfig(ChaosOptions before, string setting)
        {
            if (setting.Split('=', 2) is not [var key, var content])
                throw new UsageException($"--config wants NAME=VALUE, not {setting}");
            configs[key] = content;
            return before;
        }
    }

    private static int Number(string name, string value) =>
        int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0
            ? number
            : throw new UsageException($"{name} wants a positive number, not {value}");
}

/// <summary>The command line cannot be followed.</summary>
internal sealed class UsageException(string message) : Exception(message);
