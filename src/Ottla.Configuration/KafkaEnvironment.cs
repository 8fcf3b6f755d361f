using System.Collections.Frozen;

namespace Ottla.Configuration;

/// <summary>
/// Reads configs from environment variables, named as for Kafka's container image: <c>KAFKA_</c> as a prefix, then <c>_</c> for a dot,
/// <c>__</c> for an underscore and <c>___</c> for a dash.
/// </summary>
public static class KafkaEnvironment
{
    /// <summary>The variable of Kafka's image with the id of the cluster to format for.</summary>
    public const string ClusterId = "CLUSTER_ID";

    private const string Prefix = "KAFKA_";

    /// <summary>Variables of Kafka's image and scripts that are not configs.</summary>
    private static readonly FrozenSet<string> s_ignored = FrozenSet.ToFrozenSet(
        [
            "KAFKA_VERSION", "KAFKA_HEAP_OPTS", "KAFKA_OPTS", "KAFKA_JVM_PERFORMANCE_OPTS", "KAFKA_DEBUG", "KAFKA_HOME",
            "KAFKA_CLUSTER_ID", "KAFKA_CLASSPATH", "KAFKA_MODE", "KAFKA_RUN_CLASS",
        ],
        StringComparer.Ordinal);

    private static readonly string[] s_ignoredPrefixes = ["KAFKA_LOG4J_", "KAFKA_TOOLS_LOG4J_", "KAFKA_JMX_", "KAFKA_GC_"];

    /// <summary>The configs in an environment, ordered by name.</summary>
    public static IReadOnlyDictionary<string, string> ToConfigs(IEnumerable<KeyValuePair<string, string>> environment)
    {
        var configs = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var (variable, value) in environment)
        {
            if (ToConfigName(variable) is { } name)
                configs[name] = value;
        }

        return configs;
    }

    /// <summary>The config that a variable sets; null when it sets none.</summary>
    public static string? ToConfigName(string variable)
    {
        if (!variable.StartsWith(Prefix, StringComparison.Ordinal) || variable.Length == Prefix.Length || s_ignored.Contains(variable)
            || Array.Exists(s_ignoredPrefixes, prefix => variable.StartsWith(prefix, StringComparison.Ordinal)))
            return null;
        return variable[Prefix.Length..].ToLowerInvariant()
            .Replace('_', '.')
            .Replace("...", "-", StringComparison.Ordinal)
            .Replace("..", "_", StringComparison.Ordinal);
    }
}
