using Ottla.Client;

namespace Ottla.Cli.KafkaTools.Configs;

/// <summary>The resources behind kafka-configs' entity types.</summary>
internal static class ConfigResources
{
    /// <summary>Whether configs of the type are those of a resource; others are quotas and credentials.</summary>
    public static bool Has(string type) => type is "topics" or "brokers" or "broker-loggers" or "client-metrics" or "groups";

    /// <summary>The resource of an entity.</summary>
    public static ConfigResource Of(string type, string name) => new(
        type switch
        {
            "topics" => ConfigResourceType.Topic,
            "brokers" => ConfigResourceType.Broker,
            "broker-loggers" => ConfigResourceType.BrokerLogger,
            "client-metrics" => ConfigResourceType.ClientMetrics,
            _ => ConfigResourceType.Group,
        },
        name);

    /// <summary>Where a value comes from that was set for the entity while the cluster runs.</summary>
    public static ConfigSource DynamicSource(string type, string name) => type switch
    {
        "topics" => ConfigSource.DynamicTopic,
        "brokers" => name.Length == 0 ? ConfigSource.DynamicDefaultBroker : ConfigSource.DynamicBroker,
        "broker-loggers" => ConfigSource.DynamicBrokerLogger,
        "client-metrics" => ConfigSource.ClientMetrics,
        _ => ConfigSource.Group,
    };

    /// <summary>The name of a source in Kafka.</summary>
    public static string NameOf(ConfigSource source) => source switch
    {
        ConfigSource.DynamicTopic => "DYNAMIC_TOPIC_CONFIG",
        ConfigSource.DynamicBroker => "DYNAMIC_BROKER_CONFIG",
        ConfigSource.DynamicDefaultBroker => "DYNAMIC_DEFAULT_BROKER_CONFIG",
        ConfigSource.StaticBroker => "STATIC_BROKER_CONFIG",
        ConfigSource.Default => "DEFAULT_CONFIG",
        ConfigSource.DynamicBrokerLogger => "DYNAMIC_BROKER_LOGGER_CONFIG",
        ConfigSource.ClientMetrics => "DYNAMIC_CLIENT_METRICS_CONFIG",
        ConfigSource.Group => "DYNAMIC_GROUP_CONFIG",
        _ => "UNKNOWN",
    };
}
