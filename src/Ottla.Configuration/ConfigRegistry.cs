using Ottla.Configuration.Definitions;

namespace Ottla.Configuration;

/// <summary>Every config Kafka 4.4 knows, by kind of resource.</summary>
public static class ConfigRegistry
{
    /// <summary>Broker and controller configs.</summary>
    public static ConfigTable Broker { get; } = new(
        ConfigResourceType.Broker,
        ("Identity, roles, quorum", QuorumConfigs.Rows),
        ("Sockets and request handling", SocketConfigs.Rows),
        ("Log and topic defaults", LogConfigs.Rows),
        ("Replication", ReplicationConfigs.Rows),
        ("Group coordinator (classic, consumer, streams)", GroupCoordinatorConfigs.Rows),
        ("Share groups and the share coordinator", ShareCoordinatorConfigs.Rows),
        ("Transactions", TransactionConfigs.Rows),
        ("Quotas", QuotaConfigs.Rows),
        ("Security and tokens", SecurityConfigs.Rows),
        ("Tiered storage", TieredStorageConfigs.Rows),
        ("Metrics", MetricsConfigs.Rows),
        ("Internal", InternalConfigs.Rows));

    /// <summary>Topic configs.</summary>
    public static ConfigTable Topic { get; } = new(ConfigResourceType.Topic, ("Topic", TopicConfigs.Rows));

    /// <summary>Group configs (KIP-848, KIP-932, KIP-1071).</summary>
    public static ConfigTable Group { get; } = new(ConfigResourceType.Group, ("Group", GroupConfigs.Rows));

    /// <summary>Client metrics subscriptions (KIP-714).</summary>
    public static ConfigTable ClientMetrics { get; } =
        new(ConfigResourceType.ClientMetrics, ("Client metrics", ClientMetricsConfigs.Rows));

    /// <summary>The table of a kind of resource.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The kind has no table.</exception>
    public static ConfigTable For(ConfigResourceType type) => type switch
    {
        ConfigResourceType.Broker => Broker,
        ConfigResourceType.Topic => Topic,
        ConfigResourceType.Group => Group,
        ConfigResourceType.ClientMetrics => ClientMetrics,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "no configs are defined for this resource type"),
    };
}
