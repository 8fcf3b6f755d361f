namespace Ottla.Configuration;

/// <summary>What a node in a container is configured with: the defaults of an image, and where it finds what was mounted.</summary>
public static class ContainerDefaults
{
    /// <summary>Where Apache Kafka's image reads mounted properties.</summary>
    public const string MountedFile = "/mnt/shared/config/server.properties";

    /// <summary>Whatever is mounted: the data is where a volume is, and other containers may scrape the node.</summary>
    internal static IReadOnlyDictionary<string, string> Always { get; } = new Dictionary<string, string>
    {
        ["log.dirs"] = "/data/log",
        [BrokerConfig.MonitoringListenerName] = "0.0.0.0:9404",
    };

    /// <summary>Where nothing is mounted: one node on all addresses.</summary>
    internal static IReadOnlyDictionary<string, string> WithoutFile { get; } = new Dictionary<string, string>(Always)
    {
        ["listeners"] = "PLAINTEXT://:9092",
    };
}
