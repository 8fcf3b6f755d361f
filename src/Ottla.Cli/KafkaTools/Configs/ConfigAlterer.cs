using System.Globalization;
using System.Text.RegularExpressions;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;

namespace Ottla.Cli.KafkaTools.Configs;

/// <summary>Changes configs as kafka-configs --alter does.</summary>
internal sealed partial class ConfigAlterer(TextWriter output, ToolClient client, ConfigEntities entities)
{
    private const int IterationsMin = 4096;
    private static readonly string[] Mechanisms = ["SCRAM-SHA-256", "SCRAM-SHA-512"];

    /// <summary>Makes the changes, and says so.</summary>
    public async Task RunAsync(ConfigChanges changes)
    {
        if (entities.Type == "broker-loggers")
            await CheckLoggersAsync(changes);
        if (ConfigResources.Has(entities.Type))
            await AlterResourceAsync(changes);
        else if (entities.Type == "ips")
            await AlterAddressAsync(changes);
        else
            await AlterClientAsync(changes);
        output.WriteLine(entities.Name is { Length: > 0 } name
            ? $"Completed updating config for {entities.Singular} {name}."
            : $"Completed updating default config for {entities.Type} in the cluster.");
    }

    private async Task CheckLoggersAsync(ConfigChanges changes)
    {
        var resource = ConfigResources.Of(entities.Type, entities.Name!);
        var described = (await client.CallAsync("describeConfigs", admin => admin.DescribeConfigsAsync([resource])))[resource];
        if (!described.IsSuccess)
            throw JavaErrors.Of(described, "describeConfigs").OfFuture();
        var known = described.Value.Select(entry => entry.Name).ToHashSet();
        var unknown = changes.Deleted.Concat(changes.Added.Keys).Where(name => !known.Contains(name)).ToList();
        if (unknown.Count > 0)
            throw JavaException.Kafka("InvalidConfigurationException", $"Invalid broker logger(s): {string.Join(',', unknown)}");
    }

    private async Task AlterResourceAsync(ConfigChanges changes)
    {
        var resource = ConfigResources.Of(entities.Type, entities.Name!);
        IReadOnlyList<ConfigChange> all =
            [.. changes.Deleted.Select(ConfigChange.Delete), .. changes.Added.Select(each => new ConfigChange(each.Key, each.Value))];
        var results = await client.CallAsync("incrementalAlterConfigs", admin => admin.IncrementalAlterConfigsAsync(
            new Dictionary<ConfigResource, IReadOnlyList<ConfigChange>> { [resource] = all }));
        if (!results[resource].IsSuccess)
            throw JavaErrors.Of(results[resource], "incrementalAlterConfigs").OfFuture();
    }

    private async Task AlterAddressAsync(ConfigChanges changes)
    {
        var unknown = changes.Added.Keys.Concat(changes.Deleted).Where(name => name != QuotaEntities.OfAddresses).Distinct().ToList();
        if (unknown.Count > 0)
        {
            throw JavaException.IllegalArgument(
                $"Only connection quota configs can be added for 'ips' using --bootstrap-server. Unexpected config names: "
                    + $"{string.Join(", ", unknown)}");
        }

        await AlterQuotasAsync(changes);
    }

