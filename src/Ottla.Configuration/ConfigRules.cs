using System.Text.RegularExpressions;

namespace Ottla.Configuration;

/// <summary>Validators of single configs that no general validator covers.</summary>
internal static partial class ConfigRules
{
    private static readonly string[] s_clientMatchSelectors =
    [
        "client_instance_id", "client_id", "client_software_name", "client_software_version", "client_source_address",
        "client_source_port",
    ];

    public static readonly ConfigValidator NonNull =
        ConfigValidator.Rule("non-null string", value => value.IsNull ? "entry must be non null" : null);

    public static readonly ConfigValidator NonEmpty =
        ConfigValidator.Rule("non-empty string", value => !value.IsNull && value.AsString!.Length == 0 ? "String must be non-empty" : null);

    public static readonly ConfigValidator GzipLevel = ConfigValidator.Rule(
        "[1,...,9] or -1",
        value => value.IsNull ? "Value must be non-null"
            : value.AsInt is -1 or (>= 1 and <= 9) ? null : "Value must be between 1 and 9 or equal to -1");

    public static readonly ConfigValidator QuorumVoters = ConfigValidator.Rule(
        "list of {id}@{host}:{port}",
        value =>
        {
            if (value.IsNull)
                return "Value must be non-null";
            var bad = value.AsList.FirstOrDefault(entry => !QuorumVoter.TryParse(entry, out _));
            return bad is null ? null : $"Each entry should be in the form {{id}}@{{host}}:{{port}}, and {bad} is not";
        });

    public static readonly ConfigValidator BootstrapServers = ConfigValidator.Rule(
        "list of {host}:{port}",
        value =>
        {
            if (value.IsNull)
                return "Value must be non-null";
            var bad = value.AsList.FirstOrDefault(entry => !HostPort.TryParse(entry, out _));
            return bad is null ? null : $"Each entry should be in the form {{host}}:{{port}}, and {bad} is not";
        });

    public static readonly ConfigValidator ThrottledReplicas = ConfigValidator.ListRule(
        "[partitionId]:[brokerId],[partitionId]:[brokerId],...",
        (name, value) =>
        {
            if (value.IsNull)
                return "Value must be non-null";
            if (string.Concat(value.AsList) == "*" || value.AsList.All(entry => entry.Length == 0 || ThrottledReplica().IsMatch(entry)))
                return null;
            return $"{name} must be the literal '*' or a list of replicas in the following format: "
                + "[partitionId]:[brokerId],[partitionId]:[brokerId],...";
        });

    public static readonly ConfigValidator ShareAutoOffsetReset = ConfigValidator.Rule(
        "[latest, earliest, by_duration:PnDTnHnMn.nS]",
        value => !value.IsNull && ShareOffsetReset.TryParse(value.AsString!) is not null
            ? null
            : "the value must be either 'earliest', 'latest' or of the format 'by_duration:<PnDTnHnMn.nS.>'");

    public static readonly ConfigValidator ClientMatch = ConfigValidator.Sentence(
        "list of selector=pattern",
        value =>
        {
            if (value.IsNull)
                return "Value must be non-null";
            var bad = value.AsList.FirstOrDefault(entry => !IsClientMatch(entry));
            return bad is null ? null : $"Illegal client matching pattern: {bad}";
        });

    private static bool IsClientMatch(string entry)
    {
        var parts = entry.Split('=');
        if (parts.Length != 2 || !s_clientMatchSelectors.Contains(JavaText.Trim(parts[0]), StringComparer.Ordinal))
            return false;
        try
        {
            _ = new Regex(JavaText.Trim(parts[1]), RegexOptions.CultureInvariant);
            return true;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    [GeneratedRegex("^[0-9]+:[0-9]+$", RegexOptions.CultureInvariant)]
    private static partial Regex ThrottledReplica();
}
