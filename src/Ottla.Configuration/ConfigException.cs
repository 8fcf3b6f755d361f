namespace Ottla.Configuration;

/// <summary>The protocol error of a <see cref="ConfigException"/> in a response.</summary>
public enum ConfigErrorKind
{
    /// <summary>INVALID_CONFIG.</summary>
    InvalidConfig,

    /// <summary>INVALID_REQUEST: Kafka's error for broker and client metrics resources, and for malformed requests.</summary>
    InvalidRequest,
}

/// <summary>A configuration is invalid. The message names the config, the value and the valid values, but never a password.</summary>
public sealed class ConfigException : Exception
{
    public ConfigException(string message)
        : base(message)
    {
    }

    public ConfigException(string message, ConfigErrorKind kind)
        : base(message)
    {
        Kind = kind;
    }

    /// <summary>Makes an exception in Kafka's form: <c>Invalid value x for configuration y: reason</c>.</summary>
    public ConfigException(string name, string? value, string? reason)
        : base($"Invalid value {value ?? "null"} for configuration {name}{(reason is null ? "" : ": " + reason)}")
    {
        Name = name;
    }

    /// <summary>The config, if the message is about one.</summary>
    public string? Name { get; }

    /// <summary>The protocol error in a response.</summary>
    public ConfigErrorKind Kind { get; }
}
