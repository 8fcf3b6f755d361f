using Ottla.Configuration.Definitions;

namespace Ottla.Configuration;

/// <summary>All configs of Kafka 4.4 by kind of resource, and Ottla's own.</summary>
public static class ConfigRegistry
{
    /// <summary>Broker and controller configs.</summary>
    public static ConfigTable Broker { get; } = new(
        ConfigResourceType.Broker,
        (ConfigSections.Quorum, QuorumConfigs.Rows),
        (ConfigSections.Sockets, SocketConfigs.Rows),
        (ConfigSections.Logs, LogConfigs.Rows),
        (ConfigSections.Replication, ReplicationConfigs.Rows),
        (ConfigSections.Groups, GroupCoordinatorConfigs.Rows),
        (ConfigSections.Shares, ShareCoordinatorConfigs.Rows),
        (ConfigSections.Transactions, TransactionConfigs.Rows),
        (ConfigSections.Quotas, QuotaConfigs.Rows),
        (ConfigSections.Security, SecurityConfigs.Rows),
        (ConfigSections.TieredStorage, TieredStorageConfigs.Rows),
        (ConfigSections.Metrics, MetricsConfigs.Rows),
        (ConfigSections.Internal, InternalConfigs.Rows),
        (ConfigSections.Own, OwnConfigs.Rows));

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

/// <summary>The headings of the broker configs.</summary>
internal static class ConfigSections
{
    public const string Quorum = "Identity, roles, quorum";
    public const string Sockets = "Sockets and request handling";
    public const string Logs = "Log and topic defaults";
    public const string Replication = "Replication";
    public const string Groups = "Group coordinator (classic, consumer, streams)";
    public const string Shares = "Share groups and the share coordinator";
    public const string Transactions = "Transactions";
    public const string Quotas = "Quotas";
    public const string Security = "Security and tokens";
    public const string TieredStorage = "Tiered storage";
    public const string Metrics = "Metrics";
    public const string Internal = "Internal";
    public const string Own = "Ottla's own";
}
