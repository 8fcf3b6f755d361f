using Ottla.SystemTests.Harness;

namespace Ottla.SystemTests.Clients;

/// <summary>The clients, by the names that tests use.</summary>
public static class ClientCatalog
{
    private const string Python = "/usr/bin/python3";

    private static readonly Dictionary<string, KafkaClient> ByName = CreateAll().ToDictionary(client => client.Name);

    /// <summary>kafka-go, which only the tests of what old clients meet use.</summary>
    public static DriverClient KafkaGo { get; } = new("kafka-go", Path.Combine(RepositoryPaths.CompiledDrivers, "kafka-go-driver"))
    {
        Check = () => Requirements.CompiledDriver("kafka-go-driver", "kafka-go/driver.go"),
    };

    /// <summary>kcat, with what only it can do.</summary>
    public static KcatClient Kcat => (KcatClient)Get("kcat");

    /// <summary>The client of that name.</summary>
    public static KafkaClient Get(string name) => name == KafkaGo.Name ? KafkaGo : ByName[name];

    private static IEnumerable<KafkaClient> CreateAll()
    {
        yield return new KcatClient();
        yield return new ConfluentClient();
        yield return new DriverClient("librdkafka", Path.Combine(RepositoryPaths.CompiledDrivers, "librdkafka-driver"))
        {
            Check = () => Requirements.CompiledDriver("librdkafka-driver", "librdkafka/driver.c"),
        };
        yield return CreateNewLibrdkafka("librdkafka-2.16");
        yield return CreateNewLibrdkafka("librdkafka-2.16-kip848", ("LIBRDKAFKA_GROUP_PROTOCOL", "consumer"));
        yield return CreateNewConfluent("confluent-dotnet-2.16");
        yield return CreateNewConfluent("confluent-dotnet-2.16-kip848", ("CONFLUENT_GROUP_PROTOCOL", "consumer"));
        yield return CreateKafkaPython("kafka-python", apiVersion: "", KafkaClient.AllCodecs);
        yield return CreateKafkaPython("kafka-python-2.4.0", "2.4.0", KafkaClient.AllCodecs);
        // Brokers of that time had no zstd.
        yield return CreateKafkaPython("kafka-python-1.0.0", "1.0.0", [.. KafkaClient.AllCodecs.Where(codec => codec != "zstd")]);
        yield return CreateNode("kafkajs", ClientLimits.NoNullHeaderValues);
        yield return CreateNode("platformatic", ClientLimits.None);
        // The new group protocol (KIP-848), as librdkafka-2.16-kip848 and confluent-dotnet-2.16-kip848.
        yield return CreateNode("platformatic-kip848", ClientLimits.None, "platformatic", ("PLATFORMATIC_GROUP_PROTOCOL", "consumer"));
    }

    private static DriverClient CreateNewLibrdkafka(string name, params (string Name, string Value)[] environment) =>
        new(name, Path.Combine(RepositoryPaths.CompiledDrivers, "librdkafka-2.16-driver"))
        {
            Check = () => Requirements.CompiledDriver("librdkafka-2.16-driver", "librdkafka/driver.c"),
            Environment = environment.ToDictionary(variable => variable.Name, variable => variable.Value),
        };

    private static DriverClient CreateNewConfluent(string name, params (string Name, string Value)[] environment) =>
        new(name, "dotnet", RepositoryPaths.ConfluentDriver)
        {
            Check = () => Requirements.DotnetDriver(RepositoryPaths.ConfluentDriver),
            Environment = environment.ToDictionary(variable => variable.Name, variable => variable.Value),
        };

    private static DriverClient CreateKafkaPython(string name, string apiVersion, IReadOnlyList<string> codecs) =>
        new(name, Python, Path.Combine(RepositoryPaths.Clients, "kafka-python", "driver.py"))
        {
            Check = () => Requirements.PythonModules(Python, "kafka", "lz4.frame", "snappy", "zstandard"),
            DeclaredLimits = ClientLimits.NoKeylessTombstones | ClientLimits.NoNullHeaderValues,
            DeclaredCodecs = codecs,
            DeclaredMissingOperations = new HashSet<string> { "delete-records" },
            Environment = new Dictionary<string, string> { ["KAFKA_PYTHON_API_VERSION"] = apiVersion },
        };

    private static DriverClient CreateNode(
        string name, ClientLimits limits, string? script = null, params (string Name, string Value)[] environment)
    {
        var folder = Path.Combine(RepositoryPaths.Clients, "node");
        var node = Path.Combine(folder, "node_modules", ".bin", "node");
        return new DriverClient(name, node, Path.Combine(folder, $"{script ?? name}.mjs"))
        {
            Check = () => Requirements.Program(node),
            DeclaredLimits = limits,
            Environment = environment.ToDictionary(variable => variable.Name, variable => variable.Value),
        };
    }
}