    private async Task AlterClientAsync(ConfigChanges changes)
    {
        var isClient = entities.Types.Contains("clients");
        string[] allowed = isClient ? QuotaEntities.OfClients : [.. QuotaEntities.OfClients, .. Mechanisms];
        var what = isClient ? "quota configs" : "quota and SCRAM credential configs";
        Check(changes.Added.Keys, "added");
        Check(changes.Deleted, "deleted");
        var hasCredentials = changes.Added.Keys.Concat(changes.Deleted).Any(Mechanisms.Contains);
        var hasQuotas = changes.Added.Keys.Concat(changes.Deleted).Any(QuotaEntities.OfClients.Contains);
        if (hasCredentials && entities.Names.Contains(""))
        {
            throw JavaException.IllegalArgument(
                "The use of --entity-default or --user-defaults is not allowed with User SCRAM Credentials using --bootstrap-server.");
        }

        if (hasCredentials && hasQuotas)
        {
            throw JavaException.IllegalArgument(
                "Cannot alter both quota and SCRAM credential configs simultaneously for 'users' using --bootstrap-server.");
        }

        await (hasCredentials ? AlterCredentialsAsync(changes) : AlterQuotasAsync(changes));

        void Check(IEnumerable<string> names, string verb)
        {
            var unknown = names.Where(name => !allowed.Contains(name)).ToList();
            if (unknown.Count > 0)
            {
                throw JavaException.IllegalArgument(
                    $"Only {what} can be {verb} for '{(isClient ? "clients" : "users")}' using --bootstrap-server. Unexpected config "
                        + $"names: "
                        + string.Join(',', unknown));
            }
        }
    }

    private async Task AlterQuotasAsync(ConfigChanges changes)
    {
        var known = await client.CallAsync(
            "describeClientQuotas", admin => admin.DescribeClientQuotasAsync(QuotaEntities.FilterOf(entities), strict: true));
        var current = known.Values.FirstOrDefault() ?? new Dictionary<string, double>();
        var unset = changes.Deleted.Where(name => !current.ContainsKey(name)).ToList();
        if (unset.Count > 0)
            throw JavaException.Kafka("InvalidConfigurationException", $"Invalid config(s): {string.Join(',', unset)}");
        var values = new Dictionary<string, double?>();
        foreach (var (name, text) in changes.Added)
        {
            values[name] = double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) ? value
                : throw JavaException.IllegalArgument($"Cannot parse quota configuration value for {name}: {text}");
        }

        foreach (var name in changes.Deleted)
            values[name] = null;
        var entity = QuotaEntities.EntityOf(entities);
        var results = await client.CallAsync("alterClientQuotas", admin => admin.AlterClientQuotasAsync(
            new Dictionary<ClientQuotaEntity, IReadOnlyDictionary<string, double?>> { [entity] = values }));
        if (!results[entity].IsSuccess)
            throw JavaErrors.Of(results[entity], "alterClientQuotas").OfFuture();
    }

    private async Task AlterCredentialsAsync(ConfigChanges changes)
    {
        var user = entities.Name!;
        IEnumerable<ScramAlteration> alterations =
        [
            .. changes.Deleted.Select(name => new ScramDeletion(user, MechanismOf(name))),
            .. changes.Added.Select(each => Upsertion(user, each.Key, each.Value)),
        ];
        var results = await client.CallAsync("alterUserScramCredentials", admin => admin.AlterUserScramCredentialsAsync(alterations));
        if (!results[user].IsSuccess)
            throw JavaErrors.Of(results[user], "alterUserScramCredentials").OfFuture();
    }

    private static ScramUpsertion Upsertion(string user, string mechanism, string text)
    {
        var match = Credential().Match(text);
        if (!match.Success)
        {
            throw JavaException.IllegalArgument(
                $"Invalid credential property {mechanism.Replace('-', '_')}={text}");
        }

        var iterations = match.Groups[1].Value is { Length: > 0 } given and not "-1"
            ? int.Parse(given, CultureInfo.InvariantCulture) : IterationsMin;
        return iterations >= IterationsMin
            ? new ScramUpsertion(user, MechanismOf(mechanism), match.Groups[2].Value) { Iterations = iterations }
            : throw JavaException.IllegalArgument(
                $"Iterations {iterations} is less than the minimum {IterationsMin} required for {mechanism}");
    }

    private static ScramType MechanismOf(string name) => name == Mechanisms[0] ? ScramType.Sha256 : ScramType.Sha512;

    [GeneratedRegex("^(?:iterations=(-?[0-9]{0,9}),)?password=(.*)$")]
    private static partial Regex Credential();
}
