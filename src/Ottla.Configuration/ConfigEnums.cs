namespace Ottla.Configuration;

/// <summary>The type of a config's value. The numbers are the type codes of DescribeConfigs.</summary>
public enum ConfigType : byte
{
    Unknown = 0,
    Boolean = 1,
    String = 2,
    Int = 3,
    Short = 4,
    Long = 5,
    Double = 6,
    List = 7,
    Class = 8,
    Password = 9,
}

/// <summary>How a broker config may be changed while the broker runs (KIP-226).</summary>
public enum ConfigUpdateMode
{
    /// <summary>Only at start, from the static configuration.</summary>
    ReadOnly,

    /// <summary>Dynamically for one named broker only.</summary>
    PerBroker,

    /// <summary>Dynamically for the whole cluster, or for one named broker.</summary>
    ClusterWide,

    /// <summary>Dynamically only: never read from the static configuration.</summary>
    DynamicOnly,
}

/// <summary>How likely it is that an operator must set a config.</summary>
public enum ConfigImportance
{
    High,
    Medium,
    Low,
}

/// <summary>The source of an effective value. The numbers are the source codes of DescribeConfigs.</summary>
public enum ConfigSource : sbyte
{
    Unknown = 0,
    DynamicTopic = 1,
    DynamicBroker = 2,
    DynamicDefaultBroker = 3,
    StaticBroker = 4,
    Default = 5,
    DynamicBrokerLogger = 6,
    ClientMetrics = 7,
    Group = 8,
}

/// <summary>The kinds of resources with configs. The numbers are the protocol's resource types.</summary>
public enum ConfigResourceType : sbyte
{
    Unknown = 0,
    Topic = 2,
    Broker = 4,
    BrokerLogger = 8,
    ClientMetrics = 16,
    Group = 32,
}

/// <summary>An operation of IncrementalAlterConfigs (KIP-339), numbered as in the request.</summary>
public enum AlterConfigOperation : sbyte
{
    Set = 0,
    Delete = 1,
    Append = 2,
    Subtract = 3,
}

/// <summary>How a listener is secured; the names and numbers are Kafka's.</summary>
public enum SecurityProtocol : short
{
    PLAINTEXT = 0,
    SSL = 1,
    SASL_PLAINTEXT = 2,
    SASL_SSL = 3,
}

/// <summary>The roles of a node, from <c>process.roles</c>.</summary>
[Flags]
public enum ProcessRoles
{
    None = 0,
    Broker = 1,
    Controller = 2,
}

/// <summary>The source of the timestamps of a topic's records. The numbers are the attribute bit of record batches.</summary>
public enum MessageTimestampType : sbyte
{
    CreateTime = 0,
    LogAppendTime = 1,
}

/// <summary>The codec of a topic. The numbers are the codec ids of record batches.</summary>
public enum ConfiguredCompression : byte
{
    Uncompressed = 0,
    Gzip = 1,
    Snappy = 2,
    Lz4 = 3,
    Zstd = 4,
}
