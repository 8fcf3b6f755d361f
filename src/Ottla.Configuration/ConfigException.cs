namespace Ottla.Configuration;

/// <summary>Which protocol error a <see cref="ConfigException"/> stands for when it answers a request.</summary>
public enum ConfigErrorKind
{
    /// <summary>INVALID_CONFIG.</summary>
    InvalidConfig,

    /// <summary>INVALID_REQUEST: Kafka answers so for broker and client metrics resources and for malformed requests.</summary>
    InvalidRequest,
}

/// <summary>A configuration that cannot be accepted. The message names the key, the value and what is allowed, and never a password.</summary>
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

    /// <summary>In Kafka's form: <c>Invalid value x for configuration y: reason</c>.</summary>
    public ConfigException(string name, string? value, string? reason)
        : base($"Invalid value {value ?? "null"} for configuration {name}{(reason is null ? "" : ": " + reason)}")
    {
        Name = name;
    }

    /// <summary>The config the message is about, where it is about one.</summary>
    public string? Name { get; }

    /// <summary>The protocol error this answers with.</summary>
    public ConfigErrorKind Kind { get; }
}
