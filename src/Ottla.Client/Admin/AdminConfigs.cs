namespace Ottla.Client;

/// <summary>What has configs.</summary>
public enum ConfigResourceType : sbyte
{
    /// <summary>A topic, by name.</summary>
    Topic = 2,

    /// <summary>A broker, by node id; an empty name is the default of all brokers.</summary>
    Broker = 4,

    /// <summary>The loggers of a broker, by node id (KIP-412).</summary>
    BrokerLogger = 8,

    /// <summary>A subscription to metrics of clients (KIP-714).</summary>
    ClientMetrics = 16,

    /// <summary>A group (KIP-848).</summary>
    Group = 32,
}

/// <summary>A resource that has configs.</summary>
/// <param name="Type">What it is.</param>
/// <param name="Name">Its name; of a broker the node id.</param>
public readonly record struct ConfigResource(ConfigResourceType Type, string Name)
{
    /// <summary>A topic.</summary>
    public static ConfigResource Topic(string name) => new(ConfigResourceType.Topic, name);

    /// <summary>A broker; null for the default of all brokers.</summary>
    public static ConfigResource Broker(int? id) =>
        new(ConfigResourceType.Broker, id?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "");

    /// <summary>A group.</summary>
    public static ConfigResource Group(string id) => new(ConfigResourceType.Group, id);
}

/// <summary>Where the value of a config comes from.</summary>
public enum ConfigSource : sbyte
{
    /// <summary>The cluster does not say.</summary>
    Unknown = -1,

    /// <summary>Set for the topic.</summary>
    DynamicTopic = 1,

    /// <summary>Set for this broker while it runs.</summary>
    DynamicBroker = 2,

    /// <summary>Set for all brokers while they run.</summary>
    DynamicDefaultBroker = 3,

    /// <summary>The broker's configuration file.</summary>
    StaticBroker = 4,

    /// <summary>The default of the software.</summary>
    Default = 5,

    /// <summary>Set for the loggers of the broker.</summary>
    DynamicBrokerLogger = 6,

    /// <summary>Set for the subscription to metrics.</summary>
    ClientMetrics = 7,

    /// <summary>Set for the group.</summary>
    Group = 8,
}

/// <summary>The type of a config's value.</summary>
public enum ConfigType : sbyte
{
    /// <summary>The cluster does not say.</summary>
    Unknown = 0,

    /// <summary><c>true</c> or <c>false</c>.</summary>
    Boolean = 1,

    /// <summary>Text.</summary>
    String = 2,

    /// <summary>A number of 32 bits.</summary>
    Int = 3,

    /// <summary>A number of 16 bits.</summary>
    Short = 4,

    /// <summary>A number of 64 bits.</summary>
    Long = 5,

    /// <summary>A number with a fraction.</summary>
    Double = 6,

    /// <summary>Values separated by commas.</summary>
    List = 7,

    /// <summary>The name of a class.</summary>
    Class = 8,

    /// <summary>A secret, whose value the cluster does not tell.</summary>
    Password = 9,
}

/// <summary>A config of a resource.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Value">Its value; null when it is sensitive, or has none.</param>
/// <param name="Source">Where the value comes from.</param>
/// <param name="Type">Its type.</param>
/// <param name="IsSensitive">Whether the cluster does not tell the value.</param>
/// <param name="IsReadOnly">Whether it cannot be changed.</param>
/// <param name="Synonyms">The values that it has in all places, the one in force first; empty when they were not asked for.</param>
/// <param name="Documentation">What it does; null when that was not asked for.</param>
public sealed record ConfigEntry(
    string Name, string? Value, ConfigSource Source, ConfigType Type, bool IsSensitive, bool IsReadOnly,
    IReadOnlyList<ConfigSynonym> Synonyms, string? Documentation)
{
    /// <summary>Whether nobody has set it.</summary>
    public bool IsDefault => Source == ConfigSource.Default;
}

/// <summary>The value of a config in one place.</summary>
/// <param name="Name">The config's name there.</param>
/// <param name="Value">The value; null when it is sensitive.</param>
/// <param name="Source">The place.</param>
public sealed record ConfigSynonym(string Name, string? Value, ConfigSource Source);

/// <summary>What is done to a config.</summary>
public enum ConfigOperation : sbyte
{
    /// <summary>Gives it a value.</summary>
    Set = 0,

    /// <summary>Takes its value away, so that the default is in force.</summary>
    Delete = 1,

    /// <summary>Adds values to a list.</summary>
    Append = 2,

    /// <summary>Takes values out of a list.</summary>
    Subtract = 3,
}

/// <summary>A change of a config (KIP-339).</summary>
/// <param name="Name">The config.</param>
/// <param name="Value">The value; null to delete.</param>
/// <param name="Operation">What is done.</param>
public sealed record ConfigChange(string Name, string? Value, ConfigOperation Operation = ConfigOperation.Set)
{
    /// <summary>Takes a config's value away.</summary>
    public static ConfigChange Delete(string name) => new(name, null, ConfigOperation.Delete);
}
