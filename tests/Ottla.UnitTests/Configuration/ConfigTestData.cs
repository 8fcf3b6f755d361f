using Ottla.Configuration;

namespace Ottla.UnitTests.Configuration;

/// <summary>What the configuration tests share: a small valid node, and the reference tables.</summary>
internal static class ConfigTestData
{
    public static string RepositoryRoot { get; } = FindRoot();

    /// <summary>A combined node, valid as it is.</summary>
    public static Dictionary<string, string> Node(params (string Name, string Value)[] changes)
    {
        var values = new Dictionary<string, string>
        {
            ["process.roles"] = "broker,controller",
            ["node.id"] = "1",
            ["listeners"] = "PLAINTEXT://broker.example:9092,CONTROLLER://broker.example:9093",
            ["controller.listener.names"] = "CONTROLLER",
            ["controller.quorum.voters"] = "1@broker.example:9093",
            ["log.dirs"] = "/data/a,/data/b",
        };
        foreach (var (name, value) in changes)
        {
            if (value is null)
                values.Remove(name);
            else
                values[name] = value;
        }

        return values;
    }

    public static BrokerConfig Broker(params (string Name, string Value)[] changes) => BrokerConfig.Load(Node(changes));

    public static string[][] Table(string file) =>
    [
        .. File.ReadAllLines(Path.Combine(RepositoryRoot, "tests", "Ottla.UnitTests", "Configuration", file))
            .Select(line => line.Split('\t')),
    ];

    private static string FindRoot()
    {
        var directory = new DirectoryInfo(AppContext.BaseDirectory);
        while (directory is not null && !File.Exists(Path.Combine(directory.FullName, "Ottla.slnx")))
            directory = directory.Parent;
        return directory?.FullName ?? throw new InvalidOperationException("The tests run outside the repository.");
    }
}
