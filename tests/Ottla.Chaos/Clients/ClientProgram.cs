namespace Ottla.Chaos.Clients;

/// <summary>How a client of some library is started. The programs are beside those of the system tests.</summary>
/// <param name="Name">For people.</param>
/// <param name="Library">Its name in <c>--clients</c>.</param>
/// <param name="Command">Program and first arguments.</param>
/// <param name="GroupProtocol">What a reader is: <c>classic</c> or <c>consumer</c> (KIP-848).</param>
internal sealed record ClientProgram(string Name, string Library, IReadOnlyList<string> Command, string GroupProtocol)
{
    private const string Clients = "tests/Ottla.SystemTests/Clients";
    private const string Python = "/usr/bin/python3";

    private static readonly string Node = Path.GetFullPath($"{Clients}/node/node_modules/.bin/node");

    public static readonly IReadOnlyList<string> Libraries = ["librdkafka", "kafka-python", "kafkajs"];

    /// <summary>All of a library; the first one is also its writer.</summary>
    public static IReadOnlyList<ClientProgram> Of(string library) => library switch
    {
        "librdkafka" =>
        [
            new("librdkafka-consumer", library, [Path.GetFullPath("artifacts/clients/librdkafka-workload")], "consumer"),
            new("librdkafka-classic", library, [Path.GetFullPath("artifacts/clients/librdkafka-workload")], "classic"),
        ],
        "kafka-python" => [new("kafka-python", library, [Python, Path.GetFullPath($"{Clients}/kafka-python/workload.py")], "classic")],
        "kafkajs" =>
        [
            new("kafkajs", library,
                [Node, Path.GetFullPath($"{Clients}/node/kafkajs-workload.mjs")], "classic"),
        ],
        _ => throw new UsageException($"there is no client {library}: {string.Join(", ", Libraries)}"),
    };

    /// <summary>The drivers of the system tests that copy from a topic to another in transactions.</summary>
    public static ClientProgram? CopierOf(string library) => library switch
    {
        "librdkafka" =>
            new("librdkafka", library, [Path.GetFullPath("artifacts/clients/librdkafka-2.16-driver")], "classic"),
        "kafkajs" => new("kafkajs", library, [Node, Path.GetFullPath($"{Clients}/node/kafkajs.mjs")], "classic"),
        _ => null,
    };

    /// <summary>Why it cannot be used here; null when it can.</summary>
    public string? FindMissing()
    {
        if (!File.Exists(Command[0]))
            return $"there is no {Command[0]}";
        return Library == "kafka-python" && !Machines.Tool.TryRun(Python, ["-c", "import kafka"], out _)
            ? "python3-kafka is missing"
            : null;
    }
}
